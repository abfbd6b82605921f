package manifestctl

import (
	"bytes"
	"errors"
	"flag"
	"fmt"
	"io"
	"os"
	"strings"

	"rtsptunnel/internal/base/cli"
	"rtsptunnel/internal/base/wholefile"
	"rtsptunnel/internal/hub/hubaccess"
	"rtsptunnel/internal/ops/manifest"
)

// job is one run of a verb.
type job struct {
	*cli.Call

	env      string // flags that several verbs have
	platform string
	output   string
	json     bool
	strict   bool
	tunnels  names
	access   hubaccess.Access

	read []string // names of files that the verb reads
}

// names is the value of a flag that may be repeated.
type names []string

func (n *names) String() string { return strings.Join(*n, ",") }

// Set adds a name.
func (n *names) Set(name string) error {
	*n = append(*n, name)
	return nil
}

func (j *job) templateFlags(flags *flag.FlagSet) {
	flags.StringVar(&j.env, "env", "", "`FILE` with variables (DOTENV_FILE; or .env in the current folder, or beside the template)")
	flags.StringVar(&j.platform, "platform", "", "`NAME` of the images' platform (DEFAULT_PLATFORM, or amd64)")
}

func (j *job) outputFlag(flags *flag.FlagSet) {
	flags.StringVar(&j.output, "output", "", "`FILE` to write instead of standard output; it is replaced at once, or stays as it is")
}

func (j *job) checkFlags(flags *flag.FlagSet) {
	flags.BoolVar(&j.strict, "strict", false, "fail on warnings, too")
	flags.Var(&j.tunnels, "rtsptunnel", "`NAME` of a module with the twin of rtsptunnel, besides those whose image has that name; may be repeated")
}

// source returns a file with what expands it.
func (j *job) source(file string) manifest.Source {
	env := j.env
	if env == "" {
		env = manifest.FindEnv(file, j.Lookup)
	}
	j.read = append(j.read, file, env)
	return manifest.Source{File: file, EnvFile: env, Lookup: j.Lookup, Platform: j.platform}
}

// check returns the problems of a manifest, to which layers may add.
func (j *job) check(m *manifest.Manifest) manifest.Problems {
	return manifest.Validate(m, manifest.Options{Tunnels: j.tunnels})
}

// checkComplete returns the problems of a manifest to which no layer adds.
func (j *job) checkComplete(m *manifest.Manifest) manifest.Problems {
	return manifest.Validate(m, manifest.Options{Tunnels: j.tunnels, Complete: true})
}

// report writes problems to standard error. It fails if one of them is an error or, with
// --strict, if there is any.
func (j *job) report(problems manifest.Problems) error {
	for _, p := range problems {
		_, _ = io.WriteString(j.Err, p.String()+"\n")
	}
	switch {
	case problems.Err() != nil:
		return cli.ErrReported
	case j.strict && len(problems) > 0:
		return errors.New("there are warnings, which are errors with --strict")
	}
	return nil
}

// result writes the result of a verb.
func (j *job) result(text []byte) error {
	if j.output == "" {
		return j.Print(string(text))
	}
	if err := j.checkOutput(); err != nil {
		return err
	}
	// A manifest may contain a registry's password.
	if err := wholefile.Write(j.output, wholefile.Private, bytes.NewReader(text)); err != nil {
		return fmt.Errorf("write the result: %w", err)
	}
	return nil
}

// checkOutput refuses to overwrite a template or its variables.
func (j *job) checkOutput() error {
	output, err := os.Stat(j.output)
	if err != nil {
		return nil //nolint:nilerr // the file does not exist, or writing it returns the error
	}
	for _, file := range j.read {
		if input, err := os.Stat(file); err == nil && os.SameFile(input, output) {
			return cli.Usagef("--output is %s, which is an input; name another file", file)
		}
	}
	return nil
}

// resultJSON writes the result of a verb as JSON.
func (j *job) resultJSON(value any) error {
	text, err := cli.JSON(value)
	if err != nil {
		return err
	}
	return j.result(text)
}

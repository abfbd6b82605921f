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

// session is one run of a verb.
type session struct {
	*cli.Call

	env      string // flags that several verbs have
	platform string
	output   string
	json     bool
	strict   bool
	tunnels  names
	access   hubaccess.Access

	read []string // files that were read, or may have been
}

// names is a flag that may be given several times.
type names []string

func (n *names) String() string { return strings.Join(*n, ",") }

// Set adds a name.
func (n *names) Set(name string) error {
	*n = append(*n, name)
	return nil
}

func (s *session) templateFlags(flags *flag.FlagSet) {
	flags.StringVar(&s.env, "env", "", "`FILE` with variables (that of DOTENV_FILE; .env in the current folder, or else beside the template)")
	flags.StringVar(&s.platform, "platform", "", "`NAME` of the platform of images (DEFAULT_PLATFORM, or else amd64)")
}

func (s *session) outputFlag(flags *flag.FlagSet) {
	flags.StringVar(&s.output, "output", "", "`FILE` to write, whole or not at all, instead of standard output")
}

func (s *session) judgeFlags(flags *flag.FlagSet) {
	flags.BoolVar(&s.strict, "strict", false, "fail on warnings, too")
	flags.Var(&s.tunnels, "rtsptunnel", "`NAME` of a module whose twin is rtsptunnel's, beside those whose image is called so; may be repeated")
}

// source is what a file is expanded with.
func (s *session) source(file string) manifest.Source {
	env := s.env
	if env == "" {
		env = manifest.FindEnv(file, s.Lookup)
	}
	s.read = append(s.read, file, env)
	return manifest.Source{File: file, EnvFile: env, Lookup: s.Lookup, Platform: s.platform}
}

// judge is what is wrong with a manifest.
func (s *session) judge(m *manifest.Manifest) manifest.Problems {
	return manifest.Validate(m, manifest.Options{Tunnels: s.tunnels})
}

// tell writes problems to standard error, and fails if they are reason to.
func (s *session) tell(problems manifest.Problems) error {
	for _, p := range problems {
		_, _ = io.WriteString(s.Err, p.String()+"\n")
	}
	switch {
	case problems.Err() != nil:
		return cli.ErrReported
	case s.strict && len(problems) > 0:
		return errors.New("there are warnings, which --strict takes for errors")
	}
	return nil
}

// result writes the result of a verb.
func (s *session) result(text []byte) error {
	if s.output == "" {
		return s.Print(string(text))
	}
	if err := s.spareInput(); err != nil {
		return err
	}
	// A manifest may have a registry's password in it.
	if err := wholefile.Write(s.output, wholefile.Private, bytes.NewReader(text)); err != nil {
		return fmt.Errorf("write the result: %w", err)
	}
	return nil
}

// spareInput refuses to write over a template, or over its variables.
func (s *session) spareInput() error {
	output, err := os.Stat(s.output)
	if err != nil {
		return nil //nolint:nilerr // it is not there, or to write it will say what is wrong
	}
	for _, file := range s.read {
		if input, err := os.Stat(file); err == nil && os.SameFile(input, output) {
			return cli.Usagef("--output is %s, which was read for it; name another file", file)
		}
	}
	return nil
}

// resultJSON writes the result of a verb as JSON.
func (s *session) resultJSON(value any) error {
	text, err := cli.JSON(value)
	if err != nil {
		return err
	}
	return s.result(text)
}

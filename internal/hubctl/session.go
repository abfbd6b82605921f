package hubctl

import (
	"bytes"
	"crypto/x509"
	"encoding/json"
	"flag"
	"fmt"
	"io"
	"os"
	"strings"

	"rtsptunnel/internal/hubclient"
)

// session is one run of a verb: what it was given, and how it reaches the hub.
type session struct {
	stdin  io.Reader
	stdout io.Writer
	getenv func(string) string

	args           []string // of the verb
	connectionFile string
	caFile         string
	json           bool

	client *hubclient.Client // nil until hub is called
}

// prepare defines the flags of a verb, and those that all verbs have.
func (s *session) prepare(v verb) (*flag.FlagSet, action) {
	flags := flag.NewFlagSet(v.name, flag.ContinueOnError)
	flags.SetOutput(io.Discard) // Main prints errors and help
	do := v.define(s, flags)
	flags.StringVar(&s.connectionFile, "connection-string-file", "", "`FILE` with the hub's connection string, instead of HUB_CONNECTION_STRING")
	flags.StringVar(&s.caFile, "ca-file", "", "`FILE` with certificates (PEM) of authorities to trust besides the system's")
	flags.BoolVar(&s.json, "json", false, "write JSON, for programs")
	return flags, do
}

func (s *session) close() {
	if s.client != nil {
		s.client.Close()
	}
}

// hub returns the client. Call it when all arguments are known to be good.
func (s *session) hub() (*hubclient.Client, error) {
	text, source, err := s.connectionString()
	if err != nil {
		return nil, err
	}
	roots, err := s.roots()
	if err != nil {
		return nil, err
	}
	if s.client, err = hubclient.New(text, hubclient.Options{Roots: roots}); err != nil {
		return nil, usagef("%s: %w", source, err)
	}
	return s.client, nil
}

// connectionString returns it and where it is from.
func (s *session) connectionString() (text, source string, err error) {
	const variable = "HUB_CONNECTION_STRING"
	if s.connectionFile != "" {
		b, err := readFile(s.connectionFile)
		if err != nil {
			return "", "", usagef("--connection-string-file: %w", err)
		}
		return string(b), s.connectionFile, nil
	}
	if text = s.getenv(variable); text == "" {
		return "", "", usagef("which hub? Set %s, or name a file by --connection-string-file; an emulator's is the first line that hubemulator serve prints", variable)
	}
	return text, variable, nil
}

// roots are nil, which is the system's, unless a file is named.
func (s *session) roots() (*x509.CertPool, error) {
	source, name := "--ca-file", s.caFile
	for _, variable := range []string{"HUB_CA_FILE", "CA_FILE"} {
		if name == "" {
			source, name = variable, s.getenv(variable)
		}
	}
	if name == "" {
		return nil, nil //nolint:nilnil // nil is a pool: the system's
	}
	pem, err := readFile(name)
	if err != nil {
		return nil, usagef("%s: %w", source, err)
	}
	roots, err := x509.SystemCertPool()
	if err != nil {
		roots = x509.NewCertPool() // a machine that trusts nobody
	}
	if !roots.AppendCertsFromPEM(pem) {
		return nil, usagef("%s: %s holds no certificate in PEM", source, name)
	}
	return roots, nil
}

// maxInput is far above what a hub takes, in bytes.
const maxInput = 1 << 20

// input reads the file that a flag names; "-" is standard input.
func (s *session) input(flagName, name string) ([]byte, error) {
	b, err := []byte(nil), error(nil)
	if name == "-" {
		b, err = readLimited(s.stdin)
	} else {
		b, err = readFile(name)
	}
	if err != nil {
		return nil, usagef("--%s: %w", flagName, err)
	}
	return b, nil
}

func readFile(name string) ([]byte, error) {
	f, err := os.Open(name) //nolint:gosec // the caller of the command names the file
	if err != nil {
		return nil, err
	}
	defer func() { _ = f.Close() }()
	return readLimited(f)
}

func readLimited(r io.Reader) ([]byte, error) {
	b, err := io.ReadAll(io.LimitReader(r, maxInput+1))
	if err != nil {
		return nil, err
	}
	if len(b) > maxInput {
		return nil, fmt.Errorf("more than %d KB is more than any hub takes", maxInput>>10)
	}
	return b, nil
}

// print writes text to standard output.
func (s *session) print(text string) error {
	if _, err := io.WriteString(s.stdout, text); err != nil {
		return fmt.Errorf("write to standard output: %w", err)
	}
	return nil
}

// printJSON writes a value as indented JSON. A document of the hub's keeps its order
// and its numbers.
func (s *session) printJSON(value any) error {
	var text bytes.Buffer
	encoder := json.NewEncoder(&text)
	encoder.SetEscapeHTML(false)
	encoder.SetIndent("", "  ")
	if err := encoder.Encode(value); err != nil {
		return err
	}
	return s.print(text.String())
}

// parseID reads DEVICE or DEVICE/MODULE.
func parseID(text string) (hubclient.Identity, error) {
	device, module, hasModule := strings.Cut(text, "/")
	if device == "" || hasModule && module == "" || strings.Contains(module, "/") {
		return hubclient.Identity{}, usagef("%q is neither DEVICE nor DEVICE/MODULE", text)
	}
	return hubclient.Identity{Device: device, Module: module}, nil
}

func parseDevice(text string) (hubclient.Identity, error) {
	id, err := parseID(text)
	if err == nil && id.Module != "" {
		err = usagef("%q is a module; for modules there is hubemulator module", text)
	}
	return id, err
}

func parseModule(text string) (hubclient.Identity, error) {
	id, err := parseID(text)
	if err == nil && id.Module == "" {
		err = usagef("%q is a device; want DEVICE/MODULE", text)
	}
	return id, err
}

// checkJSON checks what a flag brought. The error does not repeat it.
func checkJSON(flagName string, text []byte) (json.RawMessage, error) {
	var raw json.RawMessage
	if err := json.Unmarshal(text, &raw); err != nil {
		return nil, usagef("--%s is not JSON: %w", flagName, err)
	}
	return raw, nil
}

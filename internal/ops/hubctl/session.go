package hubctl

import (
	"bytes"
	"encoding/json"
	"flag"
	"fmt"
	"io"
	"strings"

	"rtsptunnel/internal/hub/hubaccess"
	"rtsptunnel/internal/hub/hubclient"
)

// session is one run of a verb: what it was given, and how it reaches the hub.
type session struct {
	stdin  io.Reader
	stdout io.Writer
	getenv func(string) string

	args   []string // of the verb
	access hubaccess.Access
	json   bool

	client *hubclient.Client // nil until hub is called
}

// prepare defines the flags of a verb, and those that all verbs have.
func (s *session) prepare(v verb) (*flag.FlagSet, action) {
	flags := flag.NewFlagSet(v.name, flag.ContinueOnError)
	flags.SetOutput(io.Discard) // Main prints errors and help
	do := v.define(s, flags)
	s.access.Flags(flags)
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
	client, err := s.access.Open(s.getenv)
	if err != nil {
		return nil, &usageError{err}
	}
	s.client = client
	return client, nil
}

// input reads the file that a flag names; "-" is standard input.
func (s *session) input(flagName, name string) ([]byte, error) {
	b, err := []byte(nil), error(nil)
	if name == "-" {
		b, err = hubaccess.ReadLimited(s.stdin)
	} else {
		b, err = hubaccess.ReadFile(name)
	}
	if err != nil {
		return nil, usagef("--%s: %w", flagName, err)
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

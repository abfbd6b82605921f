package hubctl

import (
	"encoding/json"
	"strings"

	"rtsptunnel/internal/base/cli"
	"rtsptunnel/internal/hub/hubaccess"
	"rtsptunnel/internal/hub/hubclient"
)

// job is one run of a verb.
type job struct {
	*cli.Call

	access hubaccess.Access
	json   bool

	client *hubclient.Client // nil until hub is called
}

func (j *job) close() {
	if j.client != nil {
		j.client.Close()
	}
}

// hub returns the client. Call it only after all arguments have been checked: its errors
// are usage errors too.
func (j *job) hub() (*hubclient.Client, error) {
	client, err := j.access.Open(j.Getenv)
	if err != nil {
		return nil, cli.Usage(err)
	}
	j.client = client
	return client, nil
}

// input reads the file that a flag names. The name "-" is standard input.
func (j *job) input(flagName, name string) ([]byte, error) {
	b, err := []byte(nil), error(nil)
	if name == "-" {
		b, err = hubaccess.ReadLimited(j.In)
	} else {
		b, err = hubaccess.ReadFile(name)
	}
	if err != nil {
		return nil, cli.Usagef("--%s: %w", flagName, err)
	}
	return b, nil
}

// parseID reads DEVICE or DEVICE/MODULE.
func parseID(text string) (hubclient.Identity, error) {
	device, module, hasModule := strings.Cut(text, "/")
	if device == "" || hasModule && module == "" || strings.Contains(module, "/") {
		return hubclient.Identity{}, cli.Usagef("%q is neither DEVICE nor DEVICE/MODULE", text)
	}
	return hubclient.Identity{Device: device, Module: module}, nil
}

func parseDevice(text string) (hubclient.Identity, error) {
	id, err := parseID(text)
	if err == nil && id.Module != "" {
		err = cli.Usagef("%q is a module; tunnelctl hub module manages modules", text)
	}
	return id, err
}

func parseModule(text string) (hubclient.Identity, error) {
	id, err := parseID(text)
	if err == nil && id.Module == "" {
		err = cli.Usagef("%q is a device; want DEVICE/MODULE", text)
	}
	return id, err
}

// checkJSON checks the value of a flag. The error does not repeat the value.
func checkJSON(flagName string, text []byte) (json.RawMessage, error) {
	var raw json.RawMessage
	if err := json.Unmarshal(text, &raw); err != nil {
		return nil, cli.Usagef("--%s is not JSON: %w", flagName, err)
	}
	return raw, nil
}

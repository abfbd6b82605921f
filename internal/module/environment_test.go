package module_test

import (
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"strings"
	"sync"
	"testing"
	"time"

	"rtsptunnel/internal/base/buildinfo"
	"rtsptunnel/internal/testkit/logtest"
)

// The first two log lines have the build, and the settings with their origins.
func TestStart_logsSettings(t *testing.T) {
	t.Parallel()
	s := newSite(t)
	s.outside(t, false)
	s.env["RTSPTUNNEL_CONNECTION_STRING"] = s.connectionString(t, "")
	s.env["RTSPTUNNEL_CA_FILE"] = s.CAFile()
	s.env["RuntimeLogLevel"] = "loud"
	log := logtest.New()
	end := s.start(t, log)
	s.serves(t)
	end(os.Interrupt)
	lines := json.NewDecoder(strings.NewReader(log.String()))
	var first, second map[string]any
	if err := errors.Join(lines.Decode(&first), lines.Decode(&second)); err != nil {
		t.Fatal(err)
	}
	for field, want := range map[string]string{
		"msg": "rtsptunnel starts", "version": "dev", "commit": buildinfo.Read("rtsptunnel").Commit, "arch": buildinfo.Read("rtsptunnel").Arch,
		"identity": "RTSPTUNNEL_CONNECTION_STRING", "device": s.ID.Device,
	} {
		if first[field] != want {
			t.Errorf("the first line's %s is %v, want %s", field, first[field], want)
		}
	}
	if clock, err := time.Parse(time.RFC3339, fmt.Sprint(first["clock"])); err != nil || time.Since(clock) > time.Hour {
		t.Errorf("the clock is %v", first["clock"])
	}
	for field, want := range map[string]any{
		"RTSPTUNNEL_CONNECTION_STRING": "*** (environment)", "RTSPTUNNEL_METRICS_LISTEN": "off (environment)",
		"RTSPTUNNEL_HUB_ADDRESS": s.MQTTAddr() + " (environment)", "RuntimeLogLevel": "info (default)",
		"IOTEDGE_AUTHSCHEME": "sasToken (default)", "IOTEDGE_DEVICEID": nil, "EdgeHubConnectionString": nil,
	} {
		if second[field] != want {
			t.Errorf("the second line's %s is %v, want %v", field, second[field], want)
		}
	}
	logtest.NoSecret(t, log.String())
}

// environment serializes the use of the process's environment.
var environment sync.Mutex

// reads sets the process's environment to the site's, until the module that start starts
// has read it. Tests that use it can run in parallel.
func (s *site) reads(t *testing.T, start func()) {
	t.Helper()
	const begun = "rtsptunnel starts"
	times := strings.Count(s.log.String(), begun)
	s.readsUntil(t, start, func() { s.log.Await(t, begun, times+1) })
}

// readsUntil is reads for a module that has read the environment when await returns.
func (s *site) readsUntil(t *testing.T, start, await func()) {
	t.Helper()
	environment.Lock()
	defer environment.Unlock()
	set := func(name, value string) {
		if err := os.Setenv(name, value); err != nil { //nolint:usetesting // t.Setenv forbids parallel tests
			t.Error(err)
		}
	}
	for name, value := range s.env {
		if was, had := os.LookupEnv(name); had {
			defer set(name, was)
		} else {
			defer func() { _ = os.Unsetenv(name) }()
		}
		set(name, value)
	}
	start()
	await()
}

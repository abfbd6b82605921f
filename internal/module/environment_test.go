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

	"rtsptunnel/internal/module"
	"rtsptunnel/internal/testkit/logtest"
)

// The first two lines say what runs, and which settings are in force from where.
func TestStart_tellsSettings(t *testing.T) {
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
		"msg": "rtsptunnel starts", "version": "dev", "commit": module.ThisBuild().Commit, "arch": module.ThisBuild().Arch,
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

// environment is the process's: one module at a time reads it.
var environment sync.Mutex

// reads lets the module that start starts read the site's environment. Tests with it
// may run side by side.
func (s *site) reads(t *testing.T, start func()) {
	t.Helper()
	const begun = "rtsptunnel starts"
	times := strings.Count(s.log.String(), begun)
	s.readsUntil(t, start, func() { s.log.Await(t, begun, times+1) })
}

// readsUntil is reads, where the module has read it when await returns.
func (s *site) readsUntil(t *testing.T, start, await func()) {
	t.Helper()
	environment.Lock()
	defer environment.Unlock()
	set := func(name, value string) {
		if err := os.Setenv(name, value); err != nil { //nolint:usetesting // t.Setenv is not for parallel tests
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

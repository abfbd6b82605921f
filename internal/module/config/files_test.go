package config_test

import (
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"

	"rtsptunnel/internal/module/config"
)

// A file may be written by any editor, with anything at its ends.
func TestRead_filesOfAllEditors(t *testing.T) {
	for name, text := range map[string]string{
		"newline":         ofModule + "\n",
		"Windows newline": ofModule + "\r\n",
		"byte order mark": "\ufeff" + ofModule + "\r\n\r\n",
		"spaces":          "  " + strings.ReplaceAll(ofModule, ";", " ; ") + " ;\n",
	} {
		t.Run(name, func(t *testing.T) {
			t.Setenv("RTSPTUNNEL_CONNECTION_STRING_FILE", write(t, text))
			m, err := config.Read()
			if err != nil {
				t.Fatal(err)
			}
			got, err := m.Identity.Key()
			if err != nil || len(got) == 0 || m.Identity.HubHost != "hub1.azure-devices.net" || m.Identity.ModuleID != "m1" {
				t.Errorf("%+v, key of %d bytes, %v", m.Identity, len(got), err)
			}
		})
	}
}

// What is no file to read a secret from is an error at once, of one line and without
// what is in it: nothing waits for a pipe, and nothing is cut off in silence.
func TestRead_filesThatAreNone(t *testing.T) {
	pipe := filepath.Join(t.TempDir(), "pipe")
	if err := syscall.Mkfifo(pipe, 0o600); err != nil {
		t.Fatal(err)
	}
	for name, c := range map[string]struct{ file, want string }{
		"pipe":      {pipe, "not a regular file"},
		"folder":    {t.TempDir(), "not a regular file"},
		"device":    {os.DevNull, "not a regular file"},
		"10 MB":     {write(t, ofModule+";"+strings.Repeat("x=canary;", 10<<20/9)), "larger than 1 MiB"},
		"UTF-16":    {write(t, "\xff\xfe"+strings.ReplaceAll(ofModule, "", "\x00")), "not text in UTF-8"},
		"empty":     {write(t, ""), "not given: HostName, DeviceId, SharedAccessKey"},
		"two lines": {write(t, ofModule+"\n"+ofModule), "is in it twice"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Setenv("RTSPTUNNEL_CONNECTION_STRING_FILE", c.file)
			_, err := config.Read()
			if err == nil || !strings.Contains(err.Error(), c.want) || strings.ContainsAny(err.Error(), "\n\x00") || strings.Contains(err.Error(), "canary") {
				t.Errorf("error %v, want one with %q", err, c.want)
			}
		})
	}
}

func TestRead_hubAddressesThatCannotBeDialled(t *testing.T) {
	t.Setenv("RTSPTUNNEL_CONNECTION_STRING", ofModule)
	for address, usable := range map[string]bool{
		"hub:8883": true, "[::1]:8883": true, "10.0.0.1:1": true,
		"hub:0": false, "hub:65536": false, "hub:mqtt": false, "hub:-1": false, " hub:1": false, "mqtts://hub:1": false, "a b:1": false,
	} {
		t.Setenv("RTSPTUNNEL_HUB_ADDRESS", address)
		m, err := config.Read()
		if err != nil {
			t.Fatal(err)
		}
		if got := m.HubAddress == address && len(m.Faults) == 0; got != usable {
			t.Errorf("%q: %q in force, faults %v", address, m.HubAddress, m.Faults)
		}
	}
}

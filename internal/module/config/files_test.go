package config_test

import (
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"

	"rtsptunnel/internal/module/config"
)

// Read accepts what editors add at either end of a file.
func TestRead_filesFromEditors(t *testing.T) {
	for name, text := range map[string]string{
		"newline":         moduleString + "\n",
		"Windows newline": moduleString + "\r\n",
		"byte order mark": "\ufeff" + moduleString + "\r\n\r\n",
		"spaces":          "  " + strings.ReplaceAll(moduleString, ";", " ; ") + " ;\n",
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

// An unusable file is an immediate error of one line, without the file's content: Read
// does not block on a pipe and does not silently truncate.
func TestRead_unusableFiles(t *testing.T) {
	pipe := filepath.Join(t.TempDir(), "pipe")
	if err := syscall.Mkfifo(pipe, 0o600); err != nil {
		t.Fatal(err)
	}
	for name, c := range map[string]struct{ file, want string }{
		"pipe":      {pipe, "not a regular file"},
		"folder":    {t.TempDir(), "not a regular file"},
		"device":    {os.DevNull, "not a regular file"},
		"10 MB":     {write(t, moduleString+";"+strings.Repeat("x=canary;", 10<<20/9)), "larger than 1 MiB"},
		"UTF-16":    {write(t, "\xff\xfe"+strings.ReplaceAll(moduleString, "", "\x00")), "not text in UTF-8"},
		"empty":     {write(t, ""), "not given: HostName, DeviceId, SharedAccessKey"},
		"two lines": {write(t, moduleString+"\n"+moduleString), "appears twice"},
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

func TestRead_hubAddresses(t *testing.T) {
	t.Setenv("RTSPTUNNEL_CONNECTION_STRING", moduleString)
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

package main

import (
	"bytes"
	"strings"
	"testing"
)

func TestRun(t *testing.T) {
	for _, c := range []struct {
		args           string
		code           int
		stdout, stderr string
	}{
		{"", 2, "", "Usage: tunnelctl COMMAND"},
		{"dance", 2, "", "Usage: tunnelctl COMMAND"},
		{"--help", 0, "\n  manifest   make", ""},
		{"manifest --help", 0, "merge BASE LAYER...", ""},
		{"manifest", 2, "", "See tunnelctl manifest --help."},
		{"manifest validate none.json", 1, "", "none.json: open: no such file"},
		{"demo --help", 0, "Usage: tunnelctl demo", ""},
	} {
		var stdout, stderr bytes.Buffer
		code := run(t.Context(), strings.Fields(c.args), &stdout, &stderr)
		for _, out := range []struct{ got, want string }{{stdout.String(), c.stdout}, {stderr.String(), c.stderr}} {
			if !strings.Contains(out.got, out.want) || (out.want == "") != (out.got == "") {
				t.Errorf("%s: wrote %q, want %q", c.args, out.got, out.want)
			}
		}
		if code != c.code {
			t.Errorf("%s: exit code %d, want %d", c.args, code, c.code)
		}
	}
}

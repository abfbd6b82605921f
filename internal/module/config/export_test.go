package config

import (
	"bytes"
	"slices"
	"strings"
	"testing"

	"github.com/kelseyhightower/envconfig"
)

// OwnFields returns the variables that envconfig reads into own, sorted.
func OwnFields(tb testing.TB) []string { tb.Helper(); return fields(tb, ownPrefix, &own{}) }

// InjectedFields returns the variables that envconfig reads into injected, sorted.
func InjectedFields(tb testing.TB) []string { tb.Helper(); return fields(tb, edgePrefix, &injected{}) }

func fields(tb testing.TB, prefix string, spec any) []string {
	tb.Helper()
	var out bytes.Buffer
	if err := envconfig.Usagef(prefix, spec, &out, "{{range .}}{{usage_key .}}\n{{end}}"); err != nil {
		tb.Fatal(err)
	}
	names := strings.Fields(out.String())
	slices.Sort(names)
	return names
}

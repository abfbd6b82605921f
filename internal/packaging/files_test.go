package packaging_test

import (
	"encoding/json"
	"os"
	"testing"

	"rtsptunnel/internal/testkit/schematest"
)

// content is read's, for who wants bytes.
func content(t *testing.T, path string) []byte {
	t.Helper()
	return []byte(read(t, path))
}

func asJSON(t *testing.T, doc []byte, v any) {
	t.Helper()
	if err := json.Unmarshal(doc, v); err != nil {
		t.Fatalf("%v: %s", err, doc)
	}
}

func mustJSON(t *testing.T, v any) []byte {
	t.Helper()
	doc, err := json.Marshal(v)
	if err != nil {
		t.Fatal(err)
	}
	return doc
}

// checkPublic judges a document by a public schema.
func checkPublic(t *testing.T, schema string, doc []byte) {
	t.Helper()
	if err := schematest.Load(t).Check(schema, doc); err != nil {
		t.Errorf("%s: %v", schema, err)
	}
}

// cannot ends a test that needs what this machine has not: a skip that says so, and a
// failure in CI, which has it.
func cannot(t *testing.T, why string) {
	t.Helper()
	if os.Getenv("CI") != "" { // as schematest has it
		t.Fatalf("in CI this must run, but %s", why)
	}
	t.Skip(why)
}

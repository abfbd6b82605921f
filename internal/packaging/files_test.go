package packaging_test

import (
	"encoding/json"
	"os"
	"testing"

	"rtsptunnel/internal/testkit/schematest"
)

// content returns what read returns, as bytes.
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

// checkPublic validates a document by a public schema.
func checkPublic(t *testing.T, schema string, doc []byte) {
	t.Helper()
	if err := schematest.Load(t).Check(schema, doc); err != nil {
		t.Errorf("%s: %v", schema, err)
	}
}

// skipUnlessCI skips a test that needs something that this machine lacks. In CI, which must
// have it, the test fails.
func skipUnlessCI(t *testing.T, why string) {
	t.Helper()
	if os.Getenv("CI") != "" { // as in schematest
		t.Fatalf("this test must run in CI, but %s", why)
	}
	t.Skip(why)
}

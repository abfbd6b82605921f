// Package schematest judges documents by public JSON Schemas, in tests: those of
// deployment manifests, as iotedgedev and VS Code have them, and others that lie
// beside them. They are not part of this repository; the folder is named by the
// variable RTSPTUNNEL_SCHEMAS, or is ../shared/schemas beside the repository.
package schematest

import (
	"bytes"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/santhosh-tekuri/jsonschema/v6"
)

// The schemas of deployments, as Check wants them.
const (
	Template = "azure-iot-edge-deployment-template-4.0.json" // a full template
	Manifest = "azure-iot-edge-deployment-2.0.json"          // a full manifest with modulesContent
	Agent    = "azure-iot-edgeagent-deployment-1.1.json"     // {"$edgeAgent": ...} of a full manifest
	Hub      = "azure-iot-edgehub-deployment-1.2.json"       // {"$edgeHub": ...} of a full manifest
)

// Schemas are the public schemas.
type Schemas struct {
	compiler *jsonschema.Compiler
	ids      map[string]string // by file name
}

// Load reads all schemas in the folder. Without a folder it skips the test, or fails it
// where the variable CI is set; RTSPTUNNEL_SCHEMAS=none skips it in CI, too.
func Load(t *testing.T) *Schemas {
	t.Helper()
	dir := find(t)
	files, err := filepath.Glob(filepath.Join(dir, "*.json"))
	if err != nil || len(files) == 0 {
		t.Fatalf("no schemas in %s: %v", dir, err)
	}
	s := &Schemas{compiler: jsonschema.NewCompiler(), ids: map[string]string{}}
	s.compiler.DefaultDraft(jsonschema.Draft4)
	for _, file := range files {
		doc, err := os.ReadFile(file) //nolint:gosec // the folder is the tester's choice
		if err != nil {
			t.Fatal(err)
		}
		raw, err := jsonschema.UnmarshalJSON(bytes.NewReader(doc))
		if err != nil {
			t.Fatalf("%s: %v", file, err)
		}
		id := "mem:///" + filepath.Base(file)
		for _, name := range []string{"id", "$id"} {
			object, _ := raw.(map[string]any)
			if named, ok := object[name].(string); ok && strings.Contains(named, "://") {
				id = named
			}
		}
		if err := s.compiler.AddResource(id, raw); err != nil {
			t.Fatalf("%s: %v", file, err)
		}
		s.ids[filepath.Base(file)] = id
	}
	return s
}

// find is the folder.
func find(t *testing.T) string {
	t.Helper()
	dir := os.Getenv("RTSPTUNNEL_SCHEMAS") //nolint:forbidigo // package config is the edge module's
	if dir == "none" {
		t.Skip("RTSPTUNNEL_SCHEMAS is none: this test needs the public schemas")
	}
	if dir == "" {
		dir = filepath.Join(root(t), "..", "shared", "schemas")
	}
	if _, err := os.Stat(dir); err != nil { //nolint:gosec // the tester's choice
		if os.Getenv("CI") != "" { //nolint:forbidigo // as above
			t.Fatalf("no public schemas, which CI must have: name their folder by RTSPTUNNEL_SCHEMAS: %v", err)
		}
		t.Skip("no public schemas here: name their folder by RTSPTUNNEL_SCHEMAS")
	}
	return dir
}

// root is the folder of go.mod, at or above the test's.
func root(t *testing.T) string {
	t.Helper()
	dir, err := filepath.Abs(".")
	if err != nil {
		t.Fatal(err)
	}
	for ; ; dir = filepath.Dir(dir) {
		if _, err := os.Stat(filepath.Join(dir, "go.mod")); err == nil {
			return dir
		}
		if dir == filepath.Dir(dir) {
			t.Fatal("no go.mod above the test's folder")
		}
	}
}

// Check judges a document by the schema in the file of that name. An error says what
// is wrong with the document, or with the schema.
func (s *Schemas) Check(name string, doc []byte) error {
	schema, err := s.compiler.Compile(s.ids[name])
	if err != nil {
		return err
	}
	value, err := jsonschema.UnmarshalJSON(bytes.NewReader(doc))
	if err != nil {
		return err
	}
	return schema.Validate(value)
}

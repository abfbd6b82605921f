// Package schematest validates documents in tests against public JSON Schemas: the
// schemas of deployment manifests that iotedgedev and VS Code use, and other schemas in
// the same folder. The schemas are not part of this repository. The variable
// PUBLIC_SCHEMAS names their folder; the default is ../shared/schemas beside the
// repository.
package schematest

import (
	"bytes"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/santhosh-tekuri/jsonschema/v6"
)

// File names of the deployment schemas, for Check.
const (
	Template = "azure-iot-edge-deployment-template-4.0.json" // a full template
	Manifest = "azure-iot-edge-deployment-2.0.json"          // a full manifest with modulesContent
	Agent    = "azure-iot-edgeagent-deployment-1.1.json"     // {"$edgeAgent": ...} of a full manifest
	Hub      = "azure-iot-edgehub-deployment-1.2.json"       // {"$edgeHub": ...} of a full manifest
)

// Schemas holds the public schemas.
type Schemas struct {
	compiler *jsonschema.Compiler
	ids      map[string]string // by file name
}

// Load reads all schemas in the folder. Without a folder it skips the test, or fails it
// where the variable CI is set; PUBLIC_SCHEMAS=none skips it in CI, too.
func Load(t *testing.T) *Schemas {
	t.Helper()
	dir := findFolder(t)
	files, err := filepath.Glob(filepath.Join(dir, "*.json"))
	if err != nil || len(files) == 0 {
		t.Fatalf("no schemas in %s: %v", dir, err)
	}
	s := &Schemas{compiler: jsonschema.NewCompiler(), ids: map[string]string{}}
	s.compiler.DefaultDraft(jsonschema.Draft4)
	for _, file := range files {
		doc, err := os.ReadFile(file) //nolint:gosec // the tester chooses the folder
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

// findFolder returns the folder of the schemas.
func findFolder(t *testing.T) string {
	t.Helper()
	dir := os.Getenv("PUBLIC_SCHEMAS") //nolint:forbidigo // package config is the edge module's
	if dir == "none" {
		t.Skip("PUBLIC_SCHEMAS is none: this test needs the public schemas")
	}
	if dir == "" {
		dir = filepath.Join(moduleRoot(t), "..", "shared", "schemas")
	}
	if _, err := os.Stat(dir); err != nil { //nolint:gosec // the tester chooses the folder
		if os.Getenv("CI") != "" { //nolint:forbidigo // as above
			t.Fatalf("no public schemas, but CI requires them: set PUBLIC_SCHEMAS to their folder: %v", err)
		}
		t.Skip("no public schemas here: set PUBLIC_SCHEMAS to their folder")
	}
	return dir
}

// moduleRoot returns the folder of go.mod: the test's folder or one above it.
func moduleRoot(t *testing.T) string {
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

// Check validates a document against the schema in the file of that name. The error
// describes what the schema does not allow, or why the schema cannot be read.
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

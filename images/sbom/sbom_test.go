package main

import (
	"archive/tar"
	"bytes"
	"encoding/json"
	"flag"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"

	cdx "github.com/CycloneDX/cyclonedx-go"
	"github.com/santhosh-tekuri/jsonschema/v6"
)

// file is an entry of a tar archive.
type file struct {
	name    string
	content []byte
	link    bool
}

func tarOf(t *testing.T, files ...file) []byte {
	t.Helper()
	var b bytes.Buffer
	w := tar.NewWriter(&b)
	for _, f := range files {
		header := &tar.Header{Name: f.name, Mode: 0o644, Size: int64(len(f.content))}
		if f.link {
			header.Typeflag, header.Linkname = tar.TypeSymlink, "elsewhere"
		}
		if err := w.WriteHeader(header); err != nil {
			t.Fatal(err)
		}
		if _, err := w.Write(f.content); err != nil {
			t.Fatal(err)
		}
	}
	if err := w.Close(); err != nil {
		t.Fatal(err)
	}
	return b.Bytes()
}

const settings = `{"architecture":"arm","variant":"v7","os":"linux","config":{"Labels":{
	"org.opencontainers.image.title":"rtsptunnel","org.opencontainers.image.version":"1.2.3",
	"org.opencontainers.image.revision":"abc","org.opencontainers.image.created":"2026-11-22T03:42:20Z"}}}`

// archive returns an image of one layer with these files, in the form of buildah push.
func archive(t *testing.T, settings string, layer ...file) []byte {
	t.Helper()
	return tarOf(t,
		file{name: "1.tar", content: tarOf(t, layer...)},
		file{name: "c.json", content: []byte(settings)},
		file{name: "old/layer.tar", link: true},
		file{name: "manifest.json", content: []byte(`[{"Config":"c.json","Layers":["1.tar"]}]`)},
	)
}

// bill runs the program on an archive.
func bill(t *testing.T, archive []byte) (string, error) {
	t.Helper()
	path := filepath.Join(t.TempDir(), "image.tar")
	if err := os.WriteFile(path, archive, 0o600); err != nil {
		t.Fatal(err)
	}
	var out bytes.Buffer
	err := run([]string{path}, &out)
	return out.String(), err
}

// self returns a Go binary with modules: the binary of this test.
func self(t *testing.T) []byte {
	t.Helper()
	b, err := os.ReadFile(os.Args[0])
	if err != nil {
		t.Fatal(err)
	}
	return b
}

func TestSBOM(t *testing.T) {
	image := archive(t, settings, file{name: "rtsptunnel", content: self(t)}, file{name: "etc/passwd", content: []byte("x")})
	text, err := bill(t, image)
	if err != nil {
		t.Fatal(err)
	}
	if again, err := bill(t, image); err != nil || again != text {
		t.Errorf("the same image gives different text, %v", err)
	}
	if err := validate(t, text); err != nil {
		t.Errorf("not CycloneDX: %v\n%s", err, text)
	}
	var bom cdx.BOM
	if err := cdx.NewBOMDecoder(strings.NewReader(text), cdx.BOMFileFormatJSON).Decode(&bom); err != nil {
		t.Fatal(err)
	}
	if c := bom.Metadata.Component; c.Name != "rtsptunnel" || c.Version != "1.2.3" || bom.Metadata.Timestamp != "2026-11-22T03:42:20Z" {
		t.Errorf("its subject is %+v, %s", c, bom.Metadata.Timestamp)
	}
	if !regexp.MustCompile(`^urn:uuid:[0-9a-f]{8}-[0-9a-f]{4}-8[0-9a-f]{3}-8[0-9a-f]{3}-[0-9a-f]{12}$`).MatchString(bom.SerialNumber) {
		t.Errorf("serial number %s", bom.SerialNumber)
	}
	for _, want := range []string{
		`"value": "linux/arm/v7"`, `"value": "abc"`, `"name": "/etc/passwd"`, sha([]byte("x")), sha(self(t)),
		`"pkg:golang/std@1.`, `"pkg:golang/github.com/CycloneDX/cyclonedx-go@v0.`, `"value": "h1:`,
	} {
		if !strings.Contains(text, want) {
			t.Errorf("no %s in:\n%s", want, text)
		}
	}
}

func TestSBOM_badArchives(t *testing.T) {
	ours := file{name: "rtsptunnel", content: self(t)}
	for name, c := range map[string]struct {
		archive []byte
		want    string
	}{
		"no tar":         {[]byte("x"), "EOF"},
		"no image":       {tarOf(t), "manifest.json"},
		"two images":     {tarOf(t, file{name: "manifest.json", content: []byte(`[{},{}]`)}), "2 images"},
		"no config":      {tarOf(t, file{name: "manifest.json", content: []byte(`[{"Config":"c"}]`)}), "configuration c"},
		"a layer less":   {tarOf(t, file{name: "manifest.json", content: []byte(`[{"Config":"c","Layers":["1"]}]`)}, file{name: "c", content: []byte("{}")}), "layer 1 is missing"},
		"a broken layer": {tarOf(t, file{name: "manifest.json", content: []byte(`[{"Config":"c","Layers":["1"]}]`)}, file{name: "c", content: []byte("{}")}, file{name: "1", content: []byte("x")}), "layer 1"},
		"a link":         {archive(t, settings, ours, file{name: "bin/sh", link: true}), "bin/sh"},
		"no binary":      {archive(t, settings), "no file /rtsptunnel"},
		"not of Go":      {archive(t, settings, file{name: "rtsptunnel", content: []byte("x")}), "/rtsptunnel: "},
		"no label":       {archive(t, `{}`, ours), "no label org.opencontainers.image.title"},
	} {
		t.Run(name, func(t *testing.T) {
			if text, err := bill(t, c.archive); err == nil || !strings.Contains(err.Error(), c.want) || text != "" {
				t.Errorf("%v, want %q; wrote %q", err, c.want, text)
			}
		})
	}
	for _, args := range [][]string{nil, {"a", "b"}, {filepath.Join(t.TempDir(), "none")}} {
		if err := run(args, &bytes.Buffer{}); err == nil {
			t.Errorf("%q is accepted", args)
		}
	}
}

// The arguments name bills of materials of real images: go test ./images/sbom -args FILE...
func TestSBOM_ofImages(t *testing.T) {
	for _, path := range flag.Args() {
		b, err := os.ReadFile(path)
		if err != nil {
			t.Fatal(err)
		}
		if err := validate(t, string(b)); err != nil {
			t.Errorf("%s: %v", path, err)
		}
	}
}

// validate refuses documents that break the schema. Otherwise the tests that use it prove
// nothing.
func TestValidate(t *testing.T) {
	text, err := bill(t, archive(t, settings, file{name: "rtsptunnel", content: self(t)}))
	if err != nil {
		t.Fatal(err)
	}
	for _, c := range [][2]string{
		{`"type": "library"`, `"type": "lib"`},
		{`"bomFormat": "CycloneDX"`, `"bomFormat": "SPDX"`},
		{`"alg": "SHA-256"`, `"alg": "SHA-257"`},
		{`urn:uuid:`, `urn:`},
		{`"phase"`, `"face"`},
	} {
		if !strings.Contains(text, c[0]) || validate(t, strings.ReplaceAll(text, c[0], c[1])) == nil {
			t.Errorf("%s is accepted in place of %s", c[1], c[0])
		}
	}
}

// validate checks text by CycloneDX's own schemas, which are part of the library's
// sources. The validator is not the library's.
func validate(t *testing.T, text string) error {
	t.Helper()
	out, err := exec.CommandContext(t.Context(), "go", "list", "-m", "-f", "{{.Dir}}", "github.com/CycloneDX/cyclonedx-go").Output()
	if err != nil {
		t.Fatal(err)
	}
	compiler := jsonschema.NewCompiler()
	const home = "http://cyclonedx.org/schema/"
	names := []string{"bom-1.6.schema.json", "spdx.schema.json", "jsf-0.82.schema.json"}
	for _, name := range names {
		found, err := filepath.Glob(filepath.Join(strings.TrimSpace(string(out)), "schema", strings.TrimSuffix(name, ".json")+"*.json"))
		if err != nil || len(found) == 0 {
			t.Fatalf("no schema %s: %v", name, err)
		}
		schema, err := os.ReadFile(slices.Min(found))
		if err != nil {
			t.Fatal(err)
		}
		value, err := jsonschema.UnmarshalJSON(bytes.NewReader(schema))
		if err != nil {
			t.Fatal(err)
		}
		if err := compiler.AddResource(home+name, value); err != nil {
			t.Fatal(err)
		}
	}
	schema, err := compiler.Compile(home + names[0])
	if err != nil {
		t.Fatal(err)
	}
	var value any
	if err := json.Unmarshal([]byte(text), &value); err != nil {
		return fmt.Errorf("parse: %w", err)
	}
	return schema.Validate(value)
}

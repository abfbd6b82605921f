package manifest_test

import (
	"bytes"
	"errors"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"

	"rtsptunnel/internal/ops/manifest"
)

const (
	smallBase = `{"modulesContent": {"$edgeAgent": {"properties.desired": {"systemModules": {}, "modules": {"x": {"type": "docker", "settings": {"image": "a/b:1", "createOptions": "{}"}}}}},
"$edgeHub": {"properties.desired": {"routes": {"r": "FROM /messages/modules/x/* INTO $upstream"}}}, "rtsptunnel": {"properties.desired": {"cameras": {"a": {"host": "h"}}}}}}`
	smallLayer = `{"content": {"modulesContent": {"$edgeAgent": {"properties.desired.modules.x": {"settings": {"image": "a/b:2"}}}, "$edgeHub": {"properties.desired.routes.q": {"route": "FROM /* INTO $upstream"}},
"rtsptunnel": {"properties.desired.cameras.a.host": "i", "properties.desired.cameras.b": {"host": "h", "localPort": 5}}}}}`
)

// For any template, Expand returns a manifest or an error. The manifest survives a round
// trip and has no placeholder. No problem contains a secret.
func FuzzExpand(f *testing.F) {
	// Small seeds: the fuzzer takes longer to minimize findings from large ones.
	f.Add([]byte(smallBase), []byte("A=b"))
	f.Add([]byte(`{"content": {"modulesContent": {"$edgeAgent": {"properties.desired.modules.x.settings": {"image": "${MODULES.x}", "createOptions": {"a": "é"}}}}}}`), []byte("A='"))
	f.Add([]byte(`{"modulesContent": {"$edgeAgent": {"properties.desired.modules.x.settings": {"image": "$upstream:1/x", "createoptions": "{'Env': [1,], /* $A */ User: null", "createOptions01": ", HostConfig: {\"Memory\": '5'}}"}}}}`), []byte("A='"))
	f.Add([]byte(`{"modulesContent": {"$edgeAgent": {}, "$edgeHub": {"properties.desired": {"routes": {"$A": "FROM /messages/modules/$A/* INTO $A"}}}, "$A": 5}}`), []byte(""))
	f.Add([]byte(`{"modulesContent": {"a": ${SECRET}, "b": "${MODULEDIR<..>.amd64}", "$SECRET": ["${"]}}`), []byte("A=${SECRET}\nB=\"x\\\""))
	dir := f.TempDir()
	template, env := filepath.Join(dir, "t.json"), filepath.Join(dir, "env")
	lookup := variables(map[string]string{"SECRET": `hunter2"`, "A": "hunter2"})
	f.Fuzz(func(t *testing.T, doc, variables []byte) {
		for file, content := range map[string][]byte{template: doc, env: variables} {
			if err := os.WriteFile(file, content, 0o600); err != nil {
				t.Fatal(err)
			}
		}
		m, problems := manifest.Expand(manifest.Source{File: template, EnvFile: env, Lookup: lookup})
		if (m == nil) != (problems.Err() != nil) {
			t.Fatalf("manifest %v, problems %v", m, problems)
		}
		checkProblems(t, problems, doc)
		if m == nil {
			return
		}
		checkProblems(t, manifest.Validate(m, manifest.Options{Tunnels: []string{"x"}}), doc)
		if bytes.Contains(m.JSON(), []byte("${")) {
			t.Fatalf("there is a placeholder in %s", m.JSON())
		}
		again, problems := manifest.Parse(template, m.JSON())
		if len(problems) > 0 || !bytes.Equal(again.JSON(), m.JSON()) {
			t.Fatalf("%s reads as %v, %v", m.JSON(), again, problems)
		}
	})
}

// named matches the places in a problem's text that contain a name.
var named = regexp.MustCompile(`(for module |, at )\S*hunter2`)

// checkProblems checks that each problem is one line. It must not contain the secret,
// unless a document contains the secret or expands it into a name.
func checkProblems(t *testing.T, problems manifest.Problems, docs ...[]byte) {
	t.Helper()
	for _, p := range problems {
		text := p.String()
		if strings.ContainsAny(text, "\n\r\x1b") || p.Text == "" || p.Remedy == "" {
			t.Fatalf("the problem reads %q", text)
		}
		isName := strings.Contains(p.Path, "hunter2") || named.MatchString(p.Text)
		if strings.Contains(text, "hunter2") && !isName && !bytes.Contains(bytes.Join(docs, nil), []byte("hunter2")) {
			t.Fatalf("the problem contains a secret: %q", text)
		}
	}
}

// For any layers, Merge returns a result or an error. The result is a full manifest that
// survives a round trip, and every value in it has an origin.
func FuzzMerge(f *testing.F) {
	f.Add([]byte(smallBase), []byte(smallLayer), []byte(`{"modulesContent": {"$edgeAgent": {}, "rtsptunnel": {"properties.desired.cameras": null, "properties.desired.cameras.a.b": {"c": []}}}}`))
	f.Add([]byte(`{"modulesContent": {"$edgeAgent": {"properties.desired": {}}, "x": {"properties.desired": {"a": {"b": {}}}}}}`),
		[]byte(`{"modulesContent": {"$edgeAgent": {}, "x": {"properties.desired": null, "properties.desired.": 1, "properties.desired.a..": {"\u0000": 1}}}}`), []byte(smallLayer))
	f.Fuzz(func(t *testing.T, base, low, high []byte) {
		var deployments []manifest.Deployment
		for i, doc := range [][]byte{base, low, high} {
			m, problems := manifest.Parse([]string{"base", "low", "high"}[i], doc)
			checkProblems(t, problems, doc)
			if problems.Err() != nil {
				return
			}
			deployments = append(deployments, manifest.Deployment{Manifest: m})
		}
		merged, problems := manifest.Merge(deployments[0], deployments[1], deployments[2])
		if (merged == nil) != (problems.Err() != nil) {
			t.Fatalf("merged %v, problems %v", merged, problems)
		}
		checkProblems(t, problems, base, low, high)
		if merged == nil {
			return
		}
		again, problems := manifest.Parse("", merged.Manifest.JSON())
		if len(problems) > 0 || again.Layered() || !bytes.Equal(again.JSON(), merged.Manifest.JSON()) {
			t.Fatal(errors.Join(problems.Err(), errors.New(string(merged.Manifest.JSON()))))
		}
		for _, leaf := range merged.Explain("") {
			if leaf.From == "" && string(leaf.Value) != "{}" {
				t.Fatalf("%s/%s = %s has no origin", leaf.Module, leaf.Path, leaf.Value)
			}
		}
		checkProblems(t, manifest.Validate(merged.Manifest, manifest.Options{}), base, low, high)
	})
}

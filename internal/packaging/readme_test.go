package packaging_test

import (
	"encoding/json"
	"maps"
	"regexp"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"rtsptunnel/internal/contract/tunnelopen"
	"rtsptunnel/internal/module/config"
	"rtsptunnel/internal/module/policy"
	"rtsptunnel/internal/module/twin"
)

const moduleReadme = moduleFolder + "/README.md"

// The table of the twin has the rows of docs/TWIN.md, except for properties that have no
// effect yet. Another test compares docs/TWIN.md with the schema.
func TestReadme_twin(t *testing.T) {
	type row struct{ Default, Allowed string }
	rows := func(file string, left func(what string) bool) map[string]row {
		found := map[string]row{}
		for name, cells := range table(t, content(t, file), "| property | default |") {
			if !left(cells[2]) {
				found[name] = row{cells[0], cells[1]}
			}
		}
		return found
	}
	want := rows("docs/TWIN.md", func(what string) bool { return strings.Contains(what, "not yet") })
	got := rows(moduleReadme, func(string) bool { return false })
	if d := cmp.Diff(want, got); d != "" || len(got) < 10 {
		t.Errorf("docs/TWIN.md (-) and the module's README (+):\n%s", d)
	}
}

// notForOperators matches variables that edge agent sets, that Go's own packages read, or
// that are for a module outside IoT Edge.
var notForOperators = regexp.MustCompile(`^(IOTEDGE_.*|RTSPTUNNEL_(CONNECTION_STRING(_FILE)?|CERT_FILE|KEY_FILE|DATA_DIR)|EdgeHubConnectionString|EdgeModuleCACertificateFile|IotHubConnectionString|SSL_CERT_(FILE|DIR))$`)

func TestReadme_environment(t *testing.T) {
	want, got := map[string]string{}, map[string]string{}
	for _, v := range config.Variables {
		if !notForOperators.MatchString(v.Name) {
			want[v.Name] = v.Default
		}
	}
	for name, cells := range table(t, content(t, moduleReadme), "| name | default |") {
		got[name] = strings.Trim(cells[0], "`")
	}
	if d := cmp.Diff(want, got); d != "" {
		t.Errorf("the code (-) and the module's README (+):\n%s", d)
	}
}

// The table of createOptions has each option of the template, with its value.
func TestReadme_createOptions(t *testing.T) {
	want, got := map[string]string{}, map[string]string{}
	for path, value := range leaves("", fullTemplate(t).module(t).CreateOptions) {
		text, err := json.Marshal(value)
		if err != nil {
			t.Fatal(err)
		}
		want[path] = string(text)
	}
	for name, cells := range table(t, content(t, moduleReadme), "| option | value |") {
		got[name] = strings.Trim(cells[0], "`")
	}
	if d := cmp.Diff(want, got); d != "" {
		t.Errorf("the template (-) and the module's README (+):\n%s", d)
	}
}

// leaves returns the values in a tree by their paths. An array is one value.
func leaves(path string, value any) map[string]any {
	object, ok := value.(map[string]any)
	if !ok || len(object) == 0 {
		return map[string]any{strings.TrimPrefix(path, "."): value}
	}
	found := map[string]any{}
	for name, member := range object {
		maps.Copy(found, leaves(path+"."+name, member))
	}
	return found
}

// The payloads are valid for a camera and a remote endpoint of the sample twin, and the
// answers are those of the module.
func TestReadme_call(t *testing.T) {
	text := content(t, moduleReadme)
	payloads := regexp.MustCompile(`(?s)--method-payload '(\{.*?\})'`).FindAllStringSubmatch(string(text), -1)
	var answers []string
	for _, block := range blocks(text, "json") {
		switch {
		case strings.Contains(block, "remoteEndpoint"):
			payloads = append(payloads, []string{"", block})
		case strings.Contains(block, `"status"`):
			answers = append(answers, block)
		}
	}
	if len(payloads) != 2 || len(answers) != 2 {
		t.Fatalf("there are %d payloads and %d answers", len(payloads), len(answers))
	}
	sample, _ := checkTwin(t, fullTemplate(t).twin(t))
	remotes, faults := policy.ParseRemotes(sample.Remotes.Patterns)
	if len(faults) != 0 {
		t.Fatal(faults)
	}
	for _, p := range payloads {
		r, err := tunnelopen.Decoder{}.Decode([]byte(p[1]))
		if err != nil {
			t.Errorf("%s: %v", p[1], err)
			continue
		}
		if _, err := (policy.Rules{Remotes: remotes}).Endpoint(r.URL); err != nil {
			t.Errorf("%s: %v", r.RemoteEndpoint, err)
		}
		if _, known := camerasByPort(sample)[r.LocalPort]; !known {
			t.Errorf("no camera has the local port %d", r.LocalPort)
		}
	}
	const otherPort = 8080
	if _, known := camerasByPort(sample)[otherPort]; known {
		t.Errorf("a camera has the local port %d", otherPort)
	}
	for i, err := range []error{nil, tunnelopen.PortUnavailable(otherPort)} {
		status, body := tunnelopen.Response(err)
		var got, want any
		asJSON(t, []byte(answers[i]), &got)
		asJSON(t, mustJSON(t, map[string]any{"status": status, "payload": json.RawMessage(body)}), &want)
		if d := cmp.Diff(want, got); d != "" {
			t.Errorf("the module (-) and its README (+):\n%s", d)
		}
	}
}

func camerasByPort(s twin.Settings) map[int]string {
	byPort := map[int]string{}
	for _, c := range s.Cameras {
		byPort[c.LocalPort] = c.Name
	}
	return byPort
}

// The block for a private CA has the form of createOptions and env in the template.
func TestReadme_privateCA(t *testing.T) {
	i := slices.IndexFunc(blocks(content(t, moduleReadme), "json"), func(b string) bool { return strings.Contains(b, "Binds") })
	if i < 0 {
		t.Fatal("there is no block for a private CA")
	}
	var block struct {
		CreateOptions struct{ HostConfig struct{ Binds []string } } `json:"createOptions"`
		Env           map[string]value                              `json:"env"`
	}
	asJSON(t, []byte(blocks(content(t, moduleReadme), "json")[i]), &block)
	file := block.Env["RTSPTUNNEL_CA_FILE"].Value
	binds := block.CreateOptions.HostConfig.Binds
	if len(binds) != 1 || file == "" || !strings.HasSuffix(binds[0], ":"+file+":ro") || len(block.Env) != 1 {
		t.Errorf("%+v", block)
	}
}

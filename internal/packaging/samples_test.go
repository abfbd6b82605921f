package packaging_test

import (
	"bytes"
	"encoding/json"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"rtsptunnel/internal/base/cli"
	"rtsptunnel/internal/hub/hubemulator/query"
	"rtsptunnel/internal/ops/manifest"
	"rtsptunnel/internal/ops/manifestctl"
	"rtsptunnel/internal/testkit/schematest"
)

const rolloutText = "deploy/README.md"

// samples returns the deployments in deploy by their ids, which are their files' names.
func samples(t *testing.T) map[string]deployment {
	t.Helper()
	files, err := fs.Glob(os.DirFS(top), "deploy/*.json")
	if err != nil || len(files) == 0 {
		t.Fatalf("no samples: %v", err)
	}
	found := map[string]deployment{}
	for _, file := range files {
		d := load(t, content(t, file))
		if id := strings.TrimSuffix(filepath.Base(file), ".json"); d.ID != id || id != strings.ToLower(id) {
			t.Errorf("%s has the id %q", file, d.ID)
		}
		found[d.ID] = d
	}
	return found
}

func sampleFile(id string) string { return "deploy/" + id + ".json" }

// parse reads a sample, which must be valid.
func parse(t *testing.T, id string) *manifest.Manifest {
	t.Helper()
	m, problems := manifest.Parse(sampleFile(id), content(t, sampleFile(id)))
	return valid(t, m, problems)
}

func TestSamples_valid(t *testing.T) {
	for id, d := range samples(t) {
		t.Run(id, func(t *testing.T) {
			if layered := parse(t, id).Layered(); layered != (id != "base") {
				t.Errorf("layered is %t", layered)
			}
			if condition := regexp.MustCompile(`^tags\.\w+='\w+'( AND tags\.\w+='\w+')*$`); !condition.MatchString(d.TargetCondition) {
				t.Errorf("IoT Hub does not accept the condition %q", d.TargetCondition)
			}
			for name, m := range d.modules(t) {
				checkDefinition(t, name, m)
			}
			if section := d.twin(t); section != nil {
				checkTwin(t, section)
			}
		})
	}
}

func TestSamples_publicSchema(t *testing.T) {
	checkPublic(t, schematest.Manifest, parse(t, "base").Content())
}

// A module's layer for each platform is the layered template's module, expanded. The layer
// without the host network differs in nothing else.
func TestSamples_modulesAreTheTemplates(t *testing.T) {
	all := samples(t)
	for _, platform := range platformNames(t) {
		want := load(t, expand(t, "deployment.layered.template.json", platform).JSON())
		got, there := all[ourModule+"-"+platform]
		if !there {
			t.Errorf("there is no layer for %s", platform)
			continue
		}
		if d := cmp.Diff(want.module(t), got.module(t)); d != "" {
			t.Errorf("the layered template (-) and the layer for %s (+):\n%s", platform, d)
		}
		if d := cmp.Diff(jsonOf(t, want.ModulesContent["$edgeHub"]), jsonOf(t, got.ModulesContent["$edgeHub"])); d != "" {
			t.Errorf("routes of the layered template (-) and of the layer for %s (+):\n%s", platform, d)
		}
		checkHostNetwork(t, got.module(t).CreateOptions)
		if want := "tags.fleet='cameras' AND tags.arch='" + platform + "'"; got.TargetCondition != want {
			t.Errorf("the layer for %s is for %s", platform, got.TargetCondition)
		}
	}
	host, bridge := all["rtsptunnel-amd64"].module(t), all["bridge-amd64"].module(t)
	delete(host.CreateOptions, "NetworkingConfig")
	delete(host.CreateOptions["HostConfig"].(map[string]any), "NetworkMode")
	if d := cmp.Diff(host, bridge); d != "" {
		t.Errorf("the layer for amd64 without the host network (-) and the bridge's (+):\n%s", d)
	}
	for id := range all {
		if platform, is := strings.CutPrefix(id, ourModule+"-"); is && !slices.Contains(platformNames(t), platform) {
			t.Errorf("there is no image for the platform of %s", id)
		}
	}
}

func jsonOf(t *testing.T, v any) (plain any) {
	t.Helper()
	asJSON(t, mustJSON(t, v), &plain)
	return plain
}

// devices returns the sets of samples that one device can have, without the base.
func devices(t *testing.T) map[string][]string {
	t.Helper()
	sets := map[string][]string{
		"without host network": {"fleet", "rtsptunnel-amd64", "bridge-amd64", "site1-cameras"},
		"switched off":         {"fleet", "rtsptunnel-amd64", "site1-cameras", "kill-switch"},
	}
	for _, platform := range platformNames(t) {
		sets[platform] = []string{"fleet", "rtsptunnel-" + platform, "site1-cameras"}
	}
	for id := range samples(t) {
		if id != "base" {
			sets["base and "+id] = []string{id}
		}
	}
	return sets
}

// merged returns the deployment that a device gets.
func merged(t *testing.T, layers []string) *manifest.Manifest {
	t.Helper()
	var onto []manifest.Deployment
	for _, id := range layers {
		onto = append(onto, manifest.Deployment{Manifest: parse(t, id)})
	}
	m, problems := manifest.Merge(manifest.Deployment{Manifest: parse(t, "base")}, onto...)
	if len(problems) > 0 {
		t.Fatalf("%v: %v", layers, problems)
	}
	return m.Manifest
}

// Each layer, and each set of layers that a device can have, gives a valid deployment
// together with the base.
func TestSamples_layersOntoTheBase(t *testing.T) {
	for name, layers := range devices(t) {
		t.Run(name, func(t *testing.T) {
			m := merged(t, layers)
			if problems := manifest.Validate(m, manifest.Options{}); len(problems.Errors()) > 0 {
				t.Errorf("%v", problems)
			}
			if section := load(t, m.JSON()).twin(t); section != nil {
				checkTwin(t, section)
			}
		})
	}
}

func TestSamples_layersOntoTheBase_publicSchema(t *testing.T) {
	for name, layers := range devices(t) {
		t.Run(name, func(t *testing.T) { checkPublic(t, schematest.Manifest, merged(t, layers).JSON()) })
	}
}

// A device of site 1 gets the deployment of the full template.
func TestSamples_addUpToTheTemplate(t *testing.T) {
	want := load(t, expand(t, "deployment.template.json", "amd64").JSON())
	got := load(t, merged(t, devices(t)["amd64"]).JSON())
	if d := cmp.Diff(want.modules(t), got.modules(t)); d != "" {
		t.Errorf("modules of the template (-) and of the layers (+):\n%s", d)
	}
	a, _ := checkTwin(t, want.twin(t))
	b, _ := checkTwin(t, got.twin(t))
	if d := cmp.Diff(a, b); d != "" {
		t.Errorf("twin of the template (-) and of the layers (+):\n%s", d)
	}
	off, _ := checkTwin(t, load(t, merged(t, devices(t)["switched off"]).JSON()).twin(t))
	if off.Tunnels.Enabled || len(off.Cameras) != len(b.Cameras) || off.Tunnels.Max != b.Tunnels.Max {
		t.Errorf("the kill switch gives %+v", off)
	}
}

// rolloutCommands returns the shell commands of deploy/README.md, each on one line.
func rolloutCommands(t *testing.T) []string {
	t.Helper()
	var commands []string
	for _, block := range blocks(content(t, rolloutText), "sh") {
		block = regexp.MustCompile(`\s*\\\n\s*`).ReplaceAllString(block, " ")
		for line := range strings.Lines(block) {
			if line = strings.TrimSpace(line); line != "" && line[0] != '#' {
				commands = append(commands, line)
			}
		}
	}
	return commands
}

// Each deployment is created with the id, priority and condition that its file has.
func TestRollout_options(t *testing.T) {
	all, created := samples(t), 0
	for _, command := range rolloutCommands(t) {
		id, file := option(command, "deployment-id"), option(command, "content")
		d, ours := all[id]
		if !strings.HasPrefix(command, "az iot edge deployment create ") || !ours {
			continue
		}
		created++
		if file != "deploy/"+id+".json" || option(command, "priority") != strconv.Itoa(d.Priority) ||
			option(command, "target-condition") != d.TargetCondition ||
			strings.Contains(command, " --layered") != (id != "base") {
			t.Errorf("%s\n differs from the file: priority %d, %s", command, d.Priority, d.TargetCondition)
		}
	}
	if created != 5 {
		t.Errorf("%d samples are created", created)
	}
}

// option returns the value of a command's option without quotes, or "".
func option(command, name string) string {
	m := regexp.MustCompile(` --` + name + ` ("[^"]*"|'[^']*'|\S+)`).FindStringSubmatch(command)
	if m == nil {
		return ""
	}
	if quote := m[1][0]; quote == '"' || quote == '\'' {
		return m[1][1 : len(m[1])-1]
	}
	return m[1]
}

// The commands of tunnelctl succeed from the top of the repository.
func TestRollout_tunnelctlCommands(t *testing.T) {
	commands := rolloutCommands(t)
	t.Chdir(top)
	ran := 0
	for _, command := range commands {
		args, ours := strings.CutPrefix(command, "tunnelctl ")
		if !ours {
			continue
		}
		ran++
		var out, complaints bytes.Buffer
		program := cli.Program{Name: "tunnelctl", Brief: "test", Commands: []*cli.Command{manifestctl.Command()}}
		code := program.Run(t.Context(), strings.Fields(args), cli.IO{
			Out: &out, Err: &complaints, Lookup: func(string) (string, bool) { return "", false },
		})
		if code != 0 || strings.Contains(complaints.String(), "deploy/") {
			t.Errorf("%s: exit code %d: %s", command, code, &complaints)
		}
		if strings.Contains(args, "--explain") && !strings.Contains(out.String(), "10.0.0.21") {
			t.Errorf("%s: %s", command, &out)
		}
	}
	if ran != 3 {
		t.Errorf("%d commands", ran)
	}
}

// The layer that the text makes for an upgrade can be on a device together with the old
// one, and overrides it.
func TestRollout_upgrade(t *testing.T) {
	if _, err := exec.LookPath("sed"); err != nil {
		skipUnlessCI(t, "there is no sed")
	}
	var edit string
	for _, command := range rolloutCommands(t) {
		if script, _, found := strings.Cut(command, " > "); found && strings.HasPrefix(command, "sed ") {
			edit = script
		}
	}
	cmd := exec.CommandContext(t.Context(), "sh", "-c", edit)
	cmd.Dir = top
	text, err := cmd.Output()
	if err != nil {
		t.Fatalf("%q: %v", edit, err)
	}
	layer, problems := manifest.Parse("rtsptunnel-amd64-v2.json", text)
	valid(t, layer, problems)
	all, problems := manifest.Merge(manifest.Deployment{Manifest: parse(t, "base")},
		manifest.Deployment{Manifest: parse(t, "rtsptunnel-amd64")}, manifest.Deployment{Manifest: layer})
	if len(problems) > 0 || all.Manifest.Images()[ourModule] != "registry.example.com/rtsptunnel:"+next(t)+"-amd64" {
		t.Errorf("%v, %v", all, problems)
	}
	if d := load(t, text); d.ID != "rtsptunnel-amd64-v2" || d.Priority != 21 || d.modules(t)[ourModule].Version != next(t) {
		t.Errorf("%s", text)
	}
}

// The table of files has each file, with its priority.
func TestRollout_table(t *testing.T) {
	text := read(t, rolloutText)
	for id, d := range samples(t) {
		row := regexp.MustCompile(`(?m)^\|.*\[` + id + `\.json\]\(` + id + `\.json\).*\| ` + strconv.Itoa(d.Priority) + ` \|`)
		if !row.MatchString(text) {
			t.Errorf("no row has %s with priority %d", id, d.Priority)
		}
	}
	for _, m := range regexp.MustCompile(`\]\(([\w./-]+)(#[\w-]+)?\)`).FindAllStringSubmatch(text, -1) {
		read(t, "deploy/"+m[1])
	}
}

// Queries are in IoT Hub's language, and the commands set each tag that the samples'
// conditions need.
func TestRollout_queriesAndTags(t *testing.T) {
	queries := 0
	for _, command := range rolloutCommands(t) {
		if text := option(command, "query-command"); text != "" {
			queries++
			if _, err := query.Parse(text); err != nil {
				t.Errorf("%s: %v", text, err)
			}
		}
		if text := option(command, "tags"); text != "" {
			var tags map[string]string
			if err := json.Unmarshal([]byte(text), &tags); err != nil {
				t.Errorf("%s: %v", text, err)
			}
			for id, d := range samples(t) {
				for _, m := range regexp.MustCompile(`tags\.(\w+)=`).FindAllStringSubmatch(d.TargetCondition, -1) {
					if tags[m[1]] == "" && m[1] != "network" {
						t.Errorf("%s needs the tag %s, which no command sets", id, m[1])
					}
				}
			}
		}
	}
	if queries != 3 {
		t.Errorf("%d queries", queries)
	}
}

// The query for modules with problems finds every module that reports a problem, and every
// module whose state is not known. No rows mean that all modules are healthy.
func TestRollout_queryForProblems(t *testing.T) {
	var unhealthy *query.Query
	for _, command := range rolloutCommands(t) {
		if text := option(command, "query-command"); strings.Contains(text, "rejected") {
			q, err := query.Parse(text)
			if err != nil {
				t.Fatal(err)
			}
			unhealthy = q
		}
	}
	for _, c := range []struct {
		connection, reported string
		want                 bool
	}{
		{"Connected", `{"state": "healthy", "config": {"applied": 3}}`, false},
		{"Connected", `{}`, true}, // has never reported
		{"Connected", `{"state": "degraded", "config": {"applied": 3}}`, true},
		{"Connected", `{"state": "healthy", "config": {"applied": 3, "rejected": 4}}`, true},
		{"Disconnected", `{"state": "healthy", "config": {"applied": 3}}`, true}, // the report is old
	} {
		var reported map[string]any
		asJSON(t, []byte(c.reported), &reported)
		module := query.Document{
			"deviceId": "edge1", "moduleId": ourModule, "connectionState": c.connection,
			"properties": map[string]any{"reported": reported},
		}
		if got := unhealthy.Matches(module); got != c.want {
			t.Errorf("%s, %s: found %t, want %t", c.connection, c.reported, got, c.want)
		}
	}
}

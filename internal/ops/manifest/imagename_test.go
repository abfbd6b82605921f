package manifest_test

import (
	"strconv"
	"strings"
	"testing"

	"rtsptunnel/internal/ops/manifest"
)

// problemsOfModule validates a layer with one module. settings are the members of its
// settings. Each problem is its path below the settings and its text; warnings start with
// "warning: ".
func problemsOfModule(t *testing.T, settings string) []string {
	t.Helper()
	doc := `{"modulesContent": {"$edgeAgent": {"properties.desired.modules.x": {"type": "docker", "status": "running", "restartPolicy": "always", "settings": {` + settings + `}}}}}`
	var got []string
	for _, p := range manifest.Validate(parse(t, "x", doc), manifest.Options{}) {
		line := strings.TrimPrefix(p.Path, "modulesContent/$edgeAgent/properties.desired.modules.x/settings/") + ": " + p.Text
		if p.Warning {
			line = "warning: " + line
		}
		got = append(got, line)
	}
	return got
}

// The first names are those of edge agent's own tests: Azure/iotedge,
// edge-agent/test/Microsoft.Azure.Devices.Edge.Agent.Docker.Test/DockerConfigTest.cs, and
// NestedEdgeParentUrlParserTest.cs of Agent.Core.Test.
func TestValidate_images(t *testing.T) {
	const (
		whole  = "rejects the whole configuration"
		docker = "is not an image name that Docker accepts"
	)
	digest := "@sha256:" + strings.Repeat("a", 64)
	for image, want := range map[string]string{
		"ea:t1":                         "",
		" ea:t1 ":                       "",
		"mcr.ms.com/ea":                 "has no tag",
		"ubuntu":                        "has no tag",
		"localhost:9000/ea":             "has no tag",
		"localhost:9000/comp/ea:tag1":   "",
		"":                              whole,
		"  ":                            whole,
		"mcr.ms.com/ea:t1:t2":           whole,
		"ea:t1:t2":                      whole,
		"$upstream:443/cam:1.0":         "",
		"$upstream:8000/a/agent:1.2":    "",
		" $upstream:443/cam:1.0":        "",
		"$upstream:443/cam":             "has no tag",
		"$upstream:443/cam:1:2":         whole,
		"$upstream:443/cam:1" + digest:  "has a tag and a digest",
		"$upstream/cam:1.0":             whole,
		"$upstream:0443/cam:1.0":        whole,
		"$upstream:/cam:1.0":            whole,
		"$UPSTREAM:443/cam:1.0":         whole,
		"$other:443/cam:1.0":            whole,
		"reg.example/cam" + digest:      "",
		"reg.example/cam:1" + digest:    "has a tag and a digest",
		"reg.example/cam:" + digest[1:]: whole,
		"[::1]:5000/cam:1":              "",
		"reg.example/Cam:1":             docker,
		"reg.example//cam:1":            docker,
		"/cam:1":                        docker,
		"reg.example/my cam:1":          docker,
		"https://reg.example/cam:1":     docker,
		"reg.example/cam/":              whole,
		"reg.example/cam:":              whole,
		"reg.example/cam:latest":        "has the tag latest",
	} {
		got := problemsOfModule(t, `"image": `+strconv.Quote(image))
		if want == "" && len(got) == 0 {
			continue
		}
		if want == "" || len(got) != 1 || !strings.Contains(got[0], want) {
			t.Errorf("%q: got %q, want %q", image, got, want)
		}
	}
}

// Edge agent takes no configuration with a blank login: Azure/iotedge,
// edge-agent/src/Microsoft.Azure.Devices.Edge.Agent.Docker/RegistryCredentials.cs.
func TestValidate_registryCredentials(t *testing.T) {
	for _, c := range []struct{ username, password, address, want string }{
		{"u", " p ", "registry.example", ""},
		{"", "p", "registry.example", "username: is empty or blank"},
		{" \t", "p", "registry.example", "username: is empty or blank"},
		{"u", "", "registry.example", "password: is empty or blank"},
		{"u", "\u2003", "registry.example", "password: is empty or blank"},
		{"u", "p", "", "address: is empty or blank"},
		{"u", "p", "  ", "address: is empty or blank"},
		{"u", "p", "registry example", "address: contains white space"},
		{"u", "p", "$upstream:443", ""},
		{"u", "p", "$upstream", "address: is not replaced"},
	} {
		const label = "properties.desired.runtime.settings.registryCredentials.r"
		whole := `"` + label + `": {"username": ` + strconv.Quote(c.username) + `, "password": ` + strconv.Quote(c.password) + `, "address": ` + strconv.Quote(c.address) + `}`
		parts := `"` + label + `.username": ` + strconv.Quote(c.username) + `, "` + label + `.password": ` + strconv.Quote(c.password) + `, "` + label + `.address": ` + strconv.Quote(c.address)
		for _, section := range []string{whole, parts} {
			got := manifest.Validate(parse(t, "x", `{"modulesContent": {"$edgeAgent": {`+section+`}}}`), manifest.Options{})
			if c.want == "" && len(got) == 0 {
				continue
			}
			if c.want == "" || len(got) != 1 || !strings.Contains(got[0].Path+": "+got[0].Text, c.want) || got[0].Warning != strings.Contains(c.want, "not replaced") {
				t.Errorf("%+v: got %v", c, got)
			}
		}
	}
}

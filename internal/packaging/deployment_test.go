package packaging_test

import (
	"bytes"
	"encoding/json"
	"maps"
	"strings"
	"testing"

	"rtsptunnel/internal/module/twin"
)

// ourModule is the name of the module in all templates and samples.
const ourModule = "rtsptunnel"

// deployment is a template, a manifest or a layer as far as these tests look into it.
// What is wrong with one is for package manifest to say, so nothing is checked here.
type deployment struct {
	ID              string `json:"id"`
	Priority        int    `json:"priority"`
	TargetCondition string `json:"targetCondition"`
	Content         struct {
		ModulesContent sections `json:"modulesContent"`
	} `json:"content"`
	ModulesContent sections `json:"modulesContent"`
}

// sections are what a deployment has for each module: desired properties, or parts of
// them under their paths.
type sections map[string]map[string]json.RawMessage

// definition is a module in edge agent's desired properties.
type definition struct {
	Version       string           `json:"version,omitempty"`
	Type          string           `json:"type"`
	Status        string           `json:"status,omitempty"`
	RestartPolicy string           `json:"restartPolicy,omitempty"`
	StartupOrder  *int             `json:"startupOrder,omitempty"`
	Env           map[string]value `json:"env,omitempty"`
	Image         string           `json:"image"`
	CreateOptions map[string]any   `json:"createOptions"`
}

type value struct {
	Value string `json:"value"`
}

// UnmarshalJSON takes settings for a part of the definition, and createOptions in each of
// their forms.
func (d *definition) UnmarshalJSON(doc []byte) error {
	type plain definition
	in := struct {
		*plain
		Settings map[string]json.RawMessage `json:"settings"`
	}{plain: (*plain)(d)}
	dec := json.NewDecoder(bytes.NewReader(doc))
	dec.DisallowUnknownFields()
	if err := dec.Decode(&in); err != nil {
		return err
	}
	if err := json.Unmarshal(in.Settings["image"], &d.Image); err != nil {
		return err
	}
	options := []byte(in.Settings["createOptions"])
	if bytes.HasPrefix(options, []byte{'"'}) {
		var text strings.Builder
		for _, name := range []string{"createOptions", "createOptions01", "createOptions02"} {
			var piece string
			if in.Settings[name] != nil {
				if err := json.Unmarshal(in.Settings[name], &piece); err != nil {
					return err
				}
			}
			_, _ = text.WriteString(piece)
		}
		options = []byte(text.String())
	}
	return json.Unmarshal(options, &d.CreateOptions)
}

func load(t *testing.T, doc []byte) deployment {
	t.Helper()
	var d deployment
	asJSON(t, doc, &d)
	if d.ModulesContent == nil {
		d.ModulesContent = d.Content.ModulesContent
	}
	return d
}

func fullTemplate(t *testing.T) deployment {
	t.Helper()
	return load(t, content(t, "deployment.template.json"))
}

// modules are all that a deployment defines; system modules are edgeAgent and edgeHub.
func (d deployment) modules(t *testing.T) map[string]definition {
	t.Helper()
	found := map[string]definition{}
	for path, part := range d.ModulesContent["$edgeAgent"] {
		if name, is := strings.CutPrefix(path, "properties.desired.modules."); is {
			var one definition
			asJSON(t, part, &one)
			found[name] = one
			continue
		}
		var all struct{ Modules, SystemModules map[string]definition }
		asJSON(t, part, &all)
		maps.Copy(found, all.SystemModules)
		maps.Copy(found, all.Modules)
	}
	return found
}

// module is the definition of our module.
func (d deployment) module(t *testing.T) definition {
	t.Helper()
	m, found := d.modules(t)[ourModule]
	if !found {
		t.Fatalf("%s defines no %s", d.ID, ourModule)
	}
	return m
}

// twin is what the deployment has for our module's twin; nil for nothing.
func (d deployment) twin(t *testing.T) []byte {
	t.Helper()
	if d.ModulesContent[ourModule] == nil {
		return nil
	}
	return mustJSON(t, d.ModulesContent[ourModule])
}

// checkTwin judges what a deployment has for our module's twin: nothing may be wrong
// with it, unknown or without effect.
func checkTwin(t *testing.T, section []byte) (twin.Settings, twin.Outcome) {
	t.Helper()
	inForce, o, err := twin.Check(section)
	if err != nil {
		t.Fatal(err)
	}
	if len(o.Faults)+len(o.Warnings)+len(o.UnknownKeys)+len(o.NotYet) > 0 {
		t.Errorf("faults %v, warnings %v, unknown %v, without effect %v", o.Faults, o.Warnings, o.UnknownKeys, o.NotYet)
	}
	return inForce, o
}

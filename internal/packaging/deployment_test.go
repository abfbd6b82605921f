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

// deployment is the part of a template, manifest or layer that these tests read. It is not
// checked here; package manifest validates it.
type deployment struct {
	ID              string `json:"id"`
	Priority        int    `json:"priority"`
	TargetCondition string `json:"targetCondition"`
	Content         struct {
		ModulesContent sections `json:"modulesContent"`
	} `json:"content"`
	ModulesContent sections `json:"modulesContent"`
}

// sections maps each module to its part of a deployment: desired properties, or parts of
// them by their paths.
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

// UnmarshalJSON reads settings as part of the definition, and createOptions in each of its
// forms: an object, or text in up to three pieces.
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

// modules returns the modules that a deployment defines, edgeAgent and edgeHub among them.
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

// module returns the definition of our module.
func (d deployment) module(t *testing.T) definition {
	t.Helper()
	m, found := d.modules(t)[ourModule]
	if !found {
		t.Fatalf("%s defines no %s", d.ID, ourModule)
	}
	return m
}

// twin returns the deployment's section for our module's twin, or nil.
func (d deployment) twin(t *testing.T) []byte {
	t.Helper()
	if d.ModulesContent[ourModule] == nil {
		return nil
	}
	return mustJSON(t, d.ModulesContent[ourModule])
}

// checkTwin checks a deployment's section for our module's twin. The section may have no
// fault, no unknown key and no key without effect.
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

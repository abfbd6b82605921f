package tunnelopen_test

import (
	"encoding/json"
	"errors"
	"maps"
	"os"
	"testing"

	"rtsptunnel/internal/contract/reason"
	"rtsptunnel/internal/contract/tunnelopen"
)

// model is the DTDL interface.
type model struct {
	ID       string `json:"@id"`
	Type     string `json:"@type"`
	Contents []struct {
		Type    string `json:"@type"`
		Name    string `json:"name"`
		Request struct {
			Name   string `json:"name"`
			Schema struct {
				Type   string                          `json:"@type"`
				Fields []struct{ Name, Schema string } `json:"fields"`
			} `json:"schema"`
		} `json:"request"`
	} `json:"contents"`
}

func readModel(t *testing.T) model {
	t.Helper()
	b, err := os.ReadFile("../../../modules/rtsptunnel/WebSocketTunneling-1.json")
	if err != nil {
		t.Fatal(err)
	}
	var m model
	if err := json.Unmarshal(b, &m); err != nil {
		t.Fatal(err)
	}
	return m
}

// The code matches the model: the id, the only command, its members and their types.
func TestModel_isTheCode(t *testing.T) {
	m := readModel(t)
	if m.ID != tunnelopen.ModelID || m.Type != "Interface" {
		t.Errorf("%s %s, want an interface %s", m.Type, m.ID, tunnelopen.ModelID)
	}
	if len(m.Contents) != 1 || m.Contents[0].Type != "Command" || m.Contents[0].Name != tunnelopen.MethodName {
		t.Fatalf("contents %v, want the command %s alone", m.Contents, tunnelopen.MethodName)
	}
	payload, err := tunnelopen.Encode(tunnelopen.Request{RemoteEndpoint: "wss://h/", Token: "t", LocalPort: 1})
	if err != nil {
		t.Fatal(err)
	}
	var encoded map[string]json.RawMessage
	if err := json.Unmarshal(payload, &encoded); err != nil {
		t.Fatal(err)
	}
	fields := m.Contents[0].Request.Schema.Fields
	if len(fields) != len(encoded) {
		t.Errorf("the model has %d members, a request %d", len(fields), len(encoded))
	}
	for _, f := range fields {
		if _, ok := encoded[f.Name]; !ok {
			t.Errorf("a request has no %s", f.Name)
		}
		wantType(t, encoded, f.Name, f.Schema)
	}
}

// wantType fails the test unless the member is required and only accepts values of the
// model's type.
func wantType(t *testing.T, request map[string]json.RawMessage, member, schema string) {
	t.Helper()
	other := map[string]string{"string": `5`, "integer": `"5"`}[schema]
	if other == "" {
		t.Fatalf("%s has the type %q", member, schema)
	}
	for value, want := range map[string]reason.Code{other: reason.RequestType, "": reason.RequestField} {
		changed := maps.Clone(request)
		changed[member] = json.RawMessage(value)
		if value == "" {
			delete(changed, member)
		}
		payload, err := json.Marshal(changed)
		if err != nil {
			t.Fatal(err)
		}
		_, err = decode(payload)
		if e, ok := errors.AsType[*tunnelopen.Error](err); !ok || e.Reason != want {
			t.Errorf("%s = %q: %v, want %s", member, value, err, want)
		}
	}
}

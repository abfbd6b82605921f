package hubclient_test

import (
	"encoding/json"
	"io"
	"net/http"
	"strings"
	"testing"

	"rtsptunnel/internal/hub/hubclient"
	"rtsptunnel/internal/testkit/hubtest"
)

func TestUpdateTwin(t *testing.T) {
	hub := hubtest.Start(t, io.Discard)
	c, id := hub.Client, hub.ID
	first, err := c.UpdateTwin(t.Context(), id, hubclient.TwinUpdate{Tags: json.RawMessage(`{"a":1}`), Desired: json.RawMessage(`{"b":{"c":1}}`)})
	if err != nil {
		t.Fatal(err)
	}
	replaced, err := c.UpdateTwin(t.Context(), id, hubclient.TwinUpdate{Tags: json.RawMessage(`{"z":1}`), Replace: true})
	if err != nil {
		t.Fatal(err)
	}
	var desired struct{ B map[string]int }
	if err := json.Unmarshal(replaced.Properties.Desired, &desired); err != nil || desired.B["c"] != 1 || string(replaced.Tags) != `{"z":1}` {
		t.Errorf("tags %s, desired %s (%v)", replaced.Tags, replaced.Properties.Desired, err)
	}
	if !json.Valid(replaced.Document) || !strings.Contains(string(replaced.Document), `"deviceId":"`+id.Device+`"`) {
		t.Errorf("document %s", replaced.Document)
	}
	for _, replace := range []bool{false, true} {
		_, err := c.UpdateTwin(t.Context(), id, hubclient.TwinUpdate{Tags: json.RawMessage(`{}`), Replace: replace, ETag: first.ETag})
		if status(err) != 412 {
			t.Errorf("update with an old etag, replace %v: %v", replace, err)
		}
	}
}

// If a replacement leaves out a section, the client sends it as the twin has it. The
// update depends on the twin that the client has read.
func TestUpdateTwin_replacesOneSection(t *testing.T) {
	var sent, etag string
	c := serve(t, func(w http.ResponseWriter, r *http.Request) {
		if r.Method == http.MethodPut {
			b, _ := io.ReadAll(r.Body)
			sent, etag = string(b), r.Header.Get("If-Match")
		}
		_, _ = io.WriteString(w, `{"etag":"e1","tags":{"t":1},"properties":{"desired":{"d":1,"$version":3,"$metadata":{}}}}`)
	})
	for _, tt := range []struct {
		update     hubclient.TwinUpdate
		sent, etag string
	}{
		{hubclient.TwinUpdate{Tags: json.RawMessage(`{}`)}, `{"properties":{"desired":{"d":1}},"tags":{}}`, `"e1"`},
		{hubclient.TwinUpdate{Desired: json.RawMessage(`{}`)}, `{"properties":{"desired":{}},"tags":{"t":1}}`, `"e1"`},
		{hubclient.TwinUpdate{Desired: json.RawMessage(`{}`), ETag: `"e0"`}, `{"properties":{"desired":{}},"tags":{"t":1}}`, `"e0"`},
		{hubclient.TwinUpdate{Desired: json.RawMessage(`{}`), Tags: json.RawMessage(`{}`)}, `{"properties":{"desired":{}},"tags":{}}`, `"*"`},
	} {
		tt.update.Replace = true
		if _, err := c.UpdateTwin(t.Context(), hubclient.Identity{Device: "d"}, tt.update); err != nil {
			t.Error(err)
		}
		if sent != tt.sent || etag != tt.etag {
			t.Errorf("sent %s with If-Match %s, want %s with %s", sent, etag, tt.sent, tt.etag)
		}
	}
}

package hubclient_test

import (
	"encoding/json"
	"errors"
	"io"
	"testing"

	"github.com/google/go-cmp/cmp"

	"rtsptunnel/internal/hub/hubclient"
	"rtsptunnel/internal/testkit/hubtest"
)

const content = `{"modulesContent":{"$edgeAgent":{"properties.desired":{"modules":{}}},"rtsptunnel":{"properties.desired":{"a":1}}}}`

func TestConfigurations(t *testing.T) {
	hub := hubtest.Start(t, io.Discard)
	c := hub.Client
	made, err := c.CreateConfiguration(t.Context(), hubclient.Configuration{
		ID: "site'1", Content: json.RawMessage(content), TargetCondition: "deviceId = 'edge1'", Priority: 3,
		Labels: map[string]string{"l": "v"}, Metrics: hubclient.Metrics{Queries: map[string]string{"all": "SELECT * FROM devices"}},
	})
	if err != nil {
		t.Fatal(err)
	}
	if made.SystemMetrics.Results["appliedCount"] != 1 || made.Metrics.Results["all"] != 1 || made.ETag == "" || made.Created == "" || made.SchemaVersion != "1.0" {
		t.Errorf("made %+v", made)
	}
	read, err := c.Configuration(t.Context(), "site'1")
	if err != nil {
		t.Fatal(err)
	}
	list, err := c.Configurations(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	if d := cmp.Diff([]hubclient.Configuration{made, made}, append(list, read)); d != "" {
		t.Errorf("list and read (-made +read):\n%s", d)
	}
	// What was read may be sent back.
	read.Priority = 4
	changed, err := c.UpdateConfiguration(t.Context(), read)
	if err != nil || changed.Priority != 4 || changed.ETag == made.ETag {
		t.Errorf("changed %+v (%v)", changed, err)
	}
	_, again := c.CreateConfiguration(t.Context(), made)
	_, old := c.UpdateConfiguration(t.Context(), made)
	made.Content, made.ETag = json.RawMessage(`{"modulesContent":{"$edgeAgent":{}}}`), ""
	_, other := c.UpdateConfiguration(t.Context(), made)
	gone := c.DeleteConfiguration(t.Context(), "site'1", "")
	_, missing := c.Configuration(t.Context(), "site'1")
	for name, tt := range map[string]struct {
		err  error
		want int
		code string
	}{
		"created again": {again, 409, "ConfigurationAlreadyExists"}, "an old etag": {old, 412, "PreconditionFailed"},
		"another content": {other, 400, "CannotModifyImmutableConfigurationContent"}, "deleted": {gone, 0, ""},
		"read after that": {missing, 404, "ConfigurationNotFound"},
	} {
		e, _ := errors.AsType[*hubclient.Error](tt.err)
		if status(tt.err) != tt.want || e != nil && e.Code != tt.code {
			t.Errorf("%s: %v, want %d %s", name, tt.err, tt.want, tt.code)
		}
	}
}

func TestApplyContent(t *testing.T) {
	hub := hubtest.Start(t, io.Discard)
	if err := hub.Client.ApplyContent(t.Context(), hub.ID.Device, json.RawMessage(content)); err != nil {
		t.Fatal(err)
	}
	twin, err := hub.Client.Twin(t.Context(), hub.ID)
	var desired struct{ A int }
	if err != nil || json.Unmarshal(twin.Properties.Desired, &desired) != nil || desired.A != 1 {
		t.Errorf("desired %s (%v)", twin.Properties.Desired, err)
	}
	if err := hub.Client.ApplyContent(t.Context(), "no/body", json.RawMessage(content)); status(err) != 404 {
		t.Errorf("an unknown device: %v", err)
	}
	if err := hub.Client.ApplyContent(t.Context(), hub.ID.Device, json.RawMessage(`{}`)); status(err) != 400 {
		t.Errorf("a bad content: %v", err)
	}
}

func TestTestQueries(t *testing.T) {
	hub := hubtest.Start(t, io.Discard)
	wrong, err := hub.Client.TestQueries(t.Context(), "tags.a = 1", map[string]string{"m": "SELECT * FROM devices"})
	if err != nil || len(wrong) != 0 {
		t.Errorf("good ones: %v (%v)", wrong, err)
	}
	wrong, err = hub.Client.TestQueries(t.Context(), "version = 1", map[string]string{"m": "SELECT", "n": "SELECT * FROM devices"})
	if err != nil || len(wrong) != 2 || wrong[""] == "" || wrong["m"] == "" {
		t.Errorf("bad ones: %v (%v)", wrong, err)
	}
}

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
	// A configuration can be sent back as it was read.
	read.Priority = 4
	changed, err := c.UpdateConfiguration(t.Context(), read)
	if err != nil || changed.Priority != 4 || changed.ETag == made.ETag {
		t.Errorf("changed %+v (%v)", changed, err)
	}
	_, createErr := c.CreateConfiguration(t.Context(), made)
	_, oldETagErr := c.UpdateConfiguration(t.Context(), made)
	made.Content, made.ETag = json.RawMessage(`{"modulesContent":{"$edgeAgent":{}}}`), ""
	_, contentErr := c.UpdateConfiguration(t.Context(), made)
	deleteErr := c.DeleteConfiguration(t.Context(), "site'1", "")
	_, readErr := c.Configuration(t.Context(), "site'1")
	for name, tt := range map[string]struct {
		err  error
		want int
		code string
	}{
		"created again": {createErr, 409, "ConfigurationAlreadyExists"}, "old etag": {oldETagErr, 412, "PreconditionFailed"},
		"other content": {contentErr, 400, "CannotModifyImmutableConfigurationContent"}, "deleted": {deleteErr, 0, ""},
		"read after deletion": {readErr, 404, "ConfigurationNotFound"},
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
		t.Errorf("unknown device: %v", err)
	}
	if err := hub.Client.ApplyContent(t.Context(), hub.ID.Device, json.RawMessage(`{}`)); status(err) != 400 {
		t.Errorf("invalid content: %v", err)
	}
}

func TestTestQueries(t *testing.T) {
	hub := hubtest.Start(t, io.Discard)
	texts, err := hub.Client.TestQueries(t.Context(), "tags.a = 1", map[string]string{"m": "SELECT * FROM devices"})
	if err != nil || len(texts) != 0 {
		t.Errorf("valid queries: %v (%v)", texts, err)
	}
	texts, err = hub.Client.TestQueries(t.Context(), "version = 1", map[string]string{"m": "SELECT", "n": "SELECT * FROM devices"})
	if err != nil || len(texts) != 2 || texts[""] == "" || texts["m"] == "" {
		t.Errorf("invalid queries: %v (%v)", texts, err)
	}
}

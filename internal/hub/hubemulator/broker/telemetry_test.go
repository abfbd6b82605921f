package broker_test

import (
	"maps"
	"strings"
	"testing"
	"time"

	"rtsptunnel/internal/hub/hubemulator/store"
)

func TestTelemetry_isStored(t *testing.T) {
	const (
		ofModule = "devices/d1/modules/m1/messages/events/"
		ofDevice = "devices/d1/messages/events/"
	)
	e := start(t)
	tests := []struct {
		id     store.ID
		topic  string
		qos    byte
		retain bool
		want   map[string]string
	}{
		{module, ofModule, 1, false, nil},
		{module, ofModule + "$.ct=application%2Fjson&a=b%20c/", 1, false, map[string]string{"$.ct": "application/json", "a": "b c"}},
		{module, ofModule + "%24.on=out/", 0, false, map[string]string{"$.on": "out"}},
		{module, ofModule + "a=b", 1, true, map[string]string{"a": "b", "mqtt-retain": "true"}},
		{device, ofDevice + "c=d", 1, false, map[string]string{"c": "d"}},
	}
	for i, tt := range tests {
		client := connect(t, e.options(t, tt.id))
		body, before := "secret payload\xff"+tt.topic, time.Now()
		wait(t, client.Publish(tt.topic, tt.qos, tt.retain, body))
		roundTrip(t, client) // for QoS 0
		list := e.sent.List()
		if len(list) != 2*i+2 {
			t.Fatalf("%s: %d messages stored, want %d", tt.topic, len(list), 2*i+2)
		}
		got := list[2*i]
		if got.Identity != tt.id.String() || string(got.Body) != body || !maps.Equal(got.Properties, tt.want) {
			t.Errorf("%s: stored as %s, properties %q, body %q", tt.topic, got.Identity, got.Properties, got.Body)
		}
		if got.Enqueued.Before(before) || got.Enqueued.After(time.Now()) {
			t.Errorf("%s: enqueued at %s", tt.topic, got.Enqueued)
		}
	}
	if strings.Contains(e.log.String(), "secret payload") {
		t.Error("the log contains the payload")
	}
}

func TestTelemetry_withoutLog(t *testing.T) {
	e := start(t)
	e.close(t)
	e.sent = nil
	e.serve(t)
	roundTrip(t, connect(t, e.options(t, module)))
}

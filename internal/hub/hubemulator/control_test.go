package hubemulator_test

import (
	"encoding/json"
	"net/http"
	"testing"

	paho "github.com/eclipse/paho.mqtt.golang"
	"github.com/google/go-cmp/cmp"

	"rtsptunnel/internal/hub/hubemulator/faults"
)

// control sends a request to /emulator/ without Authorization.
func (s *service) control(t *testing.T, method, path, body string, want int) string {
	t.Helper()
	plain := *s
	plain.token = ""
	status, raw, err := plain.do(t.Context(), method, path, body)
	if err != nil || status != want {
		t.Fatalf("%s %s: got %d %s %v, want %d", method, path, status, raw, err, want)
	}
	return string(raw)
}

func TestControl_withoutAuthorization(t *testing.T) {
	t.Parallel()
	hub, _ := start(t)
	s := newService(t, hub)
	s.control(t, "PUT", "/emulator/faults", `{"twin":{"hold":true}}`, 200)
	if diff := cmp.Diff(faults.Rules{Twin: &faults.Twin{Hold: true}}, hub.Faults().Hub()); diff != "" {
		t.Errorf("rules (-want +got):\n%s", diff)
	}
	s.control(t, "DELETE", "/emulator/faults", "", 204)
	// All other paths need Authorization.
	for _, path := range []string{"/twins/edge1", "/emulator", "/emulatorx", "//emulator/faults", "/emulator/../twins/edge1"} {
		s.control(t, "GET", path, "", http.StatusUnauthorized)
	}
}

func TestControl_drop(t *testing.T) {
	t.Parallel()
	hub, generation := start(t)
	lost := make(chan struct{}, 1)
	o := options(t, hub, generation)
	o.SetAutoReconnect(false).SetConnectionLostHandler(func(paho.Client, error) { lost <- struct{}{} })
	connect(t, o)
	newService(t, hub).control(t, "POST", "/emulator/drop/devices/edge1/modules/m1", "", 204)
	next(t, lost)
}

func TestControl_workloadDown(t *testing.T) {
	t.Parallel()
	hub, _ := start(t)
	s := newService(t, hub)
	client := workloadClient(hub.WorkloadURI())
	defer client.CloseIdleConnections()
	get := func() (*http.Response, error) {
		return client.Get("http://workload/trust-bundle?api-version=2018-06-28")
	}

	s.control(t, "PUT", "/emulator/faults", `{"workload":{"down":true}}`, 200)
	if response, err := get(); err == nil {
		response.Body.Close()
		t.Errorf("status %d, want no answer", response.StatusCode)
	}
	s.control(t, "DELETE", "/emulator/faults", "", 204)
	response, err := get()
	if err != nil {
		t.Fatal(err)
	}
	response.Body.Close()
	if response.StatusCode != http.StatusOK {
		t.Errorf("status %d after the fault, want 200", response.StatusCode)
	}
}

func TestControl_telemetry(t *testing.T) {
	t.Parallel()
	hub, generation := start(t)
	client := connect(t, options(t, hub, generation))
	wait(t, client.Publish("devices/edge1/modules/m1/messages/events/a=b%20c", 1, false, "first"))
	wait(t, client.Publish("devices/edge1/modules/m1/messages/events/", 1, false, `"second"`))
	s := newService(t, hub)
	got := s.control(t, "GET", "/emulator/telemetry", "", 200)
	var list []struct {
		Identity, Body string
		Properties     map[string]string
	}
	if err := json.Unmarshal([]byte(got), &list); err != nil {
		t.Fatal(err)
	}
	if len(list) != 2 || list[0].Identity != "edge1/m1" || list[0].Properties["a"] != "b c" ||
		list[0].Body != "first" || list[1].Body != `"second"` {
		t.Errorf("got %s", got)
	}
	if len(hub.Telemetry().List()) != 2 {
		t.Error("Hub.Telemetry returns other messages")
	}
}

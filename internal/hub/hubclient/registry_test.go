package hubclient_test

import (
	"errors"
	"fmt"
	"io"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"rtsptunnel/internal/hub/hubclient"
	"rtsptunnel/internal/testkit/hubtest"
)

// status returns the HTTP status of an *Error, or zero if err is another error.
func status(err error) int {
	if e, ok := errors.AsType[*hubclient.Error](err); ok {
		return e.Status
	}
	return 0
}

func TestRegistry(t *testing.T) {
	c := hubtest.Start(t, io.Discard).Client
	made, err := c.Register(t.Context(), hubclient.Registration{DeviceID: "d#1", Capabilities: &hubclient.Capabilities{IoTEdge: true}})
	if err != nil {
		t.Fatal(err)
	}
	key := made.Authentication.SymmetricKey
	if !made.IsEdge() || made.ETag == "" || made.Status != hubclient.StatusEnabled || key == nil || key.Primary == "" || key.Secondary == "" {
		t.Fatalf("made %+v", made)
	}
	if _, err := c.Register(t.Context(), made); status(err) != 409 {
		t.Errorf("registered twice: %v", err)
	}

	read, err := c.Registration(t.Context(), made.ID())
	if err != nil {
		t.Fatal(err)
	}
	if d := cmp.Diff(made, read); d != "" {
		t.Errorf("read (-made +read):\n%s", d)
	}
	if err := c.Unregister(t.Context(), made.ID(), made.ETag+"x"); status(err) != 412 {
		t.Errorf("removed with another etag: %v", err)
	}
	if err := c.Unregister(t.Context(), made.ID(), ""); err != nil {
		t.Errorf("removed with any etag: %v", err)
	}
	if _, err := c.Registration(t.Context(), made.ID()); status(err) != 404 {
		t.Errorf("still there: %v", err)
	}
}

func TestRegistry_lists(t *testing.T) {
	hub := hubtest.Start(t, io.Discard)
	devices, err := hub.Client.Devices(t.Context())
	if err != nil || len(devices) != 1 || devices[0].ID() != (hubclient.Identity{Device: hub.ID.Device}) || devices[0].Authentication.SymmetricKey != nil {
		t.Errorf("devices %+v (%v)", devices, err)
	}
	modules, err := hub.Client.Modules(t.Context(), hub.ID.Device)
	if err != nil || len(modules) != 3 || modules[2].ID() != hub.ID || modules[2].GenerationID != hub.Generation {
		t.Errorf("modules %+v (%v)", modules, err)
	}
	if _, err := hub.Client.Modules(t.Context(), "unknown"); status(err) != 404 {
		t.Errorf("modules of an unknown device: %v", err)
	}
}

func TestConnectionString(t *testing.T) {
	key := &hubclient.SymmetricKey{Primary: "a2V5", Secondary: "b3RoZXI="}
	sas := hubclient.Authentication{Type: hubclient.AuthSAS, SymmetricKey: key}
	for _, c := range []struct {
		r       hubclient.Registration
		gateway string
		want    string
	}{
		{hubclient.Registration{DeviceID: "d", Authentication: sas}, "", "HostName=h;DeviceId=d;SharedAccessKey=a2V5"},
		{hubclient.Registration{DeviceID: "d", ModuleID: "m", Authentication: sas}, "g", "HostName=h;DeviceId=d;ModuleId=m;SharedAccessKey=a2V5;GatewayHostName=g"},
		{hubclient.Registration{DeviceID: "d", Authentication: hubclient.Authentication{Type: hubclient.AuthSelfSigned}}, "", "HostName=h;DeviceId=d;x509=true"},
		{hubclient.Registration{DeviceID: "d", Authentication: sas}.WithoutKeys(), "", ""},
	} {
		got, err := c.r.ConnectionString("h", c.gateway)
		if got != c.want || (err == nil) != (c.want != "") {
			t.Errorf("%q (%v), want %q", got, err, c.want)
		}
	}
	for _, verb := range []string{"%v", "%+v", "%#v", "%s"} {
		if text := fmt.Sprintf(verb+verb, key, *key); strings.Contains(text, "a2V5") {
			t.Errorf("%s prints the key: %s", verb, text)
		}
	}
}

package rest_test

import (
	"errors"
	"slices"
	"strings"
	"testing"

	"rtsptunnel/internal/hub/hubemulator/store"
)

const twinBody = `{"tags":{"a":1},"properties":{"desired":{"a":1}}}`

// changes are all requests that change something, in an order in which they succeed.
var changes = []struct{ method, target, body, ifMatch string }{
	{"PUT", "/devices/d9", `{"deviceId":"d9"}`, ""},
	{"PUT", "/devices/d9", `{"deviceId":"d9"}`, "*"},
	{"PUT", "/devices/d9", `{"deviceId":"d9","status":"disabled"}`, "*"},
	{"PUT", "/devices/d9/modules/m9", `{"deviceId":"d9","moduleId":"m9"}`, ""},
	{"PATCH", "/twins/d9", twinBody, ""},
	{"PUT", "/twins/d9/modules/m9", twinBody, "*"},
	{"PATCH", twinPath, `{"tags":{"b":1}}`, ""},
	{"DELETE", "/devices/d9/modules/m9", "", "*"},
	{"DELETE", "/devices/d9", "", "*"},
}

// reads are all requests that only read.
var reads = []struct{ method, target, body, ifMatch string }{
	{"GET", "/devices", "", ""},
	{"GET", "/devices/d1", "", ""},
	{"GET", "/devices/d1/modules", "", ""},
	{"GET", twinPath, "", ""},
	{"GET", "/statistics/devices", "", ""},
	{"GET", "/statistics/service", "", ""},
	{"POST", "/devices/query", `{"query":"SELECT * FROM devices"}`, ""},
	{"POST", "/devices/query", `{"query":"SELECT COUNT() AS n FROM devices"}`, ""},
}

// Every response, of a change and of a read, comes after the state that it depends on is
// written to disk.
func TestResponses_comeAfterTheWrite(t *testing.T) {
	e := start(t)
	var persisted int64 // set before a response, read after it
	e.store.KeepWith(func(revision int64) error {
		persisted = max(persisted, revision)
		return nil
	})
	for _, c := range changes {
		before := e.store.Revision()
		got := e.do(t, c.method, c.target+version, c.body, "If-Match", c.ifMatch)
		if got.status/100 != 2 {
			t.Fatalf("%s %s: %d %s", c.method, c.target, got.status, got.body)
		}
		if after := e.store.Revision(); persisted != after || after == before {
			t.Errorf("%s %s: persisted up to %d, changed from %d to %d", c.method, c.target, persisted, before, after)
		}
	}
	for _, c := range reads {
		if _, _, err := e.store.PatchReported(module, store.Patch{}); err != nil { // as a device does
			t.Fatal(err)
		}
		if err := e.store.SetModelID(store.ID{Device: "d1"}, c.target+c.body); err != nil {
			t.Fatal(err)
		}
		persisted = 0
		if got := e.do(t, c.method, c.target+version, c.body); got.status != 200 || persisted == 0 {
			t.Errorf("%s %s: %d, persisted up to %d", c.method, c.target, got.status, persisted)
		}
	}
}

func TestResponses_writeFails(t *testing.T) {
	e := start(t)
	e.store.KeepWith(func(int64) error { return errors.New("/secret/place: disk full") })
	for _, c := range slices.Concat(reads, changes) {
		got := e.do(t, c.method, c.target+version, c.body, "If-Match", c.ifMatch)
		if got.status != 503 || got.header.Get("iothub-errorcode") != "ServiceUnavailable" {
			t.Errorf("%s %s: got %d %q", c.method, c.target, got.status, got.header.Get("iothub-errorcode"))
		}
		if want := "ErrorCode:ServiceUnavailable;the hub's state cannot be kept"; got.message(t) != want {
			t.Errorf("%s %s: message %q, want %q", c.method, c.target, got.message(t), want)
		}
		if strings.Contains(string(got.body), "secret") {
			t.Errorf("the response contains the cause: %s", got.body)
		}
	}
	// The client's own errors do not depend on the disk.
	if got := e.do(t, "GET", "/devices/d7"+version, ""); got.status != 404 {
		t.Errorf("unknown device: %d, want 404", got.status)
	}
}

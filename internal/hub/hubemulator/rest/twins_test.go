package rest_test

import (
	"net/url"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"rtsptunnel/internal/hub/hubemulator/store"
)

// withoutTimes checks that every $lastUpdated below document is a time, and removes it.
func withoutTimes(t *testing.T, document map[string]any) map[string]any {
	t.Helper()
	for name, value := range document {
		if name == "$lastUpdated" {
			if text, ok := value.(string); !ok || !strings.HasSuffix(text, "Z") {
				t.Errorf("$lastUpdated is %v", value)
			}
			delete(document, name)
		}
		if object, ok := value.(map[string]any); ok {
			withoutTimes(t, object)
		}
	}
	return document
}

func TestTwin_getAndPatch(t *testing.T) {
	e := start(t)
	if err := e.store.SetModelID(module, "dtmi:example:Thing;1"); err != nil {
		t.Fatal(err)
	}
	if _, _, err := e.store.PatchReported(module, store.Patch{"r": true}); err != nil {
		t.Fatal(err)
	}
	patched := e.do(t, "PATCH", twinPath+version, `{"tags":{"t":"x","u":null},"properties":{"desired":{"a":1,"b":null,"c":{"d":[2]}}}}`)
	read := e.do(t, "GET", twinPath+version, "")
	if patched.status != 200 || read.status != 200 {
		t.Fatalf("status %d and %d, want 200", patched.status, read.status)
	}
	if diff := cmp.Diff(string(patched.body), string(read.body)); diff != "" {
		t.Errorf("PATCH and GET differ (-patch +get):\n%s", diff)
	}
	got := withoutTimes(t, decode(t, read))
	etag := got["etag"].(string)
	if header := read.header.Get("ETag"); etag == "" || header != `"`+etag+`"` {
		t.Errorf("ETag header %s, etag %s", header, etag)
	}
	identity, err := e.store.Identity(module)
	if err != nil {
		t.Fatal(err)
	}
	at2 := map[string]any{"$lastUpdatedVersion": 2.0}
	want := map[string]any{
		"deviceId": "d1", "moduleId": "m1", "etag": etag, "deviceEtag": identity.ETag, "version": 3.0,
		"modelId": "dtmi:example:Thing;1", "status": "enabled", "statusUpdateTime": zeroTime,
		"connectionState": "Disconnected", "lastActivityTime": zeroTime, "cloudToDeviceMessageCount": 0.0,
		"authenticationType": "sas", "x509Thumbprint": map[string]any{"primaryThumbprint": nil, "secondaryThumbprint": nil},
		"tags": map[string]any{"t": "x"},
		"properties": map[string]any{
			"desired": map[string]any{
				"a": 1.0, "c": map[string]any{"d": []any{2.0}}, "$version": 2.0,
				"$metadata": map[string]any{
					"$lastUpdatedVersion": 2.0, "a": at2, "c": map[string]any{"$lastUpdatedVersion": 2.0, "d": at2},
				},
			},
			"reported": map[string]any{
				"r": true, "$version": 2.0, "$metadata": map[string]any{"r": map[string]any{}},
			},
		},
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("twin (-want +got):\n%s", diff)
	}
	device := decode(t, e.do(t, "GET", "/twins/d1"+version, ""))
	if _, ok := device["moduleId"]; ok || device["capabilities"] == nil {
		t.Errorf("the device's twin has a module id or no capabilities: %v", device)
	}
}

// A twin can be sent back as it was read: members that only the hub writes are ignored.
func TestTwin_putReplaces(t *testing.T) {
	e := start(t)
	twin := e.do(t, "PATCH", twinPath+version, `{"tags":{"t":1},"properties":{"desired":{"a":1,"b":{"c":2}}}}`)
	changed := strings.Replace(string(twin.body), `"a":1`, `"z":1`, 1)
	got := decode(t, e.do(t, "PUT", twinPath+version, changed, "If-Match", twin.header.Get("ETag")))
	desired := got["properties"].(map[string]any)["desired"].(map[string]any)
	delete(desired, "$metadata")
	if diff := cmp.Diff(map[string]any{"z": 1.0, "b": map[string]any{"c": 2.0}, "$version": 3.0}, desired); diff != "" {
		t.Errorf("desired (-want +got):\n%s", diff)
	}
	got = decode(t, e.do(t, "PUT", twinPath+version, `{"properties":{"desired":{}}}`))
	desired = got["properties"].(map[string]any)["desired"].(map[string]any)
	if len(desired) != 2 || got["tags"].(map[string]any)["t"] != 1.0 {
		t.Errorf("after PUT of an empty section: desired %v, tags %v; want nothing and the old tags", desired, got["tags"])
	}
	got = decode(t, e.do(t, "PUT", twinPath+version, `{"tags":{"u":2}}`))
	if diff := cmp.Diff(map[string]any{"u": 2.0}, got["tags"]); diff != "" {
		t.Errorf("tags (-want +got):\n%s", diff)
	}
}

func TestTwin_ifMatch(t *testing.T) {
	const change = `{"properties":{"desired":{"a":1}}}`
	e := start(t)
	etag := func() string { return e.do(t, "GET", twinPath+version, "").header.Get("ETag") }
	old := etag()
	for _, ifMatch := range []string{"*", `"*"`, old} {
		before := etag()
		if ifMatch == old {
			ifMatch = before
		}
		if got := e.do(t, "PATCH", twinPath+version, change, "If-Match", ifMatch); got.status != 200 {
			t.Errorf("If-Match %s: status %d, want 200", ifMatch, got.status)
		}
		if etag() == before {
			t.Errorf("If-Match %s: etag did not change", ifMatch)
		}
	}
	for _, ifMatch := range []string{old, `"nonsense"`, `""`} {
		got := e.do(t, "PATCH", twinPath+version, change, "If-Match", ifMatch)
		if got.status != 412 || got.header.Get("iothub-errorcode") != "PreconditionFailed" {
			t.Errorf("If-Match %s: got %d %q, want 412", ifMatch, got.status, got.header.Get("iothub-errorcode"))
		}
	}
	// A request without tags and desired properties changes nothing.
	before := etag()
	if got := e.do(t, "PATCH", twinPath+version, `{"deviceId":"x","properties":{"reported":{"a":1}}}`); got.status != 200 {
		t.Errorf("status %d, want 200", got.status)
	}
	if etag() != before {
		t.Error("etag changed with nothing to change")
	}
}

func TestTwin_escapedIDs(t *testing.T) {
	e := start(t)
	id := store.ID{Device: "a%2B+b", Module: "m#?"}
	if _, err := e.store.Ensure(id); err != nil {
		t.Fatal(err)
	}
	target := "/twins/" + url.PathEscape(id.Device) + "/modules/" + url.PathEscape(id.Module)
	if got := e.do(t, "GET", target+version, ""); got.status != 200 {
		t.Errorf("status %d, want 200: %s", got.status, got.body)
	}
}

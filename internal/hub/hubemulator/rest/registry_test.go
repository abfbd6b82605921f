package rest_test

import (
	"encoding/base64"
	"encoding/json"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"rtsptunnel/internal/hub/hubemulator/store"
)

const zeroTime = "0001-01-01T00:00:00Z"

var key = base64.StdEncoding.EncodeToString(make([]byte, 32))

func decode(t *testing.T, a answer) map[string]any {
	t.Helper()
	var document map[string]any
	if err := json.Unmarshal(a.body, &document); err != nil {
		t.Fatalf("%v in %s", err, a.body)
	}
	return document
}

func TestRegistry_device(t *testing.T) {
	e := start(t)
	body := `{"deviceId":"d2","status":"enabled","statusReason":null,"capabilities":{"iotEdge":true},
		"authentication":{"type":"sas","symmetricKey":{"primaryKey":"` + key + `","secondaryKey":"` + key + `"}}}`
	created := e.do(t, "PUT", "/devices/d2"+version, body)
	if created.status != 200 {
		t.Fatalf("status %d: %s", created.status, created.body)
	}
	got := decode(t, created)
	etag, generation := got["etag"].(string), got["generationId"].(string)
	if header := created.header.Get("ETag"); header != `"`+etag+`"` {
		t.Errorf("ETag header %s, etag %s", header, etag)
	}
	want := map[string]any{
		"deviceId": "d2", "generationId": generation, "etag": etag, "connectionState": "Disconnected",
		"status": "enabled", "statusReason": "", "connectionStateUpdatedTime": zeroTime, "statusUpdatedTime": zeroTime,
		"lastActivityTime": zeroTime, "cloudToDeviceMessageCount": 0.0,
		"authentication": map[string]any{
			"type":           "sas",
			"symmetricKey":   map[string]any{"primaryKey": key, "secondaryKey": key},
			"x509Thumbprint": map[string]any{"primaryThumbprint": nil, "secondaryThumbprint": nil},
		},
		"capabilities": map[string]any{"iotEdge": true},
		"deviceScope":  "ms-azure-iot-edge://d2-" + generation,
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("device (-want +got):\n%s", diff)
	}
	if read := e.do(t, "GET", "/devices/d2"+version, ""); string(read.body) != string(created.body) {
		t.Errorf("PUT and GET differ:\n%s\n%s", created.body, read.body)
	}
	// An identity can be sent back as it was read.
	disabled := strings.Replace(string(created.body), `"status":"enabled"`, `"status":"disabled"`, 1)
	updated := decode(t, e.do(t, "PUT", "/devices/d2"+version, disabled, "If-Match", `"`+etag+`"`))
	if updated["status"] != "disabled" || updated["etag"] == etag || updated["statusUpdatedTime"] == zeroTime {
		t.Errorf("after the update: %v", updated)
	}
	if diff := cmp.Diff(want["authentication"], updated["authentication"]); diff != "" {
		t.Errorf("keys after the update (-want +got):\n%s", diff)
	}
}

// The API accepts a device in the form of IoT Hub and of Microsoft's SDK for .NET, for a
// device that has never connected (Azure/device-simulation-dotnet, issue 321).
func TestRegistry_deviceInFormOfIoTHub(t *testing.T) {
	e := start(t)
	got := e.do(t, "PUT", "/devices/d2"+version, `{"deviceId":"d2","generationId":"1","etag":"MA==","connectionState":0,
		"status":"disabled","statusReason":null,"connectionStateUpdatedTime":"0001-01-01T00:00:00",
		"statusUpdatedTime":"0001-01-01T00:00:00","lastActivityTime":"0001-01-01T00:00:00","cloudToDeviceMessageCount":0,
		"capabilities":null,"authentication":{"type":"sas","symmetricKey":{"primaryKey":null,"secondaryKey":null},
		"x509Thumbprint":{"primaryThumbprint":null,"secondaryThumbprint":null}}}`)
	if got.status != 200 || decode(t, got)["status"] != "disabled" || decode(t, got)["lastActivityTime"] != zeroTime {
		t.Errorf("got %d %s", got.status, got.body)
	}
}

func TestRegistry_module(t *testing.T) {
	e := start(t)
	created := e.do(t, "PUT", "/devices/d1/modules/m2"+version, `{"deviceId":"d1","moduleId":"m2","managedBy":"IotEdge","status":"disabled"}`)
	got := decode(t, created)
	authentication := got["authentication"].(map[string]any)
	if keys := authentication["symmetricKey"].(map[string]any); keys["primaryKey"] == nil || keys["secondaryKey"] == nil {
		t.Errorf("keys are missing in %s", created.body)
	}
	want := map[string]any{
		"deviceId": "d1", "moduleId": "m2", "managedBy": "IotEdge", "generationId": got["generationId"], "etag": got["etag"],
		"connectionState": "Disconnected", "connectionStateUpdatedTime": zeroTime, "lastActivityTime": zeroTime,
		"cloudToDeviceMessageCount": 0.0, "authentication": authentication,
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("module (-want +got):\n%s", diff)
	}
	// Only devices have a status.
	if twin := decode(t, e.do(t, "GET", "/twins/d1/modules/m2"+version, "")); twin["status"] != "enabled" {
		t.Errorf("the module is %v", twin["status"])
	}
}

func TestRegistry_deleteAndLists(t *testing.T) {
	e := start(t)
	for _, id := range []string{"d3", "d2"} {
		if got := e.do(t, "PUT", "/devices/"+id+version, `{"deviceId":"`+id+`","status":"disabled"}`); got.status != 200 {
			t.Fatalf("status %d: %s", got.status, got.body)
		}
	}
	names := func(target, member string) (names []string) {
		var list []map[string]any
		if err := json.Unmarshal(e.do(t, "GET", target, "").body, &list); err != nil {
			t.Fatal(err)
		}
		for _, identity := range list {
			names = append(names, identity[member].(string))
		}
		return names
	}
	for target, want := range map[string][]string{
		"/devices" + version:            {"d1", "d2", "d3"},
		"/devices/" + version:           {"d1", "d2", "d3"},
		"/devices" + version + "&top=2": {"d1", "d2"},
	} {
		if diff := cmp.Diff(want, names(target, "deviceId")); diff != "" {
			t.Errorf("%s (-want +got):\n%s", target, diff)
		}
	}
	if diff := cmp.Diff([]string{"m1"}, names("/devices/d1/modules"+version, "moduleId")); diff != "" {
		t.Errorf("modules (-want +got):\n%s", diff)
	}
	if got := string(e.do(t, "GET", "/devices/d3/modules"+version, "").body); got != "[]\n" {
		t.Errorf("modules of a device without modules: %s, want []", got)
	}
	statistics := string(e.do(t, "GET", "/statistics/devices"+version, "").body)
	if want := `{"totalDeviceCount":3,"enabledDeviceCount":1,"disabledDeviceCount":2}` + "\n"; statistics != want {
		t.Errorf("statistics: got %s, want %s", statistics, want)
	}
	e.store.SetConnected(store.ID{Device: "d1"}, true)
	e.store.SetConnected(module, true)
	if got, want := string(e.do(t, "GET", "/statistics/service"+version, "").body), `{"connectedDeviceCount":1}`+"\n"; got != want {
		t.Errorf("service statistics: got %s, want %s", got, want)
	}
	for _, target := range []string{"/devices/d1/modules/m1", "/devices/d3"} {
		if got := e.do(t, "DELETE", target+version, "", "If-Match", `"*"`); got.status != 204 || len(got.body) > 0 {
			t.Errorf("DELETE %s: %d %s, want 204 and nothing", target, got.status, got.body)
		}
		if got := e.do(t, "GET", target+version, ""); got.status != 404 {
			t.Errorf("GET %s after DELETE: %d, want 404", target, got.status)
		}
	}
}

func TestRegistry_errors(t *testing.T) {
	const match = `"*"`
	e := start(t)
	if got := e.do(t, "PUT", "/devices/off"+version, `{"deviceId":"off","status":"disabled"}`); got.status != 200 {
		t.Fatalf("status %d: %s", got.status, got.body)
	}
	tests := []struct {
		name, method, target, body, ifMatch string
		status                              int
		code                                string
	}{
		{"device exists", "PUT", "/devices/d1", `{"deviceId":"d1"}`, "", 409, "DeviceAlreadyExists"},
		{"module exists", "PUT", "/devices/d1/modules/m1", `{"deviceId":"d1","moduleId":"m1"}`, "", 409, "ModuleAlreadyExistsOnDevice"},
		{"module of no device", "PUT", "/devices/d9/modules/m1", `{"deviceId":"d9","moduleId":"m1"}`, "", 404, "DeviceNotFound"},
		{"update of nothing", "PUT", "/devices/d9", `{"deviceId":"d9"}`, match, 404, "DeviceNotFound"},
		{"old etag", "PUT", "/devices/d1", `{"deviceId":"d1"}`, `"old"`, 412, "PreconditionFailed"},
		{"other id", "PUT", "/devices/d9", `{"deviceId":"d8"}`, "", 400, "ArgumentInvalid"},
		{"bad id", "PUT", "/devices/a%20b", `{"deviceId":"a b"}`, "", 400, "ArgumentInvalid"},
		{"bad status", "PUT", "/devices/d9", `{"deviceId":"d9","status":"asleep"}`, "", 400, "ArgumentInvalid"},
		{"bad key", "PUT", "/devices/d9", `{"deviceId":"d9","authentication":{"symmetricKey":{"primaryKey":"x"}}}`, "", 400, "ArgumentInvalid"},
		{"no JSON", "PUT", "/devices/d9", `{"deviceId"`, "", 400, "ArgumentInvalid"},
		{"too large", "PUT", "/devices/d9", `{"deviceId":"` + strings.Repeat("x", 513*1024) + `"}`, "", 413, "MessageTooLarge"},
		{"get nothing", "GET", "/devices/d9", "", "", 404, "DeviceNotFound"},
		{"get no module", "GET", "/devices/d1/modules/m9", "", "", 404, "ModuleNotFound"},
		{"modules of nothing", "GET", "/devices/d9/modules", "", "", 404, "DeviceNotFound"},
		{"delete nothing", "DELETE", "/devices/d9", "", match, 404, "DeviceNotFound"},
		{"delete with an old etag", "DELETE", "/devices/d1", "", `"old"`, 412, "PreconditionFailed"},
		{"top 0", "GET", "/devices?top=0", "", "", 400, "ArgumentInvalid"},
		{"top 1001", "GET", "/devices?top=1001", "", "", 400, "ArgumentInvalid"},
		{"many at once", "POST", "/devices", "[]", "", 404, "NotFound"},
		{"method of a disabled device", "POST", "/twins/off/methods", `{"methodName":"m"}`, "", 404, "DeviceNotFound"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			target := tt.target + version
			if strings.Contains(tt.target, "?") {
				target = tt.target + strings.Replace(version, "?", "&", 1)
			}
			headers := []string{}
			if tt.ifMatch != "" {
				headers = []string{"If-Match", tt.ifMatch}
			}
			got := e.do(t, tt.method, target, tt.body, headers...)
			if got.status != tt.status || got.header.Get("iothub-errorcode") != tt.code {
				t.Errorf("got %d %q, want %d %q", got.status, got.header.Get("iothub-errorcode"), tt.status, tt.code)
			}
			if want := "ErrorCode:" + tt.code + ";"; !strings.HasPrefix(got.message(t), want) {
				t.Errorf("message %q, want prefix %q", got.message(t), want)
			}
		})
	}
}

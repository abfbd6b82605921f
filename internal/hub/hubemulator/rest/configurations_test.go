package rest_test

import (
	"encoding/json"
	"fmt"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"

	"rtsptunnel/internal/hub/hubemulator/store"
)

const (
	standard = `{"modulesContent":{"$edgeAgent":{"properties.desired":{"modules":{"m":{}}}},"m":{"properties.desired":{"a":1}}}}`
	empty    = `{"modulesContent":{"$edgeAgent":{}}}`
)

func (e *env) createEdgeDevice(t *testing.T, device string) {
	t.Helper()
	if _, err := e.store.Create(store.ID{Device: device}, store.Settings{IoTEdge: true}); err != nil {
		t.Fatal(err)
	}
}

// configuration is the body of a request to create or update a configuration.
func configuration(id, target, content, more string) string {
	return fmt.Sprintf(`{"id":%q,"schemaVersion":"1.0","targetCondition":%q,"priority":1,"content":%s%s}`, id, target, content, more)
}

func (e *env) put(t *testing.T, id, body string, headers ...string) answer {
	t.Helper()
	return e.do(t, "PUT", "/configurations/"+id+version, body, headers...)
}

// wantConfiguration is the JSON of the configuration that TestConfigurations creates.
func wantConfiguration(t *testing.T) map[string]any {
	t.Helper()
	applied := "select deviceId from devices.modules where moduleId = '$edgeAgent' and configurations.[[c1]].status = 'Applied'"
	reported := applied + " and properties.desired.$version = properties.reported.lastDesiredVersion and properties.reported.lastDesiredStatus.code "
	var content map[string]any
	if err := json.Unmarshal([]byte(standard), &content); err != nil {
		t.Fatal(err)
	}
	return map[string]any{
		"id": "c1", "schemaVersion": "1.0", "priority": 1.0, "targetCondition": "deviceId = 'edge1'", "etag": "MQ==",
		"labels": map[string]any{"l": "v"}, "content": content,
		"systemMetrics": map[string]any{
			"queries": map[string]any{
				"targetedCount":           "select deviceId from devices where capabilities.iotEdge = true and (deviceId = 'edge1')",
				"appliedCount":            applied,
				"reportedSuccessfulCount": reported + "= 200",
				"reportedFailedCount":     reported + "!= 200",
			},
			"results": map[string]any{"targetedCount": 1.0, "appliedCount": 1.0, "reportedSuccessfulCount": 0.0, "reportedFailedCount": 0.0},
		},
		"metrics": map[string]any{
			"queries": map[string]any{"mine": "SELECT deviceId FROM devices.modules WHERE moduleId = 'm'"},
			"results": map[string]any{"mine": 1.0},
		},
	}
}

func TestConfigurations(t *testing.T) {
	e := start(t)
	e.createEdgeDevice(t, "edge1")
	body := configuration("c1", "deviceId = 'edge1'", standard, `,"labels":{"l":"v"},"metrics":{"queries":{"mine":"SELECT deviceId FROM devices.modules WHERE moduleId = 'm'"}},"etag":"x"`)
	created := e.put(t, "c1", body)
	if created.status != 200 {
		t.Fatalf("status %d: %s", created.status, created.body)
	}
	got := decode(t, created)
	want := wantConfiguration(t)
	times := cmpopts.IgnoreMapEntries(func(name string, _ any) bool { return strings.HasSuffix(name, "TimeUtc") })
	if d := cmp.Diff(want, got, times); d != "" || got["createdTimeUtc"] != got["lastUpdatedTimeUtc"] || got["createdTimeUtc"] == zeroTime {
		t.Errorf("created at %v, changed at %v, (-want +got):\n%s", got["createdTimeUtc"], got["lastUpdatedTimeUtc"], d)
	}
	if created.header.Get("ETag") != `"MQ=="` {
		t.Errorf("ETag %s", created.header.Get("ETag"))
	}
	if read := e.do(t, "GET", "/configurations/c1"+version, ""); string(read.body) != string(created.body) {
		t.Errorf("PUT and GET differ:\n%s\n%s", created.body, read.body)
	}
	// A configuration can be sent back as it was read.
	updated := e.put(t, "c1", strings.Replace(string(created.body), `"priority":1`, `"priority":7`, 1), "If-Match", `"MQ=="`)
	if got := decode(t, updated); updated.status != 200 || got["priority"] != 7.0 || got["etag"] != "Mg==" {
		t.Errorf("updated: %d %s", updated.status, updated.body)
	}
	if gone := e.do(t, "DELETE", "/configurations/c1"+version, ""); gone.status != 204 {
		t.Errorf("deleted: %d %s", gone.status, gone.body)
	}
	if read := e.do(t, "GET", "/configurations/c1"+version, ""); read.status != 404 {
		t.Errorf("read after deletion: %d", read.status)
	}
}

// A status that the edge agent reports counts only for the current version of its desired
// properties.
func TestConfigurations_reportedCounts(t *testing.T) {
	e := start(t)
	for _, device := range []string{"good", "bad", "late", "silent", "elsewhere"} {
		e.createEdgeDevice(t, device)
	}
	e.put(t, "c", configuration("c", "deviceId != 'elsewhere'", standard, ""))
	for device, report := range map[string]string{
		"good": `{"lastDesiredVersion":2,"lastDesiredStatus":{"code":200}}`,
		"bad":  `{"lastDesiredVersion":2,"lastDesiredStatus":{"code":500}}`,
		"late": `{"lastDesiredVersion":1,"lastDesiredStatus":{"code":200}}`,
	} {
		patch, err := store.ParsePatch([]byte(report))
		if err == nil {
			_, _, err = e.store.PatchReported(store.ID{Device: device, Module: "$edgeAgent"}, patch)
		}
		if err != nil {
			t.Fatal(err)
		}
	}
	got := decode(t, e.do(t, "GET", "/configurations/c"+version, ""))["systemMetrics"].(map[string]any)["results"]
	want := map[string]any{"targetedCount": 4.0, "appliedCount": 4.0, "reportedSuccessfulCount": 1.0, "reportedFailedCount": 1.0}
	if d := cmp.Diff(want, got); d != "" {
		t.Errorf("(-want +got):\n%s", d)
	}
	twin := decode(t, e.do(t, "GET", "/twins/good/modules/$edgeAgent"+version, ""))
	if d := cmp.Diff(map[string]any{"c": map[string]any{"status": "Applied"}}, twin["configurations"]); d != "" {
		t.Errorf("configurations of the twin (-want +got):\n%s", d)
	}
}

func TestConfigurations_list(t *testing.T) {
	e := start(t)
	for _, id := range []string{"b", "a", "c"} {
		e.put(t, id, configuration(id, "", empty, ""))
	}
	for query, want := range map[string][]any{"": {"a", "b", "c"}, "&top=2": {"a", "b"}, "&top=900": {"a", "b", "c"}} {
		got := e.do(t, "GET", "/configurations"+version+query, "")
		var list []map[string]any
		if err := json.Unmarshal(got.body, &list); err != nil {
			t.Fatal(err)
		}
		ids := []any{}
		for _, c := range list {
			ids = append(ids, c["id"])
		}
		if d := cmp.Diff(want, ids); d != "" {
			t.Errorf("%s (-want +got):\n%s", query, d)
		}
	}
	if got := e.do(t, "GET", "/configurations"+version+"&top=0", ""); got.status != 400 {
		t.Errorf("top=0: %d", got.status)
	}
}

const sixMetrics = `,"metrics":{"queries":{"1":"SELECT * FROM devices","2":"","3":"","4":"","5":"","6":""}}`

var changedContent = strings.Replace(standard, `"a":1`, `"a":2`, 1)

// newConfiguration is the body of a request for the configuration x.
func newConfiguration(target, content, more string) string {
	return configuration("x", target, content, more)
}

// refusedConfigurations are requests to create a configuration, or to update one if
// ifMatch is set, in a hub that has the configuration "there".
var refusedConfigurations = []struct {
	name, id, body string
	ifMatch        string
	status         int
	code, says     string
}{
	{"twice", "there", configuration("there", "", standard, ""), "", 409, "ConfigurationAlreadyExists", "there"},
	{"etag without quotes is ignored", "there", configuration("there", "", standard, ""), "MQ==", 409, "ConfigurationAlreadyExists", ""},
	{"old etag", "there", configuration("there", "", standard, ""), `"Mg=="`, 412, "PreconditionFailed", ""},
	{"other content", "there", configuration("there", "", changedContent, ""), `"*"`, 400, "CannotModifyImmutableConfigurationContent", "cannot be changed"},
	{"no content in an update", "there", `{"id":"there"}`, `"*"`, 400, "InvalidConfigurationContent", ""},
	{"update of nothing", "x", newConfiguration("", standard, ""), `"*"`, 404, "ConfigurationNotFound", "x"},
	{"capital letters", "X", configuration("X", "", standard, ""), "", 400, "ArgumentInvalid", "lower case"},
	{"too long", strings.Repeat("x", 129), configuration(strings.Repeat("x", 129), "", standard, ""), "", 400, "ArgumentInvalid", "128"},
	{"other id in the body", "y", newConfiguration("", standard, ""), "", 400, "ArgumentInvalid", "path"},
	{"no JSON", "x", "{", "", 400, "ArgumentInvalid", ""},
	{"negative priority", "x", strings.Replace(newConfiguration("", standard, ""), `"priority":1`, `"priority":-1`, 1), "", 400, "ArgumentInvalid", "priority"},
	{"schema version", "x", strings.Replace(newConfiguration("", standard, ""), `"1.0"`, `"3.0"`, 1), "", 400, "ArgumentInvalid", "schemaVersion"},
	{"no $edgeAgent", "x", newConfiguration("", `{"modulesContent":{}}`, ""), "", 400, "InvalidConfigurationContent", ""},
	{"device content", "x", newConfiguration("", `{"deviceContent":{"properties.desired.a":1}}`, ""), "", 400, "InvalidConfigurationContent", "not emulated"},
	{"condition", "x", newConfiguration("tags.a == 1", standard, ""), "", 400, "InvalidConfigurationTargetCondition", "position"},
	{"condition about status", "x", newConfiguration("status = 'enabled'", standard, ""), "", 400, "InvalidConfigurationTargetCondition", "tags"},
	{"condition about desired properties", "x", newConfiguration("properties.desired.a = 1", standard, ""), "", 400, "InvalidConfigurationTargetCondition", "reported"},
	{"double quotes", "x", newConfiguration(`tags.a = "b"`, standard, ""), "", 400, "InvalidConfigurationTargetCondition", "double quotes"},
	{"query instead of a condition", "x", newConfiguration("SELECT * FROM devices", standard, ""), "", 400, "InvalidConfigurationTargetCondition", ""},
	{"metric", "x", newConfiguration("", standard, `,"metrics":{"queries":{"n":"SELECT"}}`), "", 400, "InvalidConfigurationCustomMetricsQuery", `"n"`},
	{"metrics", "x", newConfiguration("", standard, sixMetrics), "", 400, "InvalidConfigurationCustomMetricsQuery", "5"},
}

func TestConfigurations_refused(t *testing.T) {
	e := start(t)
	if made := e.put(t, "there", configuration("there", "*", standard, "")); made.status != 200 {
		t.Fatalf("status %d: %s", made.status, made.body)
	}
	for _, tt := range refusedConfigurations {
		t.Run(tt.name, func(t *testing.T) {
			var headers []string
			if tt.ifMatch != "" {
				headers = []string{"If-Match", tt.ifMatch}
			}
			before := e.store.Revision()
			got := e.put(t, tt.id, tt.body, headers...)
			if code := got.header.Get("iothub-errorcode"); got.status != tt.status || code != tt.code || !strings.Contains(got.message(t), tt.says) {
				t.Errorf("got %d %s %s, want %d %s", got.status, code, got.body, tt.status, tt.code)
			}
			if e.store.Revision() != before {
				t.Error("the revision has changed")
			}
		})
	}
	for _, method := range []string{"GET", "DELETE"} {
		if got := e.do(t, method, "/configurations/x"+version, ""); got.status != 404 || got.header.Get("iothub-errorcode") != "ConfigurationNotFound" {
			t.Errorf("%s of an unknown configuration: %d %s", method, got.status, got.body)
		}
	}
	if got := e.do(t, "DELETE", "/configurations/there"+version, "", "If-Match", `"Mg=="`); got.status != 412 {
		t.Errorf("DELETE with an old etag: %d", got.status)
	}
}

func TestConfigurations_hundredAtMost(t *testing.T) {
	e := start(t)
	for i := range 100 {
		id := fmt.Sprintf("c-%d", i)
		if got := e.put(t, id, configuration(id, "", empty, "")); got.status != 200 {
			t.Fatalf("%s: %d %s", id, got.status, got.body)
		}
	}
	got := e.put(t, "more", configuration("more", "", empty, ""))
	if code := got.header.Get("iothub-errorcode"); got.status != 413 || code != "ConfigurationCountLimitExceeded" {
		t.Errorf("got %d %s", got.status, code)
	}
}

func TestTestQueries(t *testing.T) {
	e := start(t)
	body := `{"targetCondition":"tags.a = 'b'","customMetricQueries":{"good":"SELECT deviceId FROM devices"}}`
	got := e.do(t, "POST", "/configurations/testQueries"+version, body)
	if want := `{"targetConditionError":"","customMetricQueryErrors":{}}`; got.status != 200 || strings.TrimSpace(string(got.body)) != want {
		t.Errorf("got %d %s", got.status, got.body)
	}
	body = `{"targetCondition":"status = 'x'","customMetricQueries":{"bad":"SELECT","good":"SELECT deviceId FROM devices"}}`
	got = e.do(t, "POST", "/configurations/testQueries"+version, body)
	var answer struct {
		Target  string            `json:"targetConditionError"`
		Metrics map[string]string `json:"customMetricQueryErrors"`
	}
	if err := json.Unmarshal(got.body, &answer); err != nil || got.status != 200 || !strings.Contains(answer.Target, "status") ||
		len(answer.Metrics) != 1 || answer.Metrics["bad"] == "" {
		t.Errorf("got %d %s (%v)", got.status, got.body, err)
	}
}

func TestApplyConfigurationContent(t *testing.T) {
	e := start(t)
	e.createEdgeDevice(t, "edge1")
	apply := func(device, content string) answer {
		return e.do(t, "POST", "/devices/"+device+"/applyConfigurationContent"+version, content)
	}
	if got := apply("edge1", standard); got.status != 204 || len(got.body) > 0 {
		t.Fatalf("got %d %s", got.status, got.body)
	}
	twin := decode(t, e.do(t, "GET", "/twins/edge1/modules/m"+version, ""))
	if a := twin["properties"].(map[string]any)["desired"].(map[string]any)["a"]; a != 1.0 {
		t.Errorf("the twin has %v", twin)
	}
	if managedBy := decode(t, e.do(t, "GET", "/devices/edge1/modules/m"+version, ""))["managedBy"]; managedBy != "IotEdge" {
		t.Errorf("managed by %v", managedBy)
	}
	for name, tt := range map[string]struct {
		device, content string
		status          int
		code, says      string
	}{
		"unknown device":  {"unknown", standard, 404, "DeviceNotFound", "unknown"},
		"no edge device":  {"d1", standard, 400, "ArgumentInvalid", "not an Azure IoT Edge device"},
		"no JSON":         {"edge1", "{", 400, "ArgumentInvalid", ""},
		"no content":      {"edge1", "{}", 400, "InvalidConfigurationContent", "modulesContent is missing"},
		"no object":       {"edge1", "[]", 400, "InvalidConfigurationContent", ""},
		"bad key":         {"edge1", `{"modulesContent":{"$edgeAgent":{},"m":{"desired":{}}}}`, 400, "InvalidConfigurationContent", "m: "},
		"a limit of twin": {"edge1", `{"modulesContent":{"$edgeAgent":{},"m":{"properties.desired":{"a b":1}}}}`, 400, "ArgumentInvalid", "blanks"},
	} {
		got := apply(tt.device, tt.content)
		if code := got.header.Get("iothub-errorcode"); got.status != tt.status || code != tt.code || !strings.Contains(got.message(t), tt.says) {
			t.Errorf("%s: got %d %s %s, want %d %s", name, got.status, code, got.body, tt.status, tt.code)
		}
	}
}

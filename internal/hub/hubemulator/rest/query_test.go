package rest_test

import (
	"encoding/json"
	"fmt"
	"maps"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"rtsptunnel/internal/hub/hubemulator/store"
)

const queryPath = "/devices/query" + version

// query sends a query; headers are as for do.
func (e *env) query(t *testing.T, text string, headers ...string) answer {
	t.Helper()
	body, err := json.Marshal(map[string]string{"query": text})
	if err != nil {
		t.Fatal(err)
	}
	return e.do(t, "POST", queryPath, string(body), headers...)
}

// found returns the IDs of the twins in a response.
func found(t *testing.T, a answer) []string {
	t.Helper()
	if a.status != 200 || a.header.Get("x-ms-item-type") != "Twin" {
		t.Fatalf("status %d, item type %q: %s", a.status, a.header.Get("x-ms-item-type"), a.body)
	}
	var twins []struct{ DeviceID, ModuleID string }
	if err := json.Unmarshal(a.body, &twins); err != nil || twins == nil {
		t.Fatalf("%v in %s", err, a.body)
	}
	ids := []string{}
	for _, twin := range twins {
		ids = append(ids, store.ID{Device: twin.DeviceID, Module: twin.ModuleID}.String())
	}
	return ids
}

func (e *env) ensure(t *testing.T, ids ...store.ID) {
	t.Helper()
	for _, id := range ids {
		if _, err := e.store.Ensure(id); err != nil {
			t.Fatal(err)
		}
	}
}

func TestQuery_findsTwins(t *testing.T) {
	e := start(t)
	e.ensure(t, store.ID{Device: "d3"}, store.ID{Device: "d2", Module: "m2"}, store.ID{Device: "d2", Module: "m1"})
	if _, err := e.store.UpdateTwin(store.ID{Device: "d2"}, store.TwinUpdate{Tags: store.Patch{"plant": "a"}}, ""); err != nil {
		t.Fatal(err)
	}
	tests := []struct {
		query string
		want  []string
	}{
		{"SELECT * FROM devices", []string{"d1", "d2", "d3"}},
		{"SELECT * FROM devices.modules", []string{"d1/m1", "d2/m1", "d2/m2"}},
		{"SELECT * FROM devices WHERE tags.plant = 'a'", []string{"d2"}},
		{"SELECT * FROM devices WHERE NOT IS_DEFINED(tags.plant)", []string{"d1", "d3"}},
		{"SELECT * FROM devices WHERE IS_DEFINED(moduleId) OR tags.plant = 'b'", []string{}},
		{"SELECT * FROM devices.modules WHERE moduleId = 'm1' AND deviceId IN ['d2', 'd3']", []string{"d2/m1"}},
	}
	for _, tt := range tests {
		if diff := cmp.Diff(tt.want, found(t, e.query(t, tt.query))); diff != "" {
			t.Errorf("%s (-want +got):\n%s", tt.query, diff)
		}
	}
	// amenzhinsky/iothub writes the member in upper case.
	if got := found(t, e.do(t, "POST", queryPath, `{"Query":"SELECT * FROM devices WHERE deviceId = 'd3'"}`)); len(got) != 1 {
		t.Errorf("found %v, want d3", got)
	}
}

func TestQuery_selects(t *testing.T) {
	e := start(t)
	e.ensure(t, store.ID{Device: "d2"}, store.ID{Device: "d3"})
	update := store.TwinUpdate{Tags: store.Patch{"n": json.Number("1.50"), "o": map[string]any{"p": true}}}
	if _, err := e.store.UpdateTwin(store.ID{Device: "d2"}, update, ""); err != nil {
		t.Fatal(err)
	}
	const columns = "SELECT DeviceId, LastActivityTime AS seen, tags.n, tags.o FROM devices WHERE deviceId != 'd1'"
	tests := []struct {
		query string
		more  bool
		want  string
	}{
		{columns, true, `[{"deviceId":"d2","n":1.50,"o":{"p":true},"seen":"` + zeroTime + `"}]`},
		{columns, false, `[{"deviceId":"d3","seen":"` + zeroTime + `"}]`},
		{"SELECT tags.none FROM devices WHERE deviceId = 'd1'", false, `[{}]`},
		{"SELECT COUNT() AS n FROM devices WHERE deviceId > 'd1'", false, `[{"n":2}]`},
		{"SELECT COUNT() AS n FROM devices.modules WHERE deviceId = 'x'", false, `[{"n":0}]`},
	}
	token := ""
	for _, tt := range tests {
		headers := []string{"x-ms-max-item-count", "1"}
		if token != "" {
			headers = append(headers, "x-ms-continuation", token)
		}
		got := e.query(t, tt.query, headers...)
		token = got.header.Get("x-ms-continuation")
		if strings.TrimSpace(string(got.body)) != tt.want || got.header.Get("x-ms-item-type") != "Raw" || (token != "") != tt.more {
			t.Errorf("%s: got %s %q, token %q; want %s", tt.query, got.body, got.header.Get("x-ms-item-type"), token, tt.want)
		}
	}
}

// A query returns the same JSON as GET of the twin, and finds the twin by every value in
// it.
func TestQuery_findsByEveryValue(t *testing.T) {
	e := start(t)
	device := store.ID{Device: "d2"}
	settings := store.Settings{IoTEdge: true, StatusReason: "why", Authentication: store.Authentication{
		Type: store.AuthSelfSigned, PrimaryThumbprint: strings.Repeat("A", 40),
	}}
	if _, err := e.store.Create(device, settings); err != nil {
		t.Fatal(err)
	}
	target := store.ID{Device: "d2", Module: "m2"}
	e.ensure(t, target, store.ID{Device: "d3", Module: "m3"})
	e.store.SetConnected(device, true)
	statuses := map[string]map[string]string{"m2": {"a-configuration": "Applied"}}
	if _, err := e.store.Deploy("d2", store.Deployment{Statuses: statuses}); err != nil {
		t.Fatal(err)
	}
	for _, id := range []store.ID{device, target} {
		update := store.TwinUpdate{
			Tags:    store.Patch{"a-b": map[string]any{"c": json.Number("1.5")}, "off": false},
			Desired: store.Patch{"list": []any{json.Number("4503599627370495"), nil, map[string]any{"x": "y'\"\\"}}},
		}
		if _, err := e.store.UpdateTwin(id, update, ""); err != nil {
			t.Fatal(err)
		}
		if _, _, err := e.store.PatchReported(id, store.Patch{"r": "ü"}); err != nil {
			t.Fatal(err)
		}
		if err := e.store.SetModelID(id, "dtmi:example:Thing;1"); err != nil {
			t.Fatal(err)
		}
	}
	only := map[string]string{"devices": "deviceId = 'd2'", "devices.modules": "deviceId = 'd2' AND moduleId = 'm2'"}
	for collection, path := range map[string]string{"devices": "/twins/d2", "devices.modules": "/twins/d2/modules/m2"} {
		twin := e.do(t, "GET", path+version, "")
		got := e.query(t, "SELECT * FROM "+collection+" WHERE "+only[collection])
		if want := "[" + strings.TrimSpace(string(twin.body)) + "]\n"; string(got.body) != want {
			t.Errorf("query and GET differ:\n%s\n%s", got.body, want)
		}
		conditions := conditionsOf("", decode(t, twin))
		if len(conditions) < 25 {
			t.Fatalf("only %d values: %v", len(conditions), conditions)
		}
		for _, condition := range conditions {
			text := "SELECT * FROM " + collection + " WHERE " + only[collection] + " AND " + condition
			if ids := found(t, e.query(t, text)); len(ids) != 1 {
				t.Errorf("%s: found %v", text, ids)
			}
		}
	}
}

// conditionsOf returns a condition for every primitive value below a path.
func conditionsOf(path string, value any) []string {
	var conditions []string
	switch value := value.(type) {
	case map[string]any:
		for _, name := range slices.Sorted(maps.Keys(value)) {
			conditions = append(conditions, conditionsOf(strings.TrimPrefix(path+".[["+name+"]]", "."), value[name])...)
		}
	case []any:
		for i, element := range value {
			conditions = append(conditions, conditionsOf(path+"["+strconv.Itoa(i)+"]", element)...)
		}
	case string:
		literal := strings.NewReplacer(`\`, `\\`, `'`, `\'`).Replace(value)
		conditions = append(conditions, path+" = '"+literal+"'")
	case float64:
		conditions = append(conditions, path+" = "+strconv.FormatFloat(value, 'f', -1, 64))
	default:
		conditions = append(conditions, path+" = "+strings.Replace(fmt.Sprint(value), "<nil>", "null", 1))
	}
	return conditions
}

func TestQuery_pages(t *testing.T) {
	e := start(t)
	for i := range 230 {
		e.ensure(t, store.ID{Device: fmt.Sprintf("p%03d", i), Module: "m"})
	}
	tests := []struct {
		name, query, size string
		sizes             []int
	}{
		{"default", "SELECT * FROM devices WHERE STARTSWITH(deviceId, 'p')", "", []int{100, 100, 30}},
		{"modules", "SELECT * FROM devices.modules WHERE STARTSWITH(deviceId, 'p')", "", []int{100, 100, 30}},
		{"smaller", "SELECT * FROM devices WHERE STARTSWITH(deviceId, 'p0')", "40", []int{40, 40, 20}},
		{"ends with a page", "SELECT * FROM devices WHERE STARTSWITH(deviceId, 'p0')", "50", []int{50, 50}},
		{"larger than allowed", "SELECT * FROM devices WHERE STARTSWITH(deviceId, 'p')", "1000", []int{100, 100, 30}},
		{"larger than a number", "SELECT * FROM devices WHERE deviceId = 'p000'", "99999999999999999999", []int{1}},
		{"one by one", "SELECT * FROM devices WHERE STARTSWITH(deviceId, 'p00')", "1", []int{1, 1, 1, 1, 1, 1, 1, 1, 1, 1}},
		{"nothing", "SELECT * FROM devices WHERE deviceId = 'x'", "", []int{0}},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			var headers []string
			if tt.size != "" {
				headers = []string{"x-ms-max-item-count", tt.size}
			}
			var all []string
			for i, size := range tt.sizes {
				page := e.query(t, tt.query, headers...)
				ids := found(t, page)
				token := page.header.Get("x-ms-continuation")
				if last := i == len(tt.sizes)-1; len(ids) != size || last != (token == "") {
					t.Fatalf("page %d has %d twins and token %q, want %d; last page: %v", i, len(ids), token, size, last)
				}
				all = append(all, ids...)
				headers = append(slices.Clip(headers), "x-ms-continuation", token)
			}
			if !slices.IsSorted(all) || len(slices.Compact(slices.Clone(all))) != len(all) {
				t.Errorf("not in order, or not unique: %v", all)
			}
		})
	}
}

// Twins that are created or deleted between two pages do not change the pages of others.
func TestQuery_pagesWhileTwinsChange(t *testing.T) {
	const text = "SELECT * FROM devices WHERE STARTSWITH(deviceId, 'p')"
	e := start(t)
	for _, name := range []string{"p1", "p2", "p3", "p4", "p5"} {
		e.ensure(t, store.ID{Device: name})
	}
	first := e.query(t, text, "x-ms-max-item-count", "3")
	for _, name := range []string{"p1", "p3"} {
		if _, err := e.store.Delete(store.ID{Device: name}, ""); err != nil {
			t.Fatal(err)
		}
	}
	e.ensure(t, store.ID{Device: "p0"}, store.ID{Device: "p6"})
	second := e.query(t, text, "x-ms-max-item-count", "3", "x-ms-continuation", first.header.Get("x-ms-continuation"))
	if diff := cmp.Diff([]string{"p4", "p5", "p6"}, found(t, second)); diff != "" {
		t.Errorf("second page (-want +got):\n%s", diff)
	}
}

func TestQuery_refuses(t *testing.T) {
	e := start(t)
	e.ensure(t, store.ID{Device: "d2"})
	const all = "SELECT * FROM devices"
	token := e.query(t, all, "x-ms-max-item-count", "1").header.Get("x-ms-continuation")
	tests := []struct {
		name, query string
		headers     []string
		want        string
	}{
		{"not supported", all + " ORDER BY deviceId", nil, "position 23, token ORDER: ORDER BY is not supported"},
		{"empty", "", nil, "position 1, end of the query: "},
		{"size 0", all, []string{"x-ms-max-item-count", "0"}, "x-ms-max-item-count"},
		{"size -1", all, []string{"x-ms-max-item-count", "-1"}, "x-ms-max-item-count"},
		{"size below numbers", all, []string{"x-ms-max-item-count", "-99999999999999999999"}, "x-ms-max-item-count"},
		{"size x", all, []string{"x-ms-max-item-count", "x"}, "x-ms-max-item-count"},
		{"token x", all, []string{"x-ms-continuation", "x"}, "not a token"},
		{"token of base64", all, []string{"x-ms-continuation", "AAAA"}, "not a token"},
		{"token of JSON", all, []string{"x-ms-continuation", "e30="}, "not a token"},
		{"token of another query", all + " WHERE true", []string{"x-ms-continuation", token}, "another query"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			got := e.query(t, tt.query, tt.headers...)
			if got.status != 400 || got.header.Get("iothub-errorcode") != "ArgumentInvalid" {
				t.Fatalf("got %d %q, want 400 ArgumentInvalid", got.status, got.header.Get("iothub-errorcode"))
			}
			text, isForm := strings.CutPrefix(got.message(t), "ErrorCode:ArgumentInvalid;")
			// Microsoft's Node SDK shows the text up to the next semicolon.
			text, _, _ = strings.Cut(text, ";")
			if !isForm || !strings.Contains(text, tt.want) {
				t.Errorf("message %q, want %q in it", got.message(t), tt.want)
			}
		})
	}
	if got := e.do(t, "POST", queryPath, `{"query":`); got.status != 400 {
		t.Errorf("no JSON: status %d, want 400", got.status)
	}
}

// 10,000 devices take about 0.1 s; the bound is for a busy machine.
func TestQuery_manyDevices(t *testing.T) {
	const devices, bound = 10_000, 5 * time.Second
	e := start(t)
	tags := store.TwinUpdate{Tags: store.Patch{"plant": "a", "location": map[string]any{"floor": json.Number("1")}}}
	for i := range devices {
		id := store.ID{Device: fmt.Sprintf("p%05d", i)}
		e.ensure(t, id)
		if _, err := e.store.UpdateTwin(id, tags, ""); err != nil {
			t.Fatal(err)
		}
	}
	begin := time.Now()
	got := found(t, e.query(t, "SELECT * FROM devices WHERE tags.location.floor > 1 OR deviceId = 'p09999'"))
	if took := time.Since(begin); len(got) != 1 || took > bound {
		t.Errorf("found %v after %v, want one device within %v", got, took, bound)
	} else {
		t.Logf("took %v", took)
	}
}

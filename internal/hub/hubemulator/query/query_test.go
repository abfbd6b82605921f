package query_test

import (
	"bytes"
	"encoding/json"
	"errors"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"rtsptunnel/internal/hub/hubemulator/query"
)

// where is the beginning of a query with a condition.
const where = "SELECT * FROM devices WHERE "

// document returns a twin as a hub has it: strings and numbers from JSON, versions and
// times as Go values.
func document(tb testing.TB) query.Document {
	tb.Helper()
	var tags, reported map[string]any
	parse(tb, `{"plant": "Redmond43", "floor": 3, "ratio": 0.5, "on": true, "off": false, "empty": "", "text3": "3",
		"location": {"plant": "Köln"}, "group": "g", "a-b": {"c d": 1}, "list": [10, {"x": "y"}, null],
		"largest": 4503599627370495, "huge": 9007199254740993, "tiny": -1e-3, "Case": 1, "case": 2, "quote": "it's",
		"emoji": "😀"}`, &tags)
	parse(tb, `{"battery": {"level": 55}}`, &reported)
	reported["$version"] = int64(7)
	reported["$metadata"] = map[string]any{"$lastUpdated": time.Date(2026, 1, 2, 3, 4, 5, 600_000_000, time.UTC)}
	return query.Document{
		"deviceId": "d1", "status": "enabled", "connectionState": "Connected", "version": int64(9),
		"x509Thumbprint": map[string]any{"primaryThumbprint": nil},
		"capabilities":   map[string]any{"iotEdge": true},
		"tags":           tags,
		"properties":     map[string]any{"desired": map[string]any{}, "reported": reported},
	}
}

func parse(tb testing.TB, text string, target any) {
	tb.Helper()
	decoder := json.NewDecoder(bytes.NewReader([]byte(text)))
	decoder.UseNumber()
	if err := decoder.Decode(target); err != nil {
		tb.Fatal(err)
	}
}

// matches are conditions with their values for document.
var matches = []struct {
	where string
	want  bool
}{
	// Comparisons.
	{`deviceId = 'd1'`, true},
	{`deviceId = "d1"`, true},
	{`'d1' = deviceId`, true},
	{`deviceId != 'd1'`, false},
	{`deviceId <> 'd2'`, true},
	{`deviceId = 'D1'`, false},
	{`tags.floor = 3`, true},
	{`tags.floor = 3.0`, true},
	{`tags.floor=3`, true},
	{`tags.floor = 0x3`, true},
	{`tags.floor > 3`, false},
	{`tags.floor >= 3`, true},
	{`tags.floor < 3.5`, true},
	{`tags.floor <= 2`, false},
	{`tags.floor > -1`, true},
	{`tags.ratio = .5`, true},
	{`tags.tiny < 0 AND tags.tiny = -0.001`, true},
	{`tags.ratio = 5E-1`, true},
	{`tags.plant > 'Redmond42'`, true},
	{`tags.plant >= 'Redmond5'`, false},
	{`tags.location.plant = 'K\u00f6ln'`, true},
	{`tags.emoji = '\ud83d\ude00'`, true},
	{`tags.quote = 'it\'s'`, true},
	{`tags.quote = 'it''s'`, true},
	{`tags.quote = "it's"`, true},
	{`tags.empty = ''`, true},
	{`tags.on = true`, true},
	{`tags.on = TRUE`, true},
	{`tags.off = true`, false},
	{`tags.off != true`, true},
	{`tags.off < true`, false},
	{`tags.largest = 4503599627370495`, true},
	{`tags.huge = 9007199254740993`, true},
	{`tags.huge = 9007199254740992`, false},
	{`tags.huge = 9007199254740992.0`, false},
	{`tags.huge > 9007199254740992.0`, true},
	{`tags.huge < 99999999999999999999`, true},
	{`version = 9`, true},
	{`properties.reported.$version = 7`, true},
	{`properties.reported.$metadata.$lastUpdated > '2026-01-02T03:04:05.5Z'`, true},
	{`properties.reported.$metadata.$lastUpdated = '2026-01-02T03:04:05.6Z'`, true},
	// Types differ.
	{`tags.floor = '3'`, false},
	{`tags.text3 = 3`, false},
	{`tags.floor != '3'`, true},
	{`tags.floor < '4'`, false},
	{`tags.floor >= '0'`, false},
	{`tags.on = 'true'`, false},
	{`tags.on != null`, true},
	{`x509Thumbprint.primaryThumbprint = null`, true},
	{`x509Thumbprint.primaryThumbprint != null`, false},
	{`x509Thumbprint.primaryThumbprint <= null`, false},
	// Missing, or not primitive.
	{`tags.none = 1`, false},
	{`tags.none != 1`, false},
	{`tags.none = null`, false},
	{`tags.none = tags.none`, false},
	{`tags.none >= 0`, false},
	{`NOT tags.none = 1`, true},
	{`tags.none`, false},
	{`NOT tags.none`, true},
	{`tags.plant.deeper = 1`, false},
	{`tags.location = 'Köln'`, false},
	{`tags.location != 'Köln'`, false},
	{`tags.location = tags.location`, false},
	{`tags.list != 1`, false},
	{`moduleId = 'm1'`, false},
	// Logic.
	{`tags.on`, true},
	{`tags.off`, false},
	{`tags.plant`, false},
	{`tags.location`, false},
	{`true`, true},
	{`1`, false},
	{`NOT NOT tags.on`, true},
	{`NOT tags.on`, false},
	{`tags.on AND tags.off`, false},
	{`tags.on and status = 'enabled' aNd true`, true},
	{`tags.off OR tags.on`, true},
	{`tags.off or false`, false},
	{`tags.on OR tags.off AND tags.off`, true},
	{`(tags.on OR tags.off) AND tags.off`, false},
	{`tags.off AND tags.off OR tags.on`, true},
	{`NOT tags.off AND tags.on`, true},
	{`NOT (tags.off AND tags.on)`, true},
	{`NOT tags.on OR tags.on`, true},
	{`(((tags.floor))) = (3)`, true},
	{`(tags.floor = 3) = true`, true},
	{`(tags.floor = 4) != true`, true},
	// IN.
	{`tags.plant IN ['a', 'Redmond43']`, true},
	{`tags.plant in ['a']`, false},
	{`tags.plant NIN ['a']`, true},
	{`tags.plant NIN ['a', 'Redmond43']`, false},
	{`tags.floor IN ['3', null, false, 3.0]`, true},
	{`tags.floor IN ['3', null, false]`, false},
	{`tags.none IN [null]`, false},
	{`tags.none NIN ['a']`, false},
	{`NOT tags.none IN ['a']`, true},
	{`tags.location NIN ['a']`, false},
	{`deviceId IN ['d1', 'd2'] AND NOT status IN ['disabled']`, true},
	// Functions.
	{`IS_DEFINED(tags.plant)`, true},
	{`is_defined(tags.none)`, false},
	{`NOT IS_DEFINED(tags.none)`, true},
	{`is_defined(tags.location.plant) = true`, true},
	{`IS_DEFINED(tags.location)`, true},
	{`IS_DEFINED(moduleId)`, false},
	{`IS_DEFINED(x509Thumbprint.primaryThumbprint)`, true},
	{`IS_DEFINED(properties.desired)`, true},
	{`IS_NULL(x509Thumbprint.primaryThumbprint)`, true},
	{`IS_NULL(tags.none)`, false},
	{`IS_BOOL(tags.off)`, true},
	{`IS_BOOL(tags.plant)`, false},
	{`IS_NUMBER(tags.tiny)`, true},
	{`IS_NUMBER(version)`, true},
	{`IS_NUMBER(tags.text3)`, false},
	{`IS_STRING(tags.text3)`, true},
	{`IS_STRING(properties.reported.$metadata.$lastUpdated)`, true},
	{`IS_STRING(tags.floor)`, false},
	{`IS_OBJECT(tags.location)`, true},
	{`IS_OBJECT(tags.list)`, false},
	{`IS_PRIMITIVE(tags.plant)`, true},
	{`IS_PRIMITIVE(tags.list)`, false},
	{`IS_PRIMITIVE(tags.none)`, false},
	{`STARTSWITH(tags.plant, 'Red')`, true},
	{`STARTSWITH(devices.deviceId, 'x')`, false},
	{`STARTSWITH(tags.floor, '3')`, false},
	{`STARTSWITH('Redmond43 and more', tags.plant)`, true},
	{`ENDSWITH(tags.plant, '43')`, true},
	{`ENDSWITH(tags.plant, 'Red')`, false},
	// Paths.
	{`DeviceID = 'd1' AND CONNECTIONSTATE = 'Connected'`, true},
	{`Properties.Reported.battery.level = 55`, true},
	{`properties.reported.Battery.level = 55`, false},
	{`tags.Case = 1 AND tags.case = 2`, true},
	{`tags.Plant = 'Redmond43'`, false},
	{`devices.tags.plant = 'Redmond43'`, true},
	{`capabilities.iotEdge = true`, true},
	{`tags.[[group]] = 'g'`, true},
	{`tags.[[a-b]].[[c d]] = 1`, true},
	{`[[tags]].[[plant]] = 'Redmond43'`, true},
	{`tags.list[0] = 10`, true},
	{`tags.list[1].x = 'y'`, true},
	{`IS_NULL(tags.list[2])`, true},
	{`IS_DEFINED(tags.list[3])`, false},
	{`IS_DEFINED(tags.location[0])`, false},
	{`IS_DEFINED(tags.list.x)`, false},
	{"tags.floor\n\t=\r\n3", true},
}

func TestMatches(t *testing.T) {
	d := document(t)
	for _, tt := range matches {
		t.Run(tt.where, func(t *testing.T) {
			q, err := query.Parse(where + tt.where)
			if err != nil {
				t.Fatal(err)
			}
			if got := q.Matches(d); got != tt.want {
				t.Errorf("got %v, want %v", got, tt.want)
			}
		})
	}
}

func TestParse_collections(t *testing.T) {
	tests := map[string]query.Collection{
		"SELECT * FROM devices":                                               query.Devices,
		"select*from Devices":                                                 query.Devices,
		"SELECT * FROM devices.modules":                                       query.Modules,
		"Select * from devices.modules where deviceId = 'd1'":                 query.Modules,
		"SELECT * FROM devices.modules WHERE devices.modules.deviceId = 'd1'": query.Modules,
		"SELECT * FROM devices WHERE " + strings.Repeat("(", 100) + "true" + strings.Repeat(")", 100): query.Devices,
		"SELECT * FROM devices WHERE " + strings.Repeat("(true) AND ", 200) + "NOT false":             query.Devices,
		"SELECT * FROM devices WHERE true" + strings.Repeat(" ", 8160):                                query.Devices,
	}
	for text, want := range tests {
		q, err := query.Parse(text)
		if err != nil {
			t.Errorf("%.80q: %v", text, err)
			continue
		}
		if q.From != want || !q.Matches(document(t)) {
			t.Errorf("%.80q: from %s, matches %v; want %s, true", text, q.From, q.Matches(document(t)), want)
		}
	}
}

func TestRow(t *testing.T) {
	q, err := query.Parse(`SELECT DeviceID, tags.location AS place, tags.none, tags.list[0], tags.[[group]],
		properties.reported.$version AS [[a b]] FROM devices`)
	if err != nil {
		t.Fatal(err)
	}
	want := map[string]any{
		"deviceId": "d1", "place": map[string]any{"plant": "Köln"}, "list": json.Number("10"), "group": "g", "a b": int64(7),
	}
	if diff := cmp.Diff(want, q.Row(document(t))); diff != "" || q.All() || q.Count != "" {
		t.Errorf("all %v, count %q, row (-want +got):\n%s", q.All(), q.Count, diff)
	}
	count, err := query.Parse("select count() as n from devices.modules where true")
	if err != nil || count.Count != "n" || count.All() {
		t.Errorf("count: %+v, %v", count, err)
	}
	whole, err := query.Parse("SELECT * FROM devices")
	if err != nil || whole.Count != "" || !whole.All() {
		t.Errorf("all: %+v, %v", whole, err)
	}
}

func FuzzQuery(f *testing.F) {
	for _, condition := range []string{
		`tags.location.plant = 'K\u00f6ln' AND NOT (properties.reported.$version >= 0x1F OR tags.a != -1.5e3)`,
		`deviceId IN ['a', "b", 3, null, true] OR moduleId NIN ['it''s']`,
		`is_defined(tags.[[a-b]].c[0]) AND STARTSWITH(devices.deviceId, 'x')`,
		`tags.a = '\ud83d\ude00\ud83d' OR tags.emoji = tags.emoji`,
		"((((((((((", "NOT NOT NOT true", "1 = 'x' = 2", "tags.[[", `'\`, `'\u`, "-", "-.", "0x", "\x00\xff",
	} {
		f.Add(where + condition)
	}
	f.Add("SELECT * FROM devices.modules")
	f.Add("SELECT deviceId, tags.list[1].x AS [[a b]], properties.reported FROM devices")
	f.Add("SELECT COUNT() AS n FROM devices WHERE true")
	d := document(f)
	f.Fuzz(func(t *testing.T, text string) {
		q, err := query.Parse(text)
		if err == nil {
			q.Matches(d)
			q.Row(d)
			return
		}
		e, ok := errors.AsType[*query.Error](err)
		if !ok || e.Position < 1 || e.Position > len([]rune(text))+1 || e.Reason == "" {
			t.Errorf("error %#v", err)
		}
	})
}

// A query compares its list with every twin, so a number in the list must not allocate
// memory.
func TestMatches_longListDoesNotAllocate(t *testing.T) {
	const few = 10 // for the number in the document
	for _, c := range []struct{ element, number string }{{"-1", "1"}, {"-.5", ".5"}, {"-.5", "1"}} {
		q, err := query.Parse(where + "tags.n IN [" + c.element + strings.Repeat(","+c.element, 1000) + "]")
		if err != nil {
			t.Fatal(err)
		}
		document := query.Document{"tags": map[string]any{"n": json.Number(c.number)}}
		if n := testing.AllocsPerRun(10, func() { q.Matches(document) }); n > few {
			t.Errorf("%s in a list of 1,001 times %s: %.0f allocations, want %d at most", c.number, c.element, n, few)
		}
	}
}

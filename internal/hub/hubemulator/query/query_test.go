package query_test

import (
	"bytes"
	"encoding/json"
	"errors"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"rtsptunnel/internal/hub/hubemulator/query"
)

// document is as a hub has it: texts and numbers from JSON, versions and times
// of its own.
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

func TestMatches(t *testing.T) {
	tests := []struct {
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
	d := document(t)
	for _, tt := range tests {
		t.Run(tt.where, func(t *testing.T) {
			q, err := query.Parse("SELECT * FROM devices WHERE " + tt.where)
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

// Every query that is not supported is refused, at the right place.
func TestParse_refuses(t *testing.T) {
	const where = "SELECT * FROM devices WHERE "
	tests := []struct {
		text, token, reason string
	}{
		{"", "", "begins with SELECT"},
		{"UPDATE devices", "UPDATE", "begins with SELECT"},
		{"SELECT", "", "a name is expected"},
		{"SELECT TOP 5 * FROM devices", "TOP", "TOP is not supported"},
		{"SELECT avg(tags.a) AS a FROM devices", "avg", "AVG is not supported"},
		{"SELECT 1 FROM devices", "1", "a name is expected"},
		{"SELECT id FROM devices", "id", "no such member"},
		{"SELECT deviceId, FROM devices", "FROM", "reserved word"},
		{"SELECT deviceId status FROM devices", "status", "FROM is expected"},
		{"SELECT deviceId AS FROM devices", "FROM", "reserved word"},
		{"SELECT deviceId, tags.deviceId FROM devices", "tags", "another column"},
		{"SELECT deviceId, COUNT() AS n FROM devices", "COUNT", "stands alone"},
		{"SELECT COUNT() AS n, deviceId FROM devices", ",", "FROM is expected"},
		{"SELECT COUNT(*) AS n FROM devices", "*", "takes nothing"},
		{"SELECT COUNT AS n FROM devices", "AS", "( is expected"},
		{"SELECT COUNT() FROM devices", "FROM", "AS and a name"},
		{"SELECT COUNT() AS FROM devices", "FROM", "reserved word"},
		{"SELECT *, deviceId FROM devices", ",", "FROM is expected"},
		{"SELECT * devices", "devices", "FROM is expected"},
		{"SELECT * FROM c", "c", "only devices"},
		{"SELECT * FROM", "", "only devices"},
		{"SELECT * FROM devices.jobs", "jobs", "only devices"},
		{"SELECT * FROM devices.", "", "only devices"},
		{"SELECT * FROM devices d", "d", "should end here"},
		{"SELECT * FROM devices;", ";", "no meaning"},
		{"SELECT * FROM devices GROUP BY tags.a", "GROUP", "GROUP BY is not supported"},
		{"SELECT * FROM devices order by deviceId", "order", "ORDER BY is not supported"},
		{where, "", "a value is expected"},
		{where + "true ORDER BY deviceId", "ORDER", "ORDER BY is not supported"},
		{where + "tags.a = 1 LIMIT 5", "LIMIT", "should end here"},
		{where + "tags.a =", "", "a value is expected"},
		{where + "tags.a = = 1", "=", "a value is expected"},
		{where + "tags.a == 1", "=", "a value is expected"},
		{where + "tags.a = 1 = 1", "=", "should end here"},
		{where + "tags.a LIKE 'x%'", "LIKE", "should end here"},
		{where + "tags.a BETWEEN 1 AND 2", "BETWEEN", "should end here"},
		{where + "tags.a NOT IN ['x']", "NOT", "should end here"},
		{where + "tags.a IN ('x')", "(", "square brackets"},
		{where + "tags.a IN []", "]", "a value is expected"},
		{where + "tags.a IN ['x'", "", "] or ,"},
		{where + "tags.a IN ['x',]", "]", "a value is expected"},
		{where + "tags.a IN [tags.b]", "tags", "a value is expected"},
		{where + "tags.a = ['x']", "[", "a value is expected"},
		{where + "(tags.a = 1", "", ") is expected"},
		{where + "tags.a = 1)", ")", "should end here"},
		{where + "tags.a = 1 AND", "", "a value is expected"},
		{where + "AND tags.a = 1", "AND", "reserved word"},
		{where + "tags.a + 1 = 2", "+", "arithmetic"},
		{where + "tags.a-b = 2", "-", "arithmetic"},
		{where + "tags.a -1 = 0", "-1", "should end here"},
		{where + "tags.a % 2 = 0", "%", "arithmetic"},
		{where + "tags.a = 1 || true", "|", "no meaning"},
		{where + "tags.a = undefined", "undefined", "no such member"},
		{where + "tag.a = 1", "tag", "no such member"},
		{where + "status.a = 1", "a", "no such member"},
		{where + "property.reported.a = 1", "property", "no such member"},
		{where + "properties.report.a = 1", "report", "no such member"},
		{where + "jobs.[[c]].status = 'Applied'", "jobs", "no such member"},
		{where + "devices = 1", "=", "a name after devices."},
		{where + "devices.modules.deviceId = 'd'", "modules", "no such member"},
		{"SELECT * FROM devices.modules WHERE devices.deviceId = 'd'", "deviceId", "go on with modules"},
		{where + "tags.group = 'g'", "group", "[[group]]"},
		{where + "tags. = 1", "=", "a name is expected"},
		{where + "tags.'a' = 1", "'a'", "a name is expected"},
		{where + "tags.5 = 1", ".5", "should end here"},
		{where + "tags['a'] = 1", "'a'", "index of an array"},
		{where + "tags.a[-1] = 1", "-1", "index of an array"},
		{where + "tags.a[1.5] = 1", "1.5", "index of an array"},
		{where + "tags.a[0 = 1", "=", "] is expected"},
		{where + "tags.[[a = 1", "[[a = 1", "no ]]"},
		{where + "tags.[[]] = 1", "[[]]", "a name is expected"},
		{where + "CONTAINS(tags.a, 'x')", "CONTAINS", "no such function"},
		{where + "STARTS_WITH(tags.a, 'x')", "STARTS_WITH", "no such function"},
		{where + "IS_DEFINED('x')", "'x'", "a name is expected"},
		{where + "IS_DEFINED(tags.a, tags.b)", ",", ") is expected"},
		{where + "IS_DEFINED()", ")", "a name is expected"},
		{where + "IS_DEFINED tags.a", "IS_DEFINED", "reserved word"},
		{where + "STARTSWITH(tags.a)", ")", ", is expected"},
		{where + "tags.a = 'x", "'x", "no quote"},
		{where + `tags.a = 'x\n'`, "'x", "escape"},
		{where + `tags.a = '\u12g4'`, "'", "escape"},
		{where + `tags.a = '\u12`, "'", "escape"},
		{where + "tags.a = 1x", "1x", "not a number"},
		{where + "tags.a = 1_0", "1_0", "not a number"},
		{where + "tags.a = 1e999", "1e999", "too large"},
		{where + "tags.a = 0x", "0x", "not a number"},
		{where + "tags.a = '" + strings.Repeat("é", 60), "'" + strings.Repeat("é", 39) + "…", "no quote"},
		{where + strings.Repeat("(", 101) + "true" + strings.Repeat(")", 101), "(", "deeper than 100"},
		{where + strings.Repeat("NOT ", 101) + "true", "NOT", "deeper than 100"},
		{where + strings.Repeat("(", 100_000), "(", "longer than 8192"},
		{where + "tags.a = 'ä' é", "é", "should end here"},
	}
	for _, tt := range tests {
		t.Run(tt.text[:min(len(tt.text), 80)], func(t *testing.T) {
			_, err := query.Parse(tt.text)
			e, ok := errors.AsType[*query.Error](err)
			if !ok {
				t.Fatalf("got %v, want an Error", err)
			}
			if e.Token != tt.token || !strings.Contains(e.Reason, tt.reason) {
				t.Errorf("got %v, want token %q and %q", e, tt.token, tt.reason)
			}
			rest := string([]rune(tt.text)[e.Position-1:])
			if !strings.HasPrefix(rest, strings.TrimSuffix(e.Token, "…")) || e.Token == "" && rest != "" {
				t.Errorf("at position %d there is %.20q, not %q", e.Position, rest, e.Token)
			}
			if want := "position " + strconv.Itoa(e.Position) + ", "; !strings.HasPrefix(e.Error(), want) {
				t.Errorf("text %q, want prefix %q", e.Error(), want)
			}
		})
	}
}

func FuzzQuery(f *testing.F) {
	for _, where := range []string{
		`tags.location.plant = 'K\u00f6ln' AND NOT (properties.reported.$version >= 0x1F OR tags.a != -1.5e3)`,
		`deviceId IN ['a', "b", 3, null, true] OR moduleId NIN ['it''s']`,
		`is_defined(tags.[[a-b]].c[0]) AND STARTSWITH(devices.deviceId, 'x')`,
		`tags.a = '\ud83d\ude00\ud83d' OR tags.emoji = tags.emoji`,
		"((((((((((", "NOT NOT NOT true", "1 = 'x' = 2", "tags.[[", `'\`, `'\u`, "-", "-.", "0x", "\x00\xff",
	} {
		f.Add("SELECT * FROM devices WHERE " + where)
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

// The longest list is compared with every twin there is, so a number in it must
// not cost memory.
func TestMatches_longListIsCheap(t *testing.T) {
	const few = 10 // for the number in the document itself
	for _, c := range []struct{ element, number string }{{"-1", "1"}, {"-.5", ".5"}, {"-.5", "1"}} {
		q, err := query.Parse("SELECT * FROM devices WHERE tags.n IN [" + c.element + strings.Repeat(","+c.element, 1000) + "]")
		if err != nil {
			t.Fatal(err)
		}
		document := query.Document{"tags": map[string]any{"n": json.Number(c.number)}}
		if n := testing.AllocsPerRun(10, func() { q.Matches(document) }); n > few {
			t.Errorf("%s in a list of 1,001 times %s: %.0f allocations, want %d at most", c.number, c.element, n, few)
		}
	}
}

// A target condition is what a query of devices has after WHERE, of what it may name.
func TestParseTarget(t *testing.T) {
	document := query.Document{
		"deviceId": "d1", "tags": map[string]any{"site": "a", "n": json.Number("2")},
		"properties": map[string]any{"reported": map[string]any{"v": "1"}},
	}
	for text, want := range map[string]bool{
		"deviceId = 'd1'": true, "deviceid != 'd1'": false,
		"tags.site = 'a' AND tags.n >= 2": true, "tags.site = 'b' OR NOT properties.reported.v = '2'": true,
		"tags.missing = 'a'": false, "IS_DEFINED(tags.n)": true, "devices.tags.site IN ['a', 'c']": true,
	} {
		q, err := query.ParseTarget(text)
		if err != nil || q.Matches(document) != want {
			t.Errorf("%s: %v, want %v", text, err, want)
		}
	}
	for text, want := range map[string]string{
		"":                             "end of the query",
		"status = 'enabled'":           "position 1, token status: target conditions are about",
		"tags.a = 1 AND version > 1":   "token version",
		"properties.desired.a = 1":     "position 12, token desired",
		"tags.a = 1 tags.b = 2":        "position 12",
		"SELECT * FROM devices":        "position 1, token SELECT",
		strings.Repeat("(", 200) + "1": "nested",
		strings.Repeat(" ", 9000):      "longer than",
	} {
		_, err := query.ParseTarget(text)
		if _, ok := errors.AsType[*query.Error](err); !ok || !strings.Contains(err.Error(), want) {
			t.Errorf("%.30s: %v, want %q", text, err, want)
		}
	}
}

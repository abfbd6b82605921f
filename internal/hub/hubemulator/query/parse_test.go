package query_test

import (
	"encoding/json"
	"errors"
	"slices"
	"strconv"
	"strings"
	"testing"

	"rtsptunnel/internal/hub/hubemulator/query"
)

// refused is a query with the token and the reason of its error.
type refused struct{ text, token, reason string }

var refusedClauses = []refused{
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
}

var refusedConditions = []refused{
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

// Parse refuses every unsupported query, and the error names the right token.
func TestParse_refuses(t *testing.T) {
	for _, tt := range slices.Concat(refusedClauses, refusedConditions) {
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

// A target condition is the condition of a device query, with a smaller set of names.
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

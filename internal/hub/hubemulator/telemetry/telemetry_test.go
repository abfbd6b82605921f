package telemetry_test

import (
	"encoding/json"
	"maps"
	"slices"
	"strconv"
	"testing"
	"time"

	"rtsptunnel/internal/hub/hubemulator/telemetry"
)

const (
	maxMessages = 10_000
	maxBytes    = 64 << 20
)

func identities(messages []telemetry.Message) []string {
	var list []string
	for _, m := range messages {
		list = append(list, m.Identity)
	}
	return list
}

func TestLog_oldestFirst(t *testing.T) {
	var log telemetry.Log
	if list := log.List(); list == nil || len(list) != 0 {
		t.Errorf("empty log lists %#v", list)
	}
	for _, name := range []string{"a", "b", "c"} {
		log.Add(telemetry.Message{Identity: name})
	}
	if got, want := identities(log.List()), []string{"a", "b", "c"}; !slices.Equal(got, want) {
		t.Errorf("got %q, want %q", got, want)
	}
	if log.Dropped() != 0 {
		t.Errorf("%d dropped", log.Dropped())
	}
}

func TestLog_bounds(t *testing.T) {
	tests := []struct {
		name          string
		message       telemetry.Message
		add           int
		first, listed int
	}{
		{"messages", telemetry.Message{}, maxMessages + 3, 3, maxMessages},
		{"bodies", telemetry.Message{Body: make([]byte, 1<<20)}, 70, 6, 64},
		{"properties", telemetry.Message{Properties: map[string]string{"a": string(make([]byte, 1<<20))}}, 70, 7, 63},
		{"one message above the limit", telemetry.Message{Body: make([]byte, maxBytes+1)}, 2, 0, 0},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			var log telemetry.Log
			for i := range tt.add {
				m := tt.message
				m.Identity = strconv.Itoa(i)
				log.Add(m)
			}
			list := log.List()
			if len(list) != tt.listed || log.Dropped() != int64(tt.add-tt.listed) {
				t.Fatalf("%d kept, %d dropped, want %d kept", len(list), log.Dropped(), tt.listed)
			}
			if tt.listed > 0 && list[0].Identity != strconv.Itoa(tt.first) {
				t.Errorf("the oldest is %s, want %d", list[0].Identity, tt.first)
			}
		})
	}
}

func TestMessage_JSON(t *testing.T) {
	at := time.Date(2026, 1, 2, 4, 4, 5, 600_000_000, time.FixedZone("", 3600))
	tests := []struct {
		name    string
		message telemetry.Message
		want    string
	}{
		{
			"text",
			telemetry.Message{Identity: "d/m", Properties: map[string]string{"$.on": "o"}, Body: []byte(`{"a": "ü\n"}`), Enqueued: at},
			`{"identity":"d/m","properties":{"$.on":"o"},"body":"{\"a\": \"ü\\n\"}","enqueuedTime":"2026-01-02T03:04:05.6Z"}`,
		},
		{
			"nothing",
			telemetry.Message{Identity: "d", Enqueued: at},
			`{"identity":"d","properties":{},"body":"","enqueuedTime":"2026-01-02T03:04:05.6Z"}`,
		},
		{
			"bytes",
			telemetry.Message{Identity: "d", Body: []byte{0xff, 0, 'a'}, Enqueued: at},
			`{"identity":"d","properties":{},"body":"/wBh","bodyEncoding":"base64","enqueuedTime":"2026-01-02T03:04:05.6Z"}`,
		},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			got, err := json.Marshal(tt.message)
			if err != nil {
				t.Fatal(err)
			}
			if string(got) != tt.want {
				t.Errorf("got  %s\nwant %s", got, tt.want)
			}
		})
	}
}

func TestParseProperties(t *testing.T) {
	tests := map[string]map[string]string{
		"":                                {},
		"/":                               {},
		"a=b":                             {"a": "b"},
		"a=b&c=d/":                        {"a": "b", "c": "d"},
		"%24.on=out%20put/":               {"$.on": "out put"},
		"$.ct=application%2Fjson&$.ce=u8": {"$.ct": "application/json", "$.ce": "u8"},
		"a=1+1":                           {"a": "1+1"},
		"a=b=c":                           {"a": "b=c"},
		"a&b=":                            {"a": "", "b": ""},
		"a=1&a=2":                         {"a": "1"},
		"=1&&":                            {},
		"a=%zz":                           {"a": "%zz"},
		"a=x;y":                           {"a": "x;y"},
	}
	for bag, want := range tests {
		if got := telemetry.ParseProperties(bag); !maps.Equal(got, want) {
			t.Errorf("%q: got %q, want %q", bag, got, want)
		}
	}
}

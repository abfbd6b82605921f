package broker_test

import (
	"fmt"
	"strings"
	"testing"

	"rtsptunnel/internal/hub/hubemulator/store"
)

func patch(t *testing.T, e *env, id store.ID, text string) {
	t.Helper()
	p, err := store.ParsePatch([]byte(text))
	if err != nil {
		t.Fatal(err)
	}
	if _, err := e.store.UpdateTwin(id, store.TwinUpdate{Desired: p}, ""); err != nil {
		t.Fatal(err)
	}
}

// largePatch returns a patch of 28 KB, close to the size limit of a section.
func largePatch() string {
	members := make([]string, 7)
	for i := range members {
		members[i] = fmt.Sprintf(`"p%d":%q`, i, strings.Repeat("x", 4000))
	}
	return "{" + strings.Join(members, ",") + "}"
}

func TestTwin_requests(t *testing.T) {
	const reported = "$iothub/twin/PATCH/properties/reported/?$rid="
	e := start(t)
	patch(t, e, module, `{"a":{"b":1},"c":"<&>"}`)
	client := connect(t, e.options(t, module))
	answers := subscribe(t, client, "$iothub/twin/res/#")

	tests := []struct {
		name, topic, payload string
		qos                  byte
		wantTopic, wantBody  string
	}{
		{
			"get", "$iothub/twin/GET/?$rid=a1", "", 1,
			"$iothub/twin/res/200/?$rid=a1",
			`{"desired":{"$version":2,"a":{"b":1},"c":"\u003c\u0026\u003e"},"reported":{"$version":1}}`,
		},
		{"get with a blank", "$iothub/twin/GET/?$rid=b-2", " ", 0, "$iothub/twin/res/200/?$rid=b-2", ""},
		{"report", reported + "c", `{"x":1,"y":{"z":2}}`, 1, "$iothub/twin/res/204/?$rid=c&$version=2", ""},
		{"delete", reported + "d", `{"x":null}`, 0, "$iothub/twin/res/204/?$rid=d&$version=3", ""},
		{"not an object", reported + "e", `[1]`, 1, "$iothub/twin/res/400/?$rid=e", `{"errorCode":400004,"message":"Bad Request"}`},
		{"not JSON", reported + "f", `{`, 1, "$iothub/twin/res/400/?$rid=f", `{"errorCode":400004,"message":"Bad Request"}`},
		{
			"limit", reported + "f2", `{"a b":1}`, 1, "$iothub/twin/res/400/?$rid=f2",
			`{"errorCode":400004,"message":"twin limit: property \"a b\": a name must not have '.', '$', '#', blanks or control characters"}`,
		},
		{
			"get after the changes", "$iothub/twin/GET/?$rid=g", "", 1,
			"$iothub/twin/res/200/?$rid=g",
			`{"desired":{"$version":2,"a":{"b":1},"c":"\u003c\u0026\u003e"},"reported":{"$version":3,"y":{"z":2}}}`,
		},
	}
	for _, tt := range tests {
		wait(t, client.Publish(tt.topic, tt.qos, false, tt.payload))
		answer := next(t, answers)
		if answer.Topic() != tt.wantTopic {
			t.Errorf("%s: topic %s, want %s", tt.name, answer.Topic(), tt.wantTopic)
		}
		if got := string(answer.Payload()); tt.wantBody != "" && got != tt.wantBody {
			t.Errorf("%s: body %s, want %s", tt.name, got, tt.wantBody)
		}
	}
}

func TestDesired_inOrderAsSent(t *testing.T) {
	const patches = 200
	e := start(t)
	client := connect(t, e.options(t, module))
	updates := subscribe(t, client, "$iothub/twin/PATCH/properties/desired/#")

	patch(t, e, other, `{"not":"for m1"}`)
	patch(t, e, module, `{"gone":null,"a":{"b":null}}`)
	first := next(t, updates)
	if got, want := first.Topic(), "$iothub/twin/PATCH/properties/desired/?$version=2"; got != want {
		t.Errorf("topic %s, want %s", got, want)
	}
	if got, want := string(first.Payload()), `{"$version":2,"a":{"b":null},"gone":null}`; got != want {
		t.Errorf("body %s, want %s", got, want)
	}

	for i := range patches {
		patch(t, e, module, fmt.Sprintf(`{"n":%d}`, i))
	}
	for i := range patches {
		want := fmt.Sprintf(`{"$version":%d,"n":%d}`, i+3, i)
		if got := string(next(t, updates).Payload()); got != want {
			t.Fatalf("update %d is %s, want %s", i, got, want)
		}
	}
}

func TestDesired_notAfterUnsubscribe(t *testing.T) {
	const filter = "$iothub/twin/PATCH/properties/desired/#"
	e := start(t)
	client := connect(t, e.options(t, module))
	updates := subscribe(t, client, filter)
	wait(t, client.Unsubscribe(filter))
	patch(t, e, module, `{"a":1}`)
	again := subscribe(t, client, filter)
	patch(t, e, module, `{"a":2}`)

	if got, want := string(next(t, again).Payload()), `{"$version":3,"a":2}`; got != want {
		t.Errorf("got %s, want %s", got, want)
	}
	if len(updates) > 0 {
		t.Error("an update arrived without a subscription")
	}
}

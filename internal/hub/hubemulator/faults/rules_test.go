package faults_test

import (
	"encoding/json"
	"errors"
	"math"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"rtsptunnel/internal/hub/hubemulator/faults"
)

const everything = `{"logins":{"refuse":true,"cutAfterSeconds":0.5},` +
	`"subscriptions":{"refuse":true},` +
	`"twin":{"status":503,"delaySeconds":2,"hold":true},` +
	`"methods":{"loseRequests":true,"loseAnswers":true,"deliverTwice":true},` +
	`"rest":{"throttle":true,"throttleNext":3,"retryAfterSeconds":7},` +
	`"workload":{"down":true,"status":403,"delaySeconds":86400}}`

func parse(t *testing.T, document string) faults.Rules {
	t.Helper()
	rules, err := faults.Parse([]byte(document))
	if err != nil {
		t.Fatal(err)
	}
	return rules
}

func put(t *testing.T, set *faults.Set, document string) {
	t.Helper()
	if err := set.Put(parse(t, document)); err != nil {
		t.Fatal(err)
	}
}

func putFor(t *testing.T, set *faults.Set, identity, document string) {
	t.Helper()
	if err := set.PutFor(identity, parse(t, document)); err != nil {
		t.Fatal(err)
	}
}

func TestRules_roundTrip(t *testing.T) {
	for _, document := range []string{`{}`, everything, `{"twin":{}}`, `{"workload":{"down":true}}`} {
		set := faults.New()
		put(t, set, document)
		got, err := json.Marshal(set.Hub())
		if err != nil {
			t.Fatal(err)
		}
		if string(got) != document {
			t.Errorf("got %s, want %s", got, document)
		}
	}
}

func TestRules_refused(t *testing.T) {
	tests := []struct{ name, document, want string }{
		{"nothing", ``, "want a JSON object"},
		{"no JSON", `{`, "want a JSON object"},
		{"more than one", `{}{}`, "want a JSON object"},
		{"null", `null`, "want a JSON object"},
		{"list", `[]`, "want a JSON object"},
		{"unknown group", `{"twins":{"hold":true}}`, `unknown member "twins"`},
		{"several unknown groups", `{"b":1,"a":{},"twin":{}}`, `unknown member "a"` + "\n" + `bad fault rules: unknown member "b"`},
		{"unknown member", `{"twin":{"holt":true}}`, `twin: unknown member "holt"`},
		{"group is not an object", `{"twin":true}`, "twin: want a JSON object"},
		{"string for seconds", `{"twin":{"delaySeconds":"2"}}`, "twin: delaySeconds must not be a string"},
		{"number for a bool", `{"logins":{"refuse":1}}`, "logins: refuse must not be a number"},
		{"fraction for a count", `{"rest":{"throttleNext":1.5}}`, "rest: throttleNext must not be a number 1.5"},
		{"negative delay", `{"twin":{"delaySeconds":-0.1}}`, "twin.delaySeconds must be 0 to 86400"},
		{"delay too large", `{"workload":{"delaySeconds":86401}}`, "workload.delaySeconds must be"},
		{"number out of range of float64", `{"workload":{"delaySeconds":1e400}}`, "workload: delaySeconds must not be"},
		{"negative cut", `{"logins":{"cutAfterSeconds":-1}}`, "logins.cutAfterSeconds must be"},
		{"negative count", `{"rest":{"throttleNext":-1}}`, "rest.throttleNext must be 0 to 1000000"},
		{"count too large", `{"rest":{"throttleNext":1000001}}`, "rest.throttleNext must be"},
		{"negative retry", `{"rest":{"retryAfterSeconds":-1}}`, "rest.retryAfterSeconds must be"},
		{"twin status not allowed", `{"twin":{"status":200}}`, "twin.status must be 429 or 500 to 599"},
		{"workload status not allowed", `{"workload":{"status":204}}`, "workload.status must be 400 to 599"},
		{"negative status", `{"workload":{"status":-403}}`, "workload.status must be"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			set := faults.New()
			put(t, set, everything)
			rules, err := faults.Parse([]byte(tt.document))
			if err == nil {
				err = set.Put(rules)
			}
			if !errors.Is(err, faults.ErrRules) || !strings.Contains(err.Error(), tt.want) {
				t.Errorf("got %v, want %v: %s", err, faults.ErrRules, tt.want)
			}
			if diff := cmp.Diff(parse(t, everything), set.Hub()); diff != "" {
				t.Errorf("the rules have changed:\n%s", diff)
			}
		})
	}
}

func TestRules_invalidSeconds(t *testing.T) {
	set := faults.New()
	for _, seconds := range []float64{math.NaN(), math.Inf(1), -1} {
		if err := set.Put(faults.Rules{Twin: &faults.Twin{DelaySeconds: seconds}}); !errors.Is(err, faults.ErrRules) {
			t.Errorf("%v seconds: got %v, want %v", seconds, err, faults.ErrRules)
		}
	}
}

func TestRules_ofIdentity(t *testing.T) {
	set := faults.New()
	for _, document := range []string{`{"rest":{}}`, `{"workload":{"down":true}}`, `{"twin":{"delaySeconds":-1}}`} {
		if err := set.PutFor("d1", parse(t, document)); !errors.Is(err, faults.ErrRules) {
			t.Errorf("%s: got %v, want %v", document, err, faults.ErrRules)
		}
	}
	putFor(t, set, "d1/m1", `{"twin":{"hold":true}}`)
	want := map[string]faults.Rules{"d1/m1": {Twin: &faults.Twin{Hold: true}}}
	if diff := cmp.Diff(want, set.Identities()); diff != "" {
		t.Errorf("rules of identities (-want +got):\n%s", diff)
	}
	putFor(t, set, "d1/m1", `{}`)
	if diff := cmp.Diff(map[string]faults.Rules{}, set.Identities()); diff != "" {
		t.Errorf("after an empty document (-want +got):\n%s", diff)
	}
}

func TestRules_areCopied(t *testing.T) {
	set := faults.New()
	given := parse(t, everything)
	if err := set.Put(given); err != nil {
		t.Fatal(err)
	}
	given.Twin.Hold = false
	set.Hub().Methods.LoseAnswers = false
	if diff := cmp.Diff(parse(t, everything), set.Hub()); diff != "" {
		t.Errorf("the rules have changed:\n%s", diff)
	}
}

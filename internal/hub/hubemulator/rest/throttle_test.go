package rest_test

import (
	"strings"
	"testing"

	"rtsptunnel/internal/hub/hubemulator/faults"
	"rtsptunnel/internal/hub/hubemulator/rest"
	"rtsptunnel/internal/hub/hubemulator/throttle"
)

func checkThrottled(t *testing.T, got answer, retryAfter string) {
	t.Helper()
	if code := got.header.Get("iothub-errorcode"); got.status != 429 || code != "ThrottlingException" {
		t.Errorf("got %d %s, want 429 ThrottlingException", got.status, code)
	}
	if retry := got.header.Get("Retry-After"); retry != retryAfter {
		t.Errorf("Retry-After %q, want %q", retry, retryAfter)
	}
	if m := got.message(t); !strings.HasPrefix(m, "ErrorCode:ThrottlingException;") || !strings.Contains(m, "429001") {
		t.Errorf("Message %q", m)
	}
}

func TestFaults_throttle(t *testing.T) {
	set := faults.New()
	e := startWith(t, rest.Options{Faults: set})
	put := func(rules faults.REST) {
		t.Helper()
		if err := set.Put(faults.Rules{REST: &rules}); err != nil {
			t.Fatal(err)
		}
	}
	put(faults.REST{ThrottleNext: 2, RetryAfterSeconds: 7})
	if got := e.do(t, "GET", twinPath+version, "", "Authorization", "none"); got.status != 401 {
		t.Errorf("without a token: status %d, want 401", got.status)
	}
	checkThrottled(t, e.do(t, "GET", twinPath+version, ""), "7")
	checkThrottled(t, e.do(t, "PATCH", twinPath+version, `{"tags":{"a":1}}`), "7")
	if got := e.do(t, "GET", twinPath+version, ""); got.status != 200 || strings.Contains(string(got.body), `"a":1`) {
		t.Errorf("the third: got %d %s, want 200 and nothing changed", got.status, got.body)
	}
	put(faults.REST{Throttle: true})
	for range 3 {
		checkThrottled(t, e.do(t, "GET", "/devices"+version, ""), "10")
	}
	set.Clear()
	if got := e.do(t, "GET", "/devices"+version, ""); got.status != 200 {
		t.Errorf("after the fault: status %d, want 200", got.status)
	}
}

// Each kind of operation has a limit of its own: here one request an hour.
func TestThrottle_byOperation(t *testing.T) {
	hourly := throttle.Rate{PerSecond: 1.0 / 3600, Burst: 1}
	rates := make(map[throttle.Kind]throttle.Rate)
	for kind := range throttle.S1() {
		rates[kind] = hourly
	}
	rates[throttle.Methods] = throttle.Rate{PerSecond: 1.0 / 3600, Burst: 4}
	e := startWith(t, rest.Options{Throttle: throttle.New(rates)})
	large := `{"methodName":"m","payload":"` + strings.Repeat("x", 13*1024) + `"}` // four times 4 KB
	for _, tt := range []struct{ method, path, body, otherPath string }{
		{"GET", twinPath, "", "/twins/d1"},
		{"PATCH", twinPath, "{}", "/twins/d1"},
		{"PUT", "/devices/d2", `{"deviceId":"d2"}`, "/devices/d1"},
		{"POST", twinPath + "/methods", large, "/twins/d1/methods"},
		{"POST", "/devices/query", `{"query":"SELECT * FROM devices"}`, "/devices/query"},
		{"GET", "/configurations", "", "/configurations/c"},
	} {
		if got := e.do(t, tt.method, tt.path+version, tt.body); got.status == 429 {
			t.Errorf("%s %s: refused the first time", tt.method, tt.path)
		}
		got := e.do(t, tt.method, tt.otherPath+version, tt.body)
		if retry := got.header.Get("Retry-After"); got.status != 429 || len(retry) < 4 { // thousands of seconds
			t.Errorf("%s %s: got %d, Retry-After %q; want 429, about an hour", tt.method, tt.otherPath, got.status, retry)
		}
	}
}

func TestThrottle_offByDefault(t *testing.T) {
	e := start(t)
	for range 250 {
		if got := e.do(t, "GET", "/devices"+version, ""); got.status != 200 {
			t.Fatalf("status %d, want 200", got.status)
		}
	}
}

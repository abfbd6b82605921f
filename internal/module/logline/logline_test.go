package logline_test

import (
	"bytes"
	"encoding/json"
	"errors"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/rs/zerolog"

	"rtsptunnel/internal/contract/tunnelopen"
	"rtsptunnel/internal/module/logline"
)

func TestCut(t *testing.T) {
	a := strings.Repeat("a", 300)
	for text, want := range map[string]string{
		"": "", "gw.example.com:443": "gw.example.com:443",
		a[:253]:                        a[:253],
		a[:254]:                        a[:250] + "...",
		strings.Repeat("é", 127):       strings.Repeat("é", 125) + "...",
		a[:249] + "é" + a:              a[:249] + "...", // no half character
		"x" + strings.Repeat("é", 200): "x" + strings.Repeat("é", 124) + "...",
	} {
		if got := logline.Cut(text); got != want || len(got) > 253 {
			t.Errorf("%.20q...: %d bytes, %q", text, len(got), got)
		}
	}
}

func TestCutError(t *testing.T) {
	if got := logline.CutError(nil); got != nil {
		t.Errorf("no error is %v", got)
	}
	if got := logline.CutError(errors.New("dial")); got != "dial" {
		t.Errorf("%v", got)
	}
	if got, _ := logline.CutError(errors.New(strings.Repeat("a", 5000))).(string); len(got) != 1024 || !strings.HasSuffix(got, "a...") {
		t.Errorf("%d bytes: %s", len(got), got)
	}
}

// line is what the tests read of a log line.
type line struct {
	Level, Message, Reason string
	Code, Calls            int
}

// tally counts equal lines.
func tally(t *testing.T, log *bytes.Buffer) map[line]int {
	t.Helper()
	lines := map[line]int{}
	for text := range strings.Lines(log.String()) {
		var l line
		if err := json.Unmarshal([]byte(text), &l); err != nil {
			t.Fatalf("%v: %s", err, text)
		}
		lines[l]++
	}
	return lines
}

// In a minute ten lines of a reason are warnings, whatever the callers send. One more has
// the number of the others, at the end of the minute or with the next refusal after it.
func TestRefusals_fold(t *testing.T) {
	var out bytes.Buffer
	log := zerolog.New(zerolog.SyncWriter(&out))
	r := logline.NewRefusals(log)
	const message = "tunnel not opened"
	unavailable := line{Message: message, Reason: "PORT_NOT_ALLOWED", Code: 400}
	disabled := line{Level: "warn", Message: message, Reason: "DISABLED", Code: 503}
	at := func(l line, level string) line { l.Level = level; return l }
	folded := func(calls int) line {
		return line{Level: "warn", Message: "more calls refused: no camera has this local port", Reason: "PORT_NOT_ALLOWED", Calls: calls}
	}

	var callers sync.WaitGroup
	for port := range 25 {
		callers.Go(func() { r.Write(log, message, tunnelopen.PortUnavailable(port)) })
	}
	callers.Wait()
	r.Write(log, message, tunnelopen.Disabled())
	r.Flush(time.Now())
	want := map[line]int{at(unavailable, "warn"): 10, at(unavailable, "debug"): 15, disabled: 1}
	if d := cmp.Diff(want, tally(t, &out)); d != "" {
		t.Error(d)
	}
	r.Flush(time.Now().Add(time.Minute))
	r.Flush(time.Now().Add(2 * time.Minute))
	want[folded(15)] = 1
	if d := cmp.Diff(want, tally(t, &out)); d != "" {
		t.Errorf("after a minute: %s", d)
	}
	for port := range 11 {
		r.Write(log, message, tunnelopen.PortUnavailable(port))
	}
	r.FlushAll()
	want[at(unavailable, "warn")], want[at(unavailable, "debug")], want[folded(1)] = 20, 16, 1
	if d := cmp.Diff(want, tally(t, &out)); d != "" {
		t.Errorf("a minute later: %s", d)
	}
}

// An error without a reason has its own window.
func TestRefusals_internal(t *testing.T) {
	var out bytes.Buffer
	log := zerolog.New(&out)
	r := logline.NewRefusals(log)
	for range 11 {
		r.Write(log, "refused", errors.New("a bug"))
	}
	want := map[line]int{{Level: "warn", Message: "refused"}: 10, {Level: "debug", Message: "refused"}: 1}
	if d := cmp.Diff(want, tally(t, &out)); d != "" {
		t.Error(d)
	}
}

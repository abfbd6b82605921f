package stream_test

import (
	"context"
	"encoding/json"
	"errors"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/rs/zerolog"

	"rtsptunnel/internal/contract/reason"
	"rtsptunnel/internal/gateway/failure"
	"rtsptunnel/internal/gateway/media"
	"rtsptunnel/internal/gateway/stream"
	"rtsptunnel/internal/testkit/logtest"
)

func TestObserve_seesTheStreamsLife(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		type seen struct {
			Kind    stream.Kind
			Reason  reason.Code
			Readers int
			Tries   int
			Lived   time.Duration
			Took    map[stream.OpenPhase]time.Duration
		}
		var got []seen
		lines := logtest.New()
		offline := failure.New(failure.Hub, reason.ModuleOffline, errors.New("404103"))
		c := newCamera()
		c.set(func(b *behavior) { b.delay, b.fail = time.Second, offline })
		s := newStream(t, c, func(o *stream.Options) {
			o.Log = zerolog.New(lines)
			o.Observe = func(e stream.Event) {
				if e.Stream != "site/front" {
					t.Errorf("event of %q", e.Stream)
				}
				at := seen{Kind: e.Kind, Readers: e.Readers, Tries: e.Tries, Lived: e.Lived, Took: e.Took}
				if e.Failure != nil {
					at.Reason = e.Failure.Reason
				}
				got = append(got, at)
				pass(time.Millisecond) // the stream waits for an observer
			}
		})
		_, err := s.Attach(t.Context(), stream.Want{})
		wantFailure(t, err, failure.Hub, reason.ModuleOffline)
		s.Forget()
		c.set(func(b *behavior) { b.fail = nil })
		r, session := live(t, s, c)
		pass(time.Minute)
		session.end(errReset)
		synctest.Wait()
		c.set(func(b *behavior) { b.fail = offline })
		pass(3 * time.Second)
		c.set(func(b *behavior) { b.fail = nil })
		session = <-c.sessions
		session.picture(true)
		synctest.Wait()
		pass(time.Minute)
		r.Close()
		pass(11 * time.Second)
		synctest.Wait()

		opening := map[stream.OpenPhase]time.Duration{stream.OpenHub: time.Second, stream.OpenRTSP: time.Second}
		want := []seen{
			{Kind: stream.EventFailed, Reason: reason.ModuleOffline, Tries: 1, Took: opening},
			{Kind: stream.EventOpened, Readers: 1, Took: opening},
			{Kind: stream.EventReopening, Reason: reason.TunnelLost, Readers: 1, Tries: 1, Lived: time.Minute + time.Millisecond},
			{Kind: stream.EventReopening, Reason: reason.ModuleOffline, Readers: 1, Tries: 2, Took: opening},
			{Kind: stream.EventOpened, Readers: 1, Tries: 2, Took: opening},
			{Kind: stream.EventClosed, Lived: 70*time.Second + time.Millisecond},
		}
		if diff := cmp.Diff(want, got); diff != "" {
			t.Error(diff)
		}
		wantLines(t, lines.String(), []string{
			`"warn" "stream not opened" "MODULE_OFFLINE" "404103"`,
			`"info" "stream opened" null null`,
			`"warn" "stream lost: it opens again" "TUNNEL_LOST" "reset"`,
			`"warn" "stream lost: it opens again" "MODULE_OFFLINE" "404103"`,
			`"info" "stream opened" null null`,
			`"info" "stream closed" null null`,
		})
	})
}

// wantLines checks level, message, reason and error of log lines.
func wantLines(t *testing.T, text string, want []string) {
	t.Helper()
	var got []string
	for line := range strings.Lines(text) {
		var fields struct{ Level, Message, Reason, Error any }
		if err := json.Unmarshal([]byte(line), &fields); err != nil {
			t.Fatal(err)
		}
		var parts []string
		for _, field := range []any{fields.Level, fields.Message, fields.Reason, fields.Error} {
			part, _ := json.Marshal(field)
			parts = append(parts, string(part))
		}
		got = append(got, strings.Join(parts, " "))
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Error(diff)
	}
}

// An opening that does not end with its context delays Close, and its session is closed.
func TestClose_whileOpeningIsStubborn(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		session := &session{ended: make(chan error, 1)}
		s := stream.New(stream.Options{Open: func(ctx context.Context, _ func(*media.Unit), progress func(failure.Hop)) (stream.Session, error) {
			<-ctx.Done()
			pass(5 * time.Second)
			progress(failure.RTSP) // late
			return session, nil
		}})
		result := attach(t, s, stream.NextKey)
		synctest.Wait()
		began := time.Now()
		s.Close(nil)
		if took := time.Since(began); took != 5*time.Second {
			t.Errorf("Close returned after %v", took)
		}
		wantFailure(t, (<-result).err, failure.Gateway, reason.StreamClosed)
		if got := session.closes.Load(); got != 1 {
			t.Errorf("the session was closed %d times", got)
		}
		wantPhase(t, s, stream.PhaseIdle)
	})
}

func TestState_estimates(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c := newCamera()
		s := newStream(t, c)
		r, session := live(t, s, c)
		session.play(250, 25)
		session.picture(true)
		state := s.State()
		if state.FramesPerSecond < 24 || state.FramesPerSecond > 26 || state.BitsPerSecond < 57_000 || state.BitsPerSecond > 63_000 {
			t.Errorf("%v frames and %v bits a second, want 25 and 60,000", state.FramesPerSecond, state.BitsPerSecond)
		}
		if state.KeyInterval != time.Second || state.Bytes != 252*300 {
			t.Errorf("key interval %v, %d bytes", state.KeyInterval, state.Bytes)
		}
		pass(11 * time.Second)
		if state := s.State(); state.FramesPerSecond != 0 || state.BitsPerSecond != 0 {
			t.Errorf("%v frames and %v bits a second of a camera that is silent", state.FramesPerSecond, state.BitsPerSecond)
		}
		r.Close()
		s.Close(nil)
		if state := s.State(); state.Bytes != 252*300 || state.KeyInterval != 0 {
			t.Errorf("state %+v of an idle stream", state)
		}
	})
}

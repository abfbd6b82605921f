package viewer_test

import (
	"context"
	"errors"
	"net/netip"
	"slices"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"go.uber.org/goleak"

	"rtsptunnel/internal/contract/reason"
	"rtsptunnel/internal/gateway/access"
	"rtsptunnel/internal/gateway/failure"
	"rtsptunnel/internal/gateway/viewer"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

func never(error) {}

func add(t *testing.T, s *viewer.Set, i viewer.Info, end func(error)) *viewer.Viewer {
	t.Helper()
	v, err := s.Add(i, end)
	if err != nil {
		t.Fatal(err)
	}
	return v
}

func checkReason(t *testing.T, err error, want reason.Code) {
	t.Helper()
	f, ok := errors.AsType[*failure.Failure](err)
	if !ok || f.Reason != want {
		t.Errorf("error %v, want %s", err, want)
	}
}

func TestAdd_limits(t *testing.T) {
	info := viewer.Info{Camera: "d/a", Output: "mse", RemoteAddr: "192.0.2.1:1"}
	for name, c := range map[string]struct {
		limits viewer.Limits
		same   viewer.Info // does not fit beside two of info
		other  viewer.Info // fits
	}{
		"total":       {viewer.Limits{Total: 2}, viewer.Info{Camera: "d/b", Output: "hls"}, viewer.Info{}},
		"camera":      {viewer.Limits{PerCamera: 2}, viewer.Info{Camera: "d/a", RemoteAddr: "192.0.2.2"}, viewer.Info{Camera: "d/b", RemoteAddr: "192.0.2.1"}},
		"address":     {viewer.Limits{PerAddress: 2}, viewer.Info{Camera: "d/b", RemoteAddr: "192.0.2.1:2"}, viewer.Info{Camera: "d/a", RemoteAddr: "192.0.2.2:1"}},
		"bare":        {viewer.Limits{PerAddress: 2}, viewer.Info{Camera: "d/b", RemoteAddr: "::ffff:192.0.2.1"}, viewer.Info{Camera: "d/b", RemoteAddr: "2001:db8::1"}},
		"no address":  {viewer.Limits{PerAddress: 2}, viewer.Info{Camera: "d/b", RemoteAddr: "192.0.2.1"}, viewer.Info{Camera: "d/b", RemoteAddr: "pipe"}},
		"everything":  {viewer.Limits{Total: 2, PerCamera: 2, PerAddress: 2}, info, viewer.Info{}},
		"three of us": {viewer.Limits{Total: 3, PerCamera: 2}, info, viewer.Info{Camera: "d/b"}},
	} {
		t.Run(name, func(t *testing.T) {
			s := viewer.New(c.limits)
			first := add(t, s, info, never)
			add(t, s, info, never)
			_, err := s.Add(c.same, never)
			checkReason(t, err, reason.LimitViewers)
			if n := s.Count(c.same.Output).Refused; n != 1 {
				t.Errorf("%d refused", n)
			}
			if c.other.Camera != "" {
				add(t, s, c.other, never).Close()
			}
			first.Close()
			first.Close()
			add(t, s, info, never)
			_, err = s.Add(info, never)
			checkReason(t, err, reason.LimitViewers)
			s.SetLimits(viewer.Limits{})
			add(t, s, info, never)
			if got := s.Count("mse"); got.Viewers != 3 {
				t.Errorf("%+v", got)
			}
		})
	}
}

func TestReserve(t *testing.T) {
	s := viewer.New(viewer.Limits{Total: 2, PerAddress: 1})
	from := netip.MustParseAddr("192.0.2.1")
	release, err := s.Reserve("d/a", netip.Addr{})
	if err != nil {
		t.Fatal(err)
	}
	v := add(t, s, viewer.Info{Camera: "d/a", RemoteAddr: "192.0.2.1"}, never)
	_, err = s.Reserve("d/a", netip.Addr{})
	checkReason(t, err, reason.LimitViewers)
	_, err = s.Reserve("", from)
	checkReason(t, err, reason.LimitViewers)
	release()
	release()
	v.Close()
	byAddress, err := s.Reserve("", from) // takes no place of the total
	if err != nil {
		t.Fatal(err)
	}
	for range 2 {
		if _, err := s.Reserve("d/a", netip.Addr{}); err != nil {
			t.Error(err)
		}
	}
	_, err = s.Reserve("d/a", netip.Addr{})
	checkReason(t, err, reason.LimitViewers)
	byAddress()
	if _, err = s.Reserve("", from); err != nil {
		t.Error(err)
	}
}

func TestCount(t *testing.T) {
	s := viewer.New(viewer.Limits{})
	var firsts []time.Duration
	s.OnFirstUnit(func(output string, took time.Duration) {
		if output == "mse" {
			firsts = append(firsts, took)
		}
	})
	begun := time.Now()
	info := viewer.Info{Camera: "d/a", Stream: "sub", Output: "mse", RemoteAddr: "192.0.2.1", Principal: access.Principal{Name: "wall"}}
	v := add(t, s, info, never)
	gone := add(t, s, info, never)
	add(t, s, viewer.Info{Output: "hls"}, never).Sent(100)
	v.Sent(10)
	v.Sent(5)
	v.Skip(3)
	v.FirstUnit(time.Second)
	v.FirstUnit(time.Minute)
	gone.Sent(1)
	gone.Stalled()
	gone.Stalled()
	gone.Close()
	if got, want := s.Count("mse"), (viewer.Totals{Viewers: 1, Bytes: 16, Skipped: 3, Stalled: 1}); got != want {
		t.Errorf("%+v, want %+v", got, want)
	}
	if !slices.Equal(firsts, []time.Duration{time.Second}) {
		t.Errorf("first units after %v", firsts)
	}
	list := slices.DeleteFunc(s.List(), func(v viewer.Snapshot) bool { return v.Output != "mse" })
	if len(list) != 1 {
		t.Fatalf("%+v", list)
	}
	got := list[0]
	if got.ID != v.ID() || len(got.ID) != 10 || got.Camera != "d/a" || got.Stream != "sub" || got.Principal.Name != "wall" ||
		got.RemoteAddr != "192.0.2.1" || got.Bytes != 15 || got.Skipped != 3 || got.Since.Before(begun) {
		t.Errorf("%+v", got)
	}
}

func TestDisconnect(t *testing.T) {
	s := viewer.New(viewer.Limits{})
	cause := failure.New(failure.Viewer, reason.ViewerClosed, nil)
	var ends []error
	var v *viewer.Viewer
	v = add(t, s, viewer.Info{}, func(err error) {
		ends = append(ends, err)
		v.Close() // end may close, because no lock is held
	})
	other := add(t, s, viewer.Info{}, func(error) { t.Error("another viewer ends") })
	if s.Disconnect("none", cause) || !s.Disconnect(v.ID(), cause) || s.Disconnect(v.ID(), cause) {
		t.Error("disconnected")
	}
	if len(ends) != 1 || !errors.Is(ends[0], cause) {
		t.Errorf("ended with %v", ends)
	}
	other.Close()
	if s.Disconnect(other.ID(), cause) {
		t.Error("a closed viewer is disconnected")
	}
}

// Several causes at once end a viewer once.
func TestDisconnect_once(t *testing.T) {
	s := viewer.New(viewer.Limits{})
	var n atomic.Int32
	v := add(t, s, viewer.Info{}, func(error) { n.Add(1) })
	var calls sync.WaitGroup
	for range 8 {
		calls.Go(func() { s.Disconnect(v.ID(), context.Canceled) })
		calls.Go(func() { s.Review(func(access.Principal, string) error { return context.Canceled }) })
	}
	calls.Wait()
	if n.Load() != 1 {
		t.Errorf("end was called %d times", n.Load())
	}
}

func TestReview(t *testing.T) {
	s := viewer.New(viewer.Limits{})
	denied := failure.New(failure.Viewer, reason.AccessDenied, nil)
	var ended error
	add(t, s, viewer.Info{Camera: "d/a", Principal: access.Principal{Name: "x"}}, func(error) { t.Error("the valid viewer ends") })
	add(t, s, viewer.Info{Camera: "d/b", Principal: access.Principal{Name: "x"}}, func(err error) { ended = err })
	s.Review(func(p access.Principal, camera string) error {
		if p.Name == "x" && camera == "d/b" {
			return denied
		}
		return nil
	})
	if !errors.Is(ended, denied) {
		t.Errorf("ended with %v", ended)
	}
}

// A viewer that closes during its review does not end.
func TestReview_closed(t *testing.T) {
	s := viewer.New(viewer.Limits{})
	v := add(t, s, viewer.Info{}, func(error) { t.Error("a closed viewer ends") })
	s.Review(func(access.Principal, string) error {
		v.Close()
		return context.Canceled
	})
}

// A viewer ends when its principal expires, not before, and not after its Close.
func TestAdd_expires(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := viewer.New(viewer.Limits{})
		begun := time.Now()
		expiring := viewer.Info{Principal: access.Principal{Expires: begun.Add(time.Minute)}}
		ended := make(chan error, 1)
		add(t, s, expiring, func(err error) { ended <- err })
		add(t, s, expiring, func(error) { t.Error("a closed viewer ends") }).Close()
		add(t, s, viewer.Info{}, func(error) { t.Error("a viewer that never expires ends") })
		checkReason(t, <-ended, reason.AccessExpired)
		if took := time.Since(begun); took != time.Minute {
			t.Errorf("ended after %v", took)
		}
	})
}

func TestShutdown(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := viewer.New(viewer.Limits{Total: 2})
		begun := time.Now()
		var slow *viewer.Viewer
		slow = add(t, s, viewer.Info{Camera: "d/a"}, func(err error) {
			checkReason(t, err, reason.ShuttingDown)
			time.AfterFunc(3*time.Second, slow.Close)
		})
		stuck := add(t, s, viewer.Info{Camera: "d/a"}, never)
		ctx, cancel := context.WithTimeout(t.Context(), 5*time.Second)
		defer cancel()
		s.Shutdown(ctx)
		if took := time.Since(begun); took != 5*time.Second {
			t.Errorf("with a stuck viewer it took %v", took)
		}
		if n := len(s.List()); n != 1 {
			t.Errorf("%d viewers are left", n)
		}
		_, err := s.Add(viewer.Info{Camera: "d/a", Output: "mse"}, never)
		checkReason(t, err, reason.ShuttingDown)
		if n := s.Count("mse").Refused; n != 1 {
			t.Errorf("%d refused", n)
		}
		time.AfterFunc(time.Second, stuck.Close)
		s.Shutdown(t.Context())
		if took := time.Since(begun); took != 6*time.Second {
			t.Errorf("with the last viewer it took %v", took)
		}
		for range 2 {
			if _, err := s.Reserve("d/a", netip.Addr{}); err != nil {
				t.Errorf("a refused viewer keeps its place: %v", err)
			}
		}
		s.Shutdown(t.Context()) // at once
		viewer.New(viewer.Limits{}).Shutdown(t.Context())
	})
}

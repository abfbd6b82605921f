package hublink_test

import (
	"fmt"
	"net"
	"strings"
	"testing"
	"time"

	"rtsptunnel/internal/module/hubconn"
	"rtsptunnel/internal/module/hublink"
)

// bigTwin is a hubconn.LargeTwin that puts a twin with the version of its size in its place.
type bigTwin struct{ size int }

func (b *bigTwin) Write(p []byte) (int, error) {
	b.size += len(p)
	return len(p), nil
}

func (b *bigTwin) Document() []byte { return []byte(twinDoc(b.size, "")) }

// paced writes at most a part of 64 KiB per tick.
type paced struct {
	net.Conn
	tick *time.Ticker
	ends <-chan struct{} // of the test
}

func (p paced) Write(b []byte) (n int, err error) {
	for err == nil && n < len(b) {
		select {
		case <-p.tick.C:
		case <-p.ends:
			return n, net.ErrClosed
		}
		var some int
		some, err = p.Conn.Write(b[n:min(n+64<<10, len(b))])
		n += some
	}
	return n, err
}

// A twin that is too large to be kept costs no connection, and what is read of it is
// delivered. It may take longer than the timeouts of a request and of the subscriptions, as
// long as it arrives. Later twins and methods arrive as ever.
func TestTwin_large(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct {
		size int
		slow bool
	}{"fast": {16 << 20, false}, "slow": {3 << 20, true}} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			s := newSite(t)
			s.o.Conn.LargeTwin = func() hubconn.LargeTwin { return new(bigTwin) }
			h := newFakeHub(t, s, "")
			large := twinDoc(1, "") + strings.Repeat(" ", c.size)
			h.twin = large
			timeout := patience
			if c.slow {
				tick := time.NewTicker(100 * time.Millisecond)
				defer tick.Stop()
				h.slow = func(conn net.Conn) net.Conn { return paced{conn, tick, t.Context().Done()} }
				timeout = 3 * time.Second // the twin takes 5
			}
			l := s.start(t, func(ts *hublink.Times) {
				quick(ts)
				ts.Request, ts.Subscribe = timeout, timeout
			})
			s.await(t, int64(len(large)))
			h.mu.Lock()
			h.twin, h.slow = twinDoc(1<<30, ""), nil
			h.mu.Unlock()
			h.desire(twinDoc(1<<30, ""))
			s.await(t, 1<<30)
			h.publish(fmt.Sprintf("$iothub/methods/POST/m/?$rid=%s", name), "{}")
			if got, ok := receive(t, h.answers); !ok || !strings.Contains(got.topic, name) {
				t.Errorf("answer %v", got)
			}
			if state := l.State(); state.Attempts != 1 {
				t.Errorf("%+v\n%s", state, s.log)
			}
		})
	}
}

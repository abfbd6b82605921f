package tunnel_test

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/gorilla/websocket"
	"github.com/rs/zerolog"

	"rtsptunnel/internal/contract/reason"
	"rtsptunnel/internal/contract/tunnelopen"
	"rtsptunnel/internal/module/camera"
	"rtsptunnel/internal/module/tunnel"
	"rtsptunnel/internal/testkit/logtest"
)

// piped is a Set whose tunnels are over pipes, for testing/synctest.
type piped struct {
	*site
	far chan pipes
}

// pipes are the far ends of a tunnel, and the cause of its end.
type pipes struct {
	camera, remote net.Conn
	ended          chan error
}

func newPiped(t *testing.T) *piped {
	t.Helper()
	p := &piped{site: &site{log: logtest.New()}, far: make(chan pipes, 1)}
	cameras := make(chan net.Conn, 1)
	p.Set = tunnel.New(tunnel.Options{
		Camera: func(localPort int) (camera.Camera, bool) {
			return camera.Camera{Name: fmt.Sprint("cam", localPort), LocalPort: localPort}, true
		},
		DialCamera: func(context.Context, camera.Camera) (net.Conn, error) {
			near, far := net.Pipe()
			cameras <- far
			return near, nil
		},
		Remote: func(context.Context, tunnelopen.Request) (net.Conn, error) {
			near, far := net.Pipe()
			e := pipes{<-cameras, far, make(chan error, 1)}
			p.far <- e
			return &causeConn{near, e.ended}, nil
		},
		Log: zerolog.New(p.log),
	})
	return p
}

func (p *piped) open(t *testing.T) pipes {
	t.Helper()
	if err := p.Open(t.Context(), request()); err != nil {
		t.Fatal(err)
	}
	e := <-p.far
	t.Cleanup(func() { e.camera.Close(); e.remote.Close() })
	return e
}

// say sends a byte from one end to the other.
func say(t *testing.T, from, to net.Conn) {
	t.Helper()
	go func() { _, _ = from.Write([]byte("x")) }()
	if _, err := io.ReadFull(to, make([]byte, 1)); err != nil {
		t.Fatal(err)
	}
}

// ends fails the test unless the tunnel ends for this reason between least and most.
func (e pipes) ends(t *testing.T, why reason.Code, least, most time.Duration) {
	t.Helper()
	begin := time.Now()
	select {
	case err := <-e.ended:
		if took := time.Since(begin); reason.Of(err) != why || took < least || took > most {
			t.Errorf("ended after %s by %v, want %s after %s to %s", took, err, why, least, most)
		}
	case <-time.After(most + time.Second):
		t.Errorf("not ended after %s", time.Since(begin))
	}
}

func (e pipes) lives(t *testing.T) {
	t.Helper()
	synctest.Wait()
	select {
	case err := <-e.ended:
		t.Errorf("ended by %v", err)
	default:
	}
}

func limits(idle, age time.Duration) tunnel.Limits {
	return tunnel.Limits{Enabled: true, IdleTimeout: idle, MaxAge: age}
}

const lateBy = time.Minute/8 + 100*time.Millisecond // of an idle timeout of a minute

// A tunnel ends after its idle timeout without a byte in either direction, not before, and
// no other tunnel ends.
func TestExpire_idle(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := newPiped(t)
		s.Limit(limits(time.Minute, 0))
		up, down, silent := s.open(t), s.open(t), s.open(t)
		begin := time.Now()
		tick := time.NewTicker(59 * time.Second)
		for range 3 {
			<-tick.C
			say(t, up.camera, up.remote)
			say(t, down.remote, down.camera)
			up.lives(t)
			down.lives(t)
			if time.Since(begin) < time.Minute {
				silent.ends(t, reason.LimitIdle, time.Second, time.Second+lateBy)
			}
		}
		tick.Stop()
		<-time.After(10 * time.Second)
		say(t, down.remote, down.camera)
		up.ends(t, reason.LimitIdle, 50*time.Second, 50*time.Second+lateBy)
		down.ends(t, reason.LimitIdle, time.Second, 10*time.Second+lateBy)
		s.shutdown(t)
		if n := strings.Count(s.log.String(), `"closedBy":"module","reason":"LIMIT_IDLE"`); n != 3 {
			t.Errorf("%d closing records:\n%s", n, s.log)
		}
	})
}

// A tunnel ends at its maximum age, whatever it carries.
func TestExpire_age(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := newPiped(t)
		s.Limit(limits(0, time.Hour))
		first := s.open(t)
		<-time.After(10 * time.Minute)
		second := s.open(t)
		s.Limit(limits(0, time.Hour)) // as after a change of the twin elsewhere
		for range 49 {
			<-time.After(time.Minute)
			say(t, first.camera, first.remote)
			say(t, second.camera, second.remote)
		}
		first.ends(t, reason.LimitAge, time.Minute, time.Minute+time.Second)
		second.ends(t, reason.LimitAge, 10*time.Minute, 10*time.Minute+time.Second)
		third := s.open(t) // the Set had no tunnel to check before
		third.ends(t, reason.LimitAge, time.Hour, time.Hour+time.Second)
		s.shutdown(t)
	})
}

// A change of the limits holds for open tunnels.
func TestExpire_changes(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := newPiped(t)
		silent, spoke, speaks := s.open(t), s.open(t), s.open(t)
		say(t, spoke.camera, spoke.remote)
		<-time.After(24 * time.Hour)
		say(t, speaks.camera, speaks.remote)
		for _, e := range []pipes{silent, spoke, speaks} {
			e.lives(t)
		}
		s.Limit(limits(time.Minute, 0))
		silent.ends(t, reason.LimitIdle, 0, 0)
		s.Limit(limits(0, 0))
		<-time.After(24 * time.Hour)
		spoke.lives(t)
		s.Limit(limits(0, 49*time.Hour))
		spoke.lives(t)
		s.Limit(limits(0, 48*time.Hour))
		spoke.ends(t, reason.LimitAge, 0, 0)
		speaks.ends(t, reason.LimitAge, 0, 0)
		s.shutdown(t)
	})
}

// The limits hold for open tunnels. Dials have their own timeouts.
func TestExpire_notDuringTheDials(t *testing.T) {
	dialing, limited := make(chan struct{}), make(chan struct{})
	s := newSite(t, func(o *tunnel.Options) {
		dial := o.Remote
		o.Remote = func(ctx context.Context, r tunnelopen.Request) (net.Conn, error) {
			close(dialing)
			<-limited
			return dial(ctx, r)
		}
	})
	opened := make(chan error, 1)
	go func() { opened <- s.Open(t.Context(), request()) }()
	<-dialing
	s.Limit(limits(time.Hour, time.Hour))
	close(limited)
	if err := <-opened; err != nil {
		t.Error(err)
	}
}

// A tunnel whose bytes wait for the rate limit is not idle.
func TestExpire_notWhileItWaits(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := newPiped(t)
		s.Limit(limits(time.Minute, 0))
		s.Pace(tunnel.Rates{All: 1}) // a piece takes an hour and more
		e := s.open(t)
		go stream(e.camera)
		if _, err := io.ReadFull(e.remote, make([]byte, 1024)); err != nil {
			t.Fatal(err)
		}
		<-time.After(30 * time.Minute)
		e.lives(t)
		s.shutdown(t)
	})
}

// The remote end gets the reason.
func TestExpire_tellsTheRemoteEnd(t *testing.T) {
	t.Parallel()
	for why, l := range map[reason.Code]tunnel.Limits{reason.LimitIdle: limits(time.Second, 0), reason.LimitAge: limits(0, time.Second)} {
		t.Run(string(why), func(t *testing.T) {
			t.Parallel()
			far, change := overGorilla(t)
			s := newSite(t, change)
			s.Limit(l)
			e := s.openTo(t, far, 554)
			if err := e.cloud.SetReadDeadline(time.Now().Add(time.Minute)); err != nil {
				t.Fatal(err)
			}
			_, _, err := e.cloud.ReadMessage()
			if got, ok := errors.AsType[*websocket.CloseError](err); !ok || got.Code != websocket.ClosePolicyViolation || got.Text != string(why) {
				t.Errorf("the remote end read %v", err)
			}
			s.log.Await(t, fmt.Sprintf(`"closedBy":"module","reason":"%s"`, why), 1)
			if _, err := io.ReadAll(e.camera); err != nil {
				t.Errorf("the camera was cut: %v", err)
			}
		})
	}
}

// After a check that comes late, since the process was stopped or the machine slept, a
// tunnel is not taken for idle: it may have carried bytes in that time.
func TestExpire_lateCheckEndsNothing(t *testing.T) {
	t.Parallel()
	hold := make(chan struct{})
	s := newSite(t, func(o *tunnel.Options) {
		o.Limits = limits(2*time.Second, 0)
		find := o.Camera
		o.Camera = func(localPort int) (camera.Camera, bool) {
			if localPort == 1 { // the Set stays locked, so that the check is late
				<-hold
				return camera.Camera{}, false
			}
			return find(localPort)
		}
	})
	if err := s.Open(t.Context(), request()); err != nil {
		t.Fatal(err)
	}
	camera, remote := accept(t, s.camera), accept(t, s.remote)
	refused := make(chan struct{})
	go func() {
		defer close(refused)
		r := request()
		r.LocalPort = 1
		_ = s.Open(t.Context(), r)
	}()
	pause(t, 5*time.Second)
	close(hold)
	<-refused
	say(t, camera, remote)
	s.log.Await(t, `"reason":"LIMIT_IDLE"`, 1)
}

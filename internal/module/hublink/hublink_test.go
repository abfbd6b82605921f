package hublink_test

import (
	"context"
	"io"
	"net"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	"rtsptunnel/internal/hub/hubclient"
	"rtsptunnel/internal/module/hubconn"
)

// Any name and any JSON arrive unchanged, and any status and body go back. The library's own
// dispatcher passes only objects, for known methods.
func TestMethod_anyNameAnyPayload(t *testing.T) {
	t.Parallel()
	s := newSite(t)
	s.run(t)
	for _, payload := range []string{`null`, `{}`, `[1,2]`, `"text"`, `5`, `{"n":1.0,"s":"` + strings.Repeat("x", 100_000) + `"}`} {
		status, body := s.Invoke(t, "anyName-1_x", payload)
		if want := `{"name":"anyName-1_x","payload":` + payload + `}`; status != 299 || body != want {
			t.Errorf("answer %d %.200s, want 299 %.200s", status, body, want)
		}
	}
}

// 300 calls on one connection: request ids pass 9 and 255 and stay opaque.
func TestMethod_manyAtOnce(t *testing.T) {
	t.Parallel()
	s := newSite(t)
	s.run(t)
	s.Invoke(t, "first", `{}`)
	var calls sync.WaitGroup
	for range 10 {
		calls.Go(func() {
			for n := range 30 {
				payload := strconv.Itoa(n)
				if _, body := s.Invoke(t, "m", payload); body != `{"name":"m","payload":`+payload+`}` {
					t.Errorf("call %d got %s", n, body)
				}
			}
		})
	}
	calls.Wait()
	if log := s.log.String(); strings.Contains(log, "mqtt: ") {
		t.Errorf("the library logs:\n%s", log)
	}
}

// A call outlives its session: the dial of a camera is not canceled because the hub went
// away for a moment.
func TestMethod_outlivesItsSession(t *testing.T) {
	t.Parallel()
	s := newSite(t)
	h := &slow{echo: s.module, called: make(chan context.Context, 1), release: make(chan struct{})}
	s.o.Handler = h
	s.run(t)
	s.log.Await(t, connected, 1)
	calling, hangUp := context.WithCancel(t.Context())
	defer hangUp()
	var call sync.WaitGroup
	call.Go(func() {
		_, _, _ = s.Client.Invoke(calling, s.ID, hubclient.Method{Name: "x", ConnectTimeout: 20 * time.Second, ResponseTimeout: 5 * time.Second})
	})
	ctx := <-h.called
	s.Drop(s.ID.Device, s.ID.Module)
	s.log.Await(t, connected, 2)
	if ctx.Err() != nil {
		t.Errorf("the call's context ended with the session: %v", ctx.Err())
	}
	close(h.release)
	s.log.Await(t, `"answerLost":true,"method":"x","code":299,`, 1) // the session is over
	hangUp()
	call.Wait()
}

// slow is an echo that passes on the context of each call and waits for release.
type slow struct {
	*echo
	called  chan context.Context
	release chan struct{}
}

func (s *slow) Method(ctx context.Context, name string, payload []byte) func() (int, []byte) {
	call := s.echo.Method(ctx, name, payload)
	return func() (int, []byte) {
		s.called <- ctx
		<-s.release
		return call()
	}
}

// The whole twin is read after each connect and after each change, also after changes that
// were missed without a connection.
func TestTwin_isReadAfterEachConnectAndChange(t *testing.T) {
	t.Parallel()
	s := newSite(t)
	stop := s.run(t)
	s.await(t, 1)
	s.patch(t, 2)
	s.await(t, 2)
	for n := int64(3); n < 6; n++ {
		s.Drop(s.ID.Device, s.ID.Module)
		s.patch(t, n) // while the module is not connected
		s.await(t, n)
	}
	s.Invoke(t, "still", `{}`)
	stop()
	if !strings.Contains(s.log.String(), `"reason":"HUB_LOST"`) {
		t.Errorf("the drops did not happen:\n%s", s.log)
	}
}

func TestConnect_announcesTheModel(t *testing.T) {
	t.Parallel()
	s := newSite(t)
	s.run(t)
	s.Invoke(t, "x", `{}`)
	tw, err := s.Client.Twin(t.Context(), s.ID)
	if err != nil || tw.ModelID != s.o.Conn.ModelID {
		t.Errorf("the hub's twin says model %q (%v)", tw.ModelID, err)
	}
}

// A server that accepts the connection and sends nothing does not delay Run's end.
func TestRun_endsWhileTheHubIsSilent(t *testing.T) {
	t.Parallel()
	s := newSite(t)
	ln, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer ln.Close()
	s.o.Address = ln.Addr().String()
	stop := s.run(t)
	c, err := ln.Accept()
	if err != nil {
		t.Fatal(err)
	}
	defer c.Close()
	if _, err := c.Read(make([]byte, 1)); err != nil { // the TLS hello: the dial is under way
		t.Fatal(err)
	}
	stop()
}

func TestRun_keepsTrying(t *testing.T) {
	t.Parallel()
	s := newSite(t)
	ln, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer ln.Close()
	s.o.Address = ln.Addr().String()
	s.run(t)
	for range 3 { // closed each time
		c, err := ln.Accept()
		if err != nil {
			t.Fatal(err)
		}
		c.Close()
	}
}

// The same while the WebSocket handshake is not answered.
func TestRun_endsWhileTheWebSocketIsSilent(t *testing.T) {
	t.Parallel()
	s := newSite(t)
	asked := make(chan struct{}, 16)
	s.replaceHub(t, hubconn.MQTTWS, func(c net.Conn) {
		if _, err := c.Read(make([]byte, 1)); err == nil {
			asked <- struct{}{}
			_, _ = io.Copy(io.Discard, c)
		}
	})
	stop := s.run(t)
	<-asked
	begin := time.Now()
	stop()
	if took := time.Since(begin); took > 10*time.Second {
		t.Errorf("it took %s", took)
	}
}

package tunnel_test

import (
	"context"
	"crypto/x509"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"net/url"
	"os"
	"strings"
	"syscall"
	"testing"
	"time"

	"rtsptunnel/internal/contract/reason"
	"rtsptunnel/internal/contract/tunnelopen"
	"rtsptunnel/internal/module/tunnel"
	"rtsptunnel/internal/wire/wsconn"
)

// overWebSocket makes a site's remote end a WebSocket over TLS. far has the server's end
// of each tunnel.
func overWebSocket(t *testing.T) (far <-chan *wsconn.Conn, change func(*tunnel.Options)) {
	t.Helper()
	return accepted(t, wsconn.Liveness{}, wsconn.Accept)
}

// accepted makes a site's remote end a server that accepts WebSockets by accept. far has
// what accept returns for each tunnel.
func accepted[C any](t *testing.T, limits wsconn.Liveness, accept func(http.ResponseWriter, *http.Request) (C, error)) (far <-chan C, change func(*tunnel.Options)) {
	t.Helper()
	ends := make(chan C, 64)
	srv := httptest.NewTLSServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		c, err := accept(w, r)
		if err != nil {
			t.Error(err)
			return
		}
		ends <- c
	}))
	t.Cleanup(srv.Close)
	d := wsconn.Dialer{Roots: trusting(srv), Sessions: wsconn.NewSessions(), Liveness: limits}
	return ends, func(o *tunnel.Options) {
		o.Remote = func(ctx context.Context, _ tunnelopen.Request) (net.Conn, error) {
			c, err := d.Dial(ctx, endpoint(srv), nil)
			if err != nil {
				return nil, err
			}
			return c, nil
		}
	}
}

// endpoint returns a server's address as a remote endpoint.
func endpoint(srv *httptest.Server) *url.URL {
	return &url.URL{Scheme: "wss", Host: srv.Listener.Addr().String()}
}

// trusting returns the roots for a test's server.
func trusting(srv *httptest.Server) *x509.CertPool {
	roots := x509.NewCertPool()
	roots.AddCert(srv.Certificate())
	return roots
}

// openFour opens tunnels to the cameras cam1 to cam4, whose local ports are 1 to 4. far has
// the remote ends, in this order.
func openFour(t *testing.T) (s *site, far []*wsconn.Conn) {
	t.Helper()
	remotes, change := overWebSocket(t)
	s = newSite(t, cameras(change))
	for port := 1; port <= 4; port++ {
		r := request()
		r.LocalPort = port
		if err := s.Open(t.Context(), r); err != nil {
			t.Fatal(err)
		}
		c := <-remotes
		t.Cleanup(func() { c.Close() })
		if err := c.SetReadDeadline(time.Now().Add(time.Minute)); err != nil {
			t.Fatal(err)
		}
		far = append(far, c)
	}
	return s, far
}

// wantClose fails the test unless the remote end of a tunnel reads Close 1008 with the
// reason.
func wantClose(t *testing.T, far *wsconn.Conn, why reason.Code) {
	t.Helper()
	_, err := far.Read(make([]byte, 1))
	if want := fmt.Sprintf("close 1008 (policy violation): %s", why); err == nil || !strings.Contains(err.Error(), want) {
		t.Errorf("the remote end read %v, want %s", err, want)
	}
}

// End ends only the selected tunnels. Their remote ends get the reason, and the cameras'
// connections are closed.
func TestEnd_endsWhatIsNamed(t *testing.T) {
	s, far := openFour(t)
	for _, c := range []struct {
		port int
		why  reason.Code
	}{{1, reason.CameraRemoved}, {2, reason.PolicyRemote}} {
		if n := s.End(func(i tunnel.Info) bool { return i.LocalPort == c.port && i.Open }, c.why); n != 1 {
			t.Errorf("%d tunnels were ended", n)
		}
		wantClose(t, far[c.port-1], c.why)
	}
	s.log.Await(t, `"closedBy"`, 2)
	if got := s.Count("cam3") + s.Count("cam4"); got != 2 {
		t.Errorf("%d of the two other tunnels are left", got)
	}
	s.Limit(tunnel.Limits{}) // disables tunnels
	wantClose(t, far[2], reason.Disabled)
	s.shutdown(t)
	for _, want := range []string{
		`"camera":"cam1","closedBy":"module","reason":"CAM_REMOVED"`, `"camera":"cam2","closedBy":"policy","reason":"POLICY_REMOTE"`,
		`"camera":"cam3","closedBy":"module","reason":"DISABLED"`, `"camera":"cam4","closedBy":"module","reason":"DISABLED"`,
	} {
		if !strings.Contains(s.log.String(), want) {
			t.Errorf("no closing record has %s:\n%s", want, s.log)
		}
	}
	if strings.Contains(s.log.String(), `"reset"`) {
		t.Errorf("a tunnel was reset:\n%s", s.log)
	}
	for range 4 {
		if _, err := io.ReadAll(accept(t, s.camera)); err != nil {
			t.Errorf("a camera was cut: %v", err)
		}
	}
}

// A remote end that takes no bytes is reset, so that its tunnel and the module end in time.
func TestEnd_resetsWhatIsBlocked(t *testing.T) {
	for why, end := range map[reason.Code]func(*site){
		reason.Disabled:     func(s *site) { s.Limit(tunnel.Limits{}) },
		reason.ShuttingDown: func(*site) {},
	} {
		t.Run(string(why), func(t *testing.T) {
			far, change := overWebSocket(t)
			s := newSite(t, change)
			if err := s.Open(t.Context(), request()); err != nil {
				t.Fatal(err)
			}
			camera, remote := accept(t, s.camera), <-far
			defer remote.Close()
			fill(t, camera)
			begin := time.Now()
			end(s)
			s.shutdown(t)
			if took := time.Since(begin); took > 20*time.Second {
				t.Errorf("it took %s", took)
			}
			if want := `"camera":"front","reset":true,"closedBy":"module","reason":"` + string(why); !strings.Contains(s.log.String(), want) {
				t.Errorf("no closing record has the reset:\n%s", s.log)
			}
			if _, err := io.Copy(io.Discard, remote); !errors.Is(err, syscall.ECONNRESET) {
				t.Errorf("the remote end read %v, want a reset", err)
			}
		})
	}
}

// fill writes until all buffers between the two sides are full.
func fill(t *testing.T, conn net.Conn) {
	t.Helper()
	for {
		if err := conn.SetWriteDeadline(time.Now().Add(time.Second)); err != nil {
			t.Fatal(err)
		}
		if _, err := conn.Write(make([]byte, 64<<10)); errors.Is(err, os.ErrDeadlineExceeded) {
			return
		} else if err != nil {
			t.Fatal(err)
		}
	}
}

// An open that is ended during its dials returns the error that a new open would return.
func TestEnd_endsADial(t *testing.T) {
	endpoint := request().RemoteEndpoint
	for _, c := range []struct {
		why    reason.Code
		status int
		want   reason.Code
		target string
	}{
		{reason.Disabled, 503, reason.Disabled, "tunnelOpen"},
		{reason.PolicyRemote, 403, reason.PolicyRemote, endpoint},
		{reason.CameraRemoved, 400, reason.PortNotAllowed, "localhost:554"},
		{reason.CameraDisabled, 400, reason.PortNotAllowed, "localhost:554"},
		{reason.CameraChanged, 400, reason.CameraChanged, "10.0.0.21:554"},
	} {
		for _, connects := range []bool{false, true} { // true: the dial succeeds after the end
			t.Run(fmt.Sprint(c.why, connects), func(t *testing.T) {
				dialing := make(chan struct{})
				s := newSite(t, func(o *tunnel.Options) {
					dial := o.Remote
					o.Remote = func(ctx context.Context, r tunnelopen.Request) (net.Conn, error) {
						close(dialing)
						<-ctx.Done()
						if connects {
							return dial(context.WithoutCancel(ctx), r)
						}
						return nil, reason.New(reason.RemoteTimeout, ctx.Err())
					}
				})
				opened := make(chan error, 1)
				go func() { opened <- s.Open(t.Context(), request()) }()
				<-dialing
				if infos := s.Tunnels(); len(infos) != 1 || infos[0].Open {
					t.Errorf("during the dials: %+v", infos)
				}
				s.End(all, c.why)
				wantRefused(t, <-opened, c.status, c.want, c.target)
				if _, err := io.ReadAll(accept(t, s.camera)); err != nil {
					t.Errorf("the camera was cut: %v", err)
				}
				if s.Len() != 0 || s.Totals().Opened != 0 {
					t.Errorf("%d are left, %+v", s.Len(), s.Totals())
				}
			})
		}
	}
}

// Disabling tunnels ends all of them, and each remote end gets the reason.
func TestLimit_disablesManyAtOnce(t *testing.T) {
	const many = 64
	far, change := overWebSocket(t)
	s := newSite(t, change)
	var ends []*wsconn.Conn
	for range many {
		if err := s.Open(t.Context(), request()); err != nil {
			t.Fatal(err)
		}
		ends = append(ends, <-far)
	}
	begin := time.Now()
	s.Limit(tunnel.Limits{})
	s.log.Await(t, `"reason":"DISABLED"`, many)
	if took := time.Since(begin); took > 10*time.Second {
		t.Errorf("it took %s", took)
	}
	for _, c := range ends {
		if err := c.SetReadDeadline(time.Now().Add(time.Minute)); err != nil {
			t.Fatal(err)
		}
		wantClose(t, c, reason.Disabled)
		c.Close()
	}
	wantRefused(t, s.Open(t.Context(), request()), 503, reason.Disabled, "tunnelOpen")
	s.Limit(tunnel.DefaultLimits())
	if err := s.Open(t.Context(), request()); err != nil {
		t.Errorf("enabled again: %v", err)
	}
	(<-far).Close()
}

// A tunnel that the old policy has allowed does not outlive End: End waits until Allow has
// returned and the slot is taken, or the slot comes after End.
func TestEnd_missesNoneOfTheOldPolicy(t *testing.T) {
	asked, ended := make(chan struct{}), make(chan struct{})
	s := newSite(t, func(o *tunnel.Options) {
		o.Allow = func(r tunnelopen.Request) (*url.URL, error) {
			close(asked)
			ctx, cancel := context.WithTimeout(t.Context(), 300*time.Millisecond)
			defer cancel()
			select {
			case <-ended: // before the slot is taken
			case <-ctx.Done():
			}
			return r.URL, nil
		}
	})
	go func() {
		defer close(ended)
		<-asked
		s.End(all, reason.PolicyRemote)
	}()
	opened := s.Open(t.Context(), request())
	<-ended
	s.shutdown(t)
	if opened != nil {
		wantRefused(t, opened, 403, reason.PolicyRemote, request().RemoteEndpoint)
	} else if strings.Contains(s.log.String(), string(reason.ShuttingDown)) {
		t.Errorf("a tunnel outlived the change of the policy:\n%s", s.log)
	}
}

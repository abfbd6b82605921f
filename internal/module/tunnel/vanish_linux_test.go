package tunnel_test

import (
	"context"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"os"
	"os/exec"
	"strings"
	"syscall"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"rtsptunnel/internal/contract/tunnelopen"
	"rtsptunnel/internal/module/camera"
	"rtsptunnel/internal/module/tunnel"
	"rtsptunnel/internal/wire/wsconn"
)

// long is the variable that enables tests of a minute, and makes them fail if something
// that they need is missing. make long-test sets it.
const long = "RTSPTUNNEL_LONG_TESTS"

func longTest(t *testing.T) {
	t.Helper()
	if os.Getenv(long) == "" {
		t.Skip("it takes a minute: make long-test runs it")
	}
}

// inOwnNetwork runs this test's function again, in a process with a network namespace that
// has only a loopback interface. It returns true in that process.
func inOwnNetwork(t *testing.T) bool {
	t.Helper()
	if os.Getenv("RTSPTUNNEL_OWN_NETWORK") != "" {
		setLoopback(t, true)
		return true
	}
	ctx, cancel := context.WithTimeout(t.Context(), 5*time.Minute)
	defer cancel()
	child := exec.CommandContext(ctx, os.Args[0], "-test.v", "-test.run=^"+t.Name()+"$")
	child.Env = append(os.Environ(), "RTSPTUNNEL_OWN_NETWORK=1")
	child.SysProcAttr = &syscall.SysProcAttr{Cloneflags: syscall.CLONE_NEWNET}
	if os.Geteuid() != 0 { // an unprivileged user can be root of a user namespace
		child.SysProcAttr.Cloneflags |= syscall.CLONE_NEWUSER
		child.SysProcAttr.UidMappings = []syscall.SysProcIDMap{{ContainerID: 0, HostID: os.Geteuid(), Size: 1}}
	}
	out, err := child.CombinedOutput()
	t.Logf("%s", out)
	if err != nil { // also if namespaces are not allowed: the long tests need them
		t.Error(err)
	}
	return false
}

// setLoopback sets this network's only link up or down.
func setLoopback(t *testing.T, up bool) {
	t.Helper()
	fd, err := unix.Socket(unix.AF_INET, unix.SOCK_DGRAM|unix.SOCK_CLOEXEC, 0)
	if err != nil {
		t.Fatal(err)
	}
	defer unix.Close(fd)
	lo, err := unix.NewIfreq("lo")
	if err == nil {
		err = unix.IoctlIfreq(fd, unix.SIOCGIFFLAGS, lo)
	}
	if err != nil {
		t.Fatal(err)
	}
	flags := lo.Uint16() &^ unix.IFF_UP
	if up {
		flags |= unix.IFF_UP
	}
	lo.SetUint16(flags)
	if err := unix.IoctlIfreq(fd, unix.SIOCSIFFLAGS, lo); err != nil {
		t.Fatal(err)
	}
}

// neighbour is an end of a tunnel that does not need the network.
type neighbour struct{ net.Listener }

func newNeighbour(t *testing.T) *neighbour {
	t.Helper()
	dir, err := os.MkdirTemp("", "x-")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = os.RemoveAll(dir) })
	ln, err := net.Listen("unix", dir+"/s")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { ln.Close() })
	return &neighbour{ln}
}

func (n *neighbour) dial(ctx context.Context) (net.Conn, error) {
	return (&net.Dialer{}).DialContext(ctx, "unix", n.Addr().String())
}

// The local ports of the tunnels of TestTunnel_peersVanish: which peer vanishes, and
// whether bytes are sent to it.
const (
	idleRemote = iota + 1
	busyRemote
	idleCamera
	busyCamera
)

// stallOfBusy is the stall timeout of the tunnel busyRemote.
const stallOfBusy = 15 * time.Second

// A peer behind a link that goes down sends no FIN, no reset and no acknowledgement. The
// module detects that within 45 s, or within stallTimeoutSeconds if bytes are sent to a
// remote end. The limits are the product's.
func TestTunnel_peersVanish(t *testing.T) {
	longTest(t)
	t.Parallel()
	if !inOwnNetwork(t) {
		return
	}
	s, near, far := newVanishing(t)
	vanished := time.Now()
	setLoopback(t, false)
	if c, err := net.DialTimeout("tcp", s.camera.Addr().String(), time.Second); err == nil {
		c.Close()
		t.Fatal("the network is still there")
	}
	if _, err := io.WriteString(near[busyCamera], "OPTIONS"); err != nil {
		t.Fatal(err)
	}
	go func() { _, _ = io.Copy(near[busyRemote], zeros{}) }()

	took := map[int]time.Duration{}
	for len(took) < len(near) && time.Since(vanished) < 3*time.Minute {
		for port := range s.closings(t) {
			if _, known := took[port]; !known {
				took[port] = time.Since(vanished).Round(100 * time.Millisecond)
			}
		}
		pause(t, 100*time.Millisecond)
	}
	for port, want := range map[int]struct {
		least, most      time.Duration
		closedBy, reason string
	}{
		idleRemote: {20 * time.Second, 45 * time.Second, "remote", "no answer to a ping for 20s"},
		busyRemote: {stallOfBusy - time.Second, stallOfBusy + 3*time.Second, "remote", "no byte was acknowledged for 15s"},
		idleCamera: {30 * time.Second, 45 * time.Second, "camera", "CAM_LOST"},
		busyCamera: {30 * time.Second, 45 * time.Second, "camera", "CAM_LOST"},
	} {
		record, ended := s.closings(t)[port]
		if !ended || record.ClosedBy != want.closedBy || !strings.Contains(record.Cause, want.reason) {
			t.Errorf("tunnel %d: %+v, want %s of the %s", port, record, want.reason, want.closedBy)
		}
		if slack := 10 * time.Second; took[port] < want.least || took[port] > want.most+slack {
			t.Errorf("tunnel %d: detected after %s", port, took[port])
		}
		t.Logf("tunnel %d: after %s: %s", port, took[port], record.Cause)
	}
	for port := range near {
		near[port].Close()
		far[port].Close()
	}
}

// A live camera that takes no bytes is detected like a dead one. The relay does not read
// the remote end meanwhile, and so does not check it.
func TestTunnel_cameraTakesNothing(t *testing.T) {
	longTest(t)
	t.Parallel()
	far, change := overWebSocket(t)
	var s *site
	s = newSite(t, func(o *tunnel.Options) {
		change(o)
		o.DialCamera = nil // the camera's own
		o.Camera = func(int) (camera.Camera, bool) {
			at := s.camera.Addr().(*net.TCPAddr)
			return camera.Camera{Name: "front", Host: at.IP.String(), Port: at.Port}, true
		}
	})
	if err := s.Open(t.Context(), request()); err != nil {
		t.Fatal(err)
	}
	accept(t, s.camera)
	remote := <-far
	defer remote.Close()
	begin := time.Now()
	if _, err := io.Copy(struct{ io.Writer }{remote}, zeros{}); err == nil {
		t.Error("the remote end could write without end")
	}
	s.log.Await(t, `"closedBy":"camera","reason":"CAM_LOST"`, 1)
	if took := time.Since(begin); took < 30*time.Second || took > 60*time.Second {
		t.Errorf("it took %s", took)
	}
}

// newVanishing opens four tunnels. near has the end of each that stays, and far the end
// behind the network, which is to vanish.
func newVanishing(t *testing.T) (s *site, near, far map[int]net.Conn) {
	t.Helper()
	near, far = map[int]net.Conn{}, map[int]net.Conn{}
	stays := newNeighbour(t)
	remotes := make(chan net.Conn, 1)
	srv := httptest.NewTLSServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		c, err := wsconn.Accept(w, r)
		if err != nil {
			t.Error(err)
			return
		}
		go func() { _, _ = io.Copy(io.Discard, c) }() // and so sends pongs
		remotes <- c
	}))
	t.Cleanup(srv.Close)
	s = newSite(t, func(o *tunnel.Options) {
		find := o.Camera
		o.Camera = func(port int) (camera.Camera, bool) {
			c, _ := find(554)
			c.LocalPort = port
			return c, true
		}
		o.DialCamera = func(ctx context.Context, c camera.Camera) (net.Conn, error) {
			if c.LocalPort != idleCamera && c.LocalPort != busyCamera {
				return stays.dial(ctx)
			}
			at := s.camera.Addr().(*net.TCPAddr)
			return camera.Camera{Host: at.IP.String(), Port: at.Port}.Dial(ctx)
		}
		o.Remote = func(ctx context.Context, r tunnelopen.Request) (net.Conn, error) {
			limits := wsconn.Liveness{}
			switch r.LocalPort {
			case idleCamera, busyCamera:
				return stays.dial(ctx)
			case busyRemote:
				limits.Stall = stallOfBusy
			}
			c, err := wsconn.Dialer{Roots: trusting(srv), Liveness: limits}.Dial(ctx, endpoint(srv), nil)
			if err != nil {
				return nil, err
			}
			return c, nil
		}
	})
	for port := idleRemote; port <= busyCamera; port++ {
		r := request()
		r.LocalPort = port
		if err := s.Open(t.Context(), r); err != nil {
			t.Fatal(err)
		}
		near[port] = accept(t, stays)
		if port == idleCamera || port == busyCamera {
			far[port] = accept(t, s.camera)
		} else {
			far[port] = <-remotes
		}
	}
	return s, near, far
}

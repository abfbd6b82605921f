package module_test

import (
	"errors"
	"net"
	"net/url"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"syscall"
	"testing"

	"github.com/google/go-cmp/cmp"
	"golang.org/x/sys/unix"

	"rtsptunnel/internal/contract/reason"
	cameras "rtsptunnel/internal/module/camera"
	"rtsptunnel/internal/testkit/porttest"
	"rtsptunnel/internal/wire/wsconn"
)

// limitFiles sets a process's limit of open files. It returns the function that restores it.
func limitFiles(t *testing.T, pid, limit int) (restore func()) {
	t.Helper()
	var before unix.Rlimit
	if err := unix.Prlimit(pid, unix.RLIMIT_NOFILE, nil, &before); err != nil {
		t.Fatal(err)
	}
	set := func(limit unix.Rlimit) {
		t.Helper()
		if err := unix.Prlimit(pid, unix.RLIMIT_NOFILE, &limit, nil); err != nil {
			t.Fatal(err)
		}
	}
	set(unix.Rlimit{Cur: uint64(limit), Max: before.Max})
	return func() { t.Helper(); set(before) }
}

// leaves is limitFiles with a limit that lets the process open n more.
func leaves(t *testing.T, pid, n int) (restore func()) {
	t.Helper()
	links, err := filepath.Glob("/proc/" + strconv.Itoa(pid) + "/fd/*")
	if err != nil || len(links) == 0 {
		t.Fatalf("descriptors %v, %v", links, err)
	}
	var open []int
	for _, link := range links {
		fd, err := strconv.Atoi(filepath.Base(link))
		if err != nil {
			t.Fatal(err)
		}
		open = append(open, fd)
	}
	limit := 0
	for free := 0; free < n || slices.Contains(open, limit); limit++ {
		if !slices.Contains(open, limit) {
			free++
		}
	}
	return limitFiles(t, pid, limit)
}

// A process without descriptors answers 503 in every phase of an open, and names its own
// shortage: no camera, endpoint, proxy or policy is blamed. Then it goes on.
func TestTunnelOpen_withoutDescriptors(t *testing.T) {
	t.Parallel()
	s, r, cam := newSite(t), newRemote(t), echo(t)
	s.trust(t, r.ca.CertPEM())
	s.env["GODEBUG"] = "netdns=go" // the resolver of the product, which has no C library
	s.env["https_proxy"], s.env["no_proxy"] = "http://"+porttest.Reserve(t), ".direct.test"
	pid, end := s.running(t, s.process(t))
	s.apply(t, map[string]any{"cameras": map[string]any{
		"front": at(cam, 554),
		"named": map[string]any{"host": "camera.direct.test", "localPort": 1554},
	}})
	for i, c := range []struct {
		name      string
		left      int // descriptors
		endpoint  string
		localPort int
	}{
		{"dial of the camera", 0, r.endpoint(), 554},
		{"look-up of the camera", 0, r.endpoint(), 1554},
		{"dial of the endpoint", 1, r.endpoint(), 554},
		{"look-up of the endpoint", 1, "wss://gw.direct.test/", 554},
		{"dial of the proxy", 1, "wss://gw.proxied.test/", 554},
		{"check of the address", 2, r.endpoint(), 554},
	} {
		restore := leaves(t, pid, c.left)
		t.Log(c.name)
		s.refused(t, c.endpoint, c.localPort, 503, "tunnelOpen", "Module is out of resources")
		s.log.Await(t, "reason=NO_RESOURCES", i+1)
		restore()
	}
	far := s.open(t, r, 554)
	far.isOpen(t)
	reported, _ := s.reported(t, func(r report) bool { return r.CameraStatus["front"].Open == 1 })
	if named := reported.CameraStatus["named"]; named.State != "" || named.LastReason != "" {
		t.Errorf("a camera that was not dialed: %+v", named)
	}
	far.Close()
	s.log.Await(t, closedBy, 1)
	end(syscall.SIGTERM)
}

// The hub is not blamed for a shortage of the module's either.
func TestHub_withoutDescriptors(t *testing.T) {
	t.Parallel()
	s := newSite(t)
	pid, end := s.running(t, s.process(t))
	restore := limitFiles(t, pid, 0)
	s.Drop(s.ID.Device, s.ID.Module)
	s.log.Await(t, "reason=NO_RESOURCES", 1)
	restore()
	s.log.Await(t, "connected to the hub", 2)
	end(syscall.SIGTERM)
}

// The module opens no more tunnels than its limit of open files allows. The twin and the log
// say that this is fewer than the twin's.
func TestLimits_heldToTheDescriptors(t *testing.T) {
	t.Parallel()
	s, r, cam := newSite(t), newRemote(t), echo(t)
	s.trust(t, r.ca.CertPEM())
	process := s.process(t)
	process.Args = []string{"sh", "-c", `ulimit -n 80 && exec "$0" rtsptunnel`, os.Args[0]}
	process.Path = "/bin/sh"
	_, end := s.running(t, process)
	s.apply(t, map[string]any{
		"cameras": map[string]any{"front": at(cam, 554)},
		"tunnels": map[string]any{"max": 32},
	})
	const most = (80 - 56) / 2
	got, text := s.reported(t, func(r report) bool { return r.Tunnels.Value["max"] != nil })
	want := state{"degraded", []string{"LAB_LOOPBACK", "LIMIT_DESCRIPTORS"}}
	if slices.Sort(got.Reasons); !cmp.Equal(got.state, want) || got.Tunnels.Value["max"] != float64(most) || got.Tunnels.AC != 200 {
		t.Errorf("reported: %s", text)
	}
	s.log.Await(t, " desired=32 max="+strconv.Itoa(most)+" reason=LIMIT_DESCRIPTORS", 1)
	for range most {
		s.open(t, r, 554).isOpen(t)
	}
	host, _, _ := net.SplitHostPort(cam.Addr().String())
	s.refused(t, r.endpoint(), 554, 429, host+":554", "Too many tunnels")
	if log := s.log.String(); strings.Contains(log, "NO_RESOURCES") {
		t.Errorf("the reserve is too small:\n%s", log)
	}
	end(syscall.SIGTERM)
}

// The lack of a local port is an own shortage, too: of a TCP port for a dial, and of a UDP
// port for a look-up.
func TestDial_withoutPorts(t *testing.T) {
	if !inBridgeNetwork(t) {
		return
	}
	server := at(echo(t), 554)
	if err := os.WriteFile("/proc/sys/net/ipv4/ip_local_port_range", []byte("40000 40001"), 0); err != nil {
		skipUnlessCI(t, "the range of local ports is not changeable: "+err.Error())
	}
	cam := cameras.Camera{Host: server.Host, Port: server.Port}
	dials := 0
	var err error
	for ; err == nil && dials <= 2; dials++ {
		var conn net.Conn
		if conn, err = cam.Dial(t.Context()); err == nil {
			defer conn.Close()
		}
	}
	if dials != 3 || reason.Of(err) != reason.NoResources || !errors.Is(err, syscall.EADDRNOTAVAIL) {
		t.Errorf("dial %d: %v", dials, err)
	}

	for _, port := range []int{40000, 40001} {
		conn, err := net.ListenUDP("udp", &net.UDPAddr{Port: port})
		if err != nil {
			t.Fatal(err)
		}
		defer conn.Close()
	}
	before := net.DefaultResolver
	defer func() { net.DefaultResolver = before }()
	net.DefaultResolver = &net.Resolver{PreferGo: true}
	named := cameras.Camera{Host: "camera.test", Port: 554}
	if _, err := named.Dial(t.Context()); reason.Of(err) != reason.NoResources {
		t.Errorf("look-up: %v", err)
	}
}

// A device without an address from which it could reach a peer has no shortage, although the
// kernel's error names a missing port: containers have no IPv6 by default.
func TestDial_withoutSource(t *testing.T) {
	if !inBridgeNetwork(t) {
		return
	}
	if err := os.WriteFile("/proc/sys/net/ipv6/conf/all/disable_ipv6", []byte("1"), 0); err != nil {
		skipUnlessCI(t, "IPv6 is not changeable: "+err.Error())
	}
	cam := cameras.Camera{Host: "fd00:9::3", Port: 554}
	if _, err := cam.Dial(t.Context()); reason.Of(err) != reason.CameraRefused || !errors.Is(err, syscall.EADDRNOTAVAIL) {
		t.Errorf("camera: %v", err)
	}
	endpoint := &url.URL{Scheme: "wss", Host: "[fd00:9::3]"}
	if _, err := (wsconn.Dialer{}).Dial(t.Context(), endpoint, nil); reason.Of(err) != reason.RemoteRefused {
		t.Errorf("remote endpoint: %s: %v", reason.Of(err), err)
	}
}

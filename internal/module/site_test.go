package module_test

import (
	"context"
	"encoding/json"
	"flag"
	"io"
	"net"
	"os"
	"path/filepath"
	"runtime"
	"strconv"
	"sync"
	"testing"
	"time"

	"go.uber.org/goleak"

	"rtsptunnel/internal/module"
	"rtsptunnel/internal/testkit/hubtest"
	"rtsptunnel/internal/testkit/logtest"
)

// The test binary is the edge module if its argument is rtsptunnel, for the tests that
// need a process.
func TestMain(m *testing.M) {
	if len(os.Args) == 2 && os.Args[1] == "rtsptunnel" {
		os.Exit(module.Main())
	}
	// These tests wait for most of their time: more of them run in parallel.
	if err := flag.Set("test.parallel", strconv.Itoa(3*runtime.GOMAXPROCS(0))); err != nil {
		panic(err)
	}
	goleak.VerifyTestMain(m)
}

// patience is the timeout for what takes milliseconds.
const patience = 30 * time.Second

// Fields of the module's log lines in IoT Edge's format, each of one kind of line.
const (
	received    = "method=tunnelOpen" // a call; also of a panic in it
	twinApplied = " cameras="         // a twin was applied
	closedBy    = "closedBy="         // a tunnel was closed
)

// site is a hub emulator, and the environment and the log of its module. The times hold
// for a module in this process.
type site struct {
	*hubtest.Hub
	env   map[string]string
	log   *logtest.Record
	times module.Times
}

func newSite(t *testing.T) *site {
	t.Helper()
	log := logtest.New()
	s := &site{Hub: hubtest.Start(t, log), log: log, times: module.UsualTimes()}
	s.times.ReportPace = 100 * time.Millisecond
	s.env = map[string]string{
		"IOTEDGE_WORKLOADURI": s.WorkloadURI(), "IOTEDGE_AUTHSCHEME": "sasToken",
		"IOTEDGE_MODULEGENERATIONID": s.Generation, "IOTEDGE_IOTHUBHOSTNAME": hubtest.HubName,
		"IOTEDGE_GATEWAYHOSTNAME": hubtest.GatewayName, "IOTEDGE_DEVICEID": s.ID.Device,
		"IOTEDGE_MODULEID": s.ID.Module, "IOTEDGE_APIVERSION": "2021-12-07", "RuntimeLogLevel": "verbose",
		"RTSPTUNNEL_HUB_ADDRESS": s.MQTTAddr(), "RTSPTUNNEL_METRICS_LISTEN": "off",
	}
	return s
}

// trust gives the module roots for remote endpoints, and allows loopback, where these
// are in tests.
func (s *site) trust(t *testing.T, pem []byte) {
	t.Helper()
	file := filepath.Join(t.TempDir(), "ca.pem")
	if err := os.WriteFile(file, pem, 0o600); err != nil {
		t.Fatal(err)
	}
	s.env["RTSPTUNNEL_CA_FILE"] = file
	s.env["RTSPTUNNEL_ALLOW_LOOPBACK_REMOTE"] = "true"
}

// run runs the module in this process. stop shuts it down and waits.
func (s *site) run(t *testing.T) (stop func()) {
	t.Helper()
	ctx, cancel := context.WithCancel(t.Context())
	ended := make(chan error, 1)
	s.reads(t, func() { go func() { ended <- module.RunAt(ctx, s.log, s.log, s.times) }() })
	stop = sync.OnceFunc(func() {
		cancel()
		if err := receive(t, ended, "the module's end"); err != nil {
			t.Error(err)
		}
	})
	t.Cleanup(stop)
	return stop
}

// receive returns the next value of a channel, or fails the test after patience. It also
// works in a cleanup.
func receive[T any](t *testing.T, from <-chan T, what string) (value T) {
	t.Helper()
	ctx, cancel := context.WithTimeout(context.WithoutCancel(t.Context()), patience)
	defer cancel()
	select {
	case value = <-from:
	case <-ctx.Done():
		t.Errorf("%s does not come", what)
	}
	return value
}

// camera is one desired camera.
type camera struct {
	Host       string `json:"host"`
	Port       int    `json:"port"`
	LocalPort  int    `json:"localPort"`
	MaxTunnels int    `json:"maxTunnels"`
}

// enough is a camera's cap that only tests of the cap reach.
const enough = 64

// at returns a camera at ln.
func at(ln net.Listener, localPort int) camera {
	return camera{"127.0.0.1", ln.Addr().(*net.TCPAddr).Port, localPort, enough}
}

// atAddress returns a camera at an address.
func atAddress(t *testing.T, address string, localPort int) camera {
	t.Helper()
	host, port, err := net.SplitHostPort(address)
	if err != nil {
		t.Fatal(err)
	}
	n, err := strconv.Atoi(port)
	if err != nil {
		t.Fatal(err)
	}
	return camera{host, n, localPort, enough}
}

// desire writes desired cameras, and waits for the acknowledgement.
func (s *site) desire(t *testing.T, cameras any) ack {
	t.Helper()
	return s.acknowledged(t, s.patch(t, map[string]any{"cameras": cameras}))
}

// ack is reported.cameras.
type ack struct {
	Value       map[string]camera `json:"value"`
	Code        int               `json:"ac"`
	Version     int64             `json:"av"`
	Description string            `json:"ad"`
}

func (s *site) acknowledged(t *testing.T, version int64) ack {
	t.Helper()
	r, _ := s.reported(t, func(r report) bool { return r.Cameras.Version >= version })
	return r.Cameras
}

// invoke calls a method and returns its status and the members of its body.
func (s *site) invoke(t *testing.T, name, payload string) (int, map[string]any) {
	t.Helper()
	status, body := s.Invoke(t, name, payload)
	var members map[string]any
	if err := json.Unmarshal([]byte(body), &members); err != nil {
		t.Fatalf("the body %s is not an object", body)
	}
	return status, members
}

func payload(endpoint, token string, localPort int) string {
	return `{"remoteEndpoint":` + strconv.Quote(endpoint) + `,"remoteAuthorizationToken":` + strconv.Quote(token) +
		`,"localPort":` + strconv.Itoa(localPort) + `}`
}

// echo returns a camera that sends back what it gets.
func echo(t *testing.T) net.Listener {
	t.Helper()
	return serve(t, func(c net.Conn) { _, _ = io.Copy(c, c) })
}

// serve calls connection for each connection, and closes it afterwards.
func serve(t *testing.T, connection func(net.Conn)) net.Listener {
	t.Helper()
	ln := listen(t)
	var conns sync.WaitGroup
	conns.Go(func() {
		for {
			c, err := ln.Accept()
			if err != nil {
				return
			}
			conns.Go(func() {
				defer c.Close()
				connection(c)
			})
		}
	})
	t.Cleanup(func() { ln.Close(); conns.Wait() })
	return ln
}

// listen returns a listener whose connections are never accepted, unless the test does.
func listen(t *testing.T) net.Listener {
	t.Helper()
	ln, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { ln.Close() })
	return ln
}

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

// The test binary is the edge module itself when it is told so, for the tests that
// need a process.
func TestMain(m *testing.M) {
	if len(os.Args) == 2 && os.Args[1] == "rtsptunnel" {
		os.Exit(module.Main())
	}
	// Most of these tests wait most of the time.
	if err := flag.Set("test.parallel", strconv.Itoa(3*runtime.GOMAXPROCS(0))); err != nil {
		panic(err)
	}
	goleak.VerifyTestMain(m)
}

// patience is for what takes milliseconds; it only keeps a hang from lasting.
const patience = 30 * time.Second

// site is a hub emulator, and the environment and log of a module that belongs to it,
// which has these times if it runs in this process.
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

// trust gives the module roots for remote endpoints, which are on loopback in tests.
func (s *site) trust(t *testing.T, pem []byte) {
	t.Helper()
	file := filepath.Join(t.TempDir(), "ca.pem")
	if err := os.WriteFile(file, pem, 0o600); err != nil {
		t.Fatal(err)
	}
	s.env["RTSPTUNNEL_CA_FILE"] = file
	s.env["RTSPTUNNEL_ALLOW_LOOPBACK_REMOTE"] = "true"
}

// run runs the module in this process; stop ends it in order and waits.
func (s *site) run(t *testing.T) (stop func()) {
	t.Helper()
	ctx, cancel := context.WithCancel(t.Context())
	ended := make(chan error, 1)
	s.reads(t, func() { go func() { ended <- module.RunAt(ctx, s.log, s.log, s.times) }() })
	stop = sync.OnceFunc(func() {
		cancel()
		select {
		case err := <-ended:
			if err != nil {
				t.Error(err)
			}
		case <-time.After(patience):
			t.Error("the module does not end")
		}
	})
	t.Cleanup(stop)
	return stop
}

// camera is one desired camera.
type camera struct {
	Host       string `json:"host"`
	Port       int    `json:"port"`
	LocalPort  int    `json:"localPort"`
	MaxTunnels int    `json:"maxTunnels"`
}

// enough is a cap that no test reaches but one that is about it.
const enough = 64

// at is the camera that ln is.
func at(ln net.Listener, localPort int) camera {
	return camera{"127.0.0.1", ln.Addr().(*net.TCPAddr).Port, localPort, enough}
}

// desire writes desired properties and waits for their acknowledgement.
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

// echo is a camera that sends back what it gets.
func echo(t *testing.T) net.Listener {
	t.Helper()
	return serve(t, func(c net.Conn) { _, _ = io.Copy(c, c) })
}

// serve serves each connection, which is closed then.
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

// listen takes connections, and nobody ever speaks there.
func listen(t *testing.T) net.Listener {
	t.Helper()
	ln, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { ln.Close() })
	return ln
}

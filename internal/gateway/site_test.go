package gateway_test

import (
	"context"
	"crypto/x509"
	"encoding/json"
	"encoding/pem"
	"fmt"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"sync"
	"testing"

	"rtsptunnel/internal/base/localca"
	"rtsptunnel/internal/module"
	"rtsptunnel/internal/testkit/hubtest"
	"rtsptunnel/internal/testkit/logtest"
	"rtsptunnel/internal/testkit/porttest"
	"rtsptunnel/internal/testkit/rtsptest"
)

// site is a hub emulator, a module with two cameras, and a gateway that discovers them.
type site struct {
	*running
	hub         *hubtest.Hub
	front, yard *rtsptest.Camera
	public      string // address of the public listener
	hubFile     string // with the hub's connection string
	key         string // file of the public listener's key
	ca          *localca.CA
	moduleLog   *logtest.Record
	endModule   func()
}

// password is of the camera front.
const password = "camera/canary &%é"

func startSite(t *testing.T) *site {
	t.Helper()
	s := &site{moduleLog: logtest.New(), public: porttest.Reserve(t)}
	s.hub = hubtest.Start(t, s.moduleLog)
	s.front, s.yard = startCamera(t, rtsptest.Options{User: "root", Password: password}), startCamera(t, rtsptest.Options{Name: "yard"})
	s.desire(t, map[string]any{"front": s.camera(t, s.front, 554, "/front"), "yard": s.camera(t, s.yard, 1554, "/yard")})

	dir := t.TempDir()
	cert, key := s.certificate(t, dir)
	s.key = key
	s.hubFile = filepath.Join(dir, "hub")
	if err := os.WriteFile(s.hubFile, []byte(s.hub.OwnerConnectionString()), 0o600); err != nil {
		t.Fatal(err)
	}
	s.runModule(t, filepath.Join(dir, "ca.pem"))
	s.running = start(t, fmt.Sprintf(`publicURL: https://%s/site
hubs: { main: { connectionStringFile: '%s', caFile: '%s', discover: true } }
credentials: { c: { username: root, passwordFile: pass, cameras: ['edge1/front'] } }
live: { grace: 500ms }
cameras: { edge1/front: { title: Front door, video: door }, edge1/yard: {} }
`, s.public, s.hubFile, s.hub.CAFile()), func(text string) string {
		return strings.Replace(text, "{ address: '127.0.0.1:0' }]", "{ address: '"+s.public+"', cert: '"+cert+"', key: '"+key+"' }]", 1)
	})
	return s
}

// camera is an entry of the module's desired cameras.
func (s *site) camera(t *testing.T, c *rtsptest.Camera, localPort int, path string) map[string]any {
	t.Helper()
	host, port, err := net.SplitHostPort(c.Addr())
	if err != nil {
		t.Fatal(err)
	}
	n, err := strconv.Atoi(port)
	if err != nil {
		t.Fatal(err)
	}
	return map[string]any{"host": host, "port": n, "localPort": localPort, "streams": map[string]any{"main": map[string]any{"path": path}}}
}

func (s *site) desire(t *testing.T, cameras map[string]any) {
	t.Helper()
	patch, err := json.Marshal(map[string]any{"cameras": cameras})
	if err != nil {
		t.Fatal(err)
	}
	if _, err := s.hub.Client.PatchDesired(t.Context(), s.hub.ID, patch); err != nil {
		t.Fatal(err)
	}
}

func (s *site) certificate(t *testing.T, dir string) (cert, key string) {
	t.Helper()
	var err error
	if s.ca, err = localca.New("gateway of a test"); err != nil {
		t.Fatal(err)
	}
	cert, key = filepath.Join(dir, "tls.crt"), filepath.Join(dir, "tls.key")
	pair, err := s.ca.Issue("127.0.0.1")
	if err != nil {
		t.Fatal(err)
	}
	private, err := x509.MarshalPKCS8PrivateKey(pair.PrivateKey)
	if err != nil {
		t.Fatal(err)
	}
	var chain []byte
	for _, der := range pair.Certificate {
		chain = append(chain, pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: der})...)
	}
	for file, text := range map[string][]byte{
		cert: chain, key: pem.EncodeToMemory(&pem.Block{Type: "PRIVATE KEY", Bytes: private}), filepath.Join(dir, "ca.pem"): s.ca.CertPEM(),
	} {
		if err := os.WriteFile(file, text, 0o600); err != nil {
			t.Fatal(err)
		}
	}
	return cert, key
}

// runModule runs the edge module in this process. Its environment is the process's.
func (s *site) runModule(t *testing.T, caFile string) {
	t.Helper()
	for name, value := range map[string]string{
		"IOTEDGE_WORKLOADURI": s.hub.WorkloadURI(), "IOTEDGE_AUTHSCHEME": "sasToken", "IOTEDGE_MODULEGENERATIONID": s.hub.Generation,
		"IOTEDGE_IOTHUBHOSTNAME": hubtest.HubName, "IOTEDGE_GATEWAYHOSTNAME": hubtest.GatewayName, "IOTEDGE_DEVICEID": s.hub.ID.Device,
		"IOTEDGE_MODULEID": s.hub.ID.Module, "IOTEDGE_APIVERSION": "2021-12-07", "RuntimeLogLevel": "info",
		"RTSPTUNNEL_HUB_ADDRESS": s.hub.MQTTAddr(), "RTSPTUNNEL_METRICS_LISTEN": "off", "RTSPTUNNEL_CA_FILE": caFile,
		"RTSPTUNNEL_ALLOW_LOOPBACK_REMOTE": "true",
	} {
		t.Setenv(name, value)
	}
	ctx, cancel := context.WithCancel(context.Background())
	ended := make(chan error, 1)
	go func() { ended <- module.Run(ctx, s.moduleLog, s.moduleLog) }()
	s.endModule = sync.OnceFunc(func() {
		cancel()
		if err := <-ended; err != nil {
			t.Error(err)
		}
	})
	t.Cleanup(s.endModule)
	s.moduleLog.Await(t, " cameras=2", 1)
}

// api answers a request of the API with a token.
func (s *site) api(t *testing.T, method, path, token string) (status int, body string) {
	t.Helper()
	request, err := http.NewRequestWithContext(t.Context(), method, "https://"+s.public+"/site"+path, nil)
	if err != nil {
		t.Fatal(err)
	}
	request.Header.Set("Authorization", "Bearer "+token)
	return do(t, request, s.ca.Pool())
}

// discovered waits until the gateway has read the hub's cameras.
func (s *site) discovered(t *testing.T) {
	t.Helper()
	s.log.AwaitFields(t, 1, "message=cameras changed", "cameras=2")
}

package relays

import (
	"context"
	"crypto/rand"
	"crypto/sha256"
	"encoding/base64"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"net"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"time"

	"rtsptunnel/bench/players"
)

// Sources are the cameras of a server.
type Sources struct {
	Direct []Source // without a tunnel
	// Tunneled is the address of a camera behind the module, and its path. The gateway
	// names it TunneledPath.
	Tunneled Tunneled
	Profiles bool // the gateway serves its profiles at Lab.PrivateAddr
}

// Source is a camera that the gateway pulls without a tunnel.
type Source struct{ Name, URL string }

// Tunneled is a camera behind the module.
type Tunneled struct{ Address, Path string }

// TunneledPath is the path of the tunneled camera at the gateway.
const TunneledPath = "/" + deviceID + "/bench"

// gatewayFiles are in a folder of the lab.
const gatewayFolder = "gateway"

// startGateway starts the gateway as an operator does: with a file, a folder for its data,
// and a token.
func (l *Lab) startGateway(ctx context.Context, sources Sources) (*Server, error) {
	if _, err := os.Stat(l.gatewayBinary); err != nil {
		return nil, fmt.Errorf("the gateway's binary (make build makes it): %w", err)
	}
	dir := filepath.Join(l.dir, gatewayFolder)
	if err := os.MkdirAll(dir, 0o700); err != nil {
		return nil, err
	}
	s := &Server{clean: func() { _ = os.RemoveAll(dir) }}
	ports, err := freePorts(ctx, 3)
	if err != nil {
		return nil, err
	}
	var raw [32]byte
	_, _ = rand.Read(raw[:])
	s.address, s.login = ports[0], players.Login{User: "bench", Password: "rtt_" + base64.RawURLEncoding.EncodeToString(raw[:])}
	config := l.gatewayConfig(dir, ports, s.login, sources)
	module, err := l.tunnel(ctx, config, sources.Tunneled)
	if err != nil {
		return nil, err
	}
	if module != nil {
		s.clean = func() { module.kill(); _ = os.RemoveAll(dir) }
	}
	if err := l.runGateway(ctx, s, dir, config, ports[2]); err != nil {
		s.clean()
		return nil, err
	}
	return s, nil
}

// freePorts returns addresses of loopback that no process has.
func freePorts(ctx context.Context, count int) ([]string, error) {
	var addresses []string
	for range count {
		ln, err := (&net.ListenConfig{}).Listen(ctx, "tcp", "127.0.0.1:0")
		if err != nil {
			return nil, err
		}
		defer ln.Close()
		addresses = append(addresses, ln.Addr().String())
	}
	return addresses, nil
}

// gatewayConfig returns the gateway's file, which is JSON and therefore YAML, with the limits
// that the phases need. A stream closes with its last player.
func (l *Lab) gatewayConfig(dir string, ports []string, login players.Login, sources Sources) map[string]any {
	sum := sha256.Sum256([]byte(login.Password))
	direct := map[string]any{}
	for _, c := range sources.Direct {
		direct[c.Name] = map[string]any{"url": c.URL}
	}
	return map[string]any{
		"listen": map[string]any{
			"rtsp": map[string]any{"address": ports[0]},
			"public": []any{map[string]any{
				"address": ports[1], "cert": filepath.Join(l.dir, "tls.crt"), "key": filepath.Join(l.dir, "tls.key"),
			}},
			"private": map[string]any{"address": ports[2], "pprof": sources.Profiles},
		},
		"publicURL": "https://" + ports[1],
		"data":      filepath.Join(dir, "data"),
		"cameras":   direct,
		"access":    map[string]any{"tokens": []any{map[string]any{"name": login.User, "role": "admin", "sha256": hex.EncodeToString(sum[:])}}},
		"limits":    map[string]any{"viewers": 5000, "viewersPerCamera": 500},
		"live":      map[string]any{"grace": "0s"},
	}
}

// tunnel starts the module with a camera, and adds hub and camera to the gateway's file. It
// returns nil if there is no such camera.
func (l *Lab) tunnel(ctx context.Context, config map[string]any, camera Tunneled) (*process, error) {
	if camera.Address == "" {
		return nil, nil
	}
	module, err := l.startModuleProcess(ctx, camera.Address)
	if err != nil {
		return nil, err
	}
	login, ca := filepath.Join(l.dir, "hub-login"), filepath.Join(l.dir, "hub-ca.pem")
	err = errors.Join(os.WriteFile(login, []byte(l.hub.emulator.OwnerConnectionString()), 0o600), os.WriteFile(ca, l.hub.emulator.CA().CertPEM(), 0o600))
	if err != nil {
		module.kill()
		return nil, err
	}
	config["hubs"] = map[string]any{"main": map[string]any{"connectionStringFile": login, "caFile": ca}}
	config["cameras"] = map[string]any{deviceID + "/bench": map[string]any{"localPort": localPort, "path": camera.Path}}
	return module, nil
}

// runGateway starts the process and waits until it is ready.
func (l *Lab) runGateway(ctx context.Context, s *Server, dir string, config map[string]any, private string) error {
	text, err := json.Marshal(config)
	if err != nil {
		return err
	}
	file := filepath.Join(dir, "gateway.yaml")
	if err := os.WriteFile(file, text, 0o600); err != nil {
		return err
	}
	cmd := exec.Command(l.gatewayBinary, "run", "--config", file) //nolint:gosec,noctx // G204: the caller of NewLab names it; Close ends it
	cmd.Env = []string{}
	if s.process, err = start(cmd); err != nil {
		return err
	}
	l.private = private
	if err := s.ready(ctx, "http://"+private+"/readyz"); err != nil {
		s.process.kill()
		return s.explain(err)
	}
	return nil
}

// ready waits until the gateway says that it is.
func (s *Server) ready(ctx context.Context, url string) error {
	ctx, cancel := context.WithTimeout(ctx, readyWithin)
	defer cancel()
	tick := time.NewTicker(askEvery)
	defer tick.Stop()
	for {
		request, err := http.NewRequestWithContext(ctx, http.MethodGet, url, nil)
		if err != nil {
			return err
		}
		request.Close = true
		response, err := http.DefaultClient.Do(request)
		if err == nil {
			_ = response.Body.Close()
			if response.StatusCode == http.StatusOK {
				return nil
			}
		}
		select {
		case <-ctx.Done():
			return fmt.Errorf("the gateway is not ready: %w", ctx.Err())
		case <-s.process.ended:
			return errors.New("the gateway's process ended")
		case <-tick.C:
		}
	}
}

// PrivateAddr is where the newest gateway serves its metrics, and its profiles if its sources
// ask for them.
func (l *Lab) PrivateAddr() string { return l.private }

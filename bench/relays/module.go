package relays

import (
	"context"
	"encoding/json"
	"fmt"
	"net"
	"os/exec"
	"path/filepath"
	"strconv"
	"time"

	"github.com/rs/zerolog"

	"rtsptunnel/bench/ends"
	"rtsptunnel/internal/contract/tunnelopen"
	"rtsptunnel/internal/hub/hubclient"
	"rtsptunnel/internal/hub/hubemulator"
)

// The names in the module's deployment; the hosts are reserved for tests (RFC 6761, 6.2).
const (
	hubName     = "hub.rtsptunnel.test"
	gatewayName = "edge.rtsptunnel.test"
	deviceID    = "edge1"
	moduleID    = "rtsptunnel"
)

const (
	localPort   = 554 // of the camera
	unknownPort = 1   // of no camera
	maxTunnels  = 10000

	readyWithin = 30 * time.Second // for the module to connect, which takes less than 1 s
	askEvery    = 20 * time.Millisecond
)

// hub holds the hub emulator, and the client that calls the module through it.
type hub struct {
	emulator   *hubemulator.Hub
	client     *hubclient.Client
	generation string // of the module's identity
}

func (h *hub) close() {
	h.client.Close()
	_ = h.emulator.Close()
}

func identity() hubclient.Identity { return hubclient.Identity{Device: deviceID, Module: moduleID} }

// startHub starts the hub, unless it is running.
func (l *Lab) startHub() (err error) {
	if l.hub != nil {
		return nil
	}
	h := &hub{}
	h.emulator, err = hubemulator.Start(hubemulator.Options{
		HostName: hubName, GatewayName: gatewayName, EdgeDevice: deviceID,
		Dir: filepath.Join(l.dir, "hub"), Log: zerolog.Nop(),
	})
	if err != nil {
		return err
	}
	if h.client, err = hubclient.New(h.emulator.OwnerConnectionString(), hubclient.Options{Roots: h.emulator.CA().Pool()}); err != nil {
		_ = h.emulator.Close()
		return err
	}
	if h.generation, err = h.emulator.AddModule(deviceID, moduleID); err != nil {
		h.close()
		return err
	}
	l.hub = h
	return nil
}

// startModule starts the module between the two ends.
func startModule(ctx context.Context, l *Lab, e *ends.Ends) (*Instance, error) {
	p, err := l.startModuleProcess(ctx, e.CameraAddr())
	if err != nil {
		return nil, err
	}
	return &Instance{process: p, ask: l.asker(e, localPort, 200), refused: l.asker(e, unknownPort, 400)}, nil
}

// startModuleProcess starts the module as edge agent does, and waits until the module has
// acknowledged its camera. It starts the hub, too.
func (l *Lab) startModuleProcess(ctx context.Context, camera string) (*process, error) {
	if err := l.startHub(); err != nil { //nolint:contextcheck // the hub runs until the lab is closed
		return nil, fmt.Errorf("hub emulator: %w", err)
	}
	desired, err := twin(camera)
	if err != nil {
		return nil, err
	}
	if _, err := l.hub.client.PatchDesired(ctx, identity(), desired); err != nil {
		return nil, err
	}
	cmd := exec.Command(l.binary) //nolint:gosec,noctx // G204: the caller of NewLab names it; the caller ends it
	cmd.Env = l.environment()
	p, err := start(cmd)
	if err != nil {
		return nil, err
	}
	if err := l.await(ctx, p); err != nil {
		err = (&Instance{process: p}).explain(err)
		p.kill()
		return nil, err
	}
	return p, nil
}

// twin returns desired properties with the camera, and with the highest caps of tunnels.
func twin(camera string) (json.RawMessage, error) {
	host, port, err := net.SplitHostPort(camera)
	if err != nil {
		return nil, err
	}
	number, err := strconv.Atoi(port)
	if err != nil {
		return nil, err
	}
	return json.Marshal(map[string]any{
		"cameras": map[string]any{"bench": map[string]any{
			"host": host, "port": number, "localPort": localPort, "maxTunnels": maxTunnels,
		}},
		"tunnels": map[string]any{"max": maxTunnels},
	})
}

// environment returns the variables that edge agent injects, and those that name addresses
// and files of this machine.
func (l *Lab) environment() []string {
	return []string{
		"IOTEDGE_WORKLOADURI=" + l.hub.emulator.WorkloadURI(),
		"IOTEDGE_AUTHSCHEME=sasToken",
		"IOTEDGE_MODULEGENERATIONID=" + l.hub.generation,
		"IOTEDGE_IOTHUBHOSTNAME=" + hubName,
		"IOTEDGE_GATEWAYHOSTNAME=" + gatewayName,
		"IOTEDGE_DEVICEID=" + deviceID,
		"IOTEDGE_MODULEID=" + moduleID,
		"IOTEDGE_APIVERSION=2021-12-07",
		"RuntimeLogLevel=info",
		"RTSPTUNNEL_HUB_ADDRESS=" + l.hub.emulator.MQTTAddr(),
		"RTSPTUNNEL_CA_FILE=" + l.caFile,
		"RTSPTUNNEL_ALLOW_LOOPBACK_REMOTE=true",
		"RTSPTUNNEL_METRICS_LISTEN=off",
	}
}

// asker returns a function that calls tunnelOpen through the hub, for the camera with that
// local port. The function fails if the status is not want.
func (l *Lab) asker(e *ends.Ends, port, want int) func(context.Context) error {
	return func(ctx context.Context) error {
		payload, err := tunnelopen.Encode(tunnelopen.Request{
			RemoteEndpoint: "wss://" + e.CloudAddr() + "/", Token: "bench", LocalPort: port,
		})
		if err != nil {
			return err
		}
		method := hubclient.Method{Name: tunnelopen.MethodName, Payload: payload}
		status, body, err := l.hub.client.Invoke(ctx, identity(), method)
		if err == nil && status != want {
			err = fmt.Errorf("%s for local port %d: status %d, want %d: %s", tunnelopen.MethodName, port, status, want, body)
		}
		return err
	}
}

// await waits until the module reports that the desired properties are in force. The
// module then answers methods, too.
func (l *Lab) await(ctx context.Context, p *process) error {
	ctx, cancel := context.WithTimeout(ctx, readyWithin)
	defer cancel()
	tick := time.NewTicker(askEvery)
	defer tick.Stop()
	for {
		t, err := l.hub.client.Twin(ctx, identity())
		if err == nil && acknowledged(t) {
			return nil
		}
		select {
		case <-ctx.Done():
			return fmt.Errorf("the module does not acknowledge its camera: %w", ctx.Err())
		case <-p.ended:
			return fmt.Errorf("%s ended", l.binary)
		case <-tick.C:
		}
	}
}

// acknowledged reports whether the cameras of the desired version are in force.
func acknowledged(t hubclient.Twin) bool {
	var desired struct {
		Version int64 `json:"$version"`
	}
	var reported struct {
		Cameras struct {
			Code    int   `json:"ac"`
			Version int64 `json:"av"`
		} `json:"cameras"`
	}
	if json.Unmarshal(t.Properties.Desired, &desired) != nil || json.Unmarshal(t.Properties.Reported, &reported) != nil {
		return false
	}
	return reported.Cameras.Code == 200 && reported.Cameras.Version == desired.Version
}

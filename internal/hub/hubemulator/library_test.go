package hubemulator_test

import (
	"context"
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"
	"sync"
	"testing"

	"github.com/amenzhinsky/iothub/common"
	"github.com/amenzhinsky/iothub/iotdevice"
	iothubmqtt "github.com/amenzhinsky/iothub/iotdevice/transport/mqtt"
	"github.com/amenzhinsky/iothub/logger"
	paho "github.com/eclipse/paho.mqtt.golang"
)

// methods responds to every method with its name and payload, and status 299.
type methods struct{}

func (methods) Dispatch(name string, payload []byte) (int, []byte, error) {
	return 299, fmt.Appendf(nil, `{"name":%q,"payload":%s}`, name, payload), nil
}

// updates gets the patches of desired properties.
type updates chan []byte

func (u updates) Dispatch(patch []byte) { u <- patch }

// amenzhinsky/iothub, which was not written for the emulator, connects as a module through
// the edge gateway, with trust bundle and signature from the workload API.
func TestHub_withIothubLibrary(t *testing.T) {
	t.Parallel()
	// The library uses the path of its first workload socket until the process ends.
	// So the path must be the same for go test -count.
	dir := filepath.Join(os.TempDir(), fmt.Sprintf("hub%d", os.Getpid()))
	t.Cleanup(func() { _ = os.RemoveAll(dir) })
	hub, generation := startIn(t, dir)
	transport := connectLibrary(t, hub.MQTTAddr(), &iotdevice.ModuleSharedAccessKeyCredentials{
		SharedAccessKeyCredentials: iotdevice.SharedAccessKeyCredentials{
			DeviceID:        "edge1",
			SharedAccessKey: common.SharedAccessKey{HostName: hostName},
		},
		ModuleID: "m1", GenerationID: generation, Gateway: gatewayName,
		WorkloadURI: hub.WorkloadURI(), EdgeGateway: true,
	})
	ctx := context.WithoutCancel(t.Context()) // the library uses it for later responses
	desired := make(updates, 10)
	if err := transport.SubscribeTwinUpdates(ctx, desired); err != nil {
		t.Fatal(err)
	}
	s := newService(t, hub)
	s.must(t, "PATCH", "/twins/edge1/modules/m1", `{"properties":{"desired":{"a":1,"b":null}}}`)
	if got, want := string(next(t, desired)), `{"$version":2,"a":1,"b":null}`; got != want {
		t.Errorf("desired patch %s, want %s", got, want)
	}
	checkLibraryTwin(t, transport)
	if err := transport.RegisterDirectMethods(ctx, methods{}); err != nil {
		t.Fatal(err)
	}
	checkLibraryMethods(t, s)
}

func connectLibrary(t *testing.T, addr string, creds *iotdevice.ModuleSharedAccessKeyCredentials) *iothubmqtt.ModuleTransport {
	t.Helper()
	transport := iothubmqtt.NewModuleTransport(iothubmqtt.WithClientOptionsConfig(func(o *paho.ClientOptions) {
		o.Servers = nil
		o.AddBroker("tls://" + addr)
		o.SetOrderMatters(false)
		if o.TLSConfig.InsecureSkipVerify {
			t.Error("the library did not get the trust bundle")
		}
	}))
	transport.SetLogger(logger.New(logger.LevelOff, nil))
	if err := transport.Connect(t.Context(), creds); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = transport.Close() })
	return transport
}

func checkLibraryTwin(t *testing.T, transport *iothubmqtt.ModuleTransport) {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), testTimeout)
	defer cancel()
	version, err := transport.UpdateTwinProperties(ctx, []byte(`{"r":true}`))
	if err != nil || version != 2 {
		t.Errorf("reported patch: version %d, %v; want 2", version, err)
	}
	if _, err := transport.UpdateTwinProperties(ctx, []byte(`[]`)); err == nil {
		t.Error("the library reports no error for a refused patch")
	}
	twin, err := transport.RetrieveTwinProperties(ctx)
	if err != nil {
		t.Fatal(err)
	}
	want := `{"desired":{"$version":2,"a":1},"reported":{"$version":2,"r":true}}`
	if string(twin) != want {
		t.Errorf("twin %s, want %s", twin, want)
	}
}

func checkLibraryMethods(t *testing.T, s *service) {
	t.Helper()
	const calls = 20
	var wg sync.WaitGroup
	for i := range calls {
		wg.Go(func() {
			body := fmt.Sprintf(`{"methodName":"m%d","payload":[%d]}`, i, i)
			status, raw, err := s.do(t.Context(), "POST", methodsPath, body)
			want := fmt.Sprintf(`{"status":299,"payload":{"name":"m%d","payload":[%d]}}`, i, i)
			if err != nil || status != 200 || !json.Valid(raw) || string(raw) != want+"\n" {
				t.Errorf("got %d %s %v, want %s", status, raw, err, want)
			}
		})
	}
	wg.Wait()
}

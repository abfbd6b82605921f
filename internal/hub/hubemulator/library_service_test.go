package hubemulator_test

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"net/http"
	"slices"
	"strings"
	"testing"

	"github.com/amenzhinsky/iothub/iotdevice"
	iothubmqtt "github.com/amenzhinsky/iothub/iotdevice/transport/mqtt"
	"github.com/amenzhinsky/iothub/iotservice"
	"github.com/amenzhinsky/iothub/logger"
	paho "github.com/eclipse/paho.mqtt.golang"
	"github.com/google/go-cmp/cmp"
	"github.com/rs/zerolog"

	"rtsptunnel/internal/hub/hubemulator"
)

// startLocal starts a hub with the name localhost, as the command does, so that its
// connection strings need no change.
func startLocal(t *testing.T) *hubemulator.Hub {
	t.Helper()
	hub, err := hubemulator.Start(hubemulator.Options{HostName: "localhost", Dir: newDir(t), Log: zerolog.Nop()})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { closeHub(t, hub) })
	return hub
}

// newLibraryService returns the service client of amenzhinsky/iothub. The tests use its
// REST calls.
func newLibraryService(t *testing.T, hub *hubemulator.Hub) *iotservice.Client {
	t.Helper()
	transport := &http.Transport{TLSClientConfig: &tls.Config{RootCAs: hub.CA().Pool()}}
	client, err := iotservice.NewFromConnectionString(hub.OwnerConnectionString(),
		iotservice.WithHTTPClient(&http.Client{Transport: transport}),
		iotservice.WithLogger(logger.New(logger.LevelOff, nil)))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		_ = client.Close()
		transport.CloseIdleConnections()
	})
	return client
}

// got returns the result of a call that must succeed: got(t)(client.Call(..)).
func got[T any](t *testing.T) func(T, error) T {
	t.Helper()
	return func(v T, err error) T {
		t.Helper()
		if err != nil {
			t.Fatal(err)
		}
		return v
	}
}

// wantStatus checks that the error is a response with this status.
func wantStatus(t *testing.T, err error, want int) {
	t.Helper()
	refused, ok := errors.AsType[*iotservice.RequestError](err)
	if !ok || refused.Code != want {
		t.Errorf("got %v, want status %d", err, want)
	}
}

func TestLibraryService_registry(t *testing.T) {
	t.Parallel()
	ctx := t.Context()
	client := newLibraryService(t, startLocal(t))
	device := got[*iotservice.Device](t)(client.CreateDevice(ctx, &iotservice.Device{
		DeviceID: "d1", Capabilities: map[string]any{"iotEdge": true},
	}))
	if device.Authentication.Type != iotservice.AuthSAS || device.Authentication.SymmetricKey.PrimaryKey == "" {
		t.Errorf("device has authentication %+v, want keys", device.Authentication)
	}
	_, err := client.CreateDevice(ctx, device)
	wantStatus(t, err, http.StatusConflict)
	device.Status = iotservice.Disabled
	updated := got[*iotservice.Device](t)(client.UpdateDevice(ctx, device))
	if updated.Status != iotservice.Disabled || updated.ETag == device.ETag || updated.GenerationID != device.GenerationID {
		t.Errorf("after the update: %+v", updated)
	}
	_, err = client.UpdateDevice(ctx, device)
	wantStatus(t, err, http.StatusPreconditionFailed)
	read := got[*iotservice.Device](t)(client.GetDevice(ctx, "d1"))
	if diff := cmp.Diff(updated, read); diff != "" {
		t.Errorf("device (-updated +read):\n%s", diff)
	}

	module := got[*iotservice.Module](t)(client.CreateModule(ctx, &iotservice.Module{
		DeviceID: "d1", ModuleID: "m1", Authentication: &iotservice.Authentication{Type: iotservice.AuthSAS},
	}))
	module.ManagedBy = "owner"
	module = got[*iotservice.Module](t)(client.UpdateModule(ctx, module))
	modules := got[[]*iotservice.Module](t)(client.ListModules(ctx, "d1"))
	if len(modules) != 3 || modules[0].ModuleID != "$edgeAgent" || modules[1].ModuleID != "$edgeHub" {
		t.Fatalf("modules %v, want those of every IoT Edge device first", modules)
	}
	if diff := cmp.Diff([]*iotservice.Module{module}, modules[2:]); diff != "" || module.ManagedBy != "owner" {
		t.Errorf("modules (-want +got):\n%s", diff)
	}
	stats := got[*iotservice.DeviceStats](t)(client.DeviceStats(ctx))
	if want := (iotservice.DeviceStats{DisabledDeviceCount: 1, TotalDeviceCount: 1}); *stats != want {
		t.Errorf("statistics %+v, want %+v", *stats, want)
	}
	if err := client.DeleteModule(ctx, module); err != nil {
		t.Error(err)
	}
	if err := client.DeleteDevice(ctx, updated); err != nil {
		t.Error(err)
	}
	if devices := got[[]*iotservice.Device](t)(client.ListDevices(ctx)); len(devices) != 0 {
		t.Errorf("after the deletion there are %d devices", len(devices))
	}
	_, err = client.GetModule(ctx, "d1", "m1")
	wantStatus(t, err, http.StatusNotFound)
}

func TestLibraryService_twinsAndQueries(t *testing.T) {
	t.Parallel()
	const devices = 105 // more than a page
	ctx := t.Context()
	client := newLibraryService(t, startLocal(t))
	for i := range devices {
		device := &iotservice.Device{DeviceID: fmt.Sprintf("d%03d", i)}
		got[*iotservice.Device](t)(client.CreateDevice(ctx, device))
	}
	twin := got[*iotservice.Twin](t)(client.GetDeviceTwin(ctx, "d007"))
	change := &iotservice.Twin{
		DeviceID: "d007", ETag: twin.ETag, Tags: map[string]any{"plant": "a"},
		Properties: &iotservice.Properties{Desired: map[string]any{"rate": 1.5}},
	}
	changed := got[*iotservice.Twin](t)(client.UpdateDeviceTwin(ctx, change))
	if changed.Properties.Desired["rate"] != 1.5 || changed.Tags["plant"] != "a" || changed.ETag == twin.ETag {
		t.Errorf("after the update: %+v", changed)
	}
	_, err := client.UpdateDeviceTwin(ctx, change)
	wantStatus(t, err, http.StatusPreconditionFailed)

	find := func(query string) (ids []string) {
		t.Helper()
		err := client.QueryDevices(ctx, query, func(twin map[string]any) error {
			ids = append(ids, twin["deviceId"].(string))
			return nil
		})
		if err != nil {
			t.Fatal(err)
		}
		return ids
	}
	if ids := find("SELECT * FROM devices"); len(ids) != devices || !slices.IsSorted(ids) {
		t.Errorf("a query of all devices found %d: %v", len(ids), ids)
	}
	if ids := find("SELECT * FROM devices WHERE tags.plant = 'a' AND properties.desired.rate > 1"); !slices.Equal(ids, []string{"d007"}) {
		t.Errorf("found %v, want d007", ids)
	}
	err = client.QueryDevices(ctx, "SELECT * FROM devices LIMIT 5", nil)
	if refused, ok := errors.AsType[*iotservice.BadRequestError](err); !ok || !strings.Contains(refused.Message, "token LIMIT") {
		t.Errorf("got %v, want a bad request that names LIMIT", err)
	}
}

// The service client and the device client of the library work together. The service
// client returns the device's connection string.
func TestLibraryDevice_withServiceClient(t *testing.T) {
	t.Parallel()
	hub := startLocal(t)
	service := newLibraryService(t, hub)
	identity := got[*iotservice.Device](t)(service.CreateDevice(t.Context(), &iotservice.Device{DeviceID: "d1"}))
	call := &iotservice.MethodCall{MethodName: "double", ResponseTimeout: 10, Payload: map[string]any{"n": 21}}
	_, err := service.CallDeviceMethod(t.Context(), "d1", call)
	wantStatus(t, err, http.StatusNotFound)

	secret := got[string](t)(service.DeviceConnectionString(identity, true))
	device := connectLibraryDevice(t, hub, secret)
	ctx := context.WithoutCancel(t.Context()) // the library uses it for later responses
	// The library stops if the first request comes after a method is registered.
	desired, reported, err := device.RetrieveTwinState(ctx)
	if err != nil || desired.Version() != 1 || reported.Version() != 1 {
		t.Fatalf("twin %v, %v, %v; want versions 1", desired, reported, err)
	}
	if err := device.RegisterMethod(ctx, "double", func(p map[string]any) (int, map[string]any, error) {
		return 222, map[string]any{"n": 2 * p["n"].(float64)}, nil
	}); err != nil {
		t.Fatal(err)
	}
	result := got[*iotservice.MethodResult](t)(service.CallDeviceMethod(ctx, "d1", call))
	if diff := cmp.Diff(&iotservice.MethodResult{Status: 222, Payload: map[string]any{"n": 42.0}}, result); diff != "" {
		t.Errorf("method (-want +got):\n%s", diff)
	}
	checkLibraryDeviceTwin(t, service, device)
}

func connectLibraryDevice(t *testing.T, hub *hubemulator.Hub, connectionString string) *iotdevice.Client {
	t.Helper()
	transport := iothubmqtt.New(iothubmqtt.WithClientOptionsConfig(func(o *paho.ClientOptions) {
		o.Servers = nil
		o.AddBroker("tls://" + hub.MQTTAddr())
		o.SetTLSConfig(&tls.Config{RootCAs: hub.CA().Pool(), ServerName: "localhost"})
		o.SetOrderMatters(false)
	}))
	client, err := iotdevice.NewFromConnectionString(transport, connectionString,
		iotdevice.WithLogger(logger.New(logger.LevelOff, nil)))
	if err != nil {
		t.Fatal(err)
	}
	if err := client.Connect(t.Context()); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = client.Close() })
	return client
}

// checkLibraryDeviceTwin changes the twin of d1 as service and as device, and finds it by
// the changed properties.
func checkLibraryDeviceTwin(t *testing.T, service *iotservice.Client, device *iotdevice.Client) {
	t.Helper()
	ctx := context.WithoutCancel(t.Context())
	updates := got[*iotdevice.TwinStateSub](t)(device.SubscribeTwinUpdates(ctx))
	got[*iotservice.Twin](t)(service.UpdateDeviceTwin(ctx, &iotservice.Twin{
		DeviceID: "d1", Properties: &iotservice.Properties{Desired: map[string]any{"rate": 5}},
	}))
	if diff := cmp.Diff(iotdevice.TwinState{"rate": 5.0, "$version": 2.0}, next(t, updates.C())); diff != "" {
		t.Errorf("update (-want +got):\n%s", diff)
	}
	device.UnsubscribeTwinUpdates(updates)
	if version, err := device.UpdateTwinState(ctx, iotdevice.TwinState{"rate": 5}); err != nil || version != 2 {
		t.Errorf("reported: version %d, %v; want 2", version, err)
	}
	found := 0
	err := service.QueryDevices(ctx, `SELECT * FROM devices WHERE connectionState = 'Connected' AND
		properties.reported.rate = properties.desired.rate AND properties.reported.$version = 2`,
		func(map[string]any) error {
			found++
			return nil
		})
	if err != nil || found != 1 {
		t.Errorf("the query found %d devices, %v; want 1", found, err)
	}
}

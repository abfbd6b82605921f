// Package hubtest starts a hub emulator with one module, and a service client that is
// connected to it. Only tests import it.
package hubtest

import (
	"encoding/json"
	"io"
	"os"
	"testing"
	"time"

	"github.com/rs/zerolog"

	"rtsptunnel/internal/hub/hubclient"
	"rtsptunnel/internal/hub/hubemulator"
	"rtsptunnel/internal/testkit/porttest"
)

// Host names of the hub and the edge device. RFC 6761, 6.2 reserves them for tests.
const (
	HubName     = "hub.rtsptunnel.test"
	GatewayName = "edge.rtsptunnel.test"
)

// Hub is a hub emulator with one module.
type Hub struct {
	*hubemulator.Hub
	Client     *hubclient.Client
	ID         hubclient.Identity // of the module
	Generation string             // of the module's identity

	options hubemulator.Options // for StartAgain
}

// Start starts a hub that logs to log. The hub is closed when the test ends.
func Start(tb testing.TB, log io.Writer) *Hub {
	tb.Helper()
	dir, err := os.MkdirTemp("", "hub-") // t.TempDir is too long for a unix socket's path
	if err != nil {
		tb.Fatal(err)
	}
	tb.Cleanup(func() { _ = os.RemoveAll(dir) })
	h := &Hub{ID: hubclient.Identity{Device: "edge1", Module: "rtsptunnel"}}
	h.options = hubemulator.Options{
		HostName: HubName, GatewayName: GatewayName, EdgeDevice: h.ID.Device, Dir: dir, Log: zerolog.New(log),
		HTTPS: porttest.Reserve(tb), MQTT: porttest.Reserve(tb), // for StartAgain
	}
	h.Hub, err = hubemulator.Start(h.options)
	if err != nil {
		tb.Fatal(err)
	}
	tb.Cleanup(func() {
		if err := h.Close(); err != nil {
			tb.Error(err)
		}
	})
	if h.Generation, err = h.AddModule(h.ID.Device, h.ID.Module); err != nil {
		tb.Fatal(err)
	}
	h.Client, err = hubclient.New(h.OwnerConnectionString(), hubclient.Options{Roots: h.CA().Pool()})
	if err != nil {
		tb.Fatal(err)
	}
	tb.Cleanup(h.Client.Close)
	return h
}

// Stop closes the hub. Its clients see what a power failure would show them: all
// connections break, and new ones are refused.
func (h *Hub) Stop(tb testing.TB) {
	tb.Helper()
	if err := h.Close(); err != nil {
		tb.Fatal(err)
	}
}

// Throttle makes StartAgain start a hub with the rates of IoT Hub's tier S1, one unit.
func (h *Hub) Throttle() { h.options.Throttle = true }

// StartAgain starts a stopped hub at the same addresses, with the same state and without
// faults.
func (h *Hub) StartAgain(tb testing.TB) {
	tb.Helper()
	hub, err := hubemulator.Start(h.options)
	if err != nil {
		tb.Fatal(err)
	}
	h.Hub = hub
}

// Invoke calls a direct method of the module and returns the module's status and body.
// It waits up to 20 s for a module that is not connected yet.
func (h *Hub) Invoke(tb testing.TB, name, payload string) (status int, body string) {
	tb.Helper()
	status, answer, err := h.Client.Invoke(tb.Context(), h.ID, hubclient.Method{
		Name: name, Payload: json.RawMessage(payload), ConnectTimeout: 20 * time.Second,
	})
	if err != nil {
		tb.Fatal(err)
	}
	return status, string(answer)
}

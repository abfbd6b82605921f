package edge_test

import (
	"testing"
	"time"

	"rtsptunnel/internal/module/edge"
)

// What keeps the MQTT library from doing things by itself, seen where it is set: a
// second guard hides each of these from a hub. A reconnect of its own, a session that
// outlives its connection, ordered callbacks, and the edge hub's trust bundle, without
// which it would verify nothing. A dead hub is noticed within a minute.
func TestConfigure(t *testing.T) {
	t.Parallel()
	o, credentials := edge.Configure(edge.Options{Identity: edge.Identity{HubHost: "hub1", GatewayHost: "edge1", DeviceID: "d", ModuleID: "m"}})
	if o.AutoReconnect || o.ConnectRetry || !o.CleanSession || o.Order || o.CustomOpenConnectionFn == nil {
		t.Errorf("reconnect %v, retry %v, clean session %v, order %v", o.AutoReconnect, o.ConnectRetry, o.CleanSession, o.Order)
	}
	if silence := time.Duration(o.KeepAlive)*time.Second + o.PingTimeout; o.KeepAlive == 0 || silence > time.Minute {
		t.Errorf("silence for %s is noticed", silence)
	}
	if credentials.UseEdgeGateway() || credentials.GetWorkloadURI() != "" || credentials.GetBroker() != "edge1" {
		t.Errorf("the library asks the workload API by itself: %+v", credentials)
	}
}

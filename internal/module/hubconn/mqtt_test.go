package hubconn_test

import (
	"testing"
	"time"

	"rtsptunnel/internal/module/hubconn"
)

// The settings that switch off what the MQTT library would do: reconnect, keep a session
// over connections, start a goroutine for each message, and fetch the edge hub's trust bundle, without
// which it would verify nothing. Each has a second safeguard, so no test with a hub can
// see it. A dead hub is detected within a minute.
func TestConfigure(t *testing.T) {
	t.Parallel()
	o, credentials := hubconn.Configure(hubconn.Options{Identity: hubconn.Identity{HubHost: "hub1", GatewayHost: "edge1", DeviceID: "d", ModuleID: "m"}})
	if o.AutoReconnect || o.ConnectRetry || !o.CleanSession || !o.Order || o.CustomOpenConnectionFn == nil {
		t.Errorf("reconnect %v, retry %v, clean session %v, order %v", o.AutoReconnect, o.ConnectRetry, o.CleanSession, o.Order)
	}
	if silence := time.Duration(o.KeepAlive)*time.Second + o.PingTimeout; o.KeepAlive == 0 || silence > time.Minute {
		t.Errorf("a dead hub is detected after %s", silence)
	}
	if credentials.UseEdgeGateway() || credentials.GetWorkloadURI() != "" || credentials.GetBroker() != "edge1" {
		t.Errorf("the library asks the workload API: %+v", credentials)
	}
}

// The form that the edge hub's parser accepts (Hub.Mqtt, MqttUsernameParser): values are
// escaped, a blank as %20.
func TestUserName(t *testing.T) {
	id := hubconn.Identity{HubHost: "hub1.azure-devices.net", GatewayHost: "edge1", DeviceID: "edge1", ModuleID: "rtsptunnel"}
	device := id
	device.ModuleID = ""
	rest := "/?api-version=2021-04-12" +
		"&DeviceClientType=rtsptunnel%2F1.0%20%28linux%3B%20arm64%29%20a%2Bb%3Dc%26d" +
		"&model-id=dtmi%3Aazure%3Avideoanalyzer%3AWebSocketTunneling%3B1"
	for want, id := range map[string]hubconn.Identity{
		"hub1.azure-devices.net/edge1/rtsptunnel" + rest: id,
		"hub1.azure-devices.net/edge1" + rest:            device,
	} {
		got := hubconn.UserName(hubconn.Options{
			Identity: id, ModelID: "dtmi:azure:videoanalyzer:WebSocketTunneling;1", Product: "rtsptunnel/1.0 (linux; arm64) a+b=c&d",
		})
		if got != want {
			t.Errorf("got  %s\nwant %s", got, want)
		}
	}
}

package hubemulator_test

import (
	"bytes"
	"context"
	"crypto/tls"
	"encoding/json"
	"fmt"
	"io"
	"net"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/amenzhinsky/iothub/common"
	"github.com/amenzhinsky/iothub/iotdevice"
	iothubmqtt "github.com/amenzhinsky/iothub/iotdevice/transport/mqtt"
	"github.com/amenzhinsky/iothub/logger"
	paho "github.com/eclipse/paho.mqtt.golang"
	"github.com/eclipse/paho.mqtt.golang/packets"
	"github.com/gorilla/websocket"

	"rtsptunnel/internal/hub/hubemulator"
	"rtsptunnel/internal/hub/hubemulator/sas"
)

const (
	webSocketPath = "/$iothub/websocket"
	// closeLimit is the longest time for Close with any clients. It is shorter than
	// the timeout of a close message to a client that does not read.
	closeLimit = 4 * time.Second
)

// overWebSocket changes the options to a connection over WebSocket at a path.
func overWebSocket(hub *hubemulator.Hub, o *paho.ClientOptions, path string) *paho.ClientOptions {
	o.Servers = nil
	return o.AddBroker("wss://" + hub.HTTPSAddr() + path)
}

// A client can connect over WebSocket at any path, and gets the same service as over TLS.
func TestWebSocket(t *testing.T) {
	t.Parallel()
	for _, path := range []string{webSocketPath, webSocketPath + "?iothub-no-client-cert=true", "/", "/devices/d1"} {
		t.Run(path, func(t *testing.T) {
			t.Parallel()
			hub, generation := start(t)
			client := connect(t, overWebSocket(hub, options(t, hub, generation), path))
			desired := make(chan []byte, 10)
			wait(t, client.Subscribe("$iothub/twin/PATCH/properties/desired/#", 1, func(_ paho.Client, m paho.Message) {
				desired <- m.Payload()
			}))
			wait(t, client.Subscribe("$iothub/methods/POST/#", 0, func(c paho.Client, m paho.Message) {
				_, rid, _ := strings.Cut(m.Topic(), "?")
				c.Publish("$iothub/methods/res/299/?"+rid, 1, false, `{"name":"m","payload":`+string(m.Payload())+`}`)
			}))
			s := newService(t, hub)
			s.must(t, "PATCH", "/twins/edge1/modules/m1", `{"properties":{"desired":{"a":1}}}`)
			if got, want := string(next(t, desired)), `{"$version":2,"a":1}`; got != want {
				t.Errorf("desired patch %s, want %s", got, want)
			}
			large := strings.Repeat("x", 100_000) // larger than a buffer; many frames
			got := s.must(t, "POST", methodsPath, `{"methodName":"m","payload":"`+large+`"}`)
			if want := `{"status":299,"payload":{"name":"m","payload":"` + large + `"}}` + "\n"; string(got) != want {
				t.Errorf("method answer of %d bytes, want %d", len(got), len(want))
			}
		})
	}
}

// amenzhinsky/iothub's device transport works over WebSocket. The test changes only the
// port, the authority and the name in the certificate.
func TestWebSocket_withIothubLibrary(t *testing.T) {
	t.Parallel()
	hub, _ := start(t)
	s := newService(t, hub)
	transport := connectDevice(t, hub, s)
	ctx := context.WithoutCancel(t.Context()) // the library uses it for later responses
	desired := make(updates, 10)
	if err := transport.SubscribeTwinUpdates(ctx, desired); err != nil {
		t.Fatal(err)
	}
	s.must(t, "PATCH", "/twins/edge1", `{"properties":{"desired":{"a":1}}}`)
	if got, want := string(next(t, desired)), `{"$version":2,"a":1}`; got != want {
		t.Errorf("desired patch %s, want %s", got, want)
	}
	if version, err := transport.UpdateTwinProperties(ctx, []byte(`{"r":true}`)); err != nil || version != 2 {
		t.Errorf("reported patch: version %d, %v; want 2", version, err)
	}
	if err := transport.RegisterDirectMethods(ctx, methods{}); err != nil {
		t.Fatal(err)
	}
	got := s.must(t, "POST", "/twins/edge1/methods", `{"methodName":"m","payload":[1]}`)
	if want := `{"status":299,"payload":{"name":"m","payload":[1]}}` + "\n"; string(got) != want {
		t.Errorf("method answer %s, want %s", got, want)
	}
}

func connectDevice(t *testing.T, hub *hubemulator.Hub, s *service) *iothubmqtt.Transport {
	t.Helper()
	var identity struct {
		Authentication struct{ SymmetricKey struct{ PrimaryKey string } }
	}
	if err := json.Unmarshal(s.must(t, "GET", "/devices/edge1", ""), &identity); err != nil {
		t.Fatal(err)
	}
	transport := iothubmqtt.New(iothubmqtt.WithWebSocket(true), iothubmqtt.WithClientOptionsConfig(func(o *paho.ClientOptions) {
		if got, want := o.Servers[0].String(), "wss://"+hostName+":443"+webSocketPath; got != want {
			t.Errorf("the library dials %s, want %s", got, want)
		}
		o.Servers[0].Host = hub.HTTPSAddr()
		o.SetTLSConfig(&tls.Config{RootCAs: hub.CA().Pool(), ServerName: hostName})
		o.SetOrderMatters(false)
	}))
	transport.SetLogger(logger.New(logger.LevelOff, nil))
	err := transport.Connect(t.Context(), &iotdevice.SharedAccessKeyCredentials{
		DeviceID:        "edge1",
		SharedAccessKey: common.SharedAccessKey{HostName: hostName, SharedAccessKey: identity.Authentication.SymmetricKey.PrimaryKey},
	})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = transport.Close() })
	return transport
}

// A new connection of an identity replaces the old one, over TLS and over WebSocket.
func TestWebSocket_takeOver(t *testing.T) {
	t.Parallel()
	hub, generation := start(t)
	lost := make(chan int, 10)
	for i := range 4 {
		o := options(t, hub, generation).SetAutoReconnect(false)
		o.SetConnectionLostHandler(func(paho.Client, error) { lost <- i })
		if i%2 == 1 {
			overWebSocket(hub, o, webSocketPath)
		}
		connect(t, o)
		if i == 0 {
			continue
		}
		if got := next(t, lost); got != i-1 {
			t.Errorf("connection %d was closed, want %d", got, i-1)
		}
	}
	if len(lost) > 0 {
		t.Error("the newest connection was closed")
	}
}

func TestWebSocket_drop(t *testing.T) {
	t.Parallel()
	hub, generation := start(t)
	lost, again := make(chan struct{}, 1), make(chan struct{}, 2)
	o := overWebSocket(hub, options(t, hub, generation), webSocketPath)
	o.SetConnectionLostHandler(func(paho.Client, error) { lost <- struct{}{} })
	o.SetOnConnectHandler(func(paho.Client) { again <- struct{}{} })
	connect(t, o)
	next(t, again)
	hub.Drop("edge1", "m1")
	next(t, lost)
	next(t, again)
}

func TestWebSocket_refusedLogin(t *testing.T) {
	t.Parallel()
	hub, generation := start(t)
	o := overWebSocket(hub, options(t, hub, generation), webSocketPath)
	wrong, err := sas.Sign(hostName+"/devices/edge1/modules/m1", "", "d3Jvbmc=", time.Now().Add(time.Hour))
	if err != nil {
		t.Fatal(err)
	}
	token := paho.NewClient(o.SetPassword(wrong)).Connect().(*paho.ConnectToken)
	if !token.WaitTimeout(testTimeout) || token.ReturnCode() != 5 {
		t.Errorf("CONNACK %d, %v; want 5", token.ReturnCode(), token.Error())
	}
}

// The REST API works on the same port as WebSockets.
func TestWebSocket_besideREST(t *testing.T) {
	t.Parallel()
	hub, _ := start(t)
	s := newService(t, hub)
	status, body, err := s.do(t.Context(), "GET", webSocketPath, "")
	if err != nil || status != http.StatusBadRequest || !strings.Contains(string(body), "ErrorCode:ArgumentInvalid") {
		t.Errorf("without an upgrade: got %d %s %v, want 400", status, body, err)
	}
	s.token = ""
	if status, body, err = s.do(t.Context(), "GET", "/devices/edge1", ""); err != nil || status != http.StatusUnauthorized {
		t.Errorf("without a token: got %d %s %v, want 401", status, body, err)
	}
}

// When a client breaks the connection or sends anything but MQTT, the hub disconnects it
// soon and serves other clients.
func TestWebSocket_badClients(t *testing.T) {
	t.Parallel()
	tests := []struct {
		name string
		end  func(ws *websocket.Conn) error
	}{
		{"breaks the connection", func(ws *websocket.Conn) error { return ws.NetConn().(*tls.Conn).NetConn().Close() }},
		{"text", func(ws *websocket.Conn) error { return ws.WriteMessage(websocket.TextMessage, []byte{0xc0, 0}) }}, // PINGREQ
		{"no MQTT", func(ws *websocket.Conn) error { return ws.WriteMessage(websocket.BinaryMessage, make([]byte, 100)) }},
		{"no WebSocket", func(ws *websocket.Conn) error { _, err := ws.NetConn().Write(make([]byte, 100)); return err }},
		{"packet too large", func(ws *websocket.Conn) error {
			return ws.WriteMessage(websocket.BinaryMessage, append([]byte{0x30, 0xff, 0xff, 0xff, 0x7f}, make([]byte, 1000)...))
		}},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			hub, generation := start(t)
			s := newService(t, hub)
			ws := logIn(t, hub, generation)
			waitForState(t, s, "Connected")
			if err := tt.end(ws); err != nil {
				t.Fatal(err)
			}
			waitForState(t, s, "Disconnected")
			connect(t, overWebSocket(hub, options(t, hub, generation), webSocketPath))
		})
	}
}

// waitForState polls until edge1/m1 has the connection state.
func waitForState(t *testing.T, s *service, state string) {
	t.Helper()
	for deadline := time.Now().Add(testTimeout); ; {
		module := string(s.must(t, "GET", "/devices/edge1/modules/m1", ""))
		if strings.Contains(module, `"connectionState":"`+state+`"`) {
			return
		}
		if time.Now().After(deadline) {
			t.Fatalf("want %s: %s", state, module)
		}
	}
}

// dialWebSocket opens a WebSocket and sends nothing.
func dialWebSocket(t *testing.T, hub *hubemulator.Hub) *websocket.Conn {
	t.Helper()
	dialer := websocket.Dialer{
		TLSClientConfig: &tls.Config{RootCAs: hub.CA().Pool()}, HandshakeTimeout: testTimeout, Subprotocols: []string{"mqtt"},
	}
	ws, response, err := dialer.Dial("wss://"+hub.HTTPSAddr()+webSocketPath, nil)
	if err != nil {
		t.Fatal(err)
	}
	response.Body.Close()
	t.Cleanup(func() { ws.Close() })
	if err := ws.SetReadDeadline(time.Now().Add(testTimeout)); err != nil {
		t.Fatal(err)
	}
	return ws
}

// logIn opens a WebSocket, logs in as edge1/m1 with one message per byte, and subscribes to
// patches of desired properties. It reads nothing afterwards.
func logIn(t *testing.T, hub *hubemulator.Hub, generation string) *websocket.Conn {
	t.Helper()
	ws := dialWebSocket(t, hub)
	o := options(t, hub, generation)
	c := packets.NewControlPacket(packets.Connect).(*packets.ConnectPacket)
	c.ProtocolName, c.ProtocolVersion, c.CleanSession = "MQTT", 4, true
	c.ClientIdentifier = o.ClientID
	c.UsernameFlag, c.Username = true, o.Username
	c.PasswordFlag, c.Password = true, []byte(o.Password)
	subscribe := packets.NewControlPacket(packets.Subscribe).(*packets.SubscribePacket)
	subscribe.MessageID, subscribe.Qoss = 1, []byte{0}
	subscribe.Topics = []string{"$iothub/twin/PATCH/properties/desired/#"}
	for _, packet := range []packets.ControlPacket{c, subscribe} {
		var b bytes.Buffer
		if err := packet.Write(&b); err != nil {
			t.Fatal(err)
		}
		for _, one := range b.Bytes() {
			if err := ws.WriteMessage(websocket.BinaryMessage, []byte{one}); err != nil {
				t.Fatal(err)
			}
		}
		if _, _, err := ws.ReadMessage(); err != nil {
			t.Fatal(err)
		}
	}
	return ws
}

// Close waits for no client: not for one with unread messages, for one that has not
// logged in, or for one that has not finished its handshake.
func TestWebSocket_hubCloses(t *testing.T) {
	t.Parallel()
	hub, generation := startUnclosed(t, newDir(t))
	s := newService(t, hub)
	unread := logIn(t, hub, generation)
	if err := unread.NetConn().(*tls.Conn).NetConn().(*net.TCPConn).SetReadBuffer(4 << 10); err != nil {
		t.Fatal(err)
	}
	large := strings.Repeat("x", 4000)
	patch := fmt.Sprintf(`{"properties":{"desired":{"a":%q,"b":%q,"c":%q,"d":%q,"e":%q,"f":%q,"g":%q}}}`, large, large, large, large, large, large, large)
	for range 200 { // more than the socket buffers of the hub and the client
		s.must(t, "PATCH", "/twins/edge1/modules/m1", patch)
	}
	dialWebSocket(t, hub)
	half, err := tls.Dial("tcp", hub.HTTPSAddr(), &tls.Config{RootCAs: hub.CA().Pool()})
	if err != nil {
		t.Fatal(err)
	}
	defer half.Close()
	if _, err := io.WriteString(half, "GET "+webSocketPath+" HTTP/1.1\r\nHost: hub\r\nUpgrade: webs"); err != nil {
		t.Fatal(err)
	}
	silent, err := net.Dial("tcp", hub.HTTPSAddr())
	if err != nil {
		t.Fatal(err)
	}
	defer silent.Close()

	begun := time.Now()
	closeHub(t, hub)
	if took := time.Since(begun); took > closeLimit {
		t.Errorf("Close took %v, want at most %v", took, closeLimit)
	}
}

package mqttws_test

import (
	"encoding/json"
	"net/http"
	"strings"
	"testing"
)

// The handler accepts, refuses or passes on requests.
func TestHandler(t *testing.T) {
	const upgrade = "Host: hub\r\nUpgrade: websocket\r\nConnection: keep-alive, Upgrade\r\nSec-WebSocket-Version: 13\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ=="
	tests := []struct {
		name, request string
		status        int
		reason        string
	}{
		{"IoT Hub's path", request("GET /$iothub/websocket HTTP/1.1", upgrade, "Sec-WebSocket-Protocol: mqtt"), 101, ""},
		{"with a query", request("GET /$iothub/websocket?iothub-no-client-cert=true HTTP/1.1", upgrade, "Sec-WebSocket-Protocol: mqtt"), 101, ""},
		{"escaped", request("GET /%24iothub/websocket HTTP/1.1", upgrade, "Sec-WebSocket-Protocol: mqtt"), 101, ""},
		{"any path", request("GET /devices HTTP/1.1", upgrade, "Sec-WebSocket-Protocol: AMQPWSB10, mqtt"), 101, ""},
		{"any origin", request("GET / HTTP/1.1", upgrade, "Sec-WebSocket-Protocol: mqtt", "Origin: https://example.org"), 101, ""},
		{"no subprotocol", request("GET /$iothub/websocket HTTP/1.1", upgrade), 400, "subprotocol mqtt"},
		{"another subprotocol", request("GET /$iothub/websocket HTTP/1.1", upgrade, "Sec-WebSocket-Protocol: AMQPWSB10"), 400, "subprotocol mqtt"},
		{"no upgrade", request("GET /$iothub/websocket HTTP/1.1", "Host: hub"), 400, "wants an upgrade"},
		{"old version", request("GET / HTTP/1.1", strings.Replace(upgrade, "13", "8", 1), "Sec-WebSocket-Protocol: mqtt"), 400, "version"},
		{"no key", request("GET / HTTP/1.1", strings.Replace(upgrade, "Key", "Clef", 1), "Sec-WebSocket-Protocol: mqtt"), 400, "Key"},
		{"wrong method", request("POST / HTTP/1.1", upgrade, "Sec-WebSocket-Protocol: mqtt", "Content-Length: 0"), 405, "method"},
		{"WebSocket for another handler", request("GET /devices HTTP/1.1", upgrade), 418, ""},
		{"no WebSocket", request("GET /devices HTTP/1.1", "Host: hub", "Sec-WebSocket-Protocol: mqtt"), 418, ""},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			s := start(t)
			p := s.dial(t)
			p.send(t, []byte(tt.request))
			response, err := http.ReadResponse(p.reader, nil)
			if err != nil {
				t.Fatal(err)
			}
			defer response.Body.Close()
			if response.StatusCode != tt.status {
				t.Fatalf("status %d, want %d", response.StatusCode, tt.status)
			}
			switch {
			case tt.status == http.StatusSwitchingProtocols:
				(<-s.conns).Close()
			case tt.reason != "":
				wantRefusal(t, response, tt.reason)
			}
		})
	}
}

// wantRefusal checks for an error in the form that Microsoft's SDKs read.
func wantRefusal(t *testing.T, response *http.Response, reason string) {
	t.Helper()
	var body struct{ Message, ExceptionMessage string }
	if err := json.NewDecoder(response.Body).Decode(&body); err != nil {
		t.Fatal(err)
	}
	if !strings.HasPrefix(body.Message, "ErrorCode:ArgumentInvalid;") || !strings.Contains(body.Message, reason) {
		t.Errorf("message %q, want %q in it", body.Message, reason)
	}
	if got := response.Header.Get("Iothub-Errorcode"); got != "ArgumentInvalid" {
		t.Errorf("iothub-errorcode %q", got)
	}
}

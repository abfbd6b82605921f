package broker_test

import (
	"bytes"
	"encoding/binary"
	"io"
	"strings"
	"testing"
	"time"

	paho "github.com/eclipse/paho.mqtt.golang"

	"rtsptunnel/internal/hub/hubemulator/store"
)

const modelID = "dtmi:example:Thing;1"

func TestLogin_accepted(t *testing.T) {
	e := start(t)
	key := e.identity(t, module).PrimaryKey
	tests := []struct {
		name  string
		id    store.ID
		set   func(o *paho.ClientOptions)
		model string
	}{
		{"module", module, func(*paho.ClientOptions) {}, ""},
		{"device", device, func(*paho.ClientOptions) {}, ""},
		{"model id not escaped", module, func(o *paho.ClientOptions) {
			o.SetUsername(userName(module) + "&model-id=" + modelID + "&DeviceClientType=a%2F1%20%28b%3Bc%29")
		}, modelID},
		{"model id escaped", module, func(o *paho.ClientOptions) {
			o.SetUsername(userName(module) + "&DeviceClientType=a;b&model-id=dtmi%3Aexample%3AThing%3B1")
		}, modelID},
		{"no question mark", module, func(o *paho.ClientOptions) {
			o.SetUsername("hub.example/d1/m1/api-version=2018-06-30&model-id=" + modelID)
		}, modelID},
		{"host with a port", module, func(o *paho.ClientOptions) {
			o.SetUsername("HUB.example:8443/d1/m1/?api-version=x")
		}, ""},
		{"secondary key", module, func(o *paho.ClientOptions) {
			o.SetPassword(sign(t, hostName+"/"+module.Path(), e.identity(t, module).SecondaryKey, time.Hour))
		}, ""},
		{"token for the device", module, func(o *paho.ClientOptions) {
			o.SetPassword(sign(t, hostName+"/devices/d1", key, time.Hour))
		}, ""},
		{"token for the gateway", module, func(o *paho.ClientOptions) {
			o.SetPassword(sign(t, gatewayName+"/"+module.Path(), key, time.Hour))
		}, ""},
		{"clean session off", module, func(o *paho.ClientOptions) { o.SetCleanSession(false) }, ""},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			o := e.options(t, tt.id)
			tt.set(o)
			connect(t, o)
			if got := e.identity(t, tt.id).ModelID; got != tt.model {
				t.Errorf("model id = %q, want %q", got, tt.model)
			}
		})
	}
}

func TestLogin_refused(t *testing.T) {
	e := start(t)
	key, otherKey := e.identity(t, module).PrimaryKey, e.identity(t, other).PrimaryKey
	resource := hostName + "/" + module.Path()
	password := func(resource, key string, life time.Duration) func(*paho.ClientOptions) {
		return func(o *paho.ClientOptions) { o.SetPassword(sign(t, resource, key, life)) }
	}
	user := func(name string) func(*paho.ClientOptions) {
		return func(o *paho.ClientOptions) { o.SetUsername(name) }
	}
	clientID := func(id string) func(*paho.ClientOptions) {
		return func(o *paho.ClientOptions) { o.SetClientID(id) }
	}
	tests := []struct {
		name   string
		set    func(o *paho.ClientOptions)
		reason string // in the log
	}{
		{"bad signature", password(resource, otherKey, time.Hour), "bad signature"},
		{"wrong audience", password(hostName+"/"+other.Path(), key, time.Hour), "wrong audience"},
		{"audience of another hub", password("hub2.example/"+module.Path(), key, time.Hour), "wrong audience"},
		{"expired token", password(resource, key, -time.Second), "expired token"},
		{"no token", func(o *paho.ClientOptions) { o.SetPassword("hunter") }, "malformed token"},
		{"no user name, no password", func(o *paho.ClientOptions) { o.SetUsername("").SetPassword("") }, "malformed user name"},
		{"unknown module", func(o *paho.ClientOptions) {
			o.SetClientID("d1/m9").SetUsername("hub.example/d1/m9/?api-version=x")
		}, "module not found"},
		{"unknown device", func(o *paho.ClientOptions) {
			o.SetClientID("d9/m1").SetUsername("hub.example/d9/m1/?api-version=x")
		}, "device not found"},
		{"client id of another module", clientID("d1/m2"), "client id is not"},
		{"client id in other case", clientID("d1/M1"), "client id is not"},
		{"client id of the device", clientID("d1"), "client id is not"},
		{"other hub", user("hub2.example/d1/m1/?api-version=x"), "another hub"},
		{"no api-version", user("hub.example/d1/m1/?model-id=x"), "api-version is missing"},
		{"no properties", user("hub.example/d1/m1"), "malformed user name"},
		{"too many ids", user("hub.example/d1/m1/x/?api-version=x"), "malformed user name"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			before := len(e.log.String())
			o := e.options(t, module)
			tt.set(o)
			if got := refusedWith(t, o); got != 5 {
				t.Errorf("CONNACK %d, want 5", got)
			}
			log := e.log.String()[before:]
			if !strings.Contains(log, tt.reason) {
				t.Errorf("the log does not contain %q:\n%s", tt.reason, log)
			}
			if strings.Contains(log, "sig=") || o.Password != "" && strings.Contains(log, o.Password) {
				t.Errorf("the log contains the token:\n%s", log)
			}
		})
	}
}

func TestLogin_newProtocol(t *testing.T) {
	e := start(t)
	conn := dial(t, e)
	var connect bytes.Buffer
	connect.WriteString("\x00\x04MQTT\x05\xc2\x00\x3c\x00") // version 5, user name, password, clean; no properties
	for _, field := range []string{module.String(), userName(module), e.token(t, module)} {
		connect.Write(binary.BigEndian.AppendUint16(nil, uint16(len(field))))
		connect.WriteString(field)
	}
	packet := binary.AppendUvarint([]byte{0x10}, uint64(connect.Len())) // MQTT encodes lengths like uvarints
	if _, err := conn.Write(append(packet, connect.Bytes()...)); err != nil {
		t.Fatal(err)
	}
	head := make([]byte, 4)
	if _, err := io.ReadFull(conn, head); err != nil {
		t.Fatal(err)
	}
	if head[0] != 0x20 || head[3] < 0x80 {
		t.Errorf("answer %x, want a CONNACK with an error", head)
	}
	if log := e.log.String(); !strings.Contains(log, "not MQTT 3.1.1") {
		t.Errorf("the log has no reason:\n%s", log)
	}
}

func TestLogin_oldProtocol(t *testing.T) {
	e := start(t)
	if got := refusedWith(t, e.options(t, module).SetProtocolVersion(3)); got != 1 {
		t.Errorf("CONNACK %d, want 1 (unacceptable protocol version)", got)
	}
}

package broker_test

import (
	"errors"
	"io"
	"net"
	"os"
	"testing"
	"time"

	"github.com/eclipse/paho.mqtt.golang/packets"

	"rtsptunnel/internal/hub/hubemulator/broker"
	"rtsptunnel/internal/hub/hubemulator/store"
)

// For any bytes, before or after a login, the connection ends with its input, and the twin
// of another identity does not change.
func FuzzPackets(f *testing.F) {
	e := start(f)
	ln, err := net.Listen("tcp", "127.0.0.1:0") // TLS would only make the test slower
	if err != nil {
		f.Fatal(err)
	}
	served := make(chan error, 1)
	go func() { served <- e.broker.Serve(ln) }()
	f.Cleanup(func() {
		e.close(f)
		if err := <-served; !errors.Is(err, broker.ErrClosed) {
			f.Errorf("Serve ended with %v", err)
		}
	})

	for _, seed := range packetSeeds(f, e) {
		f.Add(false, seed)
		f.Add(true, seed)
	}
	before := twinOf(f, e)
	f.Fuzz(func(t *testing.T, loggedIn bool, data []byte) {
		conn, err := net.Dial("tcp", ln.Addr().String())
		if err != nil {
			t.Fatal(err)
		}
		defer conn.Close()
		if err := conn.SetDeadline(time.Now().Add(patience)); err != nil {
			t.Fatal(err)
		}
		if loggedIn {
			send(t, conn, connectPacket(t, e, module, false))
			if p, err := packets.ReadPacket(conn); err != nil || p.(*packets.ConnackPacket).ReturnCode != 0 {
				t.Fatalf("login: %v, %v", p, err)
			}
		}
		_, _ = conn.Write(data) // the broker may cut the connection during the write
		_ = conn.(*net.TCPConn).CloseWrite()
		if _, err := io.Copy(io.Discard, conn); errors.Is(err, os.ErrDeadlineExceeded) {
			t.Error("the connection was not cut")
		}
		if after := twinOf(t, e); after.Version != before.Version || after.Identity.LastActivity != before.Identity.LastActivity {
			t.Error("another identity has changed")
		}
	})
}

func twinOf(tb testing.TB, e *env) store.Twin {
	tb.Helper()
	twin, err := e.store.Twin(other)
	if err != nil {
		tb.Fatal(err)
	}
	return twin
}

// packetSeeds returns valid and invalid input of clients.
func packetSeeds(f *testing.F, e *env) [][]byte {
	f.Helper()
	subscribe := packets.NewControlPacket(packets.Subscribe).(*packets.SubscribePacket)
	subscribe.MessageID, subscribe.Topics, subscribe.Qoss = 1, []string{twinFilter, "#"}, []byte{1, 2}
	unsubscribe := packets.NewControlPacket(packets.Unsubscribe).(*packets.UnsubscribePacket)
	unsubscribe.MessageID, unsubscribe.Topics = 2, []string{twinFilter}
	return [][]byte{
		{},
		{0x10},
		{0x10, 0xff, 0xff, 0xff, 0x7f},
		[]byte("GET / HTTP/1.1\r\n\r\n"),
		{0x16, 3, 1, 2, 0},
		{0x10, 14, 0, 4, 'M', 'Q', 'T', 'T', 5, 0xff, 0, 0, 0xff, 0, 0, 0},
		{0xe0, 0},
		{0xf0, 0},
		{0x32, 5, 0, 1, 'a', 0, 0},
		{0x50, 2, 0, 1},
		{0x62, 2, 0, 1},
		{0x70, 2, 0, 1},
		{0x40, 2, 0, 1},
		encode(f, connectPacket(f, e, other, true))[:60],
		encode(f, subscribe, unsubscribe, packets.NewControlPacket(packets.Pingreq)),
		encode(f, subscribe, publishPacket("$iothub/twin/GET/?$rid=1", nil)),
		encode(f, publishPacket("$iothub/twin/PATCH/properties/reported/?$rid=1", []byte(`{"a":{"b":null}}`))),
		encode(f, publishPacket("$iothub/methods/res/200/?$rid=1", []byte("null"))),
		encode(f, publishPacket("devices/d1/modules/m1/messages/events/a=%zz&&=/", []byte{0xff})),
	}
}

package broker_test

import (
	"errors"
	"strings"
	"testing"

	paho "github.com/eclipse/paho.mqtt.golang"
	"github.com/eclipse/paho.mqtt.golang/packets"

	"rtsptunnel/internal/hub/hubemulator/broker"
)

const (
	methodsFilter = "$iothub/methods/POST/#"
	twinFilter    = "$iothub/twin/res/#"
	desiredFilter = "$iothub/twin/PATCH/properties/desired/#"
)

// logInAs connects, and reports whether the client resumed a session.
func logInAs(t *testing.T, o *paho.ClientOptions) (client paho.Client, present bool) {
	t.Helper()
	client = paho.NewClient(o)
	token := client.Connect().(*paho.ConnectToken)
	wait(t, token)
	t.Cleanup(func() { client.Disconnect(0) })
	return client, token.SessionPresent()
}

// Microsoft's device SDKs subscribe once and expect the subscriptions after a reconnect.
func TestSession_subscriptionsSurviveReconnect(t *testing.T) {
	e := start(t)
	client, _ := logInAs(t, e.options(t, module).SetCleanSession(false))
	for _, filter := range []string{methodsFilter, desiredFilter, twinFilter} {
		wait(t, client.Subscribe(filter, 0, nil))
	}
	wait(t, client.Unsubscribe(twinFilter))

	again := func(end func()) {
		t.Helper()
		end()
		arrived := make(chan paho.Message, 10)
		o := e.options(t, module).SetCleanSession(false).SetDefaultPublishHandler(func(c paho.Client, m paho.Message) {
			if strings.HasPrefix(m.Topic(), "$iothub/methods/") {
				topic, payload := echo(200)(m.Topic(), m.Payload())
				c.Publish(topic, 0, false, payload)
			}
			arrived <- m
		})
		client, _ = logInAs(t, o)
		mustInvoke(t, e, module)
		next(t, arrived)
		wait(t, client.Publish("$iothub/twin/GET/?$rid=1", 1, false, " ")) // gets no answer: not subscribed any more
		patch(t, e, module, `{"a":1}`)
		if got, want := next(t, arrived).Topic(), "$iothub/twin/PATCH/properties/desired/"; !strings.HasPrefix(got, want) {
			t.Errorf("got %s, want %s", got, want)
		}
	}
	again(func() { client.Disconnect(0) })
	again(func() { e.broker.Drop(module) })
	again(func() {}) // the new connection replaces the old one
	again(func() { e.restart(t) })
}

func TestSession_present(t *testing.T) {
	e := start(t)
	steps := []struct{ clean, present bool }{
		{clean: false, present: false},
		{clean: false, present: true},
		{clean: true, present: false},
		{clean: true, present: false},
		{clean: false, present: false},
		{clean: false, present: true},
	}
	for i, step := range steps {
		client, present := logInAs(t, e.options(t, module).SetCleanSession(step.clean))
		if present != step.present {
			t.Errorf("login %d, clean %t: session present %t", i, step.clean, present)
		}
		if !step.present {
			call := broker.Call{Method: "m"}
			if _, _, err := e.broker.Invoke(t.Context(), module, call); !errors.Is(err, broker.ErrNotConnected) {
				t.Errorf("login %d, clean %t: subscribed to methods, %v", i, step.clean, err)
			}
		}
		wait(t, client.Subscribe(methodsFilter, 0, nil))
	}
}

// Messages for a client with subscriptions must wait for CONNACK.
func TestSession_nothingBeforeConnack(t *testing.T) {
	e := start(t)
	client, _ := logInAs(t, e.options(t, module).SetCleanSession(false))
	wait(t, client.Subscribe(desiredFilter, 0, nil))
	client.Disconnect(0)
	e.keep.before(func() {
		e.keep.before(nil)
		for range 100 {
			patch(t, e, module, `{"a":1}`)
		}
	})
	conn := dial(t, e)
	send(t, conn, connectPacket(t, e, module, false))
	first, err := packets.ReadPacket(conn)
	if err != nil {
		t.Fatal(err)
	}
	if ack, ok := first.(*packets.ConnackPacket); !ok || !ack.SessionPresent {
		t.Errorf("the first packet is %v, want CONNACK with session present", first)
	}
	for range 100 {
		p, err := packets.ReadPacket(conn)
		if err != nil {
			t.Fatal(err)
		}
		if _, ok := p.(*packets.PublishPacket); !ok {
			t.Errorf("got %v, want a desired patch", p)
		}
	}
}

// Of two concurrent logins, the later one wins.
func TestSession_loginDuringLogin(t *testing.T) {
	e := start(t)
	ended := make(chan struct{}, 10)
	e.log.at(broker.MessageConnectionEnded, func() { ended <- struct{}{} })
	latest := make(chan paho.Client, 1)
	e.keep.before(func() {
		e.keep.before(nil)
		latest <- connect(t, e.options(t, module))
	})
	older := dial(t, e)
	send(t, older, connectPacket(t, e, module, false))
	if p, err := packets.ReadPacket(older); err == nil {
		t.Errorf("the older connection got %v", p)
	}
	client := next(t, latest)
	next(t, ended)
	roundTrip(t, client)
}

// A subscription in progress on an older connection does not apply to the newer one.
func TestSession_olderConnectionCannotSubscribe(t *testing.T) {
	e := start(t)
	older := dial(t, e)
	send(t, older, connectPacket(t, e, module, false))
	if _, err := packets.ReadPacket(older); err != nil {
		t.Fatal(err)
	}
	newer := make(chan paho.Client, 1)
	e.log.at(broker.MessageSubscriptionRefused, func() { newer <- connect(t, e.options(t, module).SetCleanSession(false)) })
	s := packets.NewControlPacket(packets.Subscribe).(*packets.SubscribePacket)
	s.MessageID, s.Topics, s.Qoss = 1, []string{"#", methodsFilter}, []byte{0, 0}
	send(t, older, s)
	if p, err := packets.ReadPacket(older); err == nil {
		t.Errorf("the older connection got %v", p)
	}
	next(t, newer)
	e.restart(t) // waits until the older connection has ended
	logInAs(t, e.options(t, module).SetCleanSession(false))
	if _, _, err := e.broker.Invoke(t.Context(), module, broker.Call{Method: "m"}); !errors.Is(err, broker.ErrNotConnected) {
		t.Errorf("got %v, want %v", err, broker.ErrNotConnected)
	}
}

func TestSession_leavesNothingInMochi(t *testing.T) {
	e := start(t)
	disconnected := make(chan struct{}, 1)
	e.log.at(broker.MessageDisconnected, func() { disconnected <- struct{}{} })
	for range 3 {
		client, _ := logInAs(t, e.options(t, module).SetCleanSession(false))
		wait(t, client.Subscribe(methodsFilter, 0, nil))
		client.Disconnect(0)
		next(t, disconnected)
	}
	if n := e.broker.ClientCount(); n != 0 {
		t.Errorf("mochi-mqtt still has %d clients", n)
	}
}

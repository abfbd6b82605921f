package hubconn

import (
	"context"
	"fmt"
	"strings"
	"time"

	paho "github.com/eclipse/paho.mqtt.golang"

	"rtsptunnel/internal/contract/reason"
)

// Topics of direct methods ("Communicate with an IoT hub using the MQTT protocol").
const (
	methodTopic = "$iothub/methods/POST/" // followed by name, ridMark and request id
	ridMark     = "/?$rid="
	answerTopic = "$iothub/methods/res/%d" + ridMark + "%s"
)

const (
	methodQoS     = 1
	answerTimeout = 30 * time.Second // for the hub's acknowledgement of an answer
	maxLoggedName = 100              // bytes of a method's name in the log; no hub lets a longer one through
)

// methods receives the direct methods of one connection.
//
// It replaces the library's handler: there a call that is delivered twice runs twice, an
// unknown method gets no answer, a payload that is not an object never arrives, and a
// lost answer is not reported.
type methods struct {
	dialer *Dialer
	life   context.Context //nolint:containedctx // it ends with the connection, as methods does
	events Events
	given  answers
	sent   unacknowledged
}

func (d *Dialer) methods(life context.Context, e Events) *methods {
	return &methods{dialer: d, life: life, events: e, given: answers{window: d.o.RepeatWindow}}
}

// receive is the MQTT client's handler. The client calls it for one message at a time,
// reads nothing while it runs, and forgets and acknowledges the message when it returns.
// So receive waits for no packet of the hub, and keeps no payload. It may wait until the
// connection takes an answer: a hub that calls faster than it reads is read later.
func (m *methods) receive(client paho.Client, message paho.Message) {
	name, rid, ok := parseCall(message.Topic())
	if !ok {
		m.dialer.log.Warnf("message on the topic of direct methods without a name or a request id")
		return
	}
	m.events.Delivered()
	call, now := callOf(message.Topic(), message.Payload()), time.Now()
	if known := m.given.find(call, now); known != nil {
		if status, body, given := m.given.result(known); given {
			m.report(m.sendUnkept(client, status, rid, body), name, status)
		}
		return // the answer of a call that still runs has the same request id
	}
	switch m.dialer.calls.enter() {
	case callAdmitted:
		answer, run := m.given.add(call, now), m.events.Method(name, message.Payload())
		go m.run(client, answer, name, rid, run)
	case callRefused:
		status, body := m.events.Busy(name)
		m.report(m.sendUnkept(client, status, rid, body), name, status)
	case callDropped: // the dialer is no longer used, and the connection ends
	}
}

// run runs a call, answers it and returns when the hub has acknowledged the answer.
func (m *methods) run(client paho.Client, r *answer, name, rid string, run func() (int, []byte)) {
	defer m.dialer.calls.left()
	status, body := run()
	m.given.give(r, status, body)
	topic := fmt.Sprintf(answerTopic, status, rid)
	token := m.sent.send(len(topic)+len(body), func(qos byte) paho.Token { return client.Publish(topic, qos, false, body) })
	m.dialer.calls.answered()
	m.report(m.await(token), name, status)
}

// sendUnkept sends an answer of which the client keeps nothing, and returns when the
// connection has taken it.
func (m *methods) sendUnkept(client paho.Client, status int, rid string, body []byte) error {
	if m.life.Err() != nil {
		return context.Cause(m.life)
	}
	return m.await(client.Publish(fmt.Sprintf(answerTopic, status, rid), 0, false, body))
}

// await waits for the acknowledgement of an answer, or with QoS 0 until it is sent.
func (m *methods) await(token paho.Token) error {
	ctx, cancel := context.WithTimeout(m.life, answerTimeout)
	defer cancel()
	return acknowledged(ctx, token)
}

// report logs an answer that was lost.
func (m *methods) report(err error, name string, status int) {
	if err == nil {
		return
	}
	m.dialer.o.Log.Warn().Str("reason", string(reason.HubLost)).Err(err).Bool("answerLost", true).
		Str("method", name[:min(len(name), maxLoggedName)]).Int("code", status).
		Msg("the hub did not acknowledge the answer to a direct method; the call's effect remains")
}

// parseCall splits a call's topic. Names and request ids are opaque: hubs send them
// unescaped.
func parseCall(topic string) (name, rid string, ok bool) {
	call, ours := strings.CutPrefix(topic, methodTopic)
	name, rid, found := strings.Cut(call, ridMark)
	return name, rid, ours && found
}

// acknowledged waits for a packet's acknowledgement until ctx is done.
func acknowledged(ctx context.Context, token paho.Token) error {
	select {
	case <-token.Done():
		return token.Error()
	case <-ctx.Done():
		return context.Cause(ctx)
	}
}

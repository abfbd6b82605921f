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

// methods returns the handler of the direct methods of one connection, which ends with
// life. The client calls it in a new goroutine for each message.
//
// It replaces the library's handler: there a call that is delivered twice runs twice, an
// unknown method gets no answer, a payload that is not an object never arrives, and a
// lost answer is not reported.
func (d *Dialer) methods(life context.Context, e Events) paho.MessageHandler {
	given := answers{window: d.o.RepeatWindow}
	return func(client paho.Client, message paho.Message) {
		name, rid, ok := parseCall(message.Topic())
		if !ok {
			d.log.Warnf("message on the topic of direct methods without a name or a request id")
			return
		}
		if !d.calls.enter() {
			return // the dialer is no longer used, and the connection ends
		}
		defer d.calls.leave()
		e.Delivered()
		payload := message.Payload()
		status, body := given.once(callOf(message.Topic(), payload), time.Now(), func() (int, []byte) {
			return e.Method(name, payload)
		})
		if err := publish(life, client, fmt.Sprintf(answerTopic, status, rid), body); err != nil {
			d.o.Log.Warn().Str("reason", string(reason.HubLost)).Err(err).Bool("answerLost", true).
				Str("method", name[:min(len(name), maxLoggedName)]).Int("code", status).
				Msg("the hub did not acknowledge the answer to a direct method; the call's effect remains")
		}
	}
}

// parseCall splits a call's topic. Names and request ids are opaque: hubs send them
// unescaped.
func parseCall(topic string) (name, rid string, ok bool) {
	call, ours := strings.CutPrefix(topic, methodTopic)
	name, rid, found := strings.Cut(call, ridMark)
	return name, rid, ours && found
}

// publish sends an answer and returns when the hub has acknowledged it.
func publish(life context.Context, client paho.Client, topic string, body []byte) error {
	ctx, cancel := context.WithTimeout(life, answerTimeout)
	defer cancel()
	return acknowledged(ctx, client.Publish(topic, methodQoS, false, body))
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

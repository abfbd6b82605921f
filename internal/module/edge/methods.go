package edge

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
	methodTopic = "$iothub/methods/POST/" // and name, and ridMark, and the request id
	ridMark     = "/?$rid="
	answerTopic = "$iothub/methods/res/%d" + ridMark + "%s"
)

const (
	methodQoS     = 1
	maxLoggedName = 100 // bytes of a method's name in the log; no hub lets a longer one through
)

// methods answers the direct methods of one connection, each in a goroutine of its
// own; ctx is Run's, life the connection's. With the library's own way a call that is
// delivered twice looks like two, an unknown method gets no answer, a payload that is
// no object never arrives, and nobody learns whether an answer went out.
func (c *Client) methods(ctx, life context.Context) paho.MessageHandler {
	given := answers{most: c.t.Repeat}
	return func(client paho.Client, message paho.Message) {
		name, rid, ok := parseCall(message.Topic())
		if !ok {
			c.garbage.Warnf("a message that is no call of a method, or has no request id")
			return
		}
		if !c.calls.enter() {
			return // Run is over, and the connection with it
		}
		defer c.calls.leave()
		c.state.progress()
		payload := message.Payload()
		status, body := given.once(callOf(message.Topic(), payload), time.Now(), func() (int, []byte) {
			return c.o.Handler.Method(ctx, name, payload)
		})
		if err := c.publish(life, client, fmt.Sprintf(answerTopic, status, rid), body); err != nil {
			c.o.Log.Warn().Str("reason", string(reason.HubLost)).Err(err).Bool("answerLost", true).
				Str("method", name[:min(len(name), maxLoggedName)]).Int("code", status).
				Msg("the answer to a direct method did not reach the hub; what the call did stays")
		}
	}
}

// parseCall takes a call's topic apart. Names and request ids are opaque: hubs send them
// as they are.
func parseCall(topic string) (name, rid string, ok bool) {
	call, ours := strings.CutPrefix(topic, methodTopic)
	name, rid, found := strings.Cut(call, ridMark)
	return name, rid, ours && found
}

// publish returns when the hub has acknowledged an answer.
func (c *Client) publish(life context.Context, client paho.Client, topic string, body []byte) error {
	ctx, cancel := context.WithTimeout(life, c.t.Request)
	defer cancel()
	return acknowledged(ctx, client.Publish(topic, methodQoS, false, body))
}

// subscribeMethods returns when the hub has acknowledged it.
func (s *service) subscribeMethods(life context.Context, answer paho.MessageHandler) error {
	err := s.await(life, func() error {
		return acknowledged(life, s.link.client.Subscribe(methodTopic+"#", methodQoS, answer))
	})
	if err != nil {
		return fmt.Errorf("subscribe to direct methods: %w", err)
	}
	return nil
}

// acknowledged waits for a packet's acknowledgement, no longer than ctx.
func acknowledged(ctx context.Context, token paho.Token) error {
	select {
	case <-token.Done():
		return token.Error()
	case <-ctx.Done():
		return context.Cause(ctx)
	}
}

package broker

import (
	mqtt "github.com/mochi-mqtt/server/v2"
	"github.com/mochi-mqtt/server/v2/packets"
)

// hook is the broker as mochi-mqtt calls it. The rules are:
//   - no subscription reaches mochi-mqtt's index and no session its table, so
//     that it has nobody to route to and nothing to take over;
//   - a publish ends here (CodeSuccessIgnore): acknowledged, not distributed.
type hook struct {
	mqtt.HookBase
	broker *Broker
}

// ID names the hook in mochi-mqtt's errors.
func (h *hook) ID() string {
	return "iothub"
}

// Provides reports which calls the hook takes.
func (h *hook) Provides(call byte) bool {
	switch call {
	case mqtt.OnConnectAuthenticate, mqtt.OnSessionEstablish, mqtt.OnACLCheck,
		mqtt.OnSubscribed, mqtt.OnUnsubscribed, mqtt.OnPublish:
		return true
	default:
		return false
	}
}

// OnConnectAuthenticate judges a login. False makes mochi-mqtt v2.7.9 answer
// a 3.1.1 client with CONNACK 5, "not authorized" (packets.V5CodesToV3).
func (h *hook) OnConnectAuthenticate(client *mqtt.Client, pk packets.Packet) bool {
	// A will would be published past OnPublish.
	client.Properties.Will = mqtt.Will{}
	return h.broker.login(client, pk)
}

// OnSessionEstablish comes after the login and before CONNACK.
func (h *hook) OnSessionEstablish(client *mqtt.Client, pk packets.Packet) {
	h.broker.establish(client, pk)
	// Else mochi-mqtt would hand the new client the session of the old one
	// and send the old one a DISCONNECT, which 3.1.1 does not allow.
	h.broker.server.Clients.Delete(client.ID)
}

// OnACLCheck decides what may be subscribed (false is SUBACK 0x80). Publishes
// are judged in OnPublish.
func (h *hook) OnACLCheck(_ *mqtt.Client, topic string, write bool) bool {
	return write || mayBeSubscribed(topic)
}

// OnSubscribed comes before SUBACK.
func (h *hook) OnSubscribed(client *mqtt.Client, pk packets.Packet, codes []byte) {
	s := h.broker.sessionOf(client)
	for i, filter := range pk.Filters {
		if s == nil || codes[i] >= packets.ErrUnspecifiedError.Code {
			continue
		}
		h.broker.server.Topics.Unsubscribe(filter.Filter, client.ID)
		client.State.Subscriptions.Delete(filter.Filter)
		s.setSubscribed(filter.Filter, true)
	}
	h.broker.announceSubscription()
}

// OnUnsubscribed comes before UNSUBACK.
func (h *hook) OnUnsubscribed(client *mqtt.Client, pk packets.Packet) {
	s := h.broker.sessionOf(client)
	for _, filter := range pk.Filters {
		if s != nil {
			s.setSubscribed(filter.Filter, false)
		}
	}
}

// OnPublish takes everything a client sends.
func (h *hook) OnPublish(client *mqtt.Client, pk packets.Packet) (packets.Packet, error) {
	if s := h.broker.sessionOf(client); s != nil {
		h.broker.receive(s, pk.TopicName, pk.Payload)
	}
	return pk, packets.CodeSuccessIgnore
}

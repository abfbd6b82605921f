package broker

import (
	"crypto/rand"

	mqtt "github.com/mochi-mqtt/server/v2"
	"github.com/mochi-mqtt/server/v2/packets"

	"rtsptunnel/internal/hub/hubemulator/throttle"
)

// hook is the broker as mochi-mqtt calls it. The rules are:
//   - no subscription stays in mochi-mqtt's index, and its table of sessions
//     knows no two connections by one name, so that it has nobody to route to
//     and nothing to take over: sessions are the store's;
//   - a publish ends here (CodeSuccessIgnore): acknowledged, not distributed;
//   - CONNACK, SUBACK and UNSUBACK wait until what they rest on is kept.
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
	case mqtt.OnPacketRead, mqtt.OnConnect, mqtt.OnConnectAuthenticate, mqtt.OnSessionEstablish, mqtt.OnPacketEncode,
		mqtt.OnSessionEstablished, mqtt.OnACLCheck, mqtt.OnSubscribed,
		mqtt.OnUnsubscribed, mqtt.OnPublish:
		return true
	default:
		return false
	}
}

// OnPacketRead comes before mochi-mqtt looks at a packet. It would take QoS 2
// for QoS 1, and passes over some topics without a word, for which a client at
// QoS 1 waits for ever.
func (h *hook) OnPacketRead(client *mqtt.Client, pk packets.Packet) (packets.Packet, error) {
	s := h.broker.sessionOf(client)
	if s == nil || pk.FixedHeader.Type != packets.Publish {
		return pk, nil
	}
	switch {
	case pk.FixedHeader.Qos > maxQoS:
		s.log.Warn().Str(fieldTopic, shown(pk.TopicName)).Msg("publish at QoS 2, connection cut")
	case !mqtt.IsValidFilter(pk.TopicName, true):
		s.log.Warn().Str(fieldTopic, shown(pk.TopicName)).Msg("publish to a topic with '+' or '#' or to $SYS, connection cut")
	default:
		return pk, nil
	}
	s.kill()
	return pk, packets.ErrRejectPacket
}

// OnConnect comes before the login. An error makes mochi-mqtt close the
// connection without a CONNACK, as IoT Hub does with MQTT connections that it
// throttles (Azure/azure-iot-sdk-c, issue 1766).
//
// The keep-alive is for mochi-mqtt's first deadline: its own sum overflows above
// 43690 s and cuts the client at once.
func (h *hook) OnConnect(client *mqtt.Client, _ packets.Packet) error {
	if client.State.Keepalive == 0 || client.State.Keepalive > maxKeepAlive {
		client.State.Keepalive = maxKeepAlive
	}
	if _, ok := h.broker.throttle.Take(throttle.Connections, 1); !ok {
		h.broker.log.Warn().Str(fieldRemote, client.Net.Remote).Msg("connection throttled")
		return errThrottled
	}
	return nil
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
	client.ID += " " + rand.Text()
}

// OnPacketEncode comes before every packet to a client. Of sessions that
// outlive their connection mochi-mqtt knows nothing.
func (h *hook) OnPacketEncode(client *mqtt.Client, pk packets.Packet) packets.Packet {
	if pk.FixedHeader.Type == packets.Connack && pk.ReasonCode == packets.CodeSuccess.Code {
		s := h.broker.sessionOf(client)
		pk.SessionPresent = s != nil && s.present
	}
	return pk
}

// OnSessionEstablished comes after CONNACK.
func (h *hook) OnSessionEstablished(client *mqtt.Client, _ packets.Packet) {
	h.broker.begin(client)
}

// OnACLCheck decides what may be subscribed (false is SUBACK 0x80). Publishes
// are judged in OnPublish.
func (h *hook) OnACLCheck(client *mqtt.Client, topic string, write bool) bool {
	if write {
		return true
	}
	s := h.broker.sessionOf(client)
	return s != nil && mayBeSubscribed(s.id, topic) && !h.broker.faults.SubscriptionRefused(s.id.String())
}

// OnSubscribed comes before SUBACK.
func (h *hook) OnSubscribed(client *mqtt.Client, pk packets.Packet, codes []byte) {
	s := h.broker.sessionOf(client)
	if s == nil {
		return
	}
	logRefused(s, pk.Filters, codes)
	for i, filter := range pk.Filters {
		if isRefused(codes[i]) {
			continue
		}
		h.broker.server.Topics.Unsubscribe(filter.Filter, client.ID)
		client.State.Subscriptions.Delete(filter.Filter)
		h.broker.setSubscribed(s, filter.Filter, true)
	}
	h.broker.keepOrCut(s)
}

// logRefused writes one line, if any: a packet may hold thousands of filters.
func logRefused(s *session, filters packets.Subscriptions, codes []byte) {
	first, refused := "", 0
	for i, filter := range filters {
		if !isRefused(codes[i]) {
			continue
		}
		if refused == 0 {
			first = filter.Filter
		}
		refused++
	}
	if refused > 0 {
		s.log.Warn().Str(fieldTopic, shown(first)).Int(fieldRefused, refused).Msg("subscription refused")
	}
}

func isRefused(code byte) bool {
	return code >= packets.ErrUnspecifiedError.Code
}

// OnUnsubscribed comes before UNSUBACK; also, without filters, at the end of a
// connection with clean session.
func (h *hook) OnUnsubscribed(client *mqtt.Client, pk packets.Packet) {
	s := h.broker.sessionOf(client)
	if s == nil || len(pk.Filters) == 0 {
		return
	}
	for _, filter := range pk.Filters {
		h.broker.setSubscribed(s, filter.Filter, false)
	}
	h.broker.keepOrCut(s)
}

// OnPublish takes everything a client sends.
func (h *hook) OnPublish(client *mqtt.Client, pk packets.Packet) (packets.Packet, error) {
	if s := h.broker.sessionOf(client); s != nil {
		h.broker.receive(s, pk)
	}
	return pk, packets.CodeSuccessIgnore
}

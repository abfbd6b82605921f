package broker

import (
	"crypto/rand"

	mqtt "github.com/mochi-mqtt/server/v2"
	"github.com/mochi-mqtt/server/v2/packets"

	"rtsptunnel/internal/hub/hubemulator/throttle"
)

// hook handles the calls of mochi-mqtt. The rules are:
//   - The store owns the sessions. mochi-mqtt has no subscriptions in its index, so it
//     routes nothing. It knows each connection under a unique name, so it takes over no
//     session.
//   - A publish ends here (CodeSuccessIgnore): it is acknowledged, but not distributed.
//   - CONNACK, SUBACK and UNSUBACK wait until the changes that they confirm are kept.
type hook struct {
	mqtt.HookBase
	broker *Broker
}

// ID names the hook in mochi-mqtt's errors.
func (h *hook) ID() string {
	return "iothub"
}

// Provides reports whether the hook handles a call.
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

// OnPacketRead is called before mochi-mqtt handles a packet. It cuts clients that
// mochi-mqtt would treat wrongly: it treats QoS 2 as QoS 1, and ignores some topics
// without an acknowledgment, for which a client with QoS 1 would wait forever.
func (h *hook) OnPacketRead(client *mqtt.Client, pk packets.Packet) (packets.Packet, error) {
	s := h.broker.sessionOf(client)
	if s == nil || pk.FixedHeader.Type != packets.Publish {
		return pk, nil
	}
	switch {
	case pk.FixedHeader.Qos > maxQoS:
		s.log.Warn().Str(fieldTopic, truncate(pk.TopicName)).Msg("publish at QoS 2, connection cut")
	case !mqtt.IsValidFilter(pk.TopicName, true):
		s.log.Warn().Str(fieldTopic, truncate(pk.TopicName)).Msg("publish to a topic with '+' or '#' or to $SYS, connection cut")
	default:
		return pk, nil
	}
	s.kill()
	return pk, packets.ErrRejectPacket
}

// OnConnect is called before the login. An error makes mochi-mqtt close the connection
// without a CONNACK, as IoT Hub does with throttled MQTT connections
// (Azure/azure-iot-sdk-c, issue 1766).
//
// It limits the keep-alive for the first deadline of mochi-mqtt, whose calculation
// overflows above 43690 s and would cut the client at once.
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

// OnConnectAuthenticate authenticates a client. False makes mochi-mqtt v2.7.9 answer a
// 3.1.1 client with CONNACK 5, "not authorized" (packets.V5CodesToV3).
func (h *hook) OnConnectAuthenticate(client *mqtt.Client, pk packets.Packet) bool {
	// mochi-mqtt would publish a will without calling OnPublish.
	client.Properties.Will = mqtt.Will{}
	return h.broker.login(client, pk)
}

// OnSessionEstablish is called after the login and before CONNACK.
func (h *hook) OnSessionEstablish(client *mqtt.Client, pk packets.Packet) {
	h.broker.establish(client, pk)
	// With the same name, mochi-mqtt would pass the session of the old client on to the
	// new one. It would also send a DISCONNECT, which 3.1.1 does not allow.
	client.ID += " " + rand.Text()
}

// OnPacketEncode is called before every packet to a client. It sets session present in
// CONNACK, because mochi-mqtt does not know the persistent sessions.
func (h *hook) OnPacketEncode(client *mqtt.Client, pk packets.Packet) packets.Packet {
	if pk.FixedHeader.Type == packets.Connack && pk.ReasonCode == packets.CodeSuccess.Code {
		s := h.broker.sessionOf(client)
		pk.SessionPresent = s != nil && s.present
	}
	return pk
}

// OnSessionEstablished is called after CONNACK.
func (h *hook) OnSessionEstablished(client *mqtt.Client, _ packets.Packet) {
	h.broker.begin(client)
}

// OnACLCheck decides which topics a client may subscribe to; false makes SUBACK 0x80.
// OnPublish checks publishes.
func (h *hook) OnACLCheck(client *mqtt.Client, topic string, write bool) bool {
	if write {
		return true
	}
	s := h.broker.sessionOf(client)
	return s != nil && maySubscribe(s.id, topic) && !h.broker.faults.SubscriptionRefused(s.id.String())
}

// OnSubscribed is called before SUBACK.
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

// logRefused writes at most one line, because a packet may have thousands of filters.
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
		s.log.Warn().Str(fieldTopic, truncate(first)).Int(fieldRefused, refused).Msg(messageSubscriptionRefused)
	}
}

func isRefused(code byte) bool {
	return code >= packets.ErrUnspecifiedError.Code
}

// OnUnsubscribed is called before UNSUBACK, and without filters at the end of a connection
// with a clean session.
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

// OnPublish handles every publish of a client.
func (h *hook) OnPublish(client *mqtt.Client, pk packets.Packet) (packets.Packet, error) {
	if s := h.broker.sessionOf(client); s != nil {
		h.broker.receive(s, pk)
	}
	return pk, packets.CodeSuccessIgnore
}

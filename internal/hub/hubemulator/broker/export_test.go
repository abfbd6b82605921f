package broker

import "time"

// Messages of log lines that tests wait for.
const (
	MessageLoggedIn            = messageLoggedIn
	MessageDisconnected        = messageDisconnected
	MessageConnectionEnded     = messageConnectionEnded
	MessageSubscriptionRefused = messageSubscriptionRefused
	MessageTooManyFiles        = messageTooManyFiles
)

// ParseUserName is the parser of CONNECT user names, for the fuzz test. A login for each
// input would be too slow.
func ParseUserName(text string) (host, identity string, ok bool) {
	u, err := parseUserName(text)
	return u.host, u.identity, err == nil
}

// ClientCount returns the number of clients in the table of mochi-mqtt.
func (b *Broker) ClientCount() int {
	return b.server.Clients.Len()
}

// SetLoginTimeout changes how long a client may take to log in. Call it before Serve.
func (b *Broker) SetLoginTimeout(d time.Duration) {
	b.loginTimeout = d
}

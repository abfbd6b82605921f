package broker

import "time"

// ParseUserName is the parser of CONNECT user names, for the fuzz test: a
// login for each input would be too slow.
func ParseUserName(text string) (host, identity string, ok bool) {
	u, err := parseUserName(text)
	return u.host, u.identity, err == nil
}

// Known is how many clients mochi-mqtt has in its table.
func (b *Broker) Known() int {
	return b.server.Clients.Len()
}

// SetConnectWithin changes how long a client may take to log in. Call it before
// Serve.
func (b *Broker) SetConnectWithin(d time.Duration) {
	b.loginWithin = d
}

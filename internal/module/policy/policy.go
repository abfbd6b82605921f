// Package policy decides which remote endpoints a tunnel may lead to: by name before
// the dial ([Rules.Endpoint]), and by address before each connection ([Addresses.Check]).
//
// The rules are:
//   - The scheme is wss; ws needs the lab switch [Rules.Plaintext].
//   - [Remotes] allows the host and port, compared in the form of [NewEndpoint].
//   - The address leads neither back to the device nor to its link ([Addresses]), in
//     every notation of the address.
//
// They apply to the remote endpoint only, never to a proxy, hub or camera. The caller
// chooses the endpoint. So the policy refuses what is not clearly allowed, such as a
// host that two parsers could read as two hosts.
//
// The package is pure: it resolves and dials nothing. A line belongs here when it
// decides what is allowed.
package policy

import (
	"fmt"
	"net/url"

	"rtsptunnel/internal/contract/reason"
)

// Rules are the policy for endpoints. The zero value allows none.
type Rules struct {
	Remotes   Remotes
	Addresses Addresses
	Plaintext bool // lab switch: allows ws as well as wss
}

// Endpoint judges the endpoint of a request by name, and returns it in the form to dial.
// An IP literal is also judged as an address, except for the addresses of the Device. An
// error has reason.PolicyRemote and holds neither path nor query.
func (r Rules) Endpoint(u *url.URL) (Endpoint, error) {
	e, err := NewEndpoint(u)
	switch {
	case err != nil:
		return Endpoint{}, err
	case !e.Secure && !r.Plaintext:
		return Endpoint{}, refuse("ws is not allowed, wss is")
	case !r.Addresses.Loopback && isLocalhost(e.Host):
		return Endpoint{}, refuse("host %s is this machine", e.Host)
	case !r.Remotes.Allows(e.Host, e.Port):
		return Endpoint{}, refuse("no remote endpoint allows host %s with port %d", e.Host, e.Port)
	case e.Addr.IsValid():
		return e, r.Addresses.Check(e.Addr, Device{})
	}
	return e, nil
}

func refuse(format string, a ...any) error {
	return reason.New(reason.PolicyRemote, fmt.Errorf(format, a...))
}

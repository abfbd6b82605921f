// Package policy decides which remote endpoints a tunnel may lead to: by name before
// anything is dialled, and by address when a connection is about to be made.
//
// The rules are:
//   - wss only; ws with the lab switch [Rules.Plaintext];
//   - a host and port that [Remotes] allows, compared as [NewEndpoint] writes them;
//   - no address that leads back to the device or to what only its neighbours may
//     reach ([Addresses]), in whatever notation it comes.
//
// They bind the remote endpoint alone, never a proxy, hub or camera. Whoever asks for
// a tunnel names its endpoint, so that what is not plainly allowed is refused: a host
// that two readers could take for two hosts is nobody's.
//
// The package is pure: it resolves nothing and dials nothing. A line belongs here when
// it is about what is allowed.
package policy

import (
	"fmt"
	"net/url"

	"rtsptunnel/internal/contract/reason"
)

// Rules are all that an endpoint is judged by. The zero value allows none.
type Rules struct {
	Remotes   Remotes
	Addresses Addresses
	Plaintext bool // a lab's: ws as well as wss
}

// Endpoint judges the endpoint of a request by name, before anything is dialled, and
// returns it as it is to be dialled. An IP literal is judged as an address, too, but
// for the device's own. An error has reason.PolicyRemote and holds neither path nor
// query.
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
		return e, r.Addresses.Check(e.Addr, nil)
	}
	return e, nil
}

func refuse(format string, a ...any) error {
	return reason.New(reason.PolicyRemote, fmt.Errorf(format, a...))
}

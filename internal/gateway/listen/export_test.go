package listen

import (
	"net"
	"net/netip"
)

// Guard treats a listener on loopback as one that is bound to another address, so that a
// test binds none beyond loopback.
func Guard(o Options, ln net.Listener, bound netip.Addr) (net.Listener, error) {
	return o.guard(ln, bound)
}

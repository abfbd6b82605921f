//go:build !linux

package wsconn

import "net"

func tuneSocket(net.Conn) {}

func takeSample(c *Conn) sample { return ownSample(c) }

func hungUp(net.Conn) bool { return false }

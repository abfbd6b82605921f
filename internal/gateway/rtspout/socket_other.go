//go:build !linux

package rtspout

import "net"

// setTimeouts does nothing: the options are Linux's.
func setTimeouts(*net.TCPConn) {}

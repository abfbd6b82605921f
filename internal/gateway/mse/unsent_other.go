//go:build !linux

package mse

import "net"

// limitUnsent does nothing: slow viewers are further behind here.
func limitUnsent(net.Conn) {}

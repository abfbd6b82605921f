package tunnel_test

import (
	"rtsptunnel/internal/module/tunnel"
	"rtsptunnel/internal/wire/wsconn"
)

// What a tunnel finds by type assertion at run time.
var (
	_ tunnel.Resetter   = (*wsconn.Conn)(nil)
	_ tunnel.HTTPAnswer = (*wsconn.HandshakeError)(nil)
)

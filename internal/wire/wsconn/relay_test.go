package wsconn_test

import (
	"rtsptunnel/internal/wire/relay"
	"rtsptunnel/internal/wire/wsconn"
)

// What a relay finds by type assertion at run time.
var (
	_ relay.InPlace     = (*wsconn.Conn)(nil)
	_ relay.Awaiter     = (*wsconn.Conn)(nil)
	_ relay.HalfCloser  = (*wsconn.Conn)(nil)
	_ relay.CauseCloser = (*wsconn.Conn)(nil)
	_ relay.Breakable   = (*wsconn.Conn)(nil)
)

package camera

import (
	"syscall"

	"rtsptunnel/internal/wire/relay"
)

// What a relay finds by type assertion at run time.
var (
	_ relay.HalfCloser  = (*link)(nil)
	_ relay.ReadErrorer = (*link)(nil)
	_ syscall.Conn      = (*link)(nil)
)

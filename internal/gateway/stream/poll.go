package stream

import "rtsptunnel/internal/gateway/media"

// Poll is Next without waiting: the unit is nil if the reader has read all that the stream
// keeps for it. An output that sends the kept units at once knows by it where they end.
func (r *Reader) Poll() (*media.Unit, error) {
	u, _, err := r.take()
	return u, err
}

package rtspout

import (
	"sync/atomic"

	"github.com/rs/zerolog"
	"golang.org/x/time/rate"

	"rtsptunnel/internal/gateway/failure"
)

// Field names of log lines.
const (
	fieldViewer     = "viewer"
	fieldCamera     = "camera"
	fieldStream     = "stream"
	fieldUser       = "user"
	fieldRemote     = "remote"
	fieldAgent      = "agent"
	fieldHop        = "hop"
	fieldReason     = "reason"
	fieldEnd        = "end"
	fieldBytes      = "bytes"
	fieldDuration   = "durMs"
	fieldSkipped    = "skippedGroups"
	fieldRetry      = "retryIn"
	fieldSuppressed = "suppressed"
)

// refusals write one line per refused request, but no more than strangers may cause.
type refusals struct {
	logger     zerolog.Logger
	redact     func(string) string
	limit      *rate.Limiter
	total      atomic.Uint64
	suppressed atomic.Uint64
}

func newRefusals(l zerolog.Logger, redact func(string) string) *refusals {
	return &refusals{logger: l, redact: redact, limit: rate.NewLimiter(10, 100)}
}

// log writes the line of a refusal; name may be empty.
func (r *refusals) log(c *conn, name string, f *failure.Failure) {
	r.total.Add(1)
	if !r.limit.Allow() {
		r.suppressed.Add(1)
		return
	}
	line := r.logger.Info().Str(fieldRemote, c.remote.String()).Str(fieldCamera, r.redact(name)).
		Str(fieldHop, string(f.Hop)).Str(fieldReason, string(f.Reason))
	if c.user.name != "" {
		line = line.Str(fieldUser, c.user.name)
	}
	if f.Err != nil {
		line = line.AnErr(zerolog.ErrorFieldName, f.Err)
	}
	if n := r.suppressed.Swap(0); n > 0 {
		line = line.Uint64(fieldSuppressed, n)
	}
	line.Msg("viewer refused")
}

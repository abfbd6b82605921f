package hublink

import (
	"fmt"
	"time"

	"github.com/rs/zerolog"

	"rtsptunnel/internal/contract/reason"
	"rtsptunnel/internal/module/hubconn"
)

// failures counts failures by kind, for the log. A hub that stays away for a week must
// not fill the disk.
type failures struct {
	all   int
	kinds map[failureKind]int // at most one for each reason code and protocol
}

// failureKind is what identical failures have in common; their texts may differ in a
// port number.
type failureKind struct {
	code     reason.Code
	protocol hubconn.Protocol
}

// maxFolded is the largest number of identical failures between two warnings.
const maxFolded = 64

// add counts a failure and returns the level of its line: a warning for the 1st, 2nd, 4th
// and so on, and debug for those between.
func (f *failures) add(k failureKind) (times int, level zerolog.Level) {
	if f.kinds == nil {
		f.kinds = map[failureKind]int{}
	}
	f.all++
	f.kinds[k]++
	n := f.kinds[k]
	if n&(n-1) == 0 || n%maxFolded == 0 {
		return n, zerolog.WarnLevel
	}
	return n, zerolog.DebugLevel
}

// logFailure logs a failed attempt, or the end of a connection.
func (l *Link) logFailure(err error, wait time.Duration) {
	k := failureKind{reason.Of(err), l.route.Protocol}
	times, level := l.failures.add(k)
	repeated := ""
	if times > 1 {
		repeated = fmt.Sprintf(", repeated %d times", times)
	}
	l.o.Conn.Log.WithLevel(level).Str("reason", string(k.code)).Str("protocol", string(k.protocol)).Str(zerolog.ErrorFieldName, errorText(err)).
		Time("nextAttempt", time.Now().Add(wait)).Msg("no hub connection" + repeated + ": " + k.code.Text())
}

// maxErrorText is the length of an error in the log, in bytes. An error may quote a
// certificate or a header of an unknown server.
const maxErrorText = 1 << 10

func errorText(err error) string {
	text := err.Error()
	return text[:min(len(text), maxErrorText)]
}

// logConnected logs that the module can be called, and resets the failures.
func (l *Link) logConnected() {
	id := l.o.Conn.Identity
	l.o.Conn.Log.Info().Str("hub", id.HubHost).Str("gateway", id.GatewayHost).
		Str("address", l.route.Address).Str("protocol", string(l.route.Protocol)).Int("failedAttempts", l.failures.all).
		Msg("connected to the hub, direct methods subscribed")
	l.failures = failures{}
}

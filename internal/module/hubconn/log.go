package hubconn

import (
	"fmt"
	"time"

	"github.com/rs/zerolog"
)

// libraryLog is the library's logger; this package uses it for messages that cannot be
// parsed. Debug lines are dropped: the transport's repeat what is logged elsewhere, and
// other parts of the library log whole payloads. The other lines depend on what a hub
// sends, so their number and length are limited.
type libraryLog struct{ log zerolog.Logger }

const (
	libraryLines   = 5   // a minute
	maxLibraryLine = 256 // bytes
)

func newLibraryLog(log zerolog.Logger) libraryLog {
	return libraryLog{log.Sample(&zerolog.BurstSampler{Burst: libraryLines, Period: time.Minute})}
}

func (l libraryLog) Errorf(format string, v ...any) { l.log.Error().Msg(line(format, v)) }
func (l libraryLog) Warnf(format string, v ...any)  { l.log.Warn().Msg(line(format, v)) }
func (l libraryLog) Infof(string, ...any)           {}
func (l libraryLog) Debugf(string, ...any)          {}

func line(format string, v []any) string {
	text := "mqtt: " + fmt.Sprintf(format, v...)
	return text[:min(len(text), maxLibraryLine)]
}

// logLoopback logs where the gateway is dialed when its name does not exist, since an
// operator would not look there.
func (d *Dialer) logLoopback(r Route) {
	d.o.Log.Info().Str("gateway", r.server).Str("address", r.loopback).
		Msg("the gateway's name does not resolve, as on the host network: dialing its port on this machine instead")
}

package edge

import (
	"errors"
	"fmt"
	"time"

	"github.com/rs/zerolog"

	"rtsptunnel/internal/contract/reason"
)

// failures are the attempts in vain since the last connection, for the log. Whatever
// keeps a site off its hub for a week must not fill the disk.
type failures struct {
	all   int
	kinds map[kind]int // as many as there are reasons and protocols at most
}

// kind is what makes failures identical; their texts may differ in a port number.
type kind struct {
	code     reason.Code
	protocol Protocol
}

// atLeast is how often one of so many identical failures has a line.
const atLeast = 64

// add counts a failure. It is told the first time, and then at growing distances.
func (f *failures) add(k kind) (times int, tell bool) {
	if f.kinds == nil {
		f.kinds = map[kind]int{}
	}
	f.all++
	f.kinds[k]++
	n := f.kinds[k]
	return n, n&(n-1) == 0 || n%atLeast == 0
}

// tellFailure logs an attempt in vain, or the end of a connection. Lines that are
// folded are debug lines.
func (c *Client) tellFailure(err error, wait time.Duration) {
	k := kind{reason.Of(err), c.way.protocol}
	times, tell := c.failures.add(k)
	level := zerolog.WarnLevel
	if !tell {
		level = zerolog.DebugLevel
	}
	repeated := ""
	if times > 1 {
		repeated = fmt.Sprintf(", repeated %d times", times)
	}
	c.o.Log.WithLevel(level).Str("reason", string(k.code)).Str("protocol", string(k.protocol)).Str(zerolog.ErrorFieldName, words(err)).
		Time("nextAttempt", time.Now().Add(wait)).Msg("no hub connection" + repeated + ": " + k.code.Text())
}

// maxWords are bytes of an error. It may quote a certificate of whoever answers, or an
// answer's header.
const maxWords = 1 << 10

func words(err error) string {
	text := err.Error()
	return text[:min(len(text), maxWords)]
}

// tellTwin logs why a connection that goes on has no new twin, folded like the rest:
// it may go on so for months.
func (s *service) tellTwin(err error, text string) {
	k := kind{reason.Of(err), s.way.protocol}
	times, tell := s.noTwin.add(k)
	level := zerolog.WarnLevel
	if !tell {
		level = zerolog.DebugLevel
	}
	s.o.Log.WithLevel(level).Str("reason", string(k.code)).Err(err).Int("times", times).Time("nextReading", s.readAt).Msg(text)
}

// tellConnected logs that the module can be called, and forgets the failures.
func (c *Client) tellConnected() {
	c.o.Log.Info().Str("hub", c.o.Identity.HubHost).Str("gateway", c.o.Identity.GatewayHost).
		Str("address", c.way.address).Str("protocol", string(c.way.protocol)).Int("failedAttempts", c.failures.all).
		Msg("connected to the hub, direct methods subscribed")
	c.failures = failures{}
}

// tellLoopback says where the gateway is looked for, since nobody would look there.
func tellLoopback(log zerolog.Logger, w way) {
	log.Info().Str("gateway", w.server).Str("address", w.loopback).
		Msg("the gateway's name does not resolve, as on the host network: its ports on this machine are dialled instead")
}

// because gives err a reason unless it has one already.
func because(c reason.Code, err error) error {
	if _, has := errors.AsType[*reason.Error](err); has {
		return err
	}
	return reason.New(c, err)
}

// Package rtspout serves camera streams to RTSP players (RFC 2326) over interleaved TCP,
// with or without TLS. gortsplib has the handshake, the sessions and the parsers. Media
// bypass its queue: each player has one goroutine, which writes one buffer per access unit
// to the player's connection. All players of a stream share the buffer.
//
// A failed request has the header X-Reason: "HOP; REASON; text", with the values of
// package failure, and Retry-After if there is a time to wait for.
//
// Code belongs here if it speaks RTSP, RTP or RTCP with players. The package knows
// neither how cameras are reached, nor how tokens are kept.
//
// Two properties of gortsplib carry the package, and tests hold them: it writes each answer
// with one Write, and ServerConn.NetConn returns the connection that Listen accepted.
package rtspout

import (
	"context"
	"net/netip"
	"time"

	"github.com/rs/zerolog"

	"rtsptunnel/internal/gateway/stream"
)

// Options are what New needs. Find and Authorize are required.
type Options struct {
	// Find returns the stream with a name: "device/camera", "device/camera/stream", or a
	// video's name with or without a stream. The names are decoded. Errors are failures.
	Find func(ctx context.Context, name string) (*stream.Stream, error)

	// Authorize returns who logs in, if the login is valid and may watch the camera.
	// Errors are failures: ACCESS_LOGIN, ACCESS_EXPIRED, ACCESS_DENIED, ACCESS_THROTTLED.
	// It is called before Find, for cameras that do not exist, too.
	Authorize func(login Login, camera string) (Principal, error)

	// Resolve returns the camera's full name, the stream's name and the camera's title. Nil
	// means that names have the form "device/camera[/stream]", and are titles, too. For a
	// name that it does not know, it returns the name unchanged: Find has the error.
	Resolve func(name string) (camera, stream, title string)

	// OffersDigest reports whether players of a camera may use Digest authentication (RFC
	// 7616, MD5 and SHA-256) instead of Basic; nil means no. Digest needs tokens that are kept
	// in clear. Players that know both schemes choose Digest, and ffmpeg does not fall back
	// to Basic. So offer it only for cameras that a player without Basic watches. A token in
	// the URL works with all cameras.
	OffersDigest func(camera string) bool

	// Redact returns a name that a player asked for as a log line may show it: some users put
	// their token into the path. Nil leaves names as they are.
	Redact func(name string) string

	Limits Limits
	Log    zerolog.Logger

	// Acquire takes a place for a reader of a camera: of a player that plays, or that a
	// DESCRIBE has attached. release gives it back. The error is LIMIT_VIEWERS. Nil bounds
	// nothing.
	Acquire func(camera string) (release func(), _ error)

	// FirstUnit, if not nil, is called for each player that gets its first media, with its
	// output, and the time since its DESCRIBE, or since its PLAY if it had paused.
	FirstUnit func(output string, took time.Duration)
}

// Login is what a player presented: a token, or an answer to a Digest challenge.
type Login struct {
	// Name is the user's name of Basic or Digest authentication; "" for a token in the URL.
	Name string
	// Token is the password of Basic, or the token in the URL. Any name may stand before it.
	Token string
	// Verify, if not nil, reports whether the answer to a Digest challenge was made with a
	// clear token. Token is empty then.
	Verify func(token string) bool
	From   netip.Addr
}

// Principal is a player's user.
type Principal struct {
	Name    string
	Expires time.Time // the gateway ends the player then; zero if never
	// Value is the caller's, for Review.
	Value any
}

// Limits bound what players and strangers hold. A zero has the default.
type Limits struct {
	Connections int // 2000
}

func (l Limits) withDefaults() Limits {
	if l.Connections <= 0 {
		l.Connections = 2000
	}
	return l
}

// Viewer describes one player that plays.
type Viewer struct {
	ID         string
	Camera     string
	Stream     string
	Principal  string
	RemoteAddr string
	Output     string // "rtsp", or the grant's
	Since      time.Time
	Bytes      uint64 // media that were written
	Skipped    uint64 // groups of pictures that the player missed
}

// Counters are those of all outputs together.
type Counters struct {
	Connections int    // open now
	Refused     uint64 // requests and connections, since New
}

// Totals are the counters of one output since New, but for Players.
type Totals struct {
	Players int // playing now
	Bytes   uint64
	Skipped uint64 // groups of pictures
	Stalled uint64 // players that did not read for 10 s
}

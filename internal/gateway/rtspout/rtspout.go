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

	"rtsptunnel/internal/gateway/media"
)

// Options are what New needs. Find and Authorize are required.
type Options struct {
	// Find returns the stream with a name: "device/camera", "device/camera/stream", or a
	// video's name with or without a stream. The names are decoded. Errors are failures.
	Find func(ctx context.Context, name string) (Stream, error)

	// Authorize returns who logs in, if the login is valid and may watch the camera.
	// Errors are failures: ACCESS_LOGIN, ACCESS_EXPIRED, ACCESS_DENIED, ACCESS_THROTTLED.
	// It is called before Find, for cameras that do not exist, too.
	Authorize func(login Login, camera string) (Principal, error)

	// Resolve returns the camera's full name, the stream's name and the camera's title. Nil
	// means that names have the form "device/camera[/stream]", and are titles, too. For a
	// name that it does not know, it returns the name unchanged: Find has the error.
	Resolve func(name string) (camera, stream, title string)

	// Digest has the clear secrets for Digest authentication; nil offers Basic alone.
	Digest *Digest

	Limits Limits
	Log    zerolog.Logger

	// FirstUnit, if not nil, is called for each player that gets its first media, with the
	// time since its DESCRIBE, or since its PLAY if it had paused.
	FirstUnit func(time.Duration)
}

// Login is what a player presented. At least one of its texts is not empty.
type Login struct {
	// Name is the user's name of Basic or Digest authentication; "" for a token in the URL.
	Name string
	// Token is the password, or the token in the URL. It is a text that no token equals if
	// an answer to a Digest challenge was incorrect.
	Token string
	From  netip.Addr
}

// Principal is a player's user.
type Principal struct {
	Name    string
	Expires time.Time // the gateway ends the player then; zero if never
}

// Digest is the source of secrets for Digest authentication (RFC 7616, MD5 and SHA-256).
// Players that know both schemes prefer Digest, and ffmpeg does not fall back to Basic. So
// a camera offers Digest only if Offered says so; the other cameras' players use Basic.
type Digest struct {
	Secret  func(name string) (token string, ok bool) // the clear token of a user
	Offered func(camera string) bool
}

// Limits bound what players and strangers hold. A zero has the default.
type Limits struct {
	Connections      int // 2000
	Viewers          int // 1000
	ViewersPerCamera int // 200
}

func (l Limits) withDefaults() Limits {
	for _, d := range []struct {
		limit *int
		value int
	}{{&l.Connections, 2000}, {&l.Viewers, 1000}, {&l.ViewersPerCamera, 200}} {
		if *d.limit <= 0 {
			*d.limit = d.value
		}
	}
	return l
}

// Stream is one camera stream, which any number of readers share.
type Stream interface {
	// Attach adds a reader, and opens the stream if it is the first. live makes it begin at
	// the newest key frame that the stream keeps instead of at the next one.
	Attach(ctx context.Context, live bool) (Reader, error)
}

// Reader is one reader of a stream.
type Reader interface {
	Epoch() *media.Epoch                           // the tracks at Attach
	Next(ctx context.Context) (*media.Unit, error) // in order, from a key frame on
	Restart(live bool)                             // begins anew, as Attach does
	Skipped() (groups, units uint64)
	Close()
}

// Viewer describes one player that plays.
type Viewer struct {
	ID         string
	Camera     string
	Stream     string
	Principal  string
	RemoteAddr string
	Output     string // "rtsp"
	Since      time.Time
	Bytes      uint64 // media that were written
	Skipped    uint64 // groups of pictures that the player missed
}

// Counters are totals since New, but for Players and Connections.
type Counters struct {
	Connections int // open now
	Players     int // playing now
	Bytes       uint64
	Skipped     uint64 // groups of pictures
	Stalled     uint64 // players that did not read for 10 s
	Refused     uint64 // requests and connections
}

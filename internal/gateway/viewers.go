package gateway

import (
	"strings"

	"rtsptunnel/internal/contract/desired"
	"rtsptunnel/internal/gateway/access"
	"rtsptunnel/internal/gateway/failure"
	"rtsptunnel/internal/gateway/fleet"
	"rtsptunnel/internal/gateway/rtspout"
)

// rtspOptions join the RTSP server with access, the fleet and the streams.
func (g *gateway) rtspOptions() rtspout.Options {
	return rtspout.Options{
		Find:         g.find,
		Authorize:    g.authorize,
		Resolve:      g.resolve,
		OffersDigest: g.access.OffersDigest,
		Redact:       access.Redact,
		Acquire:      g.acquire,
		Limits:       playerLimits(g.started),
		Log:          g.log,
		FirstUnit:    g.metrics.firstUnit,
	}
}

// authorize judges a player's login for a camera. A camera that does not exist is judged
// alike, so that strangers cannot learn which there are.
func (g *gateway) authorize(login rtspout.Login, camera string) (rtspout.Principal, error) {
	p, err := g.authenticate(login)
	if err == nil {
		err = p.Grant(access.Watch, camera)
	}
	if err != nil {
		g.metrics.denied(outputRTSP, failure.Of(err))
		return rtspout.Principal{}, err
	}
	return rtspout.Principal{Name: p.Name, Expires: p.Expires, Value: p}, nil
}

func (g *gateway) authenticate(login rtspout.Login) (access.Principal, error) {
	switch {
	case login.Verify != nil:
		return g.access.AuthenticateName(login.Name, g.verified(login), login.From)
	case login.Name != "":
		return g.access.AuthenticateName(login.Name, login.Token, login.From)
	default:
		return g.access.Authenticate(login.Token, login.From)
	}
}

// verified returns the clear token with which an answer to a Digest challenge was made, or a
// text that no token equals. An unknown name takes as long as a known one.
func (g *gateway) verified(login rtspout.Login) string {
	const noToken = "no token"
	secret, known := g.access.DigestSecret(login.Name)
	if !known {
		secret = noToken
	}
	if !login.Verify(secret) || !known {
		return noToken
	}
	return secret
}

// resolve returns the camera's full name, the stream's name and the camera's title. Unknown
// names stay as they are, and make no request to a hub: strangers ask for them.
func (g *gateway) resolve(asked string) (camera, streamName, title string) {
	c, streamName, known := g.fleet.Known(asked)
	if !known {
		return asked, desired.MainStream, asked
	}
	return c.Name, streamName, titleOf(c)
}

// resolveVideo is resolve for the UUID of a video.
func (g *gateway) resolveVideo(id string) (camera, streamName, title string) {
	c, known := g.fleet.ByGUID(id)
	if !known {
		return id, desired.MainStream, id
	}
	return c.Name, desired.MainStream, titleOf(c)
}

func titleOf(c fleet.Camera) string {
	if c.Title != "" {
		return c.Title
	}
	return c.Name
}

// reviewViewers ends the viewers whose token is gone, replaced, or no longer allows their
// camera.
func (g *gateway) reviewViewers() {
	g.operate.Review()
	g.watching.Review(g.current)
	g.rtsp.Review(func(viewer rtspout.Principal, camera string) error {
		then, ok := viewer.Value.(access.Principal)
		if !ok {
			return nil
		}
		return g.current(then, camera)
	})
}

// endpoint returns the wss URL at which modules reach the opener.
func endpoint(publicURL string) string {
	if rest, ok := strings.CutPrefix(publicURL, "https://"); ok {
		return "wss://" + rest
	}
	return "ws://" + strings.TrimPrefix(publicURL, "http://")
}

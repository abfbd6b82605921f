package gateway

import (
	"net/http"
	"net/netip"
	"net/url"

	"rtsptunnel/internal/contract/reason"
	"rtsptunnel/internal/gateway/access"
	"rtsptunnel/internal/gateway/browser"
	"rtsptunnel/internal/gateway/live"
)

// openAccess opens access with what the data folder keeps for it. What cannot be used there is
// set aside: it ends logins and shares, and not the gateway.
func (g *gateway) openAccess() error {
	store, err := g.folder.Store(string(g.started.Access.SealKey))
	if store == nil {
		return err
	}
	var warnings []error
	if err != nil {
		warnings = append(warnings, err)
	}
	opened, more := access.Open(access.Options{PublicURL: g.started.PublicURL, Video: g.video, Store: store})
	g.access = opened
	for _, w := range append(warnings, more...) {
		g.log.Warn().Err(w).Msg("data folder: a file cannot be used")
	}
	return nil
}

// video returns the name and the UUID of a camera's video.
func (g *gateway) video(camera string) (name, id string) {
	c, _, _ := g.fleet.Known(camera) // without one, both are empty
	return c.Video, c.GUID
}

// tendAccess rotates the signing keys, and tells in /readyz what the data folder does not take.
func (g *gateway) tendAccess() {
	text := ""
	if err := g.access.Tend(); err != nil {
		text = "keys, shares and ended logins are in memory alone: " + oneLine(err)
	}
	g.status.note(partData, reason.DataFolder, text)
}

// playbackQuery is the parameter with which the files of an HLS playlist continue a playback.
const playbackQuery = "p"

// login returns the principal of a request for an output, and judges the page that sent it.
func (g *gateway) login(r *http.Request, output, camera string, from netip.Addr) (access.Principal, error) {
	if marks := r.URL.Query()[playbackQuery]; output == live.HLS && len(marks) == 1 {
		return g.access.AuthenticatePlayback(marks[0], camera)
	}
	text, kind := g.browser.Token(r)
	if err := g.browser.Check(r, kind); err != nil {
		return access.Principal{}, err
	}
	if kind == browser.Cookie {
		return g.access.AuthenticateCookie(text)
	}
	return g.access.Authenticate(text, from)
}

// playback returns the query with which the files of a playlist continue a playback: the
// request's own, or a new one.
func (g *gateway) playback(r *http.Request, p access.Principal, camera string) string {
	mark := r.URL.Query().Get(playbackQuery)
	if p.Kind != access.Playback || mark == "" {
		mark = g.access.Playback(p, camera)
	}
	return url.Values{playbackQuery: {mark}}.Encode()
}

// current returns the principal as it is now, if it may still watch the camera.
func (g *gateway) current(then access.Principal, camera string) error {
	now, err := g.access.Current(then)
	if err != nil {
		return err
	}
	return now.Grant(access.Watch, camera)
}

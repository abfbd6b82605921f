package access

import (
	"errors"
	"time"

	"rtsptunnel/internal/contract/reason"
	"rtsptunnel/internal/gateway/failure"
)

// Playback returns the text with which the URLs of a playlist continue p's playback of a camera,
// without the token that started it. It lasts 12 hours from now, or until p expires if that is
// earlier: a playback does not renew itself. It ends with the token that p comes from, with p's
// share, and with the logins of p's account if p is one.
func (a *Access) Playback(p Principal, camera string) string {
	now := time.Now()
	m := mark{By: p.ID, Camera: withoutStream(camera), Share: p.Share, Begin: now.Unix(), Session: p.Session}
	m.End = earliest(now.Add(playbackMost), p.Expires).Unix()
	return a.keys.set.Load().sign(forPlayback, m, now)
}

// AuthenticatePlayback returns the principal of a text of Playback: it may watch and listen to
// the camera for which it was made. The errors are ACCESS_LOGIN, ACCESS_EXPIRED, and
// ACCESS_DENIED for another camera. They count as no failed logins: a player repeats them some
// times a second, and guessing has no chance.
func (a *Access) AuthenticatePlayback(text, camera string) (Principal, error) {
	m, err := a.keys.set.Load().verify(forPlayback, text, playbackMost, time.Now())
	if err != nil {
		return Principal{}, refusal(err)
	}
	if m.Camera != withoutStream(camera) {
		return Principal{}, failure.New(failure.Viewer, reason.AccessDenied, nil)
	}
	return a.Current(Principal{ID: m.By, Kind: Playback, Camera: m.Camera, Share: m.Share, Expires: time.Unix(m.End, 0), Session: m.Session})
}

func refusal(err error) error {
	if errors.Is(err, errMarkEnd) {
		return failure.New(failure.Viewer, reason.AccessExpired, nil)
	}
	return failure.New(failure.Viewer, reason.AccessLogin, nil)
}

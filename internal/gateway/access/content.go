package access

import (
	"crypto/rand"
	"errors"
	"net/netip"
	"strings"
	"time"

	"github.com/golang-jwt/jwt/v5"

	"rtsptunnel/internal/contract/reason"
	"rtsptunnel/internal/gateway/failure"
)

const (
	contentUsual = time.Hour      // the lifetime of a content token for which none is asked
	contentMost  = 24 * time.Hour // the longest one
	leeway       = 3 * time.Minute
	playbackMost = 12 * time.Hour // a playback, from its beginning

	// contentBytes bounds the text of a content token. Names, and an audience of two URLs,
	// take much less.
	contentBytes = 4096
	jwtBegin     = "eyJ" // of {" in base64: each JWT begins so
)

// claims are those of a content token. The holder can read them: they name the minting token by
// its id, and not by its account's name.
type claims struct {
	jwt.RegisteredClaims

	Camera string `json:"camera"`
	By     string `json:"by"`              // the ID of the principal that minted it
	Share  string `json:"share,omitempty"` // the ID of the share that minted it
}

// MintContent returns a token with which a stranger may watch and listen to one camera, and
// when the last playback can be started with it. lifetime is an hour if it is zero; it is cut to
// 24 hours and to the end of the minter's token. by may watch the camera, and is the holder of a
// static token or a login of a browser: a content token mints no others. camera has two
// segments. The errors are ACCESS_LOGIN, ACCESS_EXPIRED, ACCESS_DENIED, and CAM_UNKNOWN for a
// camera without a video.
func (a *Access) MintContent(by Principal, camera string, lifetime time.Duration) (token string, expires time.Time, err error) {
	by, err = a.minter(by)
	if err == nil {
		err = by.Grant(Watch, camera)
	}
	if err != nil {
		return "", time.Time{}, err
	}
	if lifetime <= 0 {
		lifetime = contentUsual
	}
	now := time.Now()
	expires = earliest(now.Add(min(lifetime, contentMost)), by.Expires)
	return a.signContent(claims{Camera: camera, By: by.ID}, now, expires)
}

// minter returns the principal as it is now, if it may pass rights on.
func (a *Access) minter(by Principal) (Principal, error) {
	if by.Kind != Static && by.Kind != Login {
		return Principal{}, failure.New(failure.Viewer, reason.AccessDenied, nil)
	}
	return a.Current(by)
}

func (a *Access) signContent(c claims, now, expires time.Time) (string, time.Time, error) {
	video, guid := a.video(c.Camera)
	if video == "" {
		return "", time.Time{}, failure.New(failure.Viewer, reason.CameraUnknown, nil)
	}
	expires = expires.Truncate(time.Second) // as the token has it
	c.RegisteredClaims = jwt.RegisteredClaims{
		Issuer: a.publicURL, Subject: video, Audience: a.audience(guid), ID: rand.Text(),
		IssuedAt: jwt.NewNumericDate(now), ExpiresAt: jwt.NewNumericDate(expires),
	}
	k := a.keys.set.Load().signing(now)
	t := jwt.NewWithClaims(jwt.SigningMethodES256, c)
	t.Header["kid"] = k.kid
	signed, err := t.SignedString(k.private)
	if err != nil {
		return "", time.Time{}, failure.New(failure.Gateway, reason.Internal, err)
	}
	return signed, expires, nil
}

// audience returns the URLs of a video's content and of its RTSP over a WebSocket.
func (a *Access) audience(guid string) jwt.ClaimStrings {
	socket := "ws" + strings.TrimPrefix(a.publicURL, "http")
	return jwt.ClaimStrings{a.publicURL + "/content/" + guid, socket + "/rtsp-tunnel/" + guid}
}

// authenticateContent returns the principal of a content token: it may watch and listen to one
// camera. A token starts a playback until it expires, with a leeway of 3 minutes; the playback
// may go on for 12 hours, so this is when the principal expires.
func (a *Access) authenticateContent(token string, from netip.Addr) (Principal, error) {
	now := time.Now()
	c, err := a.parseContent(token)
	switch {
	case errors.Is(err, jwt.ErrTokenExpired):
		return Principal{}, a.fail(reason.AccessExpired, "", from)
	case err != nil:
		return Principal{}, a.fail(reason.AccessLogin, "", from)
	}
	p, err := a.Current(Principal{
		ID: c.By, Kind: Content, Camera: c.Camera, Share: c.Share, Expires: now.Add(playbackMost), JTI: c.ID,
	})
	if err != nil {
		return Principal{}, a.fail(failure.Of(err).Reason, "", from)
	}
	return p, nil
}

var errContent = errors.New("it is no content token of this gateway")

// parseContent verifies a content token. It bounds the text before it parses it, and finds the
// key before it verifies: a token that names no key costs no signature. Errors of the library
// may hold parts of the token: the caller drops them.
func (a *Access) parseContent(token string) (*claims, error) {
	if len(token) > contentBytes || strings.ContainsFunc(token, notInJWT) {
		return nil, errContent
	}
	parser := jwt.NewParser(
		jwt.WithValidMethods([]string{jwt.SigningMethodES256.Alg()}), jwt.WithStrictDecoding(),
		jwt.WithExpirationRequired(), jwt.WithIssuedAt(), jwt.WithLeeway(leeway),
	)
	var c claims
	if _, err := parser.ParseWithClaims(token, &c, a.contentKey); err != nil {
		return nil, err
	}
	if c.IssuedAt == nil || c.ExpiresAt.Sub(c.IssuedAt.Time) > contentMost+time.Second || c.Issuer != a.publicURL ||
		c.Camera == "" || !a.isAudience(c.Audience) {
		return nil, errContent
	}
	return &c, nil
}

func notInJWT(r rune) bool { return notBase64URL(r) && r != '.' }

func (a *Access) contentKey(t *jwt.Token) (any, error) {
	kid, _ := t.Header["kid"].(string)
	k := a.keys.set.Load().find(kid)
	if k == nil {
		return nil, errContent
	}
	return &k.private.PublicKey, nil
}

// isAudience reports whether the URLs are those of one video of this gateway.
func (a *Access) isAudience(audience jwt.ClaimStrings) bool {
	if len(audience) == 0 {
		return false
	}
	guid, ok := strings.CutPrefix(audience[0], a.publicURL+"/content/")
	want := a.audience(guid)
	return ok && guid != "" && len(audience) == len(want) && audience[1] == want[1]
}

// earliest returns the earlier time. The zero time is never.
func earliest(a, b time.Time) time.Time {
	if b.IsZero() || a.Before(b) {
		return a
	}
	return b
}

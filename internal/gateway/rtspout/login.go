package rtspout

import (
	"github.com/bluenviron/gortsplib/v5/pkg/auth"
	"github.com/bluenviron/gortsplib/v5/pkg/base"
	"github.com/bluenviron/gortsplib/v5/pkg/headers"

	"rtsptunnel/internal/contract/reason"
	"rtsptunnel/internal/gateway/failure"
)

const realm = "tunnelgateway"

var (
	basicOnly   = []auth.VerifyMethod{auth.VerifyMethodBasic}
	digestsOnly = []auth.VerifyMethod{auth.VerifyMethodDigestSHA256, auth.VerifyMethodDigestMD5}
	// ffmpeg and live555 take the last Digest challenge, and know MD5 alone.
	basicDigest = []auth.VerifyMethod{auth.VerifyMethodBasic, auth.VerifyMethodDigestSHA256, auth.VerifyMethodDigestMD5}
)

// authorize returns who sends the request, and for which camera. A request without a login
// has the connection's last one for that camera, because some players authenticate DESCRIBE
// alone. It is checked again: a token may have been removed since.
func (s *Server) authorize(c *conn, req *base.Request, t target) (Principal, error) {
	if c.grant != nil {
		return c.grant.authorize()
	}
	camera, _, _ := s.o.Resolve(t.name)
	login, ok := s.login(c, req, t)
	if !ok && c.user.known && c.user.camera == camera {
		login, ok = c.user.login, true
	}
	if !ok {
		return Principal{}, failure.New(failure.Viewer, reason.AccessLogin, nil)
	}
	login.From = c.from()
	p, err := s.o.Authorize(login, camera)
	if err != nil {
		return Principal{}, err
	}
	c.user = user{known: true, name: p.Name, camera: camera, login: login}
	c.reach(stageKnown)
	return p, nil
}

// user is who has logged in on a connection, and for which camera.
type user struct {
	known  bool
	name   string // for the log
	camera string
	login  Login
}

// login returns what the request presents; false if it presents nothing. The header wins
// over the URL.
func (s *Server) login(c *conn, req *base.Request, t target) (Login, bool) {
	a, ok := authorization(req)
	switch {
	case !ok:
		return Login{Token: t.token}, t.token != ""
	case a.Method == headers.AuthMethodBasic:
		return Login{Name: a.Username, Token: a.BasicPass}, true
	}
	nonce := c.nonce
	return Login{Name: a.Username, Verify: func(token string) bool {
		return nonce != "" && auth.Verify(req, a.Username, token, digestsOnly, realm, nonce) == nil
	}}, true
}

// authorization returns the request's header; false if it has none that can be read.
func authorization(req *base.Request) (headers.Authorization, bool) {
	var a headers.Authorization
	err := a.Unmarshal(req.Header["Authorization"])
	return a, err == nil && (a.Username != "" || a.BasicPass != "")
}

// challenge adds the schemes that a player may use for a camera. A player whose answer to a
// Digest challenge failed is offered Basic alone: its token may not be kept in clear.
func (s *Server) challenge(c *conn, req *base.Request, res *base.Response, name string) {
	camera, _, _ := s.o.Resolve(name)
	methods := basicOnly
	a, ok := authorization(req)
	inVain := ok && a.Method == headers.AuthMethodDigest
	if s.o.OffersDigest != nil && !inVain && s.o.OffersDigest(camera) {
		methods = basicDigest
		if c.nonce == "" {
			nonce, err := auth.GenerateNonce()
			if err != nil {
				return
			}
			c.nonce = nonce
		}
	}
	res.Header["WWW-Authenticate"] = auth.GenerateWWWAuthenticate(methods, realm, c.nonce)
}

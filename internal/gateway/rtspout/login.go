package rtspout

import (
	"github.com/bluenviron/gortsplib/v5/pkg/auth"
	"github.com/bluenviron/gortsplib/v5/pkg/base"
	"github.com/bluenviron/gortsplib/v5/pkg/headers"

	"rtsptunnel/internal/contract/reason"
	"rtsptunnel/internal/gateway/failure"
)

const realm = "tunnelgateway"

// incorrectAnswer stands for the token of a Digest answer that does not verify. No token
// equals it, so that the failed login counts like any other.
const incorrectAnswer = "incorrect digest"

var (
	basicOnly   = []auth.VerifyMethod{auth.VerifyMethodBasic}
	digestsOnly = []auth.VerifyMethod{auth.VerifyMethodDigestSHA256, auth.VerifyMethodDigestMD5}
	basicDigest = []auth.VerifyMethod{auth.VerifyMethodBasic, auth.VerifyMethodDigestMD5, auth.VerifyMethodDigestSHA256}
)

// authorize returns who sends the request, and for which camera. A connection stays logged
// in for its camera, because some players authenticate DESCRIBE alone.
func (s *Server) authorize(c *conn, req *base.Request, t target) (Principal, error) {
	camera, _, _ := s.o.Resolve(t.name)
	login, ok := s.login(c, req, t)
	if !ok {
		if c.user.camera == camera && c.user.name != "" {
			return c.user.principal, nil
		}
		return Principal{}, failure.New(failure.Viewer, reason.AccessLogin, nil)
	}
	login.From = c.from()
	p, err := s.o.Authorize(login, camera)
	if err != nil {
		return Principal{}, err
	}
	c.user = user{camera: camera, name: p.Name, principal: p}
	c.reach(stageKnown)
	return p, nil
}

// user is who has logged in on a connection, and for which camera.
type user struct {
	camera    string
	name      string
	principal Principal
}

// login returns what the request presents; false if it presents nothing. The header wins
// over the URL.
func (s *Server) login(c *conn, req *base.Request, t target) (Login, bool) {
	var a headers.Authorization
	if err := a.Unmarshal(req.Header["Authorization"]); err != nil || a.Username == "" && a.BasicPass == "" {
		return Login{Token: t.token}, t.token != ""
	}
	if a.Method == headers.AuthMethodBasic {
		return Login{Name: a.Username, Token: a.BasicPass}, true
	}
	login := Login{Name: a.Username, Token: incorrectAnswer}
	if s.o.Digest == nil || c.nonce == "" {
		return login, true
	}
	secret, ok := s.o.Digest.Secret(a.Username)
	if ok && auth.Verify(req, a.Username, secret, digestsOnly, realm, c.nonce) == nil {
		login.Token = secret
	}
	return login, true
}

// challenge adds the schemes that a player may use for a camera. A player that has answered
// a Digest challenge for a user without a clear secret is offered Basic alone.
func (s *Server) challenge(c *conn, req *base.Request, res *base.Response, name string) {
	camera, _, _ := s.o.Resolve(name)
	methods := basicOnly
	if s.o.Digest != nil && s.o.Digest.Offered(camera) && !s.digestInVain(req) {
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

func (s *Server) digestInVain(req *base.Request) bool {
	var a headers.Authorization
	if err := a.Unmarshal(req.Header["Authorization"]); err != nil || a.Method != headers.AuthMethodDigest {
		return false
	}
	_, ok := s.o.Digest.Secret(a.Username)
	return !ok
}

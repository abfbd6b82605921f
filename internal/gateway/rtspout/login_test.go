package rtspout_test

import (
	"fmt"
	"strings"
	"sync/atomic"
	"testing"

	"github.com/bluenviron/gortsplib/v5/pkg/auth"
	"github.com/bluenviron/gortsplib/v5/pkg/base"

	"rtsptunnel/internal/contract/reason"
	"rtsptunnel/internal/gateway/failure"
	"rtsptunnel/internal/gateway/rtspout"
)

// Every form of a login reaches Authorize as it was sent.
func TestServer_logins(t *testing.T) {
	for name, test := range map[string]struct{ user, password, query string }{
		"name and token":  {user: "wall", password: "rtt_wall"},
		"token alone":     {password: "rtt_wall"},
		"any name":        {user: "x", password: "rtt_wall"},
		"query":           {query: "?token=rtt_wall"},
		"query with a /":  {query: "?token=rtt_wall/"},
		"header wins":     {user: "wall", password: "rtt_wall", query: "?token=x"},
		"query and start": {query: "?start=live&token=rtt_wall"},
	} {
		t.Run(name, func(t *testing.T) {
			f, _, _ := front(t)
			var got rtspout.Login
			g := newGateway(t, f, func(o *rtspout.Options) {
				o.Authorize = func(l rtspout.Login, camera string) (rtspout.Principal, error) {
					got = l
					return authorize(l, camera)
				}
			})
			c := g.dial(t)
			var headers []string
			if test.password != "" {
				headers = append(headers, basic(test.user, test.password))
			}
			c.want(c.do("DESCRIBE", g.url(test.query), headers...), 200)
			if got.Name != test.user || got.Token != "rtt_wall" || got.Verify != nil {
				t.Errorf("login %+v", got)
			}
		})
	}
}

// A token that is removed does not go on with what the connection has begun.
func TestServer_removedToken(t *testing.T) {
	f, _, _ := front(t)
	var removed atomic.Bool
	g := newGateway(t, f, func(o *rtspout.Options) {
		o.Authorize = func(l rtspout.Login, camera string) (rtspout.Principal, error) {
			if removed.Load() {
				return rtspout.Principal{}, failure.New(failure.Viewer, reason.AccessLogin, nil)
			}
			return authorize(l, camera)
		}
	})
	described, paused := g.dial(t), g.dial(t)
	described.want(described.do("DESCRIBE", g.url("?token=rtt_wall")), 200)
	session, _ := paused.play(g.url("?token=rtt_wall"))
	paused.want(paused.do("PAUSE", g.url(""), "Session: "+session), 200)
	removed.Store(true)
	described.want(described.do("SETUP", trackURL(g.url("")), transport), 401)
	paused.want(paused.do("PLAY", g.url(""), "Session: "+session), 401)
}

// Digest is offered only where it was asked for. Both algorithms work; a user that has no
// clear token is offered Basic alone.
func TestServer_digest(t *testing.T) {
	f, _, _ := front(t)
	g := newGateway(t, f, func(o *rtspout.Options) {
		o.OffersDigest = func(camera string) bool { return camera == "edge1/front" }
	})
	c := g.dial(t)
	other := c.want(c.do("DESCRIBE", "rtsp://"+g.address+"/edge1/back"), 401)
	if got := other.Header["WWW-Authenticate"]; len(got) != 1 || !strings.HasPrefix(got[0], "Basic ") {
		t.Errorf("another camera offers %q", got)
	}
	challenge := c.want(c.do("DESCRIBE", g.url("")), 401).Header["WWW-Authenticate"]
	if len(challenge) != 3 || !strings.HasPrefix(challenge[0], "Basic ") || !strings.Contains(challenge[2], "MD5") { // see basicDigest
		t.Fatalf("offered: %q", challenge)
	}
	for i, answer := range challenge[1:] {
		header := digestAnswer(t, answer, g.url(""), "ops", "rtt_ops")
		c.want(c.do("DESCRIBE", g.url(""), header), 200)
		wrong := digestAnswer(t, answer, g.url(""), "wall", "rtt_wall")
		got := g.dial(t)
		got.want(got.do("DESCRIBE", g.url("")), 401)
		if res := got.want(got.do("DESCRIBE", g.url(""), wrong), 401).Header["WWW-Authenticate"]; len(res) != 1 || !strings.HasPrefix(res[0], "Basic ") {
			t.Errorf("algorithm %d: %q", i, res)
		}
	}
	early := g.dial(t)
	none := `Digest realm="tunnelgateway", nonce="", algorithm="MD5"`
	early.want(early.do("DESCRIBE", g.url(""), digestAnswer(t, none, g.url(""), "ops", "rtt_ops")), 401)
	replayed := g.dial(t)
	replayed.want(replayed.do("DESCRIBE", g.url(""), digestAnswer(t, challenge[1], g.url(""), "ops", "rtt_ops")), 401)
}

// digestAnswer returns the header that gortsplib's client sends.
func digestAnswer(t *testing.T, challenge, url, user, password string) string {
	t.Helper()
	sender := auth.Sender{WWWAuth: base.HeaderValue{challenge}, User: user, Pass: password}
	if err := sender.Initialize(); err != nil {
		t.Fatal(err)
	}
	u, err := base.ParseURL(url)
	if err != nil {
		t.Fatal(err)
	}
	req := &base.Request{Method: base.Describe, URL: u, Header: base.Header{}}
	sender.AddAuthorization(req)
	return fmt.Sprintf("Authorization: %s", req.Header["Authorization"][0])
}

package api_test

import (
	"strings"
	"testing"

	"rtsptunnel/internal/gateway/access"
	"rtsptunnel/internal/testkit/logtest"
)

// Each request has a line, which shows who asked for what and no token.
func TestAccessLog(t *testing.T) {
	g := start(t, camera("edge1/front"))
	g.call("GET", "/api/cameras?limit=5", g.wall)
	g.log.AwaitFields(t, 1, "level=info", "method=GET", "path=/api/cameras?limit=5", "status=200", "user=wall", "remote=192.0.2.1", "message=API request")
	g.call("POST", "/api/cameras/edge1/front:close", g.admin)
	g.log.AwaitFields(t, 1, "level=info", "method=POST", "path=/api/cameras/edge1/front:close", "status=204", "user=ops")
	g.call("GET", "/api/cameras/edge2/front", g.wall)
	g.log.AwaitFields(t, 1, "level=warn", "status=403", "user=wall", "hop=viewer", "reason=ACCESS_DENIED")
	g.call("GET", "/api/cameras", "")
	g.log.AwaitFields(t, 1, "level=warn", "status=401", "reason=ACCESS_LOGIN")
}

// No token is in the log or in an answer, wherever the client put it.
func TestAccessLog_holdsNoSecret(t *testing.T) {
	g := start(t, camera("edge1/front"))
	stranger, _ := access.Generate()
	var answers strings.Builder
	for _, token := range []string{g.admin, stranger} {
		encoded := strings.Replace(token, "_", "%5F", 1)
		for _, path := range []string{
			"/api/cameras", "/api/cameras?token=" + token, "/api/cameras?authorization=" + token, "/api/cameras?P=" + token, "/api/cameras?x=" + encoded,
			"/api/cameras/edge1/" + token, "/" + encoded, "/api/viewers/" + token, "/api/cameras?limit=" + token, "/api/cameras?after=" + token, "/" + token + ":close",
		} {
			for _, method := range []string{"GET", "POST", "DELETE"} {
				response, body := g.call(method, path, token, "Referer", "https://x/?token="+token)
				answers.WriteString(body)
				for _, values := range response.Header {
					answers.WriteString(strings.Join(values, "\n") + "\n")
				}
			}
		}
	}
	if n := strings.Count(g.log.String(), "\n"); n < 66 {
		t.Errorf("only %d lines were logged", n)
	}
	logtest.NoSecret(t, g.log.String())
	logtest.NoSecret(t, answers.String())
}

// Strangers cause ten warnings of a reason in a minute, and no long line.
func TestAccessLog_bounded(t *testing.T) {
	g := start(t)
	for range 50 {
		g.call("GET", "/"+strings.Repeat("a", 8000), "")
	}
	if n := g.log.CountFields(t, "level=warn"); n != 10 {
		t.Errorf("%d warnings, want 10", n)
	}
	if n := g.log.CountFields(t, "level=debug"); n != 40 {
		t.Errorf("%d debug lines, want 40", n)
	}
	for line := range strings.Lines(g.log.String()) {
		if len(line) > 600 {
			t.Errorf("a line of %d bytes", len(line))
		}
	}
}

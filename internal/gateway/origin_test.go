package gateway_test

import (
	"io"
	"net/http"
	"strings"
	"testing"
	"time"

	"rtsptunnel/internal/testkit/rtsptest"
)

// A browser logs in, reads and acts with its cookie. A page of another origin does nothing with
// it, on any route.
func TestOrigin(t *testing.T) {
	camera := startCamera(t, rtsptest.Options{})
	r := start(t, "cameras: { lab/front: { url: '"+camera.URL()+"' } }\n")
	own := "http://" + r.address(t, "public")
	client := &http.Client{Transport: &http.Transport{}}
	t.Cleanup(client.CloseIdleConnections)
	send := func(method, path, body, origin string, headers ...string) *http.Response {
		t.Helper()
		request, err := http.NewRequestWithContext(within(t, time.Minute), method, own+path, strings.NewReader(body))
		if err != nil {
			t.Fatal(err)
		}
		request.Header.Set("Content-Type", "application/json")
		request.Header.Set("Origin", origin)
		for i := 0; i < len(headers); i += 2 {
			request.Header.Set(headers[i], headers[i+1])
		}
		response, err := client.Do(request)
		if err != nil {
			t.Fatal(err)
		}
		if response.StatusCode != http.StatusSwitchingProtocols {
			_, _ = io.Copy(io.Discard, response.Body)
		}
		response.Body.Close()
		return response
	}
	login := send("POST", "/login", `{"token":"`+r.admin+`"}`, own)
	if login.StatusCode != http.StatusNoContent || len(login.Cookies()) != 1 {
		t.Fatalf("login: %s %v", login.Status, login.Header)
	}
	cookie := login.Cookies()[0].Name + "=" + login.Cookies()[0].Value
	socket := []string{"Cookie", cookie, "Connection", "Upgrade", "Upgrade", "websocket", "Sec-WebSocket-Version", "13", "Sec-WebSocket-Key", "AAAAAAAAAAAAAAAAAAAAAA=="}
	for _, c := range []struct {
		method, path string
		headers      []string
		own          int
	}{
		{"GET", "/api/me", []string{"Cookie", cookie}, 200},
		{"GET", "/api/cameras", []string{"Cookie", cookie}, 200},
		{"POST", "/api/cameras/lab/front:close", []string{"Cookie", cookie}, 204},
		{"GET", "/live/lab/front/still.mp4", []string{"Cookie", cookie}, 404}, // there is no picture yet
		{"GET", "/live/lab/front/mse", append([]string{"Sec-WebSocket-Protocol", "rtsptunnel.mse.v1"}, socket...), 101},
		{"GET", "/live/lab/front/rtsp", append([]string{"Sec-WebSocket-Protocol", "binary"}, socket...), 101},
	} {
		for origin, want := range map[string]int{own: c.own, "https://evil.example": 403, "null": 403} {
			if response := send(c.method, c.path, "", origin, c.headers...); response.StatusCode != want {
				t.Errorf("%s %s of a page of %s: %s, want %d", c.method, c.path, origin, response.Status, want)
			}
		}
	}
	if strings.Contains(r.log.String(), login.Cookies()[0].Value) || strings.Contains(r.log.String(), r.admin) {
		t.Error("the log has a secret")
	}
}

package gateway_test

import (
	"bufio"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"os"
	"regexp"
	"strings"
	"testing"
	"time"

	"github.com/gorilla/websocket"

	"rtsptunnel/internal/gateway/access"
	"rtsptunnel/internal/testkit/rtsptest"
)

// lab is a gateway with the direct cameras lab/front and office/yard. The token wall covers
// lab/front, other office/yard, and old has expired.
type lab struct {
	*running
	other, old string
	public     string // host and port
}

func startLab(t *testing.T, sections string) *lab {
	t.Helper()
	l := &lab{}
	front, yard := startCamera(t, rtsptest.Options{}), startCamera(t, rtsptest.Options{Name: "yard"})
	var tokens string
	for name, token := range map[string]*string{"other": &l.other, "old": &l.old} {
		clear, hash := access.Generate()
		*token = clear
		tokens += fmt.Sprintf("    - { name: %s, role: viewer, cameras: ['%s'], sha256: '%s'", name, map[string]string{"other": "office/*", "old": "*"}[name], hash)
		if name == "old" {
			tokens += ", expires: 2020-01-01T00:00:00Z"
		}
		tokens += " }\n"
	}
	l.running = start(t, fmt.Sprintf("  origins: [https://portal.example]\ncameras: { lab/front: { url: '%s', title: Front door, video: door }, office/yard: { url: '%s' } }\n%s",
		front.URL(), yard.URL(), sections), func(text string) string { return strings.Replace(text, "  tokens:\n", "  tokens:\n"+tokens, 1) })
	l.public = l.address(t, "public")
	return l
}

// ask sends a request, with headers as pairs.
func (l *lab) ask(t *testing.T, method, path, body string, headers ...string) *http.Response {
	t.Helper()
	request, err := http.NewRequestWithContext(within(t, time.Minute), method, "http://"+l.public+path, strings.NewReader(body))
	if err != nil {
		t.Fatal(err)
	}
	for i := 0; i < len(headers); i += 2 {
		request.Header.Set(headers[i], headers[i+1])
	}
	transport := &http.Transport{DisableKeepAlives: true}
	response, err := transport.RoundTrip(request)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { response.Body.Close() })
	return response
}

// answer is ask with the answer's JSON.
func (l *lab) answer(t *testing.T, status int, method, path, body string, headers ...string) map[string]any {
	t.Helper()
	response := l.ask(t, method, path, body, append(headers, "Content-Type", "application/json")...)
	text, err := io.ReadAll(response.Body)
	if err != nil {
		t.Fatal(err)
	}
	if response.StatusCode != status {
		t.Fatalf("%s %s: %d %s", method, path, response.StatusCode, text)
	}
	var fields map[string]any
	if len(text) > 0 {
		if err := json.Unmarshal(text, &fields); err != nil {
			t.Fatal(err)
		}
	}
	return fields
}

// change replaces a text of the file, and waits until the new file is in force.
func (l *lab) change(t *testing.T, from, to string) {
	t.Helper()
	text, err := os.ReadFile(l.file)
	if err != nil {
		t.Fatal(err)
	}
	if !strings.Contains(string(text), from) {
		t.Fatalf("the file has no %s", from)
	}
	l.replace(t, strings.Replace(string(text), from, to, 1))
	l.reload <- struct{}{} // after the turn of the first one
}

func bearer(token string) []string { return []string{"Authorization", "Bearer " + token} }

// dial opens a WebSocket. Without one, it returns the answer's status.
func (l *lab) dial(t *testing.T, path string, headers ...string) (*websocket.Conn, int) {
	t.Helper()
	header := http.Header{}
	for i := 0; i < len(headers); i += 2 {
		header.Add(headers[i], headers[i+1])
	}
	conn, response, err := websocket.DefaultDialer.DialContext(within(t, time.Minute), "ws://"+l.public+path, header)
	if err != nil {
		if response == nil {
			t.Fatal(err)
		}
		response.Body.Close()
		return nil, response.StatusCode
	}
	t.Cleanup(func() { conn.Close() })
	return conn, http.StatusSwitchingProtocols
}

// status is dial for the status alone.
func (l *lab) status(t *testing.T, path string, headers ...string) int {
	t.Helper()
	conn, status := l.dial(t, path, headers...)
	if conn != nil {
		conn.Close()
	}
	return status
}

// awaitMedia reads messages of MSE until n binary ones have arrived.
func awaitMedia(t *testing.T, conn *websocket.Conn, n int) {
	t.Helper()
	_ = conn.SetReadDeadline(time.Now().Add(time.Minute))
	for n > 0 {
		kind, message, err := conn.ReadMessage()
		if err != nil {
			t.Fatal(err)
		}
		if kind == websocket.BinaryMessage {
			n--
			if !strings.Contains(string(message), "moof") {
				t.Errorf("a binary message without a fragment: %.40q", message)
			}
		}
	}
}

// awaitEnd reads until the end, and returns the close code and the reason of the error before.
func awaitEnd(t *testing.T, conn *websocket.Conn) (code int, why string) {
	t.Helper()
	_ = conn.SetReadDeadline(time.Now().Add(time.Minute))
	for {
		kind, message, err := conn.ReadMessage()
		if closed, ok := errors.AsType[*websocket.CloseError](err); ok {
			return closed.Code, why
		}
		if err != nil {
			t.Fatal(err)
		}
		var text struct{ Failure struct{ Reason string } }
		if kind == websocket.TextMessage && json.Unmarshal(message, &text) == nil && text.Failure.Reason != "" {
			why = text.Failure.Reason
		}
	}
}

// Each output is served with each way to log in, and refused without a valid token of the
// camera. A camera that does not exist is refused alike.
func TestOutputs_access(t *testing.T) {
	l := startLab(t, "")
	cookie := l.login(t, l.wall)
	minted := l.answer(t, http.StatusCreated, "POST", "/api/tokens", `{"camera":"lab/front"}`, bearer(l.wall)...)
	content, _ := minted["token"].(string)
	const sockets = 101
	for path, ok := range map[string]int{"mse": sockets, "rtsp": sockets, "still.mp4?open=1": 200, "hls/index.m3u8": 200} {
		with := func(camera, token string) string {
			joined := "?"
			if strings.Contains(path, "?") {
				joined = "&"
			}
			return "/live/" + camera + "/" + path + joined + "token=" + token
		}
		none := "/live/lab/front/" + path
		for name, c := range map[string]struct {
			path    string
			headers []string
			want    int
		}{
			"no token":              {none, nil, 401},
			"a wrong token":         {with("lab/front", l.wall[:len(l.wall)-1]+"!"), nil, 401},
			"an expired token":      {with("lab/front", l.old), nil, 401},
			"another camera's":      {with("lab/front", l.other), nil, 403},
			"a camera of others":    {with("office/yard", l.wall), nil, 403},
			"no such camera":        {with("office/none", l.wall), nil, 403},
			"none, and all rights":  {with("office/none", l.admin), nil, 404},
			"content, other camera": {with("office/yard", content), nil, 403},
			"a wrong cookie":        {none, []string{"Cookie", cookie + "x", "Origin", "http://" + l.public}, 401},
			"a cookie, from afar":   {none, []string{"Cookie", cookie, "Origin", "https://evil.example"}, 403},
			"the token":             {with("lab/front", l.wall), nil, ok},
			"the alias":             {with("door", l.wall), nil, ok},
			"in a header":           {none, bearer(l.wall), ok},
			"a content token":       {with("lab/front", content), nil, ok},
			"a cookie":              {none, []string{"Cookie", cookie, "Origin", "http://" + l.public}, ok},
		} {
			t.Run(path+"/"+name, func(t *testing.T) {
				status := 0
				if ok == sockets {
					status = l.status(t, c.path, append(c.headers, "Sec-WebSocket-Protocol", map[string]string{"mse": "rtsptunnel.mse.v1", "rtsp": "binary"}[path])...)
				} else {
					status = l.ask(t, "GET", c.path, "", c.headers...).StatusCode
				}
				want := c.want
				if path == "rtsp" && want == 404 { // RTSP has the camera's errors in its own answers
					want = sockets
				}
				if status != want {
					t.Errorf("status %d, want %d", status, want)
				}
			})
		}
	}
	for _, kind := range []string{"mse", "rtsp-ws", "still", "hls"} {
		for _, why := range []string{"ACCESS_LOGIN", "ACCESS_EXPIRED", "ACCESS_DENIED", "ACCESS_ORIGIN"} {
			if _, text := l.get(t, "/metrics"); !strings.Contains(text, fmt.Sprintf("access_denied_total{kind=%q,reason=%q}", kind, why)) {
				t.Errorf("no refusal of %s with %s is counted", kind, why)
			}
		}
	}
}

// login logs a browser in, and returns its cookie.
func (l *lab) login(t *testing.T, token string) string {
	t.Helper()
	response := l.ask(t, "POST", "/login", `{"token":"`+token+`"}`, "Content-Type", "application/json", "Origin", "http://"+l.public)
	cookies := response.Cookies()
	if response.StatusCode != http.StatusNoContent || len(cookies) != 1 || !cookies[0].HttpOnly {
		t.Fatalf("login: %d, %v", response.StatusCode, cookies)
	}
	return cookies[0].Name + "=" + cookies[0].Value
}

// A WebSocket carries the token as a subprotocol; the media begin with kept pictures. A player
// of RTSP over a WebSocket, one by RTSP and a still picture see the same camera, and all of
// them are in the list of viewers and in the metrics.
func TestOutputs_together(t *testing.T) {
	l := startLab(t, "")
	conn, _ := l.dial(t, "/live/lab/front/mse", "Sec-WebSocket-Protocol", "rtsptunnel.mse.v1, token."+l.wall)
	if conn.Subprotocol() != "rtsptunnel.mse.v1" {
		t.Errorf("subprotocol %q", conn.Subprotocol())
	}
	awaitMedia(t, conn, 10)
	pulled, err := rtsptest.PullWebSocket(within(t, time.Minute), "ws://"+l.public+"/live/lab/front/rtsp?start=key&token="+l.wall, nil, 30)
	if err != nil {
		t.Fatal(err)
	}
	if err := pulled.MatchClip("front"); err != nil {
		t.Error(err)
	}
	camera := l.answer(t, http.StatusOK, "GET", "/api/cameras/lab/front", "", bearer(l.wall)...)
	if _, err := rtsptest.PullWebSocket(within(t, time.Minute), fmt.Sprintf("ws://%s/rtsp-tunnel/%s?authorization=%s", l.public, camera["guid"], l.wall), nil, 1); err != nil {
		t.Errorf("by the video's UUID: %v", err)
	}
	still := l.ask(t, "GET", "/live/lab/front/still.mp4", "", bearer(l.wall)...)
	if body, _ := io.ReadAll(still.Body); still.StatusCode != http.StatusOK || len(body) < 1000 || string(body[4:8]) != "ftyp" {
		t.Errorf("still: %d, %d bytes", still.StatusCode, len(body))
	}
	list := l.answer(t, http.StatusOK, "GET", "/api/viewers", "", bearer(l.admin)...)
	if text := fmt.Sprint(list); strings.Count(text, "remoteAddress:127.0.0.1") != 1 || !strings.Contains(text, "output:mse") || !strings.Contains(text, "principal:wall") {
		t.Errorf("viewers: %s", text)
	}
	_, text := l.get(t, "/metrics")
	for _, want := range []string{
		`readers{output="mse"} 1`, `readers{output="rtsp-ws"} 0`, `readers{output="still"} 0`, `reader_first_unit_seconds_count{output="mse"} 1`,
		`reader_first_unit_seconds_count{output="rtsp-ws"} 2`, `tunnelgateway_websockets 1`, `reader_stalled_total{output="mse"} 0`, `reader_skips_total{output="rtsp-ws"} 0`,
	} {
		if !strings.Contains(text, want+"\n") {
			t.Errorf("/metrics has no %s", want)
		}
	}
	viewers, _ := list["viewers"].([]any)
	first, _ := viewers[0].(map[string]any)
	l.answer(t, http.StatusNoContent, "DELETE", fmt.Sprint("/api/viewers/", first["id"]), "", bearer(l.admin)...)
	if code, why := awaitEnd(t, conn); code != websocket.ClosePolicyViolation || why != "VIEWER_CLOSED" {
		t.Errorf("a disconnected viewer: %d %s", code, why)
	}
}

// The files of an HLS playlist continue the playback without the token, for this camera's HLS
// alone, and until its token is removed.
func TestOutputs_hls(t *testing.T) {
	l := startLab(t, "")
	base := "/live/lab/front/hls/"
	read := func(path string, status int) string {
		response := l.ask(t, "GET", path, "")
		text, err := io.ReadAll(response.Body)
		if err != nil || response.StatusCode != status {
			t.Fatalf("%d, want %d: %s, %v", response.StatusCode, status, text, err)
		}
		return string(text)
	}
	line := func(playlist, pattern string) string {
		m := regexp.MustCompile(pattern).FindStringSubmatch(playlist)
		if m == nil {
			t.Fatalf("no %s in\n%s", pattern, playlist)
		}
		return m[1]
	}
	index := read(base+"index.m3u8?token="+l.wall, 200)
	if strings.Contains(index, l.wall) {
		t.Errorf("the playlist has the token:\n%s", index)
	}
	media := line(index, `(?m)^([^#\s].*)$`)
	playlist := read(base+media, 200)
	if part := read(base+line(playlist, `#EXT-X-PART:.*URI="([^"]+)"`), 200); !strings.Contains(part, "moof") {
		t.Errorf("a part without a fragment: %.40q", part)
	}
	_, mark, _ := strings.Cut(media, "?")
	for path, want := range map[string]int{
		"/live/lab/front/mse?": 401, "/live/lab/front/still.mp4?": 401, "/live/office/yard/hls/index.m3u8?": 403, base + "index.m3u8?": 200, "/api/cameras?": 401,
		base + "index.m3u8?p=x&": 401,
	} {
		read(path+mark, want)
	}
	if _, text := l.get(t, "/metrics"); !strings.Contains(text, "tunnelgateway_hls_muxers 1\n") || !strings.Contains(text, `readers{output="hls"} 1`) {
		t.Error("/metrics does not count HLS")
	}
	l.change(t, "name: wall,", "name: hall,")
	read(base+media, 401)
}

// A viewer ends when its token is removed, its share is revoked, or its login is ended. The
// others play on.
func TestOutputs_revoked(t *testing.T) {
	l := startLab(t, "")
	share := l.answer(t, http.StatusCreated, "POST", "/api/shares", fmt.Sprintf(`{"camera":"lab/front","end":%q}`, time.Now().Add(time.Hour).UTC().Format(time.RFC3339)), bearer(l.admin)...)
	opened := l.answer(t, http.StatusOK, "POST", "/share", fmt.Sprintf(`{"secret":%q}`, share["secret"]))
	play := func(path string, headers ...string) *websocket.Conn {
		conn, status := l.dial(t, path, append(headers, "Sec-WebSocket-Protocol", "rtsptunnel.mse.v1")...)
		if conn == nil {
			t.Fatalf("%d", status)
		}
		awaitMedia(t, conn, 1)
		return conn
	}
	shared := play(fmt.Sprint("/live/lab/front/mse?token=", opened["token"]))
	cookie := []string{"Cookie", l.login(t, l.admin), "Origin", "http://" + l.public}
	browser := play("/live/lab/front/mse", cookie...)
	removed := play("/live/lab/front/mse", bearer(l.wall)...)
	stays := play("/live/office/yard/mse", bearer(l.other)...)

	for _, end := range []struct {
		conn *websocket.Conn
		by   func()
	}{
		{shared, func() {
			l.answer(t, http.StatusNoContent, "DELETE", fmt.Sprint("/api/shares/", share["id"]), "", bearer(l.admin)...)
		}},
		{browser, func() { l.answer(t, http.StatusNoContent, "POST", "/logout", `{"all":true}`, cookie...) }},
		{removed, func() {
			l.change(t, "name: wall,", "name: hall,")
		}},
	} {
		end.by()
		begun := time.Now()
		if code, why := awaitEnd(t, end.conn); code != websocket.ClosePolicyViolation || why != "ACCESS_LOGIN" {
			t.Errorf("ended with %d %s", code, why)
		}
		if took := time.Since(begun); took > 5*time.Second {
			t.Errorf("ended after %v", took)
		}
	}
	awaitMedia(t, stays, 100)
	if opened := l.ask(t, "POST", "/share", fmt.Sprintf(`{"secret":%q}`, share["secret"]), "Content-Type", "application/json"); opened.StatusCode != http.StatusUnauthorized {
		t.Errorf("a revoked share opens: %d", opened.StatusCode)
	}
}

// One address opens more sockets than it may: they are refused, and the others play on.
func TestOutputs_sockets(t *testing.T) {
	const most = 20
	l := startLab(t, fmt.Sprintf("limits: { viewersPerAddress: %d }\n", most))
	playing, _ := l.dial(t, "/live/lab/front/mse?token="+l.wall)
	awaitMedia(t, playing, 1)
	for range most - 1 {
		if conn, status := l.dial(t, "/live/lab/front/mse?token="+l.wall); conn == nil {
			t.Fatalf("below the limit: %d", status)
		}
	}
	for i := range 1000 {
		path := [...]string{"mse", "rtsp"}[i%2]
		if conn, status := l.dial(t, "/live/lab/front/"+path+"?token="+l.wall, "Sec-WebSocket-Protocol", "binary"); conn != nil || status != http.StatusTooManyRequests {
			t.Fatalf("beyond the limit: %d", status)
		}
	}
	// a recorder at the same address is not bound
	if _, err := rtsptest.Pull(within(t, time.Minute), l.url(t, "lab/front", "wall", l.wall), 30); err != nil {
		t.Error(err)
	}
	awaitMedia(t, playing, 50)
	response := l.ask(t, "GET", "/live/lab/front/mse?token="+l.wall, "", "Connection", "Upgrade", "Upgrade", "websocket", "Sec-WebSocket-Version", "13", "Sec-WebSocket-Key", "MDEyMzQ1Njc4OWFiY2RlZg==")
	if text, _ := io.ReadAll(response.Body); !strings.Contains(string(text), `"reason":"LIMIT_VIEWERS"`) {
		t.Errorf("%d %s", response.StatusCode, text)
	}
	l.change(t, "viewersPerAddress: 20", "viewersPerAddress: 21")
	if _, status := l.dial(t, "/live/lab/front/mse?token="+l.wall); status != http.StatusSwitchingProtocols {
		t.Errorf("below a new limit: %d", status)
	}
}

// The drain tells viewers why they end, and ends server-sent events in order.
func TestOutputs_drain(t *testing.T) {
	l := startLab(t, "")
	conn, _ := l.dial(t, "/live/lab/front/mse?token="+l.wall)
	awaitMedia(t, conn, 1)
	events := l.ask(t, "GET", "/api/events", "", bearer(l.wall)...)
	in := bufio.NewReader(events.Body)
	for line := ""; !strings.HasPrefix(line, "event: snapshot"); {
		var err error
		if line, err = in.ReadString('\n'); err != nil {
			t.Fatal(err)
		}
		if strings.Contains(line, "office/yard") {
			t.Errorf("an event of another camera: %s", line)
		}
	}
	ended, begun := make(chan error, 1), time.Now()
	go func() { ended <- l.end() }()
	if code, why := awaitEnd(t, conn); code != websocket.CloseGoingAway || why != "SHUTTING_DOWN" {
		t.Errorf("ended with %d %s", code, why)
	}
	if _, err := io.ReadAll(in); err != nil {
		t.Errorf("events end with %v", err)
	}
	if err := <-ended; err != nil {
		t.Error(err)
	}
	if took := time.Since(begun); took > 9*time.Second { // for those that do not end, it takes ten
		t.Errorf("the drain took %v", took)
	}
}

// A page of a listed origin reads answers, and others do not. A change of the list is in force
// at once.
func TestOutputs_origins(t *testing.T) {
	l := startLab(t, "")
	allowed := func(path, origin string) string {
		return l.ask(t, "GET", path, "", append(bearer(l.wall), "Origin", origin)...).Header.Get("Access-Control-Allow-Origin")
	}
	for _, path := range []string{"/api/cameras", "/live/lab/front/still.mp4"} {
		if got := allowed(path, "https://portal.example"); got != "https://portal.example" {
			t.Errorf("%s: %q", path, got)
		}
		if got := allowed(path, "https://evil.example"); got != "" {
			t.Errorf("%s: %q for a stranger", path, got)
		}
	}
	socket := "/live/lab/front/mse?token=" + l.wall
	if got := l.status(t, socket, "Origin", "https://portal.example"); got != 101 {
		t.Errorf("the portal's socket: %d", got)
	}
	if got := l.status(t, socket, "Origin", "https://evil.example"); got != http.StatusForbidden {
		t.Errorf("a stranger's socket: %d", got)
	}
	l.change(t, "https://portal.example", "https://evil.example")
	if got := allowed("/api/cameras", "https://evil.example"); got == "" {
		t.Error("the new list is not in force")
	}
}

// The page is served below the path of the public URL, and not at all with page: false.
func TestPage(t *testing.T) {
	for name, want := range map[string]int{"true": http.StatusOK, "false": http.StatusNotFound} {
		l := startLab(t, "publicURL: http://127.0.0.1:9/site\npage: "+name+"\n")
		for _, path := range []string{"/site/", "/site/cameras/lab/front", "/site/watch", "/site/embed/lab/front"} {
			response := l.ask(t, "GET", path, "")
			text, _ := io.ReadAll(response.Body)
			if response.StatusCode != want || want == http.StatusOK && !strings.Contains(string(text), `<base href="/site/">`) {
				t.Errorf("page %s: %s: %d %s", name, path, response.StatusCode, text)
			}
		}
		if got := l.ask(t, "GET", "/site", ""); want == http.StatusOK && got.Header.Get("Location") != "/site/" {
			t.Errorf("without a slash: %d %v", got.StatusCode, got.Header)
		}
		for path, status := range map[string]int{
			"/": 404, "/other": 404, "/site/none": 404, "/site/api/me": 200, "/site/live/lab/front/still.mp4?open=1": 200, "/site/.well-known/jwks.json": 200,
		} {
			if got := l.ask(t, "GET", path, "", bearer(l.wall)...); got.StatusCode != status {
				t.Errorf("page %s: %s: %d", name, path, got.StatusCode)
			}
		}
		if err := l.end(); err != nil {
			t.Fatal(err)
		}
	}
}

// The last picture of a camera outlives its stream, and goes with the camera.
func TestStill_outlives(t *testing.T) {
	l := startLab(t, "live: { grace: 0s }\n")
	path := "/live/lab/front/still.mp4"
	if got := l.ask(t, "GET", path, "", bearer(l.wall)...); got.StatusCode != http.StatusNotFound {
		t.Errorf("before the first viewer: %d", got.StatusCode)
	}
	if _, err := rtsptest.Pull(within(t, time.Minute), l.url(t, "lab/front", "wall", l.wall), 1); err != nil {
		t.Fatal(err)
	}
	l.log.AwaitFields(t, 1, "stream=lab/front/main", "message=stream closed")
	if got := l.ask(t, "GET", path, "", bearer(l.wall)...); got.StatusCode != http.StatusOK {
		t.Errorf("after the last viewer: %d", got.StatusCode)
	}
	camera := fmt.Sprint(l.answer(t, http.StatusOK, "GET", "/api/cameras/lab/front", "", bearer(l.wall)...))
	if !strings.Contains(camera, "lastPicture:20") {
		t.Errorf("the API has no time of the picture: %s", camera)
	}
	l.change(t, "lab/front:", "lab/back:")
	if got := l.ask(t, "GET", path, "", bearer(l.wall)...); got.StatusCode != http.StatusNotFound {
		t.Errorf("after its end: %d", got.StatusCode)
	}
}

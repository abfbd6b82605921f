package api_test

import (
	"encoding/json"
	"net/http"
	"strings"
	"testing"
	"time"

	"rtsptunnel/internal/contract/reason"
)

// page are the headers of a request of the gateway's own page.
func (g *gateway) page(cookie *http.Cookie) []string {
	return []string{"Origin", g.address, "Sec-Fetch-Site", "same-origin", "Content-Type", "application/json", "Cookie", cookie.Name + "=" + cookie.Value}
}

// loggedIn returns the cookie of a login with a token.
func (g *gateway) loggedIn(token string) *http.Cookie {
	g.t.Helper()
	response, body := g.send("POST", "/login", `{"token":"`+token+`"}`, "Content-Type", "application/json", "Origin", g.address)
	if response.StatusCode != http.StatusNoContent || len(response.Cookies()) != 1 {
		g.t.Fatalf("login: %s %s", response.Status, body)
	}
	return response.Cookies()[0]
}

func checkReason(t *testing.T, name string, response *http.Response, body string, status int, why reason.Code) {
	t.Helper()
	var p problem
	_ = json.Unmarshal([]byte(body), &p)
	if response.StatusCode != status || p.Reason != string(why) {
		t.Errorf("%s: %s %s, want %d %s", name, response.Status, body, status, why)
	}
}

func TestLoginByCookie(t *testing.T) {
	g := start(t, camera("edge1/front"), camera("edge2/front"))
	cookie := g.loggedIn(g.wall)
	if cookie.Name != "rtsptunnel" || !cookie.HttpOnly || cookie.Secure || cookie.SameSite != http.SameSiteStrictMode || cookie.MaxAge < 11*3600 {
		t.Errorf("the cookie is %s", cookie)
	}
	_, body := g.send("GET", "/api/cameras", "", "Cookie", cookie.Name+"="+cookie.Value)
	if names := document[list](t, body).names(); len(names) != 1 || names[0] != "edge1/front" {
		t.Errorf("the cookie shows %v", names)
	}
	response, body := g.send("GET", "/api/me", "", "Cookie", cookie.Name+"="+cookie.Value)
	me := document[struct {
		Name, Role, Expires string
		Outputs             []string
		Shares              bool
	}](t, body)
	expires, err := time.Parse(time.RFC3339, me.Expires)
	if response.StatusCode != 200 || me.Name != "wall" || me.Role != "viewer" || len(me.Outputs) != 4 || me.Shares || err != nil || time.Until(expires) < 11*time.Hour {
		t.Errorf("me is %s, %v", body, err)
	}
	if _, body := g.call("GET", "/api/me", g.admin); !strings.Contains(body, `"shares":true`) || strings.Contains(body, "expires") {
		t.Errorf("an admin is %s", body)
	}
	response, _ = g.send("POST", "/logout", "", g.page(cookie)...)
	if response.StatusCode != http.StatusNoContent || len(response.Cookies()) != 1 || response.Cookies()[0].MaxAge >= 0 {
		t.Errorf("logout: %s %v", response.Status, response.Cookies())
	}
	g.log.AwaitFields(t, 1, "message=API request", "path=/login", "user=wall", "status=204")
	for _, secret := range []string{g.wall, cookie.Value} {
		if strings.Contains(g.log.String(), secret) {
			t.Error("the log has a secret")
		}
	}
}

// Logging all browsers out ends the logins with one token, and no others.
func TestLogout_all(t *testing.T) {
	g := start(t)
	first, second, other := g.loggedIn(g.wall), g.loggedIn(g.wall), g.loggedIn(g.site)
	if response, body := g.send("POST", "/logout", `{"all":true}`, g.page(first)...); response.StatusCode != http.StatusNoContent {
		t.Fatalf("%s %s", response.Status, body)
	}
	for cookie, want := range map[*http.Cookie]int{first: 401, second: 401, other: 200} {
		if response, _ := g.send("GET", "/api/me", "", "Cookie", cookie.Name+"="+cookie.Value); response.StatusCode != want {
			t.Errorf("a cookie is answered %s, want %d", response.Status, want)
		}
	}
	response, body := g.send("POST", "/logout", `{"all":true}`, "Content-Type", "application/json")
	checkReason(t, "without a login", response, body, 401, reason.AccessLogin)
}

func TestOneTimeLogin(t *testing.T) {
	g := start(t)
	response, body := g.send("POST", "/api/logins", `{"seconds":60}`, "Authorization", "Bearer "+g.admin, "Content-Type", "application/json")
	made := document[struct {
		Code    string
		Expires time.Time
	}](t, body)
	if response.StatusCode != http.StatusCreated || made.Code == "" || time.Until(made.Expires) > time.Minute {
		t.Fatalf("%s %s", response.Status, body)
	}
	for i, want := range []int{http.StatusNoContent, http.StatusUnauthorized} {
		if response, body := g.send("POST", "/login", `{"code":"`+made.Code+`"}`, "Content-Type", "application/json"); response.StatusCode != want {
			t.Errorf("use %d: %s %s", i+1, response.Status, body)
		}
	}
	for name, token := range map[string]string{"viewer": g.wall, "admin of some cameras": g.site} {
		response, body = g.send("POST", "/api/logins", "", "Authorization", "Bearer "+token)
		checkReason(t, name, response, body, 403, reason.AccessDenied)
	}
	response, body = g.send("POST", "/api/logins", `{"seconds":3601}`, "Authorization", "Bearer "+g.admin, "Content-Type", "application/json")
	checkReason(t, "too long", response, body, 400, reason.RequestBody)
}

// What a page of another origin can send changes nothing: every route that changes something
// refuses it, with the cookie or without.
func TestCrossSite(t *testing.T) {
	g := start(t, camera("edge1/front"))
	cookie := g.loggedIn(g.site)
	login := cookie.Name + "=" + cookie.Value
	routes := map[string]string{ // with a body that would be valid
		"POST /login":                            `{"token":"` + g.site + `"}`,
		"POST /logout":                           `{}`,
		"POST /api/tokens":                       `{"camera":"edge1/front"}`,
		"POST /api/shares":                       `{"camera":"edge1/front","end":"` + time.Now().Add(time.Hour).Format(time.RFC3339) + `"}`,
		"POST /api/logins":                       `{}`,
		"POST /api/cameras/edge1/front:close":    ``,
		"POST /api/cameras/edge1/front:diagnose": ``,
		"DELETE /api/shares/x":                   ``,
		"DELETE /api/viewers/x":                  ``,
	}
	for name, c := range map[string]struct {
		headers []string
		want    reason.Code
	}{
		"a stranger":        {[]string{"Origin", "https://evil.test", "Content-Type", "application/json"}, reason.AccessOrigin},
		"a sandboxed frame": {[]string{"Origin", "null", "Content-Type", "application/json"}, reason.AccessOrigin},
		"a listed portal":   {[]string{"Origin", portal, "Content-Type", "application/json"}, reason.AccessOrigin},
		"another port":      {[]string{"Origin", "http://127.0.0.1:1", "Content-Type", "application/json"}, reason.AccessOrigin},
		"by Fetch Metadata": {[]string{"Origin", g.address, "Sec-Fetch-Site", "cross-site", "Content-Type", "application/json"}, reason.AccessOrigin},
		"a form of its own": {[]string{"Origin", g.address, "Content-Type", "application/x-www-form-urlencoded"}, reason.RequestMediaType},
		"text of its own":   {[]string{"Origin", g.address, "Content-Type", "text/plain"}, reason.RequestMediaType},
		"an old browser":    {[]string{"Sec-Fetch-Site", "cross-site", "Content-Type", "application/json"}, reason.AccessOrigin},
		"a name of its own": {[]string{"Origin", "http://evil.test", "Host", "evil.test", "Content-Type", "application/json"}, reason.AccessHost},
		"no page at all":    {[]string{"Content-Type", "application/json"}, reason.AccessOrigin},
	} {
		for route, body := range routes {
			method, path, _ := strings.Cut(route, " ")
			switch {
			case strings.HasPrefix(path, "/log") && (name == "no page at all" || name == "by Fetch Metadata"):
				continue // curl logs in; a browser's own Origin decides before Fetch Metadata
			case method == "DELETE" && c.want == reason.RequestMediaType:
				continue // no form sends it
			}
			response, answer := g.send(method, path, body, append([]string{"Cookie", login}, c.headers...)...)
			if document[problem](t, answer).Reason != string(c.want) || response.Header.Get("Set-Cookie") != "" {
				t.Errorf("%s: %s: %s %s, want %s", name, route, response.Status, answer, c.want)
			}
			if response.Header.Get("Access-Control-Allow-Credentials") != "" {
				t.Errorf("%s: %s allows credentials", name, route)
			}
		}
	}
	g.checkDone()
	if response, body := g.send("POST", "/api/cameras/edge1/front:close", "", g.page(cookie)...); response.StatusCode != http.StatusNoContent {
		t.Errorf("the own page: %s %s", response.Status, body)
	}
	g.checkDone("close edge1/front")
}

// A page of another origin reads nothing with the cookie. A listed one reads with a token.
func TestCrossSite_reads(t *testing.T) {
	g := start(t, camera("edge1/front"))
	cookie := g.loggedIn(g.wall)
	login := cookie.Name + "=" + cookie.Value
	for name, headers := range map[string][]string{
		"a stranger":      {"Origin", "https://evil.test"},
		"a listed portal": {"Origin", portal},
		"a picture":       {"Sec-Fetch-Site", "same-site", "Sec-Fetch-Mode", "no-cors"},
	} {
		for _, path := range []string{"/api/cameras", "/api/events", "/api/me"} {
			response, body := g.send("GET", path, "", append([]string{"Cookie", login}, headers...)...)
			checkReason(t, name+" "+path, response, body, 403, reason.AccessOrigin)
		}
	}
	response, _ := g.send("GET", "/api/cameras", "", "Authorization", "Bearer "+g.wall, "Origin", portal)
	if response.StatusCode != 200 || response.Header.Get("Access-Control-Allow-Origin") != portal {
		t.Errorf("a listed portal with a token: %s %v", response.Status, response.Header)
	}
	response, _ = g.send("OPTIONS", "/api/tokens", "", "Origin", portal, "Access-Control-Request-Method", "POST", "Access-Control-Request-Headers", "authorization")
	if response.StatusCode != http.StatusNoContent || response.Header.Get("Access-Control-Allow-Headers") == "" {
		t.Errorf("its preflight: %s %v", response.Status, response.Header)
	}
	response, _ = g.send("OPTIONS", "/api/tokens", "", "Origin", "https://evil.test", "Access-Control-Request-Method", "POST")
	if response.Header.Get("Access-Control-Allow-Origin") != "" {
		t.Errorf("a stranger's preflight: %s %v", response.Status, response.Header)
	}
	// a link cannot carry a token to the API, nor replace the login of the one who follows it
	response, body := g.send("GET", "/api/me?token="+g.admin, "", "Cookie", login)
	checkReason(t, "a token in the URL", response, body, 401, reason.AccessLogin)
}

func TestBody(t *testing.T) {
	g := start(t, camera("edge1/front"))
	for name, c := range map[string]struct {
		kind, body string
		status     int
		why        reason.Code
	}{
		"empty":            {"application/json", ``, 400, reason.RequestBody},
		"no object":        {"application/json", `["` + g.wall + `"]`, 400, reason.RequestBody},
		"null":             {"application/json", `null`, 400, reason.RequestBody},
		"another member":   {"application/json", `{"token":"` + g.wall + `","x":1}`, 400, reason.RequestBody},
		"both":             {"application/json", `{"token":"` + g.wall + `","code":"x"}`, 400, reason.RequestBody},
		"a number":         {"application/json", `{"token":1}`, 400, reason.RequestBody},
		"text behind it":   {"application/json", `{"token":"` + g.wall + `"}{}`, 400, reason.RequestBody},
		"deep":             {"application/json", `{"x":` + strings.Repeat("[", 50_000) + strings.Repeat("]", 50_000) + `}`, 400, reason.RequestBody},
		"large":            {"application/json", `{"token":"` + strings.Repeat("x", 200<<10) + `"}`, 413, reason.RequestSize},
		"another type":     {"text/json", `{"token":"` + g.wall + `"}`, 415, reason.RequestMediaType},
		"an unknown token": {"application/json", `{"token":"rtt_secret"}`, 401, reason.AccessLogin},
		"an unknown code":  {"application/json", `{"code":"secret"}`, 401, reason.AccessLogin},
	} {
		response, body := g.send("POST", "/login", c.body, "Content-Type", c.kind)
		checkReason(t, name, response, body, c.status, c.why)
		if strings.Contains(body, g.wall) || strings.Contains(body, "secret") || strings.Contains(g.log.String(), "secret") {
			t.Errorf("%s: a secret is repeated: %s", name, body)
		}
	}
}

// Guesses of tokens, codes and shares count as failed logins.
func TestLogin_throttled(t *testing.T) {
	g := start(t)
	for i := range 12 {
		path, body := "/login", `{"code":"x"}`
		if i%2 == 1 {
			path, body = "/share", `{"secret":"x"}`
		}
		response, answer := g.send("POST", path, body, "Content-Type", "application/json")
		want := reason.AccessLogin
		if i >= 10 {
			want = reason.AccessThrottled
		}
		if document[problem](t, answer).Reason != string(want) {
			t.Errorf("guess %d: %s %s, want %s", i+1, response.Status, answer, want)
		}
	}
}

func TestMintToken(t *testing.T) {
	g := start(t, camera("edge1/front"), camera("edge2/front"))
	post := func(token, body string) (*http.Response, string) {
		return g.send("POST", "/api/tokens", body, "Authorization", "Bearer "+token, "Content-Type", "application/json")
	}
	response, body := post(g.wall, `{"camera":"door","seconds":120}`)
	minted := document[struct {
		Token   string
		Expires time.Time
		Links   map[string]string
	}](t, body)
	if response.StatusCode != http.StatusCreated || time.Until(minted.Expires) > 2*time.Minute || time.Until(minted.Expires) < time.Minute {
		t.Fatalf("%s %s", response.Status, body)
	}
	for output, want := range map[string]string{
		"mse": "ws" + strings.TrimPrefix(g.address, "http") + "/live/edge1/front/mse?token=", "hls": g.address + "/live/edge1/front/hls/index.m3u8?token=",
		"still": g.address + "/live/edge1/front/still.mp4?token=", "ws": "ws" + strings.TrimPrefix(g.address, "http") + "/live/edge1/front/rtsp?token=",
		"rtsp": "rtsp://gw.example.com:8554/edge1/front?token=", "embed": g.address + "/embed/edge1/front#token=",
	} {
		if minted.Links[output] != want+minted.Token {
			t.Errorf("%s is %s", output, minted.Links[output])
		}
	}
	if response, body := g.call("GET", "/api/cameras/edge1/front", minted.Token); response.StatusCode != 200 {
		t.Errorf("the token: %s %s", response.Status, body)
	}
	for name, c := range map[string]struct {
		token, body string
		status      int
		why         reason.Code
	}{
		"another camera":             {g.wall, `{"camera":"edge2/front"}`, 403, reason.AccessDenied},
		"one that is not there":      {g.wall, `{"camera":"edge2/x"}`, 403, reason.AccessDenied},
		"for an admin":               {g.admin, `{"camera":"edge2/x"}`, 404, reason.CameraUnknown},
		"a stream that is not there": {g.admin, `{"camera":"edge1/front/x"}`, 404, reason.CameraUnknown},
		"no name":                    {g.admin, `{"camera":"<script>"}`, 404, reason.CameraUnknown},
		"by the token itself":        {minted.Token, `{"camera":"edge1/front"}`, 403, reason.AccessDenied},
		"a negative time":            {g.wall, `{"camera":"edge1/front","seconds":-1}`, 400, reason.RequestBody},
	} {
		response, body := post(c.token, c.body)
		checkReason(t, name, response, body, c.status, c.why)
	}
	response, body = g.send("POST", "/login", `{"token":"`+minted.Token+`"}`, "Content-Type", "application/json")
	checkReason(t, "a login by it", response, body, 403, reason.AccessDenied)
}

func TestShares(t *testing.T) {
	g := start(t, camera("edge1/front"), camera("edge2/front"))
	g.cameras[0].Title = "<b>Front</b>"
	post := func(token, path, body string) (*http.Response, string) {
		headers := []string{"Content-Type", "application/json"}
		if token != "" {
			headers = append(headers, "Authorization", "Bearer "+token)
		}
		return g.send("POST", path, body, headers...)
	}
	end := time.Now().Add(24 * time.Hour).UTC().Format(time.RFC3339)
	response, body := post(g.site, "/api/shares", `{"camera":"door","end":"`+end+`","note":"<i>note</i>"}`)
	made := document[struct{ ID, Camera, Secret, Link, End, By, Note string }](t, body)
	if response.StatusCode != http.StatusCreated || made.Camera != "edge1/front" || made.Link != g.address+"/watch#"+made.Secret || made.Secret == "" || made.End != end || made.By != "site" || made.Note != "<i>note</i>" {
		t.Fatalf("%s %s", response.Status, body)
	}
	if strings.ContainsAny(body, "<>") {
		t.Errorf("markup in JSON: %s", body)
	}
	for token, want := range map[string]int{g.site: 1, g.admin: 1, g.wall: 0} {
		response, body := g.call("GET", "/api/shares", token)
		shares := document[struct{ Shares []map[string]any }](t, body).Shares
		if response.StatusCode != 200 || len(shares) != want || strings.Contains(body, made.Secret) {
			t.Errorf("%s %s", response.Status, body)
		}
	}
	response, body = post("", "/share", `{"secret":"`+made.Secret+`"}`)
	opened := document[struct{ Token, Camera, Title, Stream string }](t, body)
	if response.StatusCode != 200 || opened.Camera != "edge1/front" || opened.Title != "<b>Front</b>" || response.Header.Get("Set-Cookie") != "" {
		t.Fatalf("%s %s", response.Status, body)
	}
	if response, body := g.call("GET", "/api/cameras/edge1/front", opened.Token); response.StatusCode != 200 {
		t.Errorf("its token: %s %s", response.Status, body)
	}
	response, body = post(opened.Token, "/api/shares", `{"camera":"edge1/front","end":"`+end+`"}`)
	checkReason(t, "a share of a share", response, body, 403, reason.AccessDenied)
	for _, no := range []string{`"x"`, `"2026-01-01T00:00:00"`, `""`} {
		response, body = post(g.site, "/api/shares", `{"camera":"edge1/front","end":`+no+`}`)
		checkReason(t, "an end "+no, response, body, 400, reason.RequestBody)
	}
	response, body = post(g.site, "/api/shares", `{"camera":"edge2/front","end":"`+end+`"}`)
	checkReason(t, "another camera", response, body, 403, reason.AccessDenied)

	g.checkProblem("DELETE", "/api/shares/"+made.ID, g.wall, 404, reason.ShareUnknown)
	if response, body := g.call("DELETE", "/api/shares/"+made.ID, g.site); response.StatusCode != http.StatusNoContent {
		t.Errorf("revoke: %s %s", response.Status, body)
	}
	g.checkProblem("GET", "/api/cameras/edge1/front", opened.Token, 401, reason.AccessLogin)
	response, body = post("", "/share", `{"secret":"`+made.Secret+`"}`)
	checkReason(t, "after the end", response, body, 401, reason.AccessLogin)
	if strings.Contains(g.log.String(), made.Secret) || strings.Contains(g.log.String(), opened.Token) {
		t.Error("the log has a secret")
	}
}

// The keys are public: any page may read them, and proxies may keep them for five minutes.
func TestShowKeys(t *testing.T) {
	g := start(t)
	response, body := g.send("GET", "/.well-known/jwks.json", "", "Origin", "https://anywhere.example")
	keys := document[struct{ Keys []map[string]any }](t, body).Keys
	if response.StatusCode != 200 || len(keys) == 0 || keys[0]["kty"] != "EC" || keys[0]["d"] != nil {
		t.Errorf("%s %s", response.Status, body)
	}
	if response.Header.Get("Cache-Control") != "public, max-age=300" || response.Header.Get("Access-Control-Allow-Origin") != "*" || response.Header.Get("ETag") == "" {
		t.Errorf("%v", response.Header)
	}
}

// Names and texts of cameras reach JSON without markup.
func TestListCameras_markup(t *testing.T) {
	c := camera("edge1/front")
	c.Title, c.Video = `<img src=x onerror="alert(1)">`, "</script><script>"
	c.Streams[0].Name = "<&>\u2028"
	g := start(t, c)
	_, body := g.call("GET", "/api/cameras", g.wall)
	if strings.ContainsAny(body, "<>&\u2028") {
		t.Errorf("markup: %s", body)
	}
	got := document[struct{ Cameras []struct{ Title string } }](t, body)
	if got.Cameras[0].Title != c.Title {
		t.Errorf("the title is %q", got.Cameras[0].Title)
	}
}

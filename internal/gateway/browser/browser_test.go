package browser_test

import (
	"context"
	"crypto/tls"
	"errors"
	"net"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"rtsptunnel/internal/contract/reason"
	"rtsptunnel/internal/gateway/browser"
	"rtsptunnel/internal/gateway/failure"
)

// request is one over a plain loopback listener; with "tls" as its scheme, over TLS.
func request(method, url string, headers ...string) *http.Request {
	local := "127.0.0.1"
	secure := strings.HasPrefix(url, "https://")
	if secure {
		local = "192.0.2.9"
	}
	r := httptest.NewRequest(method, url, nil)
	r = r.WithContext(context.WithValue(r.Context(), http.LocalAddrContextKey, &net.TCPAddr{IP: net.ParseIP(local), Port: 8080}))
	r.TLS = nil
	if secure {
		r.TLS = &tls.ConnectionState{}
	}
	for i := 0; i < len(headers); i += 2 {
		r.Header.Add(headers[i], headers[i+1])
	}
	return r
}

func policy(t *testing.T, publicURL string, origins ...string) *browser.Policy {
	t.Helper()
	p, err := browser.New(browser.Options{PublicURL: publicURL, Origins: origins})
	if err != nil {
		t.Fatal(err)
	}
	return p
}

const public = "https://gw.example.com"

func TestToken(t *testing.T) {
	const upgrade, protocols, cookie = "Upgrade", "Sec-WebSocket-Protocol", "Cookie"
	p := policy(t, public)
	for name, c := range map[string]struct {
		url     string
		headers []string
		text    string
		kind    browser.Kind
	}{
		"nothing":              {"/", nil, "", browser.None},
		"bearer":               {"/?token=q", []string{"Authorization", "bearer  b ", cookie, "__Host-rtsptunnel=c"}, "b", browser.Bearer},
		"an empty bearer":      {"/?token=q", []string{"Authorization", "Bearer"}, "", browser.Bearer},
		"two headers":          {"/?token=q", []string{"Authorization", "Bearer b", "Authorization", "Bearer b", cookie, "__Host-rtsptunnel=c"}, "", browser.Bearer},
		"a proxy's login":      {"/?token=q", []string{"Authorization", "Basic b"}, "q", browser.Query},
		"subprotocol":          {"/?token=q", []string{upgrade, "WebSocket", protocols, "rtsptunnel.mse.v1, token.aZ0-_.x"}, "aZ0-_.x", browser.Protocol},
		"in another header":    {"/", []string{upgrade, "websocket", protocols, "binary", protocols, "token.t"}, "t", browser.Protocol},
		"two subprotocols":     {"/?token=q", []string{upgrade, "websocket", protocols, "token.t,token.t"}, "", browser.Protocol},
		"not base64url":        {"/?token=q", []string{upgrade, "websocket", protocols, "token.a+b"}, "", browser.Protocol},
		"no WebSocket":         {"/", []string{protocols, "token.t"}, "", browser.None},
		"query":                {"/?a=b&token=q", []string{cookie, "__Host-rtsptunnel=c"}, "q", browser.Query},
		"authorization":        {"/?authorization=q", nil, "q", browser.Query},
		"two in the query":     {"/?authorization=q&token=q", nil, "", browser.Query},
		"cookie":               {"/", []string{cookie, "a=b; __Host-rtsptunnel=c"}, "c", browser.Cookie},
		"two cookies":          {"/", []string{cookie, "__Host-rtsptunnel=c; __Host-rtsptunnel=d"}, "", browser.Cookie},
		"a cookie in clear":    {"/", []string{cookie, "rtsptunnel=c"}, "", browser.None},
		"with another prefix":  {"/", []string{cookie, "__Secure-rtsptunnel=c"}, "", browser.None},
		"clear, on loopback":   {"http://localhost:8080/", []string{cookie, "rtsptunnel=c"}, "c", browser.Cookie},
		"clear, by its domain": {"http://gw.example.com/", []string{cookie, "rtsptunnel=c"}, "", browser.None},
	} {
		url := c.url
		if strings.HasPrefix(url, "/") {
			url = public + url
		}
		if text, kind := p.Token(request("GET", url, c.headers...)); text != c.text || kind != c.kind {
			t.Errorf("%s: %q of kind %q, want %q of %q", name, text, kind, c.text, c.kind)
		}
	}
}

const (
	loopback = "http://127.0.0.1:8080"
	portal   = "https://portal.example"
)

// The rules for pages: which requests with the cookie, and which WebSockets with a token, are
// served. An empty code is served.
func TestCheck(t *testing.T) {
	p := policy(t, public, portal)
	json := []string{"Content-Type", "application/json; charset=utf-8"}
	with := func(headers ...string) []string { return append(headers, json...) }
	for name, c := range map[string]struct {
		method, url string
		kind        browser.Kind
		headers     []string
		want        reason.Code
	}{
		"own page":                {"POST", public, browser.Cookie, with("Origin", public, "Sec-Fetch-Site", "same-origin"), ""},
		"own page, other case":    {"POST", public, browser.Cookie, with("Origin", "https://GW.example.com:443"), ""},
		"on loopback":             {"POST", loopback, browser.Cookie, with("Origin", loopback), ""},
		"by localhost":            {"POST", "http://localhost:8080", browser.Cookie, with("Origin", "http://localhost:8080"), ""},
		"behind a local proxy":    {"POST", loopback, browser.Cookie, with("Origin", public), ""},
		"another port":            {"POST", loopback, browser.Cookie, with("Origin", "http://127.0.0.1:8081"), reason.AccessOrigin},
		"another name of it":      {"POST", loopback, browser.Cookie, with("Origin", "http://localhost:8080"), reason.AccessOrigin},
		"plain for TLS":           {"POST", public, browser.Cookie, with("Origin", "http://gw.example.com"), reason.AccessOrigin},
		"a neighbour":             {"POST", public, browser.Cookie, with("Origin", "https://evil.example.com", "Sec-Fetch-Site", "same-site"), reason.AccessOrigin},
		"a longer name":           {"POST", public, browser.Cookie, with("Origin", public+".evil.test"), reason.AccessOrigin},
		"with a user":             {"POST", public, browser.Cookie, with("Origin", "https://gw.example.com@evil.test"), reason.AccessOrigin},
		"null":                    {"POST", public, browser.Cookie, with("Origin", "null"), reason.AccessOrigin},
		"two origins":             {"POST", public, browser.Cookie, with("Origin", public, "Origin", public), reason.AccessOrigin},
		"a listed page":           {"POST", public, browser.Cookie, with("Origin", portal), reason.AccessOrigin},
		"no origin":               {"POST", public, browser.Cookie, with(), reason.AccessOrigin},
		"DELETE without origin":   {"DELETE", public, browser.Cookie, nil, reason.AccessOrigin},
		"DELETE":                  {"DELETE", public, browser.Cookie, []string{"Origin", public}, ""},
		"a form":                  {"POST", public, browser.Cookie, []string{"Origin", public, "Content-Type", "application/x-www-form-urlencoded"}, reason.RequestMediaType},
		"without a type":          {"POST", public, browser.Cookie, []string{"Origin", public}, reason.RequestMediaType},
		"GET":                     {"GET", public, browser.Cookie, nil, ""},
		"a link in a mail":        {"GET", public, browser.Cookie, []string{"Sec-Fetch-Site", "cross-site", "Sec-Fetch-Mode", "navigate"}, ""},
		"a picture elsewhere":     {"GET", public, browser.Cookie, []string{"Sec-Fetch-Site", "cross-site", "Sec-Fetch-Mode", "no-cors"}, reason.AccessOrigin},
		"a neighbour's picture":   {"GET", public, browser.Cookie, []string{"Sec-Fetch-Site", "same-site", "Sec-Fetch-Mode", "no-cors"}, reason.AccessOrigin},
		"a listed page reads":     {"GET", public, browser.Cookie, []string{"Origin", portal, "Sec-Fetch-Site", "cross-site", "Sec-Fetch-Mode", "cors"}, reason.AccessOrigin},
		"rebound name":            {"GET", "http://evil.test:8080", browser.Cookie, nil, reason.AccessHost},
		"rebound name, own page":  {"POST", "http://evil.test:8080", browser.Cookie, with("Origin", "http://evil.test:8080"), reason.AccessHost},
		"rebound name and token":  {"GET", "http://evil.test:8080", browser.Bearer, nil, ""},
		"public name on loopback": {"GET", "http://gw.example.com", browser.Cookie, nil, ""},

		"POST with a token":     {"POST", public, browser.Bearer, nil, ""},
		"a listed page's POST":  {"POST", public, browser.Bearer, []string{"Origin", portal}, ""},
		"a stranger's POST":     {"POST", public, browser.Bearer, []string{"Origin", "https://evil.test"}, ""}, // its preflight failed
		"WebSocket":             {"GET", public, browser.Protocol, []string{"Upgrade", "websocket", "Origin", public}, ""},
		"WebSocket, player":     {"GET", public, browser.Query, []string{"Upgrade", "websocket"}, ""},
		"WebSocket, listed":     {"GET", public, browser.Query, []string{"Upgrade", "websocket", "Origin", portal, "Sec-Fetch-Site", "cross-site"}, ""},
		"WebSocket, stranger":   {"GET", public, browser.Query, []string{"Upgrade", "websocket", "Origin", "https://evil.test"}, reason.AccessOrigin},
		"WebSocket, null":       {"GET", public, browser.Query, []string{"Upgrade", "websocket", "Origin", "null"}, reason.AccessOrigin},
		"WebSocket, no origin":  {"GET", public, browser.Query, []string{"Upgrade", "websocket", "Sec-Fetch-Site", "cross-site"}, reason.AccessOrigin},
		"its cookie":            {"GET", public, browser.Cookie, []string{"Upgrade", "websocket", "Origin", public}, ""},
		"its cookie, listed":    {"GET", public, browser.Cookie, []string{"Upgrade", "websocket", "Origin", portal}, reason.AccessOrigin},
		"its cookie, no origin": {"GET", public, browser.Cookie, []string{"Upgrade", "websocket"}, reason.AccessOrigin},
		"no token, stranger":    {"GET", public, browser.None, []string{"Upgrade", "websocket", "Origin", "https://evil.test"}, reason.AccessOrigin},
		"several upgrades":      {"GET", public, browser.Query, []string{"Upgrade", "h2c, WebSocket", "Origin", "https://evil.test"}, reason.AccessOrigin},
	} {
		checkCode(t, name, p.Check(request(c.method, c.url, c.headers...), c.kind), c.want)
	}
}

func checkCode(t *testing.T, name string, err error, want reason.Code) {
	t.Helper()
	var got reason.Code
	if f, ok := errors.AsType[*failure.Failure](err); ok {
		got = f.Reason
		if f.Hop != failure.Viewer {
			t.Errorf("%s: at hop %s", name, f.Hop)
		}
	} else if err != nil {
		t.Errorf("%s: %v", name, err)
	}
	if got != want {
		t.Errorf("%s: %q, want %q", name, got, want)
	}
}

func TestCheckLogin(t *testing.T) {
	p := policy(t, public, portal)
	for name, c := range map[string]struct {
		url     string
		headers []string
		want    reason.Code
	}{
		"own page":     {public, []string{"Origin", public}, ""},
		"no page":      {public, nil, ""},
		"a listed one": {public, []string{"Origin", portal}, reason.AccessOrigin},
		"null":         {public, []string{"Origin", "null"}, reason.AccessOrigin},
		"a neighbour":  {public, []string{"Sec-Fetch-Site", "same-site"}, reason.AccessOrigin},
		"a form":       {public, []string{"Content-Type", "text/plain"}, reason.RequestMediaType},
		"rebound name": {"http://evil.test:8080", []string{"Origin", "http://evil.test:8080"}, reason.AccessHost},
	} {
		r := request("POST", c.url, c.headers...)
		if r.Header.Get("Content-Type") == "" {
			r.Header.Set("Content-Type", "application/json")
		}
		checkCode(t, name, p.CheckLogin(r), c.want)
	}
}

// Without a public URL, a page is own if it has the request's Host.
func TestCheck_noPublicURL(t *testing.T) {
	p := policy(t, "")
	for origin, want := range map[string]reason.Code{"https://10.0.0.7": "", "http://10.0.0.7": reason.AccessOrigin, "https://10.0.0.8": reason.AccessOrigin} {
		r := request("POST", "https://10.0.0.7", "Origin", origin, "Content-Type", "application/json")
		checkCode(t, origin, p.Check(r, browser.Cookie), want)
	}
	if got := p.Base(request("GET", "https://10.0.0.7:8443")); got != "https://10.0.0.7:8443" {
		t.Errorf("the base is %s", got)
	}
	if got := policy(t, public+"/gw/").Base(request("GET", "https://10.0.0.7")); got != public+"/gw" {
		t.Errorf("the base is %s", got)
	}
	if got := policy(t, public+"/gw").Base(request("GET", loopback)); got != loopback+"/gw" {
		t.Errorf("on loopback, the base is %s", got)
	}
}

func TestSetCookie(t *testing.T) {
	trusted, err := browser.New(browser.Options{Proxied: func(*http.Request) bool { return true }})
	if err != nil {
		t.Fatal(err)
	}
	for name, c := range map[string]struct {
		policy  *browser.Policy
		request *http.Request
		want    string
	}{
		"TLS":                  {policy(t, public), request("POST", public), "__Host-rtsptunnel=v; Path=/; HttpOnly; Secure; SameSite=Strict"},
		"a path":               {policy(t, public+"/gw"), request("POST", public), "__Secure-rtsptunnel=v; Path=/gw/; HttpOnly; Secure; SameSite=Strict"},
		"plain loopback":       {policy(t, public), request("POST", loopback), "rtsptunnel=v; Path=/; HttpOnly; SameSite=Strict"},
		"a proxy that is none": {policy(t, public), request("POST", loopback, "Origin", public), "__Host-rtsptunnel=v; Path=/; HttpOnly; Secure; SameSite=Strict"},
		"a trusted proxy":      {trusted, request("POST", loopback), "__Host-rtsptunnel=v; Path=/; HttpOnly; Secure; SameSite=Strict"},
	} {
		w := httptest.NewRecorder()
		c.policy.SetCookie(w, c.request, "v", time.Now().Add(12*time.Hour+time.Second/2))
		cookie := w.Result().Cookies()[0]
		if cookie.MaxAge != 12*3600 || time.Until(cookie.Expires) < 11*time.Hour {
			t.Errorf("%s: %s", name, cookie)
		}
		value := cookie.Value
		cookie.MaxAge, cookie.Expires = 0, time.Time{}
		if cookie.String() != c.want {
			t.Errorf("%s: %s, want %s", name, cookie, c.want)
		}
		c.request.AddCookie(&http.Cookie{Name: cookie.Name, Value: value})
		if text, kind := c.policy.Token(c.request); text != "v" || kind != browser.Cookie {
			t.Errorf("%s: the cookie is read as %q of kind %q", name, text, kind)
		}
		w = httptest.NewRecorder()
		c.policy.EndCookie(w, c.request)
		if ended := w.Result().Cookies()[0]; ended.Name != cookie.Name || ended.Path != cookie.Path || ended.MaxAge >= 0 || ended.Value != "" {
			t.Errorf("%s: the end is %s", name, ended)
		}
	}
}

func TestNew_invalid(t *testing.T) {
	for _, o := range []browser.Options{
		{PublicURL: "https://%zz"},
		{Origins: []string{"*"}},
		{Origins: []string{"null"}},
		{Origins: []string{"portal.example"}},
		{Origins: []string{"https://portal.example/path"}},
		{Origins: []string{"https://portal.example/"}},
		{Origins: []string{"https://a@portal.example"}},
	} {
		if _, err := browser.New(o); err == nil {
			t.Errorf("%+v is valid", o)
		}
	}
}

func TestCORS(t *testing.T) {
	p := policy(t, public, portal)
	handler := p.CORS(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) { w.WriteHeader(http.StatusTeapot) }))
	for name, c := range map[string]struct {
		method, origin, asks string
		status               int
		allowed              string
	}{
		"listed":              {"GET", portal, "", 418, portal},
		"listed preflight":    {"OPTIONS", portal, "POST", 204, portal},
		"listed OPTIONS":      {"OPTIONS", portal, "", 418, portal},
		"stranger":            {"GET", "https://evil.test", "", 418, ""},
		"stranger preflights": {"OPTIONS", "https://evil.test", "POST", 418, ""},
		"null":                {"OPTIONS", "null", "POST", 418, ""},
		"own page":            {"GET", public, "", 418, ""},
		"no page":             {"GET", "", "", 418, ""},
	} {
		r := request(c.method, public)
		for header, value := range map[string]string{"Origin": c.origin, "Access-Control-Request-Method": c.asks} {
			if value != "" {
				r.Header.Set(header, value)
			}
		}
		w := httptest.NewRecorder()
		handler.ServeHTTP(w, r)
		header := w.Header()
		if w.Code != c.status || header.Get("Access-Control-Allow-Origin") != c.allowed || header.Get("Vary") != "Origin" {
			t.Errorf("%s: %d %v", name, w.Code, header)
		}
		if header.Get("Access-Control-Allow-Credentials") != "" {
			t.Errorf("%s: credentials are allowed", name)
		}
		if (header.Get("Access-Control-Expose-Headers") != "") != (c.allowed != "" && c.status == 418) {
			t.Errorf("%s: exposed are %q", name, header.Get("Access-Control-Expose-Headers"))
		}
		if c.status == 204 && (header.Get("Access-Control-Allow-Methods") != "GET, HEAD, POST, OPTIONS" ||
			header.Get("Access-Control-Allow-Headers") != "authorization, content-type, range, if-none-match" || header.Get("Access-Control-Max-Age") != "600") {
			t.Errorf("%s: %v", name, header)
		}
	}
	if err := p.SetOrigins([]string{"*"}); err == nil {
		t.Error("an invalid list is accepted")
	}
	if err := p.SetOrigins(nil); err != nil {
		t.Fatal(err)
	}
	w := httptest.NewRecorder()
	handler.ServeHTTP(w, request("GET", public, "Origin", portal))
	if w.Header().Get("Access-Control-Allow-Origin") != "" {
		t.Error("an origin that is no longer listed is allowed")
	}
}

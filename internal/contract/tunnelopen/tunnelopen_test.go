package tunnelopen_test

import (
	"encoding/json"
	"errors"
	"fmt"
	"math"
	"net/http"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"rtsptunnel/internal/contract/reason"
	"rtsptunnel/internal/contract/tunnelopen"
)

const good = `{"remoteEndpoint":"wss://gw.example.com/t/1?a=b","remoteAuthorizationToken":"not-a-real-token","localPort":554}`

// decode is the contract's: without a lab's exceptions.
var decode = tunnelopen.Decoder{}.Decode

func TestDecode_good(t *testing.T) {
	want := tunnelopen.Request{RemoteEndpoint: "wss://gw.example.com/t/1?a=b", Token: "not-a-real-token", LocalPort: 554}
	for name, payload := range map[string]string{
		"as documented":           good,
		"unknown members ignored": strings.Replace(good, "{", `{"x":{"y":[1]},"RemoteEndpoint":1,`, 1),
		"eight deep":              strings.Replace(good, "{", `{"x":[[[[[[["\"]"]]]]]]],`, 1),
		"as long as may be":       good + strings.Repeat(" ", 128<<10-len(good)),
		"hostile but unknown":     strings.Replace(good, "{", `{"x":1e999,"y":"\ud800","x":"\u0000","__proto__":{},`, 1),
		"blanks around":           " \n" + good + "\t",
	} {
		t.Run(name, func(t *testing.T) {
			got, err := decode([]byte(payload))
			if err != nil {
				t.Fatal(err)
			}
			if d := cmp.Diff(want, got); d != "" {
				t.Error(d)
			}
		})
	}
}

// Every integer is a good request: that no camera has such a port is said later, in
// its turn.
func TestDecode_anyIntegerIsAPort(t *testing.T) {
	for literal, want := range map[string]int{
		"0": 0, "-0": 0, "-1": -1, "65536": 65536, "2147483647": 2147483647,
		strings.Repeat("9", 5000): math.MaxInt, "-" + strings.Repeat("9", 5000): math.MinInt,
	} {
		r, err := decode([]byte(strings.Replace(good, "554", literal, 1)))
		if err != nil || r.LocalPort != want {
			t.Errorf("%.20s is read as %d, %v; want %d", literal, r.LocalPort, err, want)
		}
	}
}

// Each bad payload gets the contract's body with exactly three members, and a
// method status equal to its code.
func TestDecode_bad(t *testing.T) {
	const endpoint = "wss://gw.example.com/t/1?a=b"
	with := func(member, value string) string {
		var m map[string]json.RawMessage
		if err := json.Unmarshal([]byte(good), &m); err != nil {
			t.Fatal(err)
		}
		m[member] = json.RawMessage(value)
		if value == "" {
			delete(m, member)
		}
		b, err := json.Marshal(m)
		if err != nil {
			t.Fatal(err)
		}
		return string(b)
	}
	for _, c := range []struct {
		name, payload, target, message string
		reason                         reason.Code
	}{
		{"empty", ``, "tunnelOpen", "Invalid request: payload", reason.RequestJSON},
		{"null", `null`, "tunnelOpen", "Invalid request: payload", reason.RequestJSON},
		{"array", `[]`, "tunnelOpen", "Invalid request: payload", reason.RequestJSON},
		{"string", `"x"`, "tunnelOpen", "Invalid request: payload", reason.RequestJSON},
		{"number", `1`, "tunnelOpen", "Invalid request: payload", reason.RequestJSON},
		{"cut off", good[:len(good)-1], "tunnelOpen", "Invalid request: payload", reason.RequestJSON},
		{"bytes after", good + "x", "tunnelOpen", "Invalid request: payload", reason.RequestJSON},
		{"not UTF-8", strings.Replace(good, "wss", "w\xffs", 1), "tunnelOpen", "Invalid request: payload", reason.RequestJSON},
		{"deep", strings.Repeat("[", 20000), "tunnelOpen", "Invalid request: payload", reason.RequestSize},
		{"nine deep", with("x", "[[[[[[[[]]]]]]]]"), "tunnelOpen", "Invalid request: payload", reason.RequestSize},
		{"too long", good + strings.Repeat(" ", 128<<10-len(good)+1), "tunnelOpen", "Invalid request: payload", reason.RequestSize},
		{"number too large for any reader", with("localPort", "1e999"), "tunnelOpen", "Invalid request: localPort", reason.RequestType},
		{"no endpoint", with("remoteEndpoint", ""), "tunnelOpen", "Invalid request: remoteEndpoint", reason.RequestField},
		{"empty endpoint", with("remoteEndpoint", `""`), "tunnelOpen", "Invalid request: remoteEndpoint", reason.RequestField},
		{"endpoint null", with("remoteEndpoint", `null`), "tunnelOpen", "Invalid request: remoteEndpoint", reason.RequestType},
		{"endpoint number", with("remoteEndpoint", `5`), "tunnelOpen", "Invalid request: remoteEndpoint", reason.RequestType},
		{"endpoint twice", strings.Replace(good, "{", `{"remoteEndpoint":"wss://other.example.com/",`, 1), "tunnelOpen", "Invalid request: remoteEndpoint", reason.RequestField},
		{"endpoint twice, once in disguise", strings.Replace(good, "{", `{"remote\u0045ndpoint":"wss://other.example.com/",`, 1), "tunnelOpen", "Invalid request: remoteEndpoint", reason.RequestField},
		{"endpoint too long", with("remoteEndpoint", `"wss://h/`+strings.Repeat("a", 8<<10-8+1)+`"`), "wss://h/" + strings.Repeat("a", 2<<10-8), "Invalid request: remoteEndpoint", reason.RequestSize},
		{"plain ws", with("remoteEndpoint", `"ws://h/x"`), "ws://h/x", "Invalid request: remoteEndpoint", reason.RequestEndpoint},
		{"https", with("remoteEndpoint", `"https://h/x"`), "https://h/x", "Invalid request: remoteEndpoint", reason.RequestEndpoint},
		{"no host", with("remoteEndpoint", `"wss:///x"`), "wss:///x", "Invalid request: remoteEndpoint", reason.RequestEndpoint},
		{"userinfo", with("remoteEndpoint", `"wss://u:p@h/x"`), "wss://h/x", "Invalid request: remoteEndpoint", reason.RequestEndpoint},
		{"userinfo in no URL", with("remoteEndpoint", `"wss://u:p@h:x/x"`), "tunnelOpen", "Invalid request: remoteEndpoint", reason.RequestEndpoint},
		{"login without slashes", with("remoteEndpoint", `"wss:u:p@h/x"`), "tunnelOpen", "Invalid request: remoteEndpoint", reason.RequestEndpoint},
		{"login without a scheme", with("remoteEndpoint", `"u@h/x"`), "tunnelOpen", "Invalid request: remoteEndpoint", reason.RequestEndpoint},
		{"fragment", with("remoteEndpoint", `"wss://h/x#y"`), "wss://h/x#y", "Invalid request: remoteEndpoint", reason.RequestEndpoint},
		{"port out of range", with("remoteEndpoint", `"wss://h:70000/"`), "wss://h:70000/", "Invalid request: remoteEndpoint", reason.RequestEndpoint},
		{"control character", with("remoteEndpoint", `"wss://h/\r\nX: y"`), "wss://h/\r\nX: y", "Invalid request: remoteEndpoint", reason.RequestEndpoint},
		{"no token", with("remoteAuthorizationToken", ""), endpoint, "Invalid request: remoteAuthorizationToken", reason.RequestField},
		{"empty token", with("remoteAuthorizationToken", `""`), endpoint, "Invalid request: remoteAuthorizationToken", reason.RequestToken},
		{"token twice", strings.Replace(good, "{", `{"remoteAuthorizationToken":"other",`, 1), endpoint, "Invalid request: remoteAuthorizationToken", reason.RequestField},
		{"token with a line separator", with("remoteAuthorizationToken", `"a\u2028b"`), endpoint, "Invalid request: remoteAuthorizationToken", reason.RequestToken},
		{"token with half a character", with("remoteAuthorizationToken", `"a\ud800b"`), endpoint, "Invalid request: remoteAuthorizationToken", reason.RequestToken},
		{"token object", with("remoteAuthorizationToken", `{}`), endpoint, "Invalid request: remoteAuthorizationToken", reason.RequestType},
		{"token with CRLF", with("remoteAuthorizationToken", `"a\r\nX: y"`), endpoint, "Invalid request: remoteAuthorizationToken", reason.RequestToken},
		{"token with a blank", with("remoteAuthorizationToken", `"a b"`), endpoint, "Invalid request: remoteAuthorizationToken", reason.RequestToken},
		{"token with DEL", with("remoteAuthorizationToken", `"a\u007f"`), endpoint, "Invalid request: remoteAuthorizationToken", reason.RequestToken},
		{"endpoint longer than is echoed", with("remoteEndpoint", `"ws://h/`+strings.Repeat("é", 2000)+`"`), "ws://h/" + strings.Repeat("é", 1020), "Invalid request: remoteEndpoint", reason.RequestEndpoint},
		{"token with NUL", with("remoteAuthorizationToken", `"a\u0000"`), endpoint, "Invalid request: remoteAuthorizationToken", reason.RequestToken},
		{"token too long", with("remoteAuthorizationToken", `"`+strings.Repeat("a", 16385)+`"`), endpoint, "Invalid request: remoteAuthorizationToken", reason.RequestToken},
		{"no port", with("localPort", ""), "tunnelOpen", "Invalid request: localPort", reason.RequestField},
		{"port null", with("localPort", "null"), "tunnelOpen", "Invalid request: localPort", reason.RequestType},
		{"port string", with("localPort", `"554"`), "tunnelOpen", "Invalid request: localPort", reason.RequestType},
		{"port fraction", with("localPort", `554.0`), "tunnelOpen", "Invalid request: localPort", reason.RequestType},
		{"port exponent", with("localPort", `5e2`), "tunnelOpen", "Invalid request: localPort", reason.RequestType},
		{"port twice", strings.Replace(good, "}", `,"localPort":555}`, 1), "tunnelOpen", "Invalid request: localPort", reason.RequestField},
	} {
		t.Run(c.name, func(t *testing.T) {
			_, err := decode([]byte(c.payload))
			e, ok := errors.AsType[*tunnelopen.Error](err)
			if !ok {
				t.Fatalf("error = %v, want a contract error", err)
			}
			if e.Reason != c.reason {
				t.Errorf("reason = %s, want %s", e.Reason, c.reason)
			}
			status, body := tunnelopen.Response(err)
			if status != 400 {
				t.Errorf("status = %d, want 400", status)
			}
			want := map[string]any{"code": "400", "target": c.target, "message": c.message}
			var got map[string]any
			if err := json.Unmarshal(body, &got); err != nil {
				t.Fatal(err)
			}
			if d := cmp.Diff(want, got); d != "" {
				t.Error(d)
			}
		})
	}
}

// The three documented errors, letter for letter, with the source document's
// placeholders filled in ("Error responses").
func TestResponse_documentedErrors(t *testing.T) {
	r := tunnelopen.Request{RemoteEndpoint: "wss://gw.example.com/t", Token: "tok"}
	for _, c := range []struct {
		err    error
		status int
		body   string
	}{
		{nil, 200, `{}`},
		{
			tunnelopen.PortUnavailable(554), 400,
			`{"code":"400","target":"localhost:554","message":"Local port is not available"}`,
		},
		{
			tunnelopen.CameraUnreachable("10.0.0.21:554", errors.New("secret detail")), 400,
			`{"code":"400","target":"10.0.0.21:554","message":"Could not connect to RTSP endpoint"}`,
		},
		{
			tunnelopen.RemoteAnswered(r, 403, "No entry", nil), 403,
			`{"code":"403","target":"wss://gw.example.com/t","message":"No entry"}`,
		},
		{
			tunnelopen.RemoteUnreachable(r.RemoteEndpoint, reason.New(reason.RemoteDNS, errors.New("lookup"))), 502,
			`{"code":"502","target":"wss://gw.example.com/t","message":"Could not connect to remote endpoint"}`,
		},
		{
			tunnelopen.RemoteUnreachable(r.RemoteEndpoint, reason.New(reason.ProxyLogin, errors.New("status 407"))), 502,
			`{"code":"502","target":"wss://gw.example.com/t","message":"Proxy refused the connection"}`,
		},
		{
			tunnelopen.RemoteUnreachable(r.RemoteEndpoint, reason.New(reason.RemoteTimeout, nil)), 504,
			`{"code":"504","target":"wss://gw.example.com/t","message":"Timed out connecting to remote endpoint"}`,
		},
		{tunnelopen.ShuttingDown(), 503, `{"code":"503","target":"tunnelOpen","message":"Shutting down"}`},
		{tunnelopen.UnknownMethod("reboot\n"), 404, `{"code":"404","target":"reboot","message":"Unknown method"}`},
		{errors.New("secret detail"), 500, `{"code":"500","target":"tunnelOpen","message":"Internal error"}`},
	} {
		status, body := tunnelopen.Response(c.err)
		if status != c.status || string(body) != c.body {
			t.Errorf("Response(%v) = %d %s\nwant %d %s", c.err, status, body, c.status, c.body)
		}
	}
}

// The remote end chooses its reason phrase: it must not carry the token, control
// characters or a book into the answer.
func TestRemoteAnswered_cleansThePhrase(t *testing.T) {
	r := tunnelopen.Request{RemoteEndpoint: "wss://h/", Token: "abcdefghijklmnop"}
	for phrase, want := range map[string]string{
		"":                            "Forbidden",
		"denied for cdefghijk!":       "Forbidden",
		"denied for cdefghij!":        "denied for cdefghij!", // 8 characters only
		"a\x1b[31mb\r\nc\u2028d":      "a[31mbcd",
		strings.Repeat("word ", 1000): strings.TrimSpace(strings.Repeat("word ", 24)),
	} {
		_, body := tunnelopen.Response(tunnelopen.RemoteAnswered(r, 403, phrase, nil))
		var got struct{ Message string }
		if err := json.Unmarshal(body, &got); err != nil {
			t.Fatal(err)
		}
		if got.Message != want {
			t.Errorf("phrase %q became %q, want %q", phrase, got.Message, want)
		}
	}
}

func TestRemoteAnswered_shortTokenAndUnknownStatus(t *testing.T) {
	short := tunnelopen.Request{RemoteEndpoint: "wss://h/", Token: "abc"}
	for _, c := range []struct {
		status       int
		phrase, want string
	}{
		{401, "no abc here", "Unauthorized"},
		{599, "", "HTTP status 599"},
		{599, "abc", "HTTP status 599"},
	} {
		_, body := tunnelopen.Response(tunnelopen.RemoteAnswered(short, c.status, c.phrase, nil))
		if !strings.Contains(string(body), `"message":"`+c.want+`"`) {
			t.Errorf("%d %q became %s", c.status, c.phrase, body)
		}
	}
}

func TestToken_neverPrints(t *testing.T) {
	r := tunnelopen.Request{Token: "canary-value"}
	j, err := json.Marshal(r)
	if err != nil {
		t.Fatal(err)
	}
	out := string(j)
	for _, verb := range []string{"%v", "%+v", "%#v", "%s", "%q", "%x", "%d"} {
		out += fmt.Sprintf(verb, r) + fmt.Sprintf(verb, r.Token)
	}
	if strings.Contains(out, "canary") || strings.Contains(out, fmt.Sprintf("%x", "canary")) {
		t.Errorf("the token is in %s", out)
	}
}

func TestEncode_isDecoded(t *testing.T) {
	want := tunnelopen.Request{RemoteEndpoint: "wss://127.0.0.1:1/x", Token: "t", LocalPort: 65535}
	payload, err := tunnelopen.Encode(want)
	if err != nil {
		t.Fatal(err)
	}
	got, err := decode(payload)
	if err != nil {
		t.Fatal(err)
	}
	if d := cmp.Diff(want, got); d != "" {
		t.Error(d)
	}
}

func TestRefused(t *testing.T) {
	e := tunnelopen.Refused(400, []byte(`{"code":"400","target":"h:1","message":"Local port is not available"}`))
	if e.Status != 400 || e.Target != "h:1" || e.Message != "Local port is not available" {
		t.Errorf("got %+v", e)
	}
	if e := tunnelopen.Refused(400, []byte(`{"code":"400","target":"h\u001b[2J","message":"\u0007`+strings.Repeat("m", 500)+`"}`)); e.Target != "h[2J" || len(e.Message) != 120 {
		t.Errorf("another implementation's words come through as %+v", e)
	}
	if e := tunnelopen.Refused(500, []byte("oops")); e.Status != 500 || e.Message != "" {
		t.Errorf("got %+v", e)
	}
}

func TestHeader(t *testing.T) {
	want := http.Header{
		"Authorization":          {"Bearer tok"},
		"TunnelConnectionSource": {"PnpDevice"}, // in the document's spelling, not Go's
		"User-Agent":             {"rtsptunnel/1.0 (linux; arm64)"},
	}
	if d := cmp.Diff(want, tunnelopen.Header("tok", "rtsptunnel/1.0 (linux; arm64)")); d != "" {
		t.Error(d)
	}
}

package tunnelopen_test

import (
	"encoding/json"
	"errors"
	"fmt"
	"math"
	"net/http"
	"net/url"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"rtsptunnel/internal/contract/reason"
	"rtsptunnel/internal/contract/tunnelopen"
)

const good = `{"remoteEndpoint":"wss://gw.example.com/t/1?a=b","remoteAuthorizationToken":"not-a-real-token","localPort":554}`

// decode follows the contract, without exceptions for labs.
var decode = tunnelopen.Decoder{}.Decode

func TestDecode_good(t *testing.T) {
	want := tunnelopen.Request{RemoteEndpoint: "wss://gw.example.com/t/1?a=b", URL: &url.URL{Scheme: "wss", Host: "gw.example.com", Path: "/t/1", RawQuery: "a=b"}, Token: "not-a-real-token", LocalPort: 554}
	for name, payload := range map[string]string{
		"as documented":           good,
		"unknown members ignored": strings.Replace(good, "{", `{"x":{"y":[1]},"RemoteEndpoint":1,`, 1),
		"eight deep":              strings.Replace(good, "{", `{"x":[[[[[[["\"]"]]]]]]],`, 1),
		"of the maximum length":   good + strings.Repeat(" ", 128<<10-len(good)),
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

// Every integer is a valid request. Whether a camera has this port is checked later.
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

// Each bad payload is answered with the contract's body, which has exactly three members,
// and with a status equal to its code.
func TestDecode_bad(t *testing.T) {
	for _, c := range badPayloads {
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

// The three documented errors verbatim, with values for the document's placeholders
// ("Error responses"), and ours.
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

// The reason phrase is untrusted: the answer holds no token, no control characters and no
// long text of it.
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
	want := tunnelopen.Request{RemoteEndpoint: "wss://127.0.0.1:1/x", URL: &url.URL{Scheme: "wss", Host: "127.0.0.1:1", Path: "/x"}, Token: "t", LocalPort: 65535}
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

func TestHeader(t *testing.T) {
	want := http.Header{
		"Authorization":          {"Bearer tok"},
		"TunnelConnectionSource": {"PnpDevice"}, // spelled as in the document, not in Go's canonical form
		"User-Agent":             {"rtsptunnel/1.0 (linux; arm64)"},
	}
	if d := cmp.Diff(want, tunnelopen.Header("tok", "rtsptunnel/1.0 (linux; arm64)")); d != "" {
		t.Error(d)
	}
}

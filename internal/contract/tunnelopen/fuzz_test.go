package tunnelopen_test

import (
	"encoding/json"
	"net/url"
	"strings"
	"testing"
	"unicode/utf8"

	"github.com/google/go-cmp/cmp"

	"rtsptunnel/internal/contract/tunnelopen"
)

// Any payload decodes to a request that survives a round trip, or to an error with the
// contract's answer.
func FuzzDecode(f *testing.F) {
	f.Add([]byte(good))
	f.Fuzz(func(t *testing.T, payload []byte) {
		r, err := decode(payload)
		if err != nil {
			wantAnswer(t, err)
			return
		}
		again, err := tunnelopen.Encode(r)
		if err != nil {
			t.Fatal(err)
		}
		if back, err := decode(again); err != nil || !cmp.Equal(back, r) {
			t.Fatalf("%v became %v, %v", r, back, err)
		}
		if strings.ContainsAny(string(r.Token), "\r\n\x00 ") || r.Token == "" {
			t.Fatalf("token %q", string(r.Token))
		}
	})
}

// An accepted endpoint has one meaning: one host to check and to dial, and nothing that
// could inject into a log or a request line.
func FuzzEndpoint(f *testing.F) {
	f.Add("wss://gw.example.com:8443/t/1?a=b")
	f.Fuzz(func(t *testing.T, endpoint string) {
		payload, err := tunnelopen.Encode(tunnelopen.Request{RemoteEndpoint: endpoint, Token: "t", LocalPort: 554})
		if err != nil {
			t.Fatal(err)
		}
		r, err := decode(payload)
		if err != nil {
			wantAnswer(t, err)
			return
		}
		u, err := url.Parse(r.RemoteEndpoint)
		if err != nil || u.Scheme != "wss" || u.Hostname() == "" || u.User != nil || u.Fragment != "" {
			t.Fatalf("%q was accepted: %v, %v", endpoint, u, err)
		}
		if strings.ContainsAny(u.Host, "\r\n\x00 /\\@?#\u2028\u2029\ufffd") || strings.ContainsAny(u.RequestURI(), "\r\n\x00 ") || !utf8.ValidString(u.Host) {
			t.Fatalf("%q was accepted: host %q, request %q", endpoint, u.Host, u.RequestURI())
		}
		if again, err := url.Parse(u.String()); err != nil || again.Host != u.Host {
			t.Fatalf("%q means host %q, then %v", endpoint, u.Host, again)
		}
	})
}

// wantAnswer fails the test unless err is answered with 400 and the three members.
func wantAnswer(t *testing.T, err error) {
	t.Helper()
	status, body := tunnelopen.Response(err)
	var members map[string]string
	if json.Unmarshal(body, &members) != nil || len(members) != 3 || status != 400 || members["code"] != "400" {
		t.Fatalf("answer %d %s", status, body)
	}
	if len(members["target"]) > 2<<10 || len(members["message"]) > 120 || members["target"] == "" {
		t.Fatalf("answer %s", body)
	}
}

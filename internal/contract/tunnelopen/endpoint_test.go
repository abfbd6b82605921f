package tunnelopen_test

import (
	"encoding/json"
	"errors"
	"strings"
	"testing"

	"rtsptunnel/internal/contract/reason"
	"rtsptunnel/internal/contract/tunnelopen"
)

// decodeEndpoint decodes a valid request with this endpoint, which is the content of a JSON
// string.
func decodeEndpoint(d tunnelopen.Decoder, inside string) (tunnelopen.Request, error) {
	return d.Decode([]byte(`{"remoteEndpoint":"` + inside + `","remoteAuthorizationToken":"t","localPort":554}`))
}

func TestDecode_endpoints(t *testing.T) {
	for _, good := range []string{
		"wss://h", "wss://h:1/", "wss://h:65535", "WSS://H/", "wss://h./x", "wss://h/a@b?c=d@e", "wss://10.0.0.1/",
		"wss://[fd00::1]:8443/x", "wss://bücher.example.com/x", "wss://例え.jp:8443/path", "wss://xn--bcher-kva.example.com",
		"wss://h/%0d%0a%00", "wss://h/x?sig=%e2%80%a8", "wss://h/" + strings.Repeat("a", 8<<10-8),
	} {
		if r, err := decodeEndpoint(tunnelopen.Decoder{}, good); err != nil || r.RemoteEndpoint != good {
			t.Errorf("%.60s: %q, %v", good, r.RemoteEndpoint, err)
		}
	}
	for _, bad := range []string{
		"h", "//h/", "/x", "wss:", "wss:h", "wss:/h", "wss://", "wss://:443/", "ws://h/", "http://h/", "wss+unix://h/",
		"wss://@h/", "wss://u@h/", "wss://u:p@h/", "wss://good.example.com@h/", "wss://h/#", "wss://h#x",
		"wss://h:/", "wss://h:0/", "wss://h:65536/", "wss://h:-1/", "wss://h:0x1/", "wss://h:443:443/", "wss://h:４４３/",
		`wss://h/\r\nX: y`, `wss://h\r\n/`, `wss://h/\n`, `wss://h/\t`, `wss://h/\u0000`, `wss://h\u0000.example.com/`,
		`wss://h/\u0085`, `wss://h/\u007f`, `wss://h/\u2028`, `wss://h/\u2029`, `wss://h\u2028/`, `wss://h/\u202e`,
		`wss://h\u200b/`, `wss://h/\ufeff`, `wss://h/\ud800`, `wss://h/\udc00\ud800`, `wss://\ud83d/`, "wss://h/\ufffd",
		"wss://h/ x", "wss://h x/", " wss://h/", "wss://h/ ", "wss://h%0d%0a/", "wss://h%00/", "wss://h%e2%80%a8/",
		"wss://h%ff/", "wss://h%c2%85/", `wss://h\\@evil.example.com/`, "wss://[::1", "wss://::1/", "wss://[fe80::1%25eth0]/",
		"wss://[::1]x/", "wss://h/%zz",
	} {
		_, err := decodeEndpoint(tunnelopen.Decoder{}, bad)
		if e, ok := errors.AsType[*tunnelopen.Error](err); !ok || e.Reason != reason.RequestEndpoint {
			t.Errorf("%s: %v, want %s", bad, err, reason.RequestEndpoint)
		}
	}
}

// Plaintext allows one more scheme and nothing else.
func TestDecode_plaintext(t *testing.T) {
	lab := tunnelopen.Decoder{Plaintext: true}
	for endpoint, good := range map[string]bool{
		"ws://h:8080/x": true, "wss://h/x": true, "http://h/": false, "ws://u@h/": false, "ws:///": false, "ws://h/#": false,
	} {
		if _, err := decodeEndpoint(lab, endpoint); (err == nil) != good {
			t.Errorf("%s: %v", endpoint, err)
		}
	}
}

// The target decodes to the caller's text, but the raw body is printable ASCII.
func TestResponse_isASCII(t *testing.T) {
	const target = "ws://bücher.例え.jp/😀\u202e\u2028\x7f"
	_, body := tunnelopen.Response(tunnelopen.RemoteForbidden(target, nil))
	for _, c := range body {
		if c < ' ' || c > '~' {
			t.Fatalf("the body holds %q: %q", c, body)
		}
	}
	var got struct{ Target string }
	if err := json.Unmarshal(body, &got); err != nil || got.Target != target {
		t.Errorf("target %q, %v; want %q", got.Target, err, target)
	}
}

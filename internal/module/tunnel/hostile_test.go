package tunnel_test

import (
	"strconv"
	"strings"
	"sync/atomic"
	"testing"

	"github.com/rs/zerolog"

	"rtsptunnel/internal/contract/tunnelopen"
	"rtsptunnel/internal/module/tunnel"
)

// call handles a direct method's payload as the module does.
func call(t *testing.T, s *site, payload string) (status int, body string) {
	t.Helper()
	r, err := tunnelopen.Decoder{}.Decode([]byte(payload))
	if err == nil {
		err = s.Open(t.Context(), r)
	}
	status, answer := tunnelopen.Response(err)
	return status, string(answer)
}

// validPayload is a request that opens a tunnel.
const validPayload = `{"remoteEndpoint":"wss://gw.example.com/t","remoteAuthorizationToken":"canary-token","localPort":554}`

// hostilePayloads are changes of validPayload that Open must not see.
func hostilePayloads(t *testing.T) map[string]string {
	t.Helper()
	const good = validPayload
	long := strings.Repeat("a", 127<<10)
	with := func(old, replacement string) string {
		if !strings.Contains(good, old) {
			t.Fatalf("no %s in the payload", old)
		}
		return strings.Replace(good, old, replacement, 1)
	}
	return map[string]string{
		"128 KB endpoint":                with("gw.example.com/t", "h/"+long),
		"128 KB token":                   with("canary-token", long),
		"128 KB port":                    with("554", strings.Repeat("5", 127<<10)),
		"more than 128 KB":               good + strings.Repeat(" ", 128<<10),
		"deep":                           with("{", `{"x":`+strings.Repeat("[", 9)+strings.Repeat("]", 9)+","),
		"very deep":                      with("{", `{"x":`+strings.Repeat(`{"x":`, 20000)),
		"deep in a member":               with("554", strings.Repeat("[", 5)+"554"+strings.Repeat("]", 5)),
		"endpoint twice":                 with("{", `{"remoteEndpoint":"wss://other.example.com/",`),
		"token twice":                    with("{", `{"remoteAuthorizationToken":"t",`),
		"port twice":                     with("}", `,"localPort":554}`),
		"port twice in disguise":         with("}", `,"local\u0050ort":554}`),
		"CRLF in the token":              with("canary-token", `canary\r\nX-Other: y`),
		"NUL in the token":               with("canary-token", `canary\u0000`),
		"line separator in the token":    with("canary-token", `canary\u2028y`),
		"next line in the token":         with("canary-token", `canary\u0085y`),
		"lone surrogate in the token":    with("canary-token", `canary\ud800`),
		"raw CRLF in the token":          with("canary-token", "canary\r\n"),
		"CRLF in the endpoint":           with("/t", `/\r\nHost: other`),
		"NUL in the endpoint":            with("/t", `/\u0000`),
		"line separator in the endpoint": with("/t", `/\u2029`),
		"lone surrogate in the endpoint": with("/t", `/\udfff`),
		"lone surrogate in the host":     with("gw.", `\ud83d.`),
		"userinfo":                       with("gw.", "gw.example.com@"),
		"plaintext":                      with("wss", "ws"),
		"1e999":                          with("554", "1e999"),
		"-1e999":                         with("554", "-1e999"),
		"554.0":                          with("554", "554.0"),
		"5.54e2":                         with("554", "5.54e2"),
		"a string":                       with("554", `"554"`),
		"NaN":                            with("554", "NaN"),
		"hexadecimal":                    with("554", "0x22a"),
		"leading zero":                   with("554", "0554"),
		"two requests":                   good + good,
		"a list of requests":             "[" + good + "]",
		"not UTF-8":                      with("canary", "\xff"),
		"2^32 above the port":            with("554", "4294967850"),
		"2^64 above the port":            with("554", "18446744073709552170"),
	}
}

// A payload that is not the contract's causes no dial.
func TestOpen_hostilePayloadsDialNothing(t *testing.T) {
	var cameras, remotes atomic.Int32
	s := newSite(t, counted(&cameras, &remotes))
	for name, payload := range hostilePayloads(t) {
		status, body := call(t, s, payload)
		if status != 400 || strings.Contains(body, "canary") || len(body) > 8<<10 {
			t.Errorf("%s: %d %.200s", name, status, body)
		}
	}
	if cameras.Load() != 0 || remotes.Load() != 0 {
		t.Errorf("%d dials of the camera, %d of the remote end", cameras.Load(), remotes.Load())
	}
	if strings.Contains(s.log.String(), "canary") {
		t.Errorf("a secret is in the log:\n%s", s.log)
	}
	if status, body := call(t, s, validPayload); status != 200 || cameras.Load() != 1 || remotes.Load() != 1 {
		t.Errorf("the valid payload: %d %s, %d and %d dials", status, body, cameras.Load(), remotes.Load())
	}
}

// Every local port without a camera gets the same response, and only the camera's is
// dialed: a caller cannot scan for open ports.
func TestOpen_dialsNoPortButTheCameras(t *testing.T) {
	var cameras, remotes atomic.Int32
	s := newSite(t, func(o *tunnel.Options) {
		counted(&cameras, &remotes)(o)
		o.Log = zerolog.Nop()
	})
	ask := func(port int) {
		status, body := call(t, s, `{"remoteEndpoint":"wss://gw.example.com/","remoteAuthorizationToken":"t","localPort":`+strconv.Itoa(port)+`}`)
		if port == 554 {
			if status != 200 {
				t.Errorf("%d %s", status, body)
			}
			return
		}
		want := `{"code":"400","target":"localhost:` + strconv.Itoa(port) + `","message":"Local port is not available"}`
		if status != 400 || body != want {
			t.Fatalf("%d %s, want %s", status, body, want)
		}
	}
	for port := -1000; port <= 65536; port++ {
		ask(port)
	}
	for _, port := range []int{-65536 + 554, 65536 + 554, -1 << 31, 1<<31 - 1} {
		ask(port)
	}
	if cameras.Load() != 1 || remotes.Load() != 1 {
		t.Errorf("%d dials of the camera, %d of the remote end, for the one port", cameras.Load(), remotes.Load())
	}
}

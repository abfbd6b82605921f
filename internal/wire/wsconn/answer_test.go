package wsconn_test

import (
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"

	"rtsptunnel/internal/contract/reason"
	"rtsptunnel/internal/wire/wsconn"
)

// Up to five informational answers come before 101 (RFC 9110, 15.2). The bytes behind the
// 101 are the WebSocket's, in the same packet too.
func TestDial_informationalAnswers(t *testing.T) {
	const accepted = "HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\nSec-WebSocket-Accept: {accept}\r\n\r\n\x82\x05early\x88\x02\x03\xe8"
	for name, before := range map[string]string{
		"none":            "",
		"100":             "HTTP/1.1 100 Continue\r\n\r\n",
		"103 with fields": "HTTP/1.1 103 Early Hints\r\nLink: </x>\r\nContent-Length: 9\r\n\r\n",
		"bare line feeds": "HTTP/1.1 100\nX: y\n\n",
		"a long line":     "HTTP/1.1 103 Early Hints\r\nX: " + strings.Repeat("x", 5000) + "\r\n\r\n",
		"five":            strings.Repeat("HTTP/1.1 102 Processing\r\n\r\n", 5),
	} {
		srv := raw(t, before+accepted)
		c, err := wsconn.Dialer{Roots: roots(srv)}.Dial(t.Context(), wss(srv), nil)
		if err != nil {
			t.Errorf("%s: %v", name, err)
			srv.Close()
			continue
		}
		if got, err := io.ReadAll(c); err != nil || string(got) != "early" {
			t.Errorf("%s: read %q, %v", name, got, err)
		}
		c.Close()
		srv.Close()
	}
	for answer, want := range map[string]string{
		strings.Repeat("HTTP/1.1 100 Continue\r\n\r\n", 6) + accepted: "WS_BAD_UPGRADE: more than 5 informational answers (1xx)",
		"HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 403 No\r\n\r\n":        "WS_HTTP: websocket handshake answered with status 403",
		"HTTP/1.1 100 Continue\r\nX: canary":                          "WS_BAD_UPGRADE: unexpected EOF",
		"HTTP/1.1 100 Continue\r\n\r\n" + accepted[:30]:               "WS_BAD_UPGRADE: unexpected EOF",
		"HTTP/2 100 Continue\r\n\r\n" + accepted:                      "WS_BAD_UPGRADE: the answer to the handshake is not HTTP",
	} {
		srv := raw(t, answer)
		_, err := wsconn.Dialer{Roots: roots(srv)}.Dial(t.Context(), wss(srv), nil)
		srv.Close()
		if fmt.Sprint(err) != want {
			t.Errorf("%.60q: %v, want %s", answer, err, want)
		}
	}
}

// A refusal is complete with its head: its body may never end.
func TestDial_refusedWithABodyThatDoesNotEnd(t *testing.T) {
	for name, head := range map[string]string{
		"length":  "HTTP/1.1 401 Unauthorized\r\nContent-Length: 100000\r\n\r\nno",
		"chunked": "HTTP/1.1 401 Unauthorized\r\nTransfer-Encoding: chunked\r\n\r\n2\r\nno",
		"neither": "HTTP/1.1 401 Unauthorized\r\n\r\nno",
		"empty":   "HTTP/1.1 401 Unauthorized\r\nContent-Length: 1\r\n\r\n",
	} {
		t.Run(name, func(t *testing.T) {
			refused := make(chan struct{})
			srv := httptest.NewTLSServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
				c, _, err := w.(http.Hijacker).Hijack()
				if err != nil {
					t.Error(err)
					return
				}
				defer c.Close()
				_, _ = io.WriteString(c, head)
				<-refused
			}))
			defer srv.Close()
			_, err := wsconn.Dialer{Roots: roots(srv)}.Dial(t.Context(), wss(srv), nil)
			close(refused)
			if e, ok := errors.AsType[*wsconn.HandshakeError](err); !ok || reason.Of(err) != reason.RemoteHTTP {
				t.Errorf("%v", err)
			} else if status, _ := e.HTTPStatus(); status != http.StatusUnauthorized {
				t.Errorf("status %d", status)
			}
		})
	}
}

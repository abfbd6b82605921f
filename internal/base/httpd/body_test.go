package httpd_test

import (
	"bufio"
	"io"
	"net"
	"net/http"
	"testing"

	"github.com/rs/zerolog"

	"rtsptunnel/internal/base/httpd"
)

// The connection of a request whose body the handler has not read ends with the answer: the
// client is not asked for the body, the answer does not wait for a large one, and bytes of a
// body are no further request.
func TestServe_unreadBodies(t *testing.T) {
	for name, c := range map[string]struct {
		text    string
		handler http.HandlerFunc
	}{
		"not asked for": {
			"POST / HTTP/1.1\r\nHost: x\r\nContent-Length: 5\r\nExpect: 100-continue\r\n\r\n",
			func(w http.ResponseWriter, _ *http.Request) { w.WriteHeader(http.StatusUnauthorized) },
		},
		"closed": {
			"POST / HTTP/1.1\r\nHost: x\r\nContent-Length: 1000000\r\n\r\n" + get("/smuggled"),
			func(w http.ResponseWriter, r *http.Request) {
				if r.URL.Path == "/smuggled" {
					t.Error("bytes of a body are a request")
				}
				_ = r.Body.Close()
				w.WriteHeader(http.StatusUnauthorized)
			},
		},
		"too large": {
			"POST / HTTP/1.1\r\nHost: x\r\nContent-Length: 1000000\r\n\r\nab",
			func(w http.ResponseWriter, _ *http.Request) { w.WriteHeader(http.StatusUnauthorized) },
		},
	} {
		t.Run(name, func(t *testing.T) {
			ln := listen(t)
			server := httpd.Serve(ln, c.handler, zerolog.Nop())
			defer server.Close()
			conn := client(t, ln.Addr().String(), c.text)
			in := bufio.NewReader(conn)
			response, err := http.ReadResponse(in, nil)
			if err != nil {
				t.Fatal(err)
			}
			response.Body.Close()
			if response.StatusCode != http.StatusUnauthorized {
				t.Errorf("status %d", response.StatusCode)
			}
			if tcp, ok := conn.(*net.TCPConn); ok {
				_ = tcp.CloseWrite() // net/http waits for the rest of a short body
			}
			if rest, _ := io.ReadAll(in); !response.Close || len(rest) > 0 {
				t.Errorf("close is %t, later %q", response.Close, rest)
			}
		})
	}
}

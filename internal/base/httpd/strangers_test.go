package httpd_test

import (
	"bufio"
	"io"
	"net"
	"net/http"
	"sync"
	"testing"

	"github.com/rs/zerolog"

	"rtsptunnel/internal/base/httpd"
	"rtsptunnel/internal/testkit/logtest"
)

// Clients that ask again and again on their connections do not keep another one out: between
// an answer that has left and the next request, their connections are silent.
func TestServe_busyConnectionsYield(t *testing.T) {
	ln := listen(t)
	handler := http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) { w.WriteHeader(http.StatusUnauthorized) })
	server := httpd.ServeConns(ln, handler, zerolog.Nop(), 2)
	defer server.Close()
	var busy sync.WaitGroup
	defer busy.Wait()
	var conns []net.Conn
	for range 2 {
		conn := client(t, ln.Addr().String(), get("/"))
		in := bufio.NewReader(conn)
		readAnswer(t, in)
		conns = append(conns, conn)
		busy.Go(func() {
			for {
				if _, err := io.WriteString(conn, get("/")); err != nil {
					return
				}
				response, err := http.ReadResponse(in, nil)
				if err != nil {
					return
				}
				response.Body.Close()
			}
		})
	}
	readAnswer(t, bufio.NewReader(client(t, ln.Addr().String(), get("/"))))
	for _, conn := range conns {
		conn.Close()
	}
}

// A handler that panics is an error of ours, so its line is seen at every level.
func TestServe_panicIsLogged(t *testing.T) {
	ln := listen(t)
	log := logtest.New()
	handler := http.HandlerFunc(func(http.ResponseWriter, *http.Request) { panic("fault") })
	server := httpd.Serve(ln, handler, zerolog.New(log).Level(zerolog.ErrorLevel))
	defer server.Close()
	if _, err := http.ReadResponse(bufio.NewReader(client(t, ln.Addr().String(), get("/"))), nil); err == nil {
		t.Error("the request is answered")
	}
	log.AwaitFields(t, 1, "level=error", "message=HTTP server")
}

func readAnswer(t *testing.T, in *bufio.Reader) {
	t.Helper()
	response, err := http.ReadResponse(in, nil)
	if err != nil {
		t.Fatal(err)
	}
	response.Body.Close()
}

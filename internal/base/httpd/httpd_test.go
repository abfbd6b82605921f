package httpd_test

import (
	"context"
	"net"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/rs/zerolog"
	"go.uber.org/goleak"

	"rtsptunnel/internal/base/httpd"
)

func TestMain(m *testing.M) {
	goleak.VerifyTestMain(m)
}

func listen(t *testing.T) net.Listener {
	t.Helper()
	ln, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	return ln
}

func TestClose_endsHandlersAndSilentConnections(t *testing.T) {
	entered, left := make(chan struct{}), make(chan struct{})
	handler := http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) {
		close(entered)
		<-r.Context().Done()
		cleanup, cancel := context.WithTimeout(context.WithoutCancel(r.Context()), 50*time.Millisecond)
		defer cancel()
		<-cleanup.Done()
		close(left)
	})
	ln := listen(t)
	server := httpd.Serve(ln, handler, zerolog.Nop())

	silent, err := net.Dial("tcp", ln.Addr().String())
	if err != nil {
		t.Fatal(err)
	}
	defer silent.Close()
	request, err := net.Dial("tcp", ln.Addr().String())
	if err != nil {
		t.Fatal(err)
	}
	defer request.Close()
	if _, err := request.Write([]byte("POST / HTTP/1.1\r\nHost: x\r\nContent-Length: 5\r\n\r\n")); err != nil {
		t.Fatal(err)
	}
	<-entered // the body is missing, so net/http does not detect that the client leaves

	if err := server.Close(); err != nil {
		t.Errorf("close: %v", err)
	}
	select {
	case <-left:
	default:
		t.Error("Close returned before the handler had ended")
	}
	if _, err := silent.Read(make([]byte, 1)); err == nil {
		t.Error("a silent connection outlived Close")
	}
	var dialer net.Dialer
	if conn, err := dialer.DialContext(context.Background(), "tcp", ln.Addr().String()); err == nil {
		conn.Close()
		t.Error("still listening after Close")
	}
}

func TestServe_largeHeaders(t *testing.T) {
	ln := listen(t)
	server := httpd.Serve(ln, http.NotFoundHandler(), zerolog.Nop())
	defer server.Close()
	for size, want := range map[int]int{15 << 10: http.StatusNotFound, 24 << 10: http.StatusRequestHeaderFieldsTooLarge} {
		request, err := http.NewRequestWithContext(t.Context(), http.MethodGet, "http://"+ln.Addr().String()+"/"+strings.Repeat("x", size), nil)
		if err != nil {
			t.Fatal(err)
		}
		request.Close = true
		response, err := http.DefaultClient.Do(request)
		if err != nil {
			t.Fatal(err)
		}
		response.Body.Close()
		if response.StatusCode != want {
			t.Errorf("a path of %d bytes: %d, want %d", size, response.StatusCode, want)
		}
	}
}

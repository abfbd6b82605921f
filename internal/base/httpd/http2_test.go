package httpd_test

import (
	"bufio"
	"crypto/tls"
	"io"
	"net"
	"net/http"
	"testing"
	"time"

	"github.com/rs/zerolog"

	"rtsptunnel/internal/base/httpd"
	"rtsptunnel/internal/base/localca"
)

// secured starts a server with HTTP/2 and so many connections. Its client uses one HTTP/2
// connection.
func secured(t *testing.T, handler http.Handler, connections int) (address string, server *httpd.Server, client *http.Client) {
	t.Helper()
	ca, err := localca.New("test")
	if err != nil {
		t.Fatal(err)
	}
	cert, err := ca.Issue("127.0.0.1")
	if err != nil {
		t.Fatal(err)
	}
	ln := listen(t)
	secured := tls.NewListener(ln, &tls.Config{Certificates: []tls.Certificate{cert}, NextProtos: []string{"h2", "http/1.1"}})
	server = httpd.ServeConns(secured, handler, zerolog.Nop(), connections)
	transport := &http.Transport{ForceAttemptHTTP2: true, TLSClientConfig: &tls.Config{RootCAs: ca.Pool()}}
	t.Cleanup(transport.CloseIdleConnections)
	return "https://" + ln.Addr().String(), server, &http.Client{Transport: transport}
}

// Close cancels and awaits the handlers of HTTP/2, which net/http does not.
func TestClose_awaitsStreams(t *testing.T) {
	entered, left := make(chan struct{}), make(chan struct{})
	release := make(chan struct{})
	handler := http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) {
		close(entered)
		<-r.Context().Done()
		<-release
		close(left)
	})
	address, server, client := secured(t, handler, 8)
	answered := make(chan error, 1)
	go func() {
		response, err := client.Get(address)
		if err == nil {
			response.Body.Close()
		}
		answered <- err
	}()
	<-entered
	time.AfterFunc(100*time.Millisecond, func() { close(release) })
	if err := server.Close(); err != nil {
		t.Error(err)
	}
	select {
	case <-left:
	default:
		t.Error("Close returned before the handler had ended")
	}
	if err := <-answered; err == nil {
		t.Error("the request was answered")
	}
}

// A connection with a running handler is not silent, also if another request of it has ended.
func TestServe_streamsOfOneConnection(t *testing.T) {
	entered, release := make(chan struct{}), make(chan struct{})
	handler := http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.URL.Path == "/wait" {
			close(entered)
			<-release
		}
		_, _ = io.WriteString(w, r.Proto)
	})
	address, server, client := secured(t, handler, 1)
	defer server.Close()
	get := func(path string) string {
		response, err := client.Get(address + path)
		if err != nil {
			t.Error(err)
			return ""
		}
		defer response.Body.Close()
		text, err := io.ReadAll(response.Body)
		if err != nil {
			t.Error(err)
		}
		return string(text)
	}
	waited := make(chan string, 1)
	go func() { waited <- get("/wait") }()
	<-entered
	if got := get("/now"); got != "HTTP/2.0" {
		t.Errorf("the second request: %q", got)
	}
	other, err := net.Dial("tcp", address[len("https://"):]) // wants the place of the first
	if err != nil {
		t.Fatal(err)
	}
	defer other.Close()
	if got := get("/now"); got != "HTTP/2.0" {
		t.Errorf("the third request: %q", got)
	}
	close(release)
	if got := <-waited; got != "HTTP/2.0" {
		t.Errorf("the first request: %q", got)
	}
	// The last answer has left, so the connection yields.
	if err := other.SetDeadline(time.Now().Add(time.Minute)); err != nil {
		t.Fatal(err)
	}
	config := client.Transport.(*http.Transport).TLSClientConfig.Clone()
	config.ServerName = "127.0.0.1"
	if err := tls.Client(other, config).Handshake(); err != nil {
		t.Errorf("the other client is not served: %v", err)
	}
}

// A client of HTTP/1.1 can take its connection over, as WebSockets do, also with HTTP/2 served
// beside it.
func TestServe_hijackBesideHTTP2(t *testing.T) {
	handler := http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		conn, _, err := http.NewResponseController(w).Hijack()
		if err != nil {
			http.Error(w, "no connection to take", http.StatusNotImplemented)
			return
		}
		defer conn.Close()
		_, _ = io.WriteString(conn, "HTTP/1.1 101 Switching Protocols\r\n\r\ntaken")
	})
	address, server, client := secured(t, handler, 8)
	defer server.Close()
	response, err := client.Get(address)
	if err != nil {
		t.Fatal(err)
	}
	response.Body.Close()
	if response.StatusCode != http.StatusNotImplemented || response.ProtoMajor != 2 {
		t.Errorf("with HTTP/2: %s %s", response.Proto, response.Status)
	}
	config := client.Transport.(*http.Transport).TLSClientConfig.Clone()
	config.NextProtos = nil
	conn, err := tls.Dial("tcp", address[len("https://"):], config)
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close()
	if _, err := io.WriteString(conn, get("/")); err != nil {
		t.Fatal(err)
	}
	in := bufio.NewReader(conn)
	if response, err = http.ReadResponse(in, nil); err != nil {
		t.Fatal(err)
	}
	if rest, err := io.ReadAll(in); response.StatusCode != http.StatusSwitchingProtocols || string(rest) != "taken" {
		t.Errorf("with HTTP/1.1: %s, then %q, %v", response.Status, rest, err)
	}
}

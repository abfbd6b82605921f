package httpd_test

import (
	"bufio"
	"errors"
	"io"
	"net"
	"net/http"
	"os"
	"testing"
	"time"

	"github.com/rs/zerolog"

	"rtsptunnel/internal/base/httpd"
	"rtsptunnel/internal/testkit/nettest"
)

// limited starts a server with so many connections and no other limit. Its handler answers
// /now at once, reads the body of /read, echoes on the connection of /take, and answers /wait
// when release is closed. entered receives each path.
func limited(t *testing.T, connections int) (address string, entered <-chan string, release chan struct{}) {
	t.Helper()
	paths := make(chan string, 16)
	release = make(chan struct{})
	handler := http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		paths <- r.URL.Path
		switch r.URL.Path {
		case "/read":
			_, _ = io.Copy(io.Discard, r.Body)
		case "/wait":
			select {
			case <-release:
			case <-r.Context().Done():
			}
		case "/take":
			conn, _, err := http.NewResponseController(w).Hijack()
			if err != nil {
				t.Error(err)
				return
			}
			defer conn.Close()
			_, _ = io.Copy(conn, conn)
		}
	})
	ln := listen(t)
	server := httpd.ServeLimited(ln, handler, zerolog.Nop(), httpd.Limits{Connections: connections, Within: time.Hour})
	t.Cleanup(func() {
		if err := server.Close(); err != nil {
			t.Error(err)
		}
	})
	return ln.Addr().String(), paths, release
}

// client connects and sends text.
func client(t *testing.T, address, text string) net.Conn {
	t.Helper()
	return clientFrom(t, "127.0.0.1", address, text)
}

// clientFrom is client with an address of its own.
func clientFrom(t *testing.T, from, address, text string) net.Conn {
	t.Helper()
	dialer := net.Dialer{LocalAddr: &net.TCPAddr{IP: net.ParseIP(from)}}
	conn, err := dialer.Dial("tcp", address)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { conn.Close() })
	if err := conn.SetDeadline(time.Now().Add(time.Minute)); err != nil {
		t.Fatal(err)
	}
	if _, err := io.WriteString(conn, text); err != nil {
		t.Fatal(err)
	}
	return conn
}

func get(path string) string { return "GET " + path + " HTTP/1.1\r\nHost: x\r\n\r\n" }

func checkOK(t *testing.T, conn net.Conn) {
	t.Helper()
	response, err := http.ReadResponse(bufio.NewReader(conn), nil)
	if err != nil {
		t.Fatal(err)
	}
	response.Body.Close()
	if response.StatusCode != http.StatusOK {
		t.Errorf("status %d", response.StatusCode)
	}
}

// checkClosed checks that the server has closed conn without an answer.
func checkClosed(t *testing.T, conn net.Conn) {
	t.Helper()
	if b, err := io.ReadAll(conn); len(b) > 0 || errors.Is(err, os.ErrDeadlineExceeded) {
		t.Errorf("read %q, %v, want an end", b, err)
	}
}

// Above the limit the connection that is silent for the longest time is closed. One that has
// sent a part of its headers is silent, too.
func TestServeLimited_oldestSilentConnectionYields(t *testing.T) {
	address, entered, _ := limited(t, 3)
	parts := client(t, address, "GET /now HTTP/1.1\r\nHost:")
	silent, last := client(t, address, ""), client(t, address, "")
	for range 5 {
		checkOK(t, client(t, address, get("/now")))
		<-entered
	}
	checkClosed(t, parts)
	client(t, address, "")
	client(t, address, "")
	checkOK(t, client(t, address, get("/now")))
	checkClosed(t, silent)
	checkClosed(t, last)
}

// Many connections of one client do not end another's, which is older and as silent.
func TestServeLimited_networkWithMostYields(t *testing.T) {
	nettest.NeedSecondLoopback(t)
	address, entered, _ := limited(t, 4)
	slow := clientFrom(t, "127.0.0.2", address, "GET /now HTTP/1.1\r\n")
	var flood []net.Conn
	for range 12 {
		flood = append(flood, client(t, address, "GET"))
	}
	for _, conn := range flood[:9] {
		checkClosed(t, conn)
	}
	if _, err := io.WriteString(slow, "Host: x\r\n\r\n"); err != nil {
		t.Fatal(err)
	}
	checkOK(t, slow)
	<-entered
}

// A client that does not send the body that a handler reads is silent.
func TestServeLimited_missingBodyYields(t *testing.T) {
	address, entered, _ := limited(t, 1)
	missing := client(t, address, "POST /read HTTP/1.1\r\nHost: x\r\nContent-Length: 5\r\n\r\n")
	<-entered
	checkOK(t, client(t, address, get("/now")))
	checkClosed(t, missing)
}

// Clients whose handlers run are not closed for others, which wait.
func TestServeLimited_runningHandlersStay(t *testing.T) {
	address, entered, release := limited(t, 2)
	first := client(t, address, get("/wait"))
	<-entered
	checkOK(t, client(t, address, get("/now")))
	<-entered
	second := client(t, address, get("/wait"))
	<-entered
	third := client(t, address, get("/now"))
	close(release)
	for _, conn := range []net.Conn{first, second, third} {
		checkOK(t, conn)
	}
}

// A hijacked connection takes no place and is never closed for others.
func TestServeLimited_hijackedConnectionsStay(t *testing.T) {
	address, entered, _ := limited(t, 1)
	taken := client(t, address, get("/take"))
	<-entered
	for range 3 {
		checkOK(t, client(t, address, get("/now")))
	}
	if _, err := io.WriteString(taken, "echo"); err != nil {
		t.Fatal(err)
	}
	if got, err := io.ReadAll(io.LimitReader(taken, 4)); string(got) != "echo" {
		t.Errorf("read %q, %v", got, err)
	}
	taken.Close()
}

// Close does not wait for a place for a client that is not served yet.
func TestServeLimited_closesWhileFull(t *testing.T) {
	address, entered, _ := limited(t, 1)
	client(t, address, get("/wait"))
	<-entered
	client(t, address, get("/now"))
}

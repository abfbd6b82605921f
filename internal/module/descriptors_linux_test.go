package module_test

import (
	"os"
	"path/filepath"
	"runtime/debug"
	"strings"
	"testing"
	"time"

	"github.com/gorilla/websocket"
)

// descriptors counts the open sockets of this process. It omits pipes: Go keeps some for
// splice in the test's own camera.
func descriptors(t *testing.T) int {
	t.Helper()
	links, err := filepath.Glob("/proc/self/fd/*")
	if err != nil {
		t.Fatal(err)
	}
	n := 0
	for _, link := range links {
		if to, err := os.Readlink(link); err == nil && strings.HasPrefix(to, "socket:") {
			n++
		}
	}
	return n
}

// Every end of a tunnel, and every failed open, closes the descriptors. goleak checks
// the goroutines.
func TestTunnels_leaveNoDescriptor(t *testing.T) {
	// The garbage collector closes the descriptors of lost connections: it is off here.
	defer debug.SetGCPercent(debug.SetGCPercent(-1))
	s, r, cam := newSite(t), newRemote(t), echo(t)
	s.trust(t, r.ca.CertPEM())
	s.run(t)
	s.desire(t, map[string]camera{"front": at(cam, 554)})
	endings := []func(tunnel){
		func(far tunnel) {
			_ = far.WriteControl(websocket.CloseMessage, websocket.FormatCloseMessage(1000, ""), time.Now().Add(time.Second))
			_, _, _ = far.ReadMessage()
		},
		func(far tunnel) {
			_ = far.WriteControl(websocket.CloseMessage, websocket.FormatCloseMessage(1011, ""), time.Now().Add(time.Second))
			_, _, _ = far.ReadMessage()
		},
		func(tunnel) {}, // closed without a Close frame
	}
	closed := 0
	round := func() {
		for _, end := range endings {
			if status, body := s.invoke(t, "tunnelOpen", payload(r.endpoint(), "tok", 554)); status != 200 {
				t.Fatalf("answer %d %v", status, body)
			}
			far := <-r.tunnels
			end(far)
			far.Close()
			closed++
		}
		r.refuse(403)
		s.invoke(t, "tunnelOpen", payload(r.endpoint(), "tok", 554))
		s.invoke(t, "tunnelOpen", payload(r.endpoint(), "tok", 555))
		r.refuse(0)
		s.log.Await(t, closedBy, closed)
	}
	round()
	before := descriptors(t)
	for range 10 {
		round()
	}
	// The sockets of camera and remote end are in this process too, and close a moment
	// later.
	deadline := time.Now().Add(patience)
	for descriptors(t) > before && time.Now().Before(deadline) {
		s.invoke(t, "tunnelOpen", `{}`)
	}
	if after := descriptors(t); after > before {
		t.Errorf("%d descriptors before, %d after %d tunnels", before, after, closed)
	}
}

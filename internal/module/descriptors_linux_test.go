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

// descriptors is how many sockets this process has open. Pipes are not counted: Go
// keeps some for the splicing in the test's own camera.
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

// However a tunnel ends, or fails to begin, its descriptors are closed. Goroutines
// are goleak's to count.
func TestTunnels_leaveNoDescriptor(t *testing.T) {
	// A collected connection closes its descriptor: that must not pass for our doing.
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
		func(tunnel) {}, // cut without a word
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
		s.log.Await(t, "tunnel closed", closed)
	}
	round()
	before := descriptors(t)
	for range 10 {
		round()
	}
	// The camera's and the remote end's own sockets are in this process, too, and take
	// a moment to be closed.
	deadline := time.Now().Add(patience)
	for descriptors(t) > before && time.Now().Before(deadline) {
		s.invoke(t, "tunnelOpen", `{}`)
	}
	if after := descriptors(t); after > before {
		t.Errorf("%d descriptors before, %d after %d tunnels", before, after, closed)
	}
}

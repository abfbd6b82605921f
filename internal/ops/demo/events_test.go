package demo

import (
	"bytes"
	"io"
	"strings"
	"testing"
)

// What a line of the gateway's log becomes on the terminal.
func TestEvent_text(t *testing.T) {
	for line, want := range map[string]string{
		`{"message":"tunnel opened","camera":"edge1/front","durMs":7.34}`:                                                              "tunnel opened|edge1/front in 7.3 ms",
		`{"message":"tunnel closed","camera":"edge1/front","bytesUp":5,"bytesDown":6,"durMs":1200}`:                                    "tunnel closed|edge1/front: 5 bytes from the camera, 6 to it, 1.2 s",
		`{"message":"tunnel closed","camera":"edge1/front","hop":"module","reason":"LIMIT_IDLE"}`:                                      "tunnel closed|edge1/front: 0 bytes from the camera, 0 to it, 0.0 s (module: the tunnel was idle for the configured maximum, LIMIT_IDLE)",
		`{"message":"viewer started","camera":"edge1/front","remote":"127.0.0.1:5"}`:                                                   "viewer started|edge1/front for 127.0.0.1:5",
		`{"message":"viewer ended","camera":"edge1/front","remote":"127.0.0.1:5","bytes":9,"durMs":2000,"end":"teardown"}`:             "viewer ended|edge1/front for 127.0.0.1:5: 9 bytes, 2.0 s (teardown)",
		`{"message":"viewer refused","camera":"edge1/front","remote":"127.0.0.1:5","hop":"viewer","reason":"ACCESS_LOGIN"}`:            "viewer refused|edge1/front for 127.0.0.1:5: viewer: a valid token is required (ACCESS_LOGIN)",
		`{"message":"stream lost: it opens again","stream":"edge1/front/main","hop":"gateway","reason":"TUNNEL_LOST","error":"reset"}`: "no picture|edge1/front/main: gateway: the tunnel's connection broke (TUNNEL_LOST): reset",
		`{"level":"error","message":"configuration is invalid","error":"line 3"}`:                                                      "gateway|configuration is invalid: line 3",
		`{"level":"info","message":"listening"}`:                                                                                       "",
		`not JSON`:                                                                                                                     "",
	} {
		var got string
		l := &lines{handle: func(e event) {
			if p, ok := e.text(); ok {
				got = p.label + "|" + p.line
			}
		}}
		for _, c := range []byte(line + "\n") { // in pieces
			_, _ = l.Write([]byte{c})
		}
		if got != want {
			t.Errorf("%s\ngot  %s\nwant %s", line, got, want)
		}
	}
}

func TestLines_areBounded(t *testing.T) {
	seen := 0
	l := &lines{handle: func(event) { seen++ }}
	for range 100 {
		_, _ = l.Write(bytes.Repeat([]byte{'x'}, 64<<10))
	}
	if cap(l.rest) > 4*maxLine {
		t.Errorf("a line without an end holds %d bytes", cap(l.rest))
	}
	if n, err := io.WriteString(l, "\n{}\n{}\n"); n != 7 || err != nil || seen != 2 {
		t.Errorf("wrote %d, %v, and %d lines were seen after it", n, err, seen)
	}
}

// A player may ask for any name: no control sequence of it reaches the terminal.
func TestPrinter_isPrintable(t *testing.T) {
	var out bytes.Buffer
	newPrinter(&out, func() {}).step("viewer refused", "\x1b[2Jcamera\u202e")
	if !strings.HasSuffix(out.String(), "?[2Jcamera?\n") {
		t.Errorf("got %q", out.String())
	}
}

// Names that a player makes up are not kept.
func TestFromGateway_keepsKnownCameras(t *testing.T) {
	d := newDemo(newCameras(), newPrinter(io.Discard, func() {}), io.Discard)
	for range 3 {
		d.fromGateway(event{Message: viewerRefused, Camera: "edge1/other"})
		d.fromGateway(event{Message: viewerRefused, Camera: "edge1/front"})
	}
	if got := len(d.events.first); got != 1 {
		t.Errorf("%d events are kept", got)
	}
}

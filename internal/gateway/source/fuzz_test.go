package source_test

import (
	"bufio"
	"context"
	"errors"
	"io"
	"net"
	"net/textproto"
	"strings"
	"testing"
	"time"

	"rtsptunnel/internal/gateway/failure"
	"rtsptunnel/internal/gateway/media"
	"rtsptunnel/internal/gateway/source"
)

// Whatever a camera describes, and sends after PLAY: the session ends with a failure, and
// each unit keeps the rules of media.Unit.
func FuzzSession(f *testing.F) {
	interleaved := "$\x00\x00\x11\x80\xe0\x00\x01\x00\x00\x00\x01\x00\x00\x00\x01\x67\x42\xc0\x1e\x00"
	for _, m := range []string{h264Media, h265Media, jpegMedia, pcmuMedia, pcmaMedia, opusMedia, aacMedia, latmMedia} {
		f.Add(sdp(m), []byte(interleaved))
	}
	f.Add(sdp(h264Media, aacMedia), []byte(interleaved+"$\x01\x00\x1c\x80\xc8\x00\x06\x00\x00\x00\x01"+strings.Repeat("\x01", 20)+"RTSP/1.0 200 OK\r\n\r\n"))
	f.Fuzz(func(t *testing.T, description string, sent []byte) {
		client, camera := net.Pipe()
		done := make(chan struct{})
		defer func() { camera.Close(); <-done }()
		go func() { defer close(done); hostile(camera, description, sent) }()
		o := source.Options{
			URL:  "rtsp://localhost:554/live",
			Dial: func(context.Context) (net.Conn, error) { return client, nil }, Answer: 5 * time.Second,
		}
		s, err := source.Open(t.Context(), o, func(u *media.Unit) { checkUnit(t, u) })
		if err == nil {
			err = s.Wait()
			s.Close()
		}
		if _, ok := errors.AsType[*failure.Failure](err); !ok {
			t.Errorf("err = %v, want a failure", err)
		}
	})
}

func checkUnit(t *testing.T, u *media.Unit) {
	t.Helper()
	if u.Epoch == nil || u.Track >= len(u.Epoch.Tracks) || u.PTS < 0 || u.DTS < 0 || len(u.Packets) == 0 || u.Wall.IsZero() {
		t.Errorf("unit = %+v", u)
	}
	if len(u.Payload) > media.MaxNALs+3 || u.Size() > 3*media.MaxUnitBytes {
		t.Errorf("a unit of %d parts and %d bytes", len(u.Payload), u.Size())
	}
	if c := u.Epoch.Tracks[u.Track].Codec; u.Key && (c == media.H264 || c == media.H265) && !u.Epoch.Tracks[u.Track].Parameters().Complete(c) {
		t.Error("a key frame without parameter sets")
	}
}

// hostile answers requests until PLAY, and then sends bytes and ends.
func hostile(c net.Conn, description string, sent []byte) {
	defer c.Close()
	s := script{sdp: description}
	r := textproto.NewReader(bufio.NewReader(c))
	for track := 0; ; {
		line, err := r.ReadLine()
		if err != nil {
			return
		}
		header, err := r.ReadMIMEHeader()
		if err != nil {
			return
		}
		method, _, _ := strings.Cut(line, " ")
		answer := strings.Replace(s.usual(method, track), "\r\n", "\r\nCSeq: "+header.Get("CSeq")+"\r\n", 1)
		if _, err := io.WriteString(c, answer); err != nil {
			return
		}
		switch method {
		case "SETUP":
			track++
		case "PLAY":
			_, _ = c.Write(sent)
			return
		}
	}
}

// Whatever a camera answers to the first request: the opening ends with a failure.
func FuzzAnswer(f *testing.F) {
	f.Add([]byte("RTSP/1.0 200 OK\r\nCSeq: 1\r\nPublic: DESCRIBE\r\n\r\n"))
	f.Add([]byte("RTSP/1.0 401 Unauthorized\r\nCSeq: 1\r\nWWW-Authenticate: Digest realm=\"a\", nonce=\"b\", qop=\"auth\", algorithm=SHA-256\r\n\r\n"))
	f.Add([]byte("RTSP/1.0 200 OK\r\nCSeq: 1\r\nSession: 1;timeout=60\r\nContent-Length: 1\r\n\r\nxOPTIONS rtsp://a RTSP/1.0\r\n\r\n"))
	f.Fuzz(func(t *testing.T, answer []byte) {
		client, camera := net.Pipe()
		done := make(chan struct{})
		defer func() { camera.Close(); <-done }()
		go func() {
			defer close(done)
			defer camera.Close()
			readOnce(camera)
			_, _ = camera.Write(answer)
			readOnce(camera)
			_, _ = camera.Write(answer)
		}()
		o := source.Options{
			URL: "rtsp://localhost:554/live", Username: "viewer", Password: password,
			Dial: func(context.Context) (net.Conn, error) { return client, nil }, Answer: 20 * time.Millisecond,
		}
		_, err := source.Open(t.Context(), o, nil)
		if _, ok := errors.AsType[*failure.Failure](err); !ok {
			t.Errorf("err = %v, want a failure", err)
		} else if strings.Contains(err.Error(), password) {
			t.Errorf("the error holds the login: %v", err)
		}
	})
}

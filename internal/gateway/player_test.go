package gateway_test

import (
	"bufio"
	"encoding/base64"
	"errors"
	"fmt"
	"io"
	"net"
	"net/textproto"
	"strconv"
	"strings"
	"testing"
	"time"

	"rtsptunnel/internal/testkit/rtsptest"
)

// describe sends one DESCRIBE, and returns the answer's status line and its reason.
func (r *running) describe(t *testing.T, name string) (status, why string) {
	t.Helper()
	address := r.address(t, "rtsp")
	conn, err := (&net.Dialer{}).DialContext(t.Context(), "tcp", address)
	if err != nil {
		t.Error(err)
		return "", ""
	}
	defer conn.Close()
	header := r.request(t, conn, "DESCRIBE rtsp://"+address+"/"+name, "")
	return header.Get("Status"), header.Get("X-Reason")
}

// request sends a request with a login, and returns the answer's header, in which Status is
// the first line.
func (r *running) request(t *testing.T, conn net.Conn, begin, fields string) textproto.MIMEHeader {
	t.Helper()
	_ = conn.SetDeadline(time.Now().Add(time.Minute))
	login := base64.StdEncoding.EncodeToString([]byte("ops:" + r.admin))
	_, _ = fmt.Fprintf(conn, "%s RTSP/1.0\r\nCSeq: 1\r\nAuthorization: Basic %s\r\n%s\r\n", begin, login, fields)
	in := bufio.NewReader(conn)
	text := textproto.NewReader(in)
	status, err := text.ReadLine()
	if err != nil {
		t.Errorf("%s: no answer: %v", begin, err)
		return textproto.MIMEHeader{}
	}
	header, err := text.ReadMIMEHeader()
	if err != nil {
		t.Errorf("%s: no header: %v", begin, err)
		return textproto.MIMEHeader{}
	}
	n, _ := strconv.Atoi(header.Get("Content-Length"))
	_, _ = io.CopyN(io.Discard, in, int64(n))
	header.Set("Status", strings.TrimPrefix(status, "RTSP/1.0 "))
	return header
}

// viewer is a player that watches until it has this many pictures.
type viewer struct{ ended chan error }

func (r *running) watch(t *testing.T, name string, pictures int) viewer {
	t.Helper()
	v := viewer{make(chan error, 1)}
	url := r.url(t, name, "ops", r.admin)
	ctx := within(t, 2*time.Minute)
	go func() {
		got, err := rtsptest.Pull(ctx, url, pictures)
		if err == nil && got.Frames != pictures {
			err = errors.New("not all pictures")
		}
		v.ended <- err
	}()
	return v
}

func (v viewer) done() bool {
	select {
	case err := <-v.ended:
		v.ended <- err
		return true
	default:
		return false
	}
}

// awaitMetric waits until the metrics have a line.
func (r *running) awaitMetric(t *testing.T, line string) {
	t.Helper()
	ticker := time.NewTicker(50 * time.Millisecond)
	defer ticker.Stop()
	for ctx := within(t, time.Minute); ; {
		_, body := r.get(t, "/metrics")
		if strings.Contains(body, "\n"+line+"\n") {
			return
		}
		select {
		case <-ticker.C:
		case <-ctx.Done():
			t.Fatalf("no %q in\n%s", line, body)
		}
	}
}

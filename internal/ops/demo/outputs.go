package demo

import (
	"bufio"
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"strings"
	"time"

	"github.com/gorilla/websocket"

	"rtsptunnel/internal/base/wsstream"
)

// outputs are the outputs for browsers, and how --once checks each. A check gets the
// camera's address below /live, and returns when it has read live video.
var outputs = []struct {
	name  string
	check func(browser, context.Context) error
}{
	{"mse", browser.mse},
	{"hls", browser.hls},
	{"still", browser.still},
	{"rtsp-ws", browser.rtsp},
}

// allRight is the result of a check that found live video.
const allRight = "ok"

// browser asks for one camera, as the page does.
type browser struct {
	live  string // URL of the camera below /live, without an output
	token string
}

// checkOutputs returns what each output did: "ok", or why not.
func (d *demo) checkOutputs(ctx context.Context, c *camera) map[string]string {
	b := browser{live: "http://" + d.page + "/live/" + c.fullName(), token: d.files.token}
	results := map[string]string{}
	for _, o := range outputs {
		results[o.name] = allRight
		if err := o.check(b, ctx); err != nil {
			results[o.name] = err.Error()
		}
	}
	return results
}

// enough is how many pictures show that an output is live.
const enough = 25

// dial opens a WebSocket. The token is a subprotocol, so that no proxy logs it.
func (b browser) dial(ctx context.Context, output, protocol string) (*websocket.Conn, error) {
	d := websocket.Dialer{Subprotocols: []string{protocol, "token." + b.token}}
	conn, answer, err := d.DialContext(ctx, "ws"+strings.TrimPrefix(b.live, "http")+"/"+output, nil)
	if answer != nil {
		_ = answer.Body.Close()
	}
	if err != nil {
		return nil, refusal(answer, err)
	}
	if deadline, ok := ctx.Deadline(); ok {
		_ = conn.SetReadDeadline(deadline)
	}
	return conn, nil
}

// refusal names the gateway's reason, if the answer has one.
func refusal(answer *http.Response, err error) error {
	if answer == nil {
		return err
	}
	if code := answer.Header.Get("X-Reason"); code != "" {
		return fmt.Errorf("%s (%s)", answer.Status, code)
	}
	return errors.New(answer.Status)
}

func (b browser) mse(ctx context.Context) error {
	conn, err := b.dial(ctx, "mse", "rtsptunnel.mse.v1")
	if err != nil {
		return err
	}
	defer func() { _ = conn.Close() }()
	pictures := 0
	for pictures < enough {
		kind, message, err := conn.ReadMessage()
		if err != nil {
			return err
		}
		if kind == websocket.BinaryMessage {
			pictures += bytes.Count(message, []byte("moof"))
		}
	}
	return nil
}

// get returns the body of an answer with status 200.
func get(ctx context.Context, address, token string) ([]byte, error) {
	r, err := http.NewRequestWithContext(ctx, http.MethodGet, address, nil)
	if err != nil {
		return nil, err
	}
	if token != "" {
		r.Header.Set("Authorization", "Bearer "+token)
	}
	answer, err := http.DefaultClient.Do(r)
	if err != nil {
		return nil, err
	}
	defer func() { _ = answer.Body.Close() }()
	if answer.StatusCode != http.StatusOK {
		return nil, refusal(answer, nil)
	}
	return io.ReadAll(io.LimitReader(answer.Body, maxAnswer))
}

const maxAnswer = 16 << 20

func (b browser) still(ctx context.Context) error {
	body, err := get(ctx, b.live+"/still.mp4", b.token)
	if err == nil && !bytes.Contains(body, []byte("ftyp")) {
		err = errors.New("the answer is no MP4")
	}
	return err
}

// hls reads the playlists and a segment. Their URLs have a query of their own instead of a token.
func (b browser) hls(ctx context.Context) error {
	address := b.live + "/hls/index.m3u8"
	token := b.token
	for {
		body, err := get(ctx, address, token)
		if err != nil {
			return err
		}
		if !bytes.HasPrefix(body, []byte("#EXTM3U")) {
			if !bytes.Contains(body, []byte("moof")) {
				return errors.New("a segment is no MP4")
			}
			return nil
		}
		next, err := follow(address, string(body))
		if err != nil {
			return err
		}
		address, token = next, ""
	}
}

// follow returns the URL of the last line that is one.
func follow(playlist, body string) (string, error) {
	last := ""
	for line := range strings.Lines(body) {
		if line = strings.TrimSpace(line); line != "" && !strings.HasPrefix(line, "#") {
			last = line
		}
	}
	base, err := url.Parse(playlist)
	if err != nil || last == "" {
		return "", errors.New("a playlist has no segment")
	}
	next, err := base.Parse(last)
	if err != nil {
		return "", err
	}
	return next.String(), nil
}

// rtsp plays by RTSP over a WebSocket, as Video Analyzer's player does: its URLs name no camera.
func (b browser) rtsp(ctx context.Context) error {
	conn, err := b.dial(ctx, "rtsp", "binary")
	if err != nil {
		return err
	}
	stream := wsstream.New(conn, wsstream.Options{CloseTimeout: time.Second})
	defer func() { _ = stream.Close() }()
	if deadline, ok := ctx.Deadline(); ok {
		_ = stream.SetDeadline(deadline)
	}
	session, in := "", bufio.NewReader(stream)
	for i, request := range []string{
		"DESCRIBE rtsp://localhost/ RTSP/1.0\r\nAccept: application/sdp",
		"SETUP rtsp://localhost/trackID=0 RTSP/1.0\r\nTransport: RTP/AVP/TCP;unicast;interleaved=0-1",
		"PLAY rtsp://localhost/ RTSP/1.0",
	} {
		if _, err := fmt.Fprintf(stream, "%s\r\nCSeq: %d\r\n%s\r\n", request, i+1, session); err != nil {
			return err
		}
		id, err := answered(in)
		if err != nil {
			return err
		}
		if id != "" {
			session = "Session: " + id + "\r\n"
		}
	}
	for range enough {
		head := make([]byte, 4)
		if _, err := io.ReadFull(in, head); err != nil {
			return err
		}
		if head[0] != '$' {
			return errors.New("no interleaved media follow PLAY")
		}
		if _, err := in.Discard(int(head[2])<<8 | int(head[3])); err != nil {
			return err
		}
	}
	return nil
}

// answered reads an answer with its body, and returns the session's id.
func answered(in *bufio.Reader) (session string, err error) {
	length := 0
	for first := true; ; first = false {
		line, err := in.ReadString('\n')
		if err != nil {
			return "", err
		}
		line = strings.TrimSpace(line)
		if first && !strings.HasPrefix(line, "RTSP/1.0 200") {
			return "", errors.New(line)
		}
		if line == "" {
			break
		}
		name, value, _ := strings.Cut(line, ": ")
		switch strings.ToLower(name) {
		case "session":
			session, _, _ = strings.Cut(value, ";")
		case "content-length":
			_, _ = fmt.Sscan(value, &length)
		}
	}
	_, err = in.Discard(length)
	return session, err
}

// outputTimeout bounds the checks of one camera.
const outputTimeout = 30 * time.Second

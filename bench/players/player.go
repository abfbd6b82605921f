// Package players plays RTSP streams over TCP with the standard library alone, many in one
// process, and times the pictures by the marks of package stamp. It decodes nothing.
//
// Code belongs here if it plays or counts. The package does not know which server it
// plays from.
package players

import (
	"bufio"
	"context"
	"encoding/base64"
	"errors"
	"fmt"
	"io"
	"net"
	"net/textproto"
	"strconv"
	"strings"
	"time"

	"rtsptunnel/bench/stamp"
)

// Login is the user name and password of a server; empty for a server that asks for none.
type Login struct {
	User     string `json:"user"`
	Password string `json:"password"`
}

// Picture is what a player knows of one picture.
type Picture struct {
	Bytes   int
	Key     bool
	Marked  bool      // Number and Sent are known
	Number  uint32    // of the camera's session, from 0
	Sent    time.Time // by the camera
	Arrived time.Time // when its last byte was read
}

// Player is one RTSP session over TCP, from Play to Close. One goroutine may use it; Close
// may be called from another.
type Player struct {
	conn   net.Conn
	r      *textproto.Reader
	url    string
	login  string // the header field Authorization, or nothing
	number int    // of requests
}

// Play dials address and plays the first video track of rtsp://address/path. ctx bounds
// the call.
func Play(ctx context.Context, address, path string, login Login) (*Player, error) {
	conn, err := (&net.Dialer{}).DialContext(ctx, "tcp", address)
	if err != nil {
		return nil, err
	}
	p := &Player{conn: conn, r: textproto.NewReader(bufio.NewReaderSize(conn, 32<<10)), url: "rtsp://" + address + path}
	if login.User != "" {
		p.login = "Authorization: Basic " + base64.StdEncoding.EncodeToString([]byte(login.User+":"+login.Password)) + "\r\n"
	}
	stop := context.AfterFunc(ctx, func() { conn.Close() })
	err = p.begin()
	if !stop() && err == nil {
		err = ctx.Err()
	}
	if err != nil {
		conn.Close()
		return nil, err
	}
	return p, nil
}

// begin sends DESCRIBE, SETUP and PLAY.
func (p *Player) begin() error {
	header, body, err := p.request("DESCRIBE", p.url, "Accept: application/sdp\r\n")
	if err != nil {
		return err
	}
	base := p.url
	if b := header.Get("Content-Base"); b != "" {
		base = b
	}
	track, err := videoTrack(base, body)
	if err != nil {
		return err
	}
	if header, _, err = p.request("SETUP", track, "Transport: RTP/AVP/TCP;unicast;interleaved=0-1\r\n"); err != nil {
		return err
	}
	session, _, _ := strings.Cut(header.Get("Session"), ";")
	_, _, err = p.request("PLAY", base, "Session: "+session+"\r\n")
	return err
}

// videoTrack returns the control URL of the first video track of an SDP (RFC 2326, C.1.1).
func videoTrack(base, sdp string) (string, error) {
	_, media, ok := strings.Cut(sdp, "\nm=video ")
	if !ok {
		return "", errors.New("no video in the SDP")
	}
	media, _, _ = strings.Cut(media, "\nm=")
	_, control, ok := strings.Cut(media, "\na=control:")
	if !ok {
		return "", errors.New("the video has no control URL")
	}
	control, _, _ = strings.Cut(control, "\n")
	control = strings.TrimSpace(control)
	if strings.HasPrefix(control, "rtsp://") {
		return control, nil
	}
	return strings.TrimSuffix(base, "/") + "/" + control, nil
}

func (p *Player) request(method, url, header string) (textproto.MIMEHeader, string, error) {
	p.number++
	_, err := fmt.Fprintf(p.conn, "%s %s RTSP/1.0\r\nCSeq: %d\r\n%s%s\r\n", method, url, p.number, p.login, header)
	if err != nil {
		return nil, "", fmt.Errorf("%s: %w", method, err)
	}
	status, answer, body, err := p.answer()
	if err != nil {
		return nil, "", fmt.Errorf("%s: %w", method, err)
	}
	if status != "200" {
		return nil, "", fmt.Errorf("%s: status %s %s", method, status, answer.Get("X-Reason"))
	}
	return answer, body, nil
}

// answer reads an answer.
func (p *Player) answer() (status string, header textproto.MIMEHeader, body string, err error) {
	line, err := p.r.ReadLine()
	if err != nil {
		return "", nil, "", err
	}
	words := strings.Fields(line)
	if len(words) < 2 {
		return "", nil, "", fmt.Errorf("no answer: %.40q", line)
	}
	if header, err = p.r.ReadMIMEHeader(); err != nil {
		return "", nil, "", err
	}
	length, _ := strconv.Atoi(header.Get("Content-Length"))
	b := make([]byte, min(max(length, 0), 64<<10))
	_, err = io.ReadFull(p.r.R, b)
	return words[1], header, string(b), err
}

// Next returns the next picture. It returns an error when the server ends the stream.
func (p *Player) Next() (Picture, error) {
	var picture Picture
	for {
		head, err := p.r.R.Peek(4)
		if err != nil {
			return Picture{}, err
		}
		if head[0] != '$' { // the server's requests and answers may stand between packets
			if err := p.skip(); err != nil {
				return Picture{}, err
			}
			continue
		}
		channel, length := head[1], int(head[2])<<8|int(head[3])
		_, _ = p.r.R.Discard(4)
		if channel != 0 {
			if _, err := p.r.R.Discard(length); err != nil {
				return Picture{}, err
			}
			continue
		}
		done, err := p.packet(&picture, length)
		if done || err != nil {
			return picture, err
		}
	}
}

// skip reads an answer, or a request without a body.
func (p *Player) skip() error {
	_, _, _, err := p.answer()
	return err
}

const (
	rtpHeader = 12
	nalType   = 0x1F // RFC 6184, 1.3
)

// packet adds an RTP packet to the picture; done is its marker bit. A packet has neither
// contributing sources nor an extension.
func (p *Player) packet(picture *Picture, length int) (done bool, err error) {
	b, err := p.r.R.Peek(min(length, p.r.R.Size()))
	if err != nil {
		return false, err
	}
	if len(b) < length || length < rtpHeader+2 {
		return false, fmt.Errorf("an RTP packet of %d bytes", length)
	}
	picture.Bytes += length
	picture.Key = picture.Key || key(b[rtpHeader:])
	if done = b[1]&0x80 != 0; done {
		picture.Arrived = time.Now()
		picture.Number, picture.Sent, picture.Marked = stamp.Read(b)
	}
	_, err = p.r.R.Discard(length)
	return done, err
}

// key tells whether a payload has a part of a key frame, as a single NAL unit or in
// fragments (RFC 6184, 5.6 and 5.8).
func key(payload []byte) bool {
	const idr, fragmentA = 5, 28
	t := payload[0] & nalType
	return t == idr || t == fragmentA && payload[1]&nalType == idr
}

// Close ends the session, without a TEARDOWN, and unblocks Next.
func (p *Player) Close() { _ = p.conn.Close() }

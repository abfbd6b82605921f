package source_test

import (
	"bufio"
	"encoding/binary"
	"fmt"
	"net"
	"net/textproto"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/pion/rtp"

	"rtsptunnel/internal/gateway/media"
	"rtsptunnel/internal/gateway/source"
)

// script is a camera that does what a test says: it answers every request with 200, but for
// those that answer changes, and calls play after PLAY.
type script struct {
	sdp    string
	answer func(method string) string // a whole answer without CSeq; "" for the usual one
	play   func(w *wire)              // the connection ends when it returns; nil to send nothing
}

// wire is the connection with a client, after PLAY.
type wire struct {
	t    *testing.T
	conn net.Conn
	gone chan struct{} // closed when the client has gone
}

// frame sends one interleaved frame (RFC 2326, 10.12). A client that has gone is no error.
func (w *wire) frame(channel byte, b []byte) {
	_, _ = w.conn.Write(append(binary.BigEndian.AppendUint16([]byte{'$', channel}, uint16(len(b))), b...))
}

// rtp sends packets of one track.
func (w *wire) rtp(track int, packets ...*rtp.Packet) {
	for _, p := range packets {
		b, err := p.Marshal()
		if err != nil {
			w.t.Error(err)
			return
		}
		w.frame(byte(2*track), b)
	}
}

// wait returns when the client has gone.
func (w *wire) wait() { <-w.gone }

// start returns the camera's URL. The camera ends with the test.
func (s script) start(t *testing.T) string {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	var wg sync.WaitGroup
	t.Cleanup(func() { l.Close(); wg.Wait() })
	wg.Go(func() {
		for {
			c, err := l.Accept()
			if err != nil {
				return
			}
			wg.Go(func() { s.serve(t, c) })
		}
	})
	return "rtsp://" + l.Addr().String() + "/live"
}

// serve answers requests until the client has gone.
func (s script) serve(t *testing.T, c net.Conn) {
	t.Helper()
	w := &wire{t: t, conn: c, gone: make(chan struct{})}
	var playing sync.WaitGroup
	defer playing.Wait()
	defer close(w.gone)
	defer c.Close()
	r := textproto.NewReader(bufio.NewReader(c))
	track := 0
	for {
		line, err := r.ReadLine()
		if err != nil {
			return
		}
		method, _, _ := strings.Cut(line, " ")
		header, err := r.ReadMIMEHeader()
		if err != nil {
			return
		}
		answer := ""
		if s.answer != nil {
			answer = s.answer(method)
		}
		if answer == "" {
			answer = s.usual(method, track)
		}
		if method == "SETUP" {
			track++
		}
		answer = strings.Replace(answer, "\r\n", "\r\nCSeq: "+header.Get("CSeq")+"\r\n", 1)
		if _, err := c.Write([]byte(answer)); err != nil {
			return
		}
		if method == "PLAY" && s.play != nil {
			playing.Go(func() { s.play(w); c.Close() })
		}
	}
}

func (s script) usual(method string, track int) string {
	answer := "RTSP/1.0 200 OK\r\nSession: 12345678\r\n"
	switch method {
	case "DESCRIBE":
		return answer + fmt.Sprintf("Content-Type: application/sdp\r\nContent-Length: %d\r\n\r\n%s", len(s.sdp), s.sdp)
	case "SETUP":
		return answer + fmt.Sprintf("Transport: RTP/AVP/TCP;unicast;interleaved=%d-%d\r\n\r\n", 2*track, 2*track+1)
	default:
		return answer + "\r\n"
	}
}

// sdp returns a description with these media, of a few lines each.
func sdp(media ...string) string {
	s := "v=0\r\no=- 0 0 IN IP4 127.0.0.1\r\ns=camera\r\nt=0 0\r\n"
	for i, m := range media {
		s += strings.ReplaceAll(m, "\n", "\r\n") + fmt.Sprintf("\r\na=control:trackID=%d\r\n", i)
	}
	return s
}

// Media of descriptions.
const (
	h264Media = "m=video 0 RTP/AVP 96\na=rtpmap:96 H264/90000\na=fmtp:96 packetization-mode=1"
	h265Media = "m=video 0 RTP/AVP 96\na=rtpmap:96 H265/90000"
	jpegMedia = "m=video 0 RTP/AVP 26"
	pcmuMedia = "m=audio 0 RTP/AVP 0"
	pcmaMedia = "m=audio 0 RTP/AVP 8"
	opusMedia = "m=audio 0 RTP/AVP 97\na=rtpmap:97 opus/48000/2"
	aacMedia  = "m=audio 0 RTP/AVP 97\na=rtpmap:97 mpeg4-generic/48000/1\n" +
		"a=fmtp:97 streamtype=5;mode=AAC-hbr;config=1188;sizelength=13;indexlength=3;indexdeltalength=3"
	latmMedia = "m=audio 0 RTP/AVP 97\na=rtpmap:97 MP4A-LATM/48000/1\na=fmtp:97 cpresent=0;config=400023103fc0"
)

// playScript plays a scripted camera.
func playScript(t *testing.T, s script) *player {
	t.Helper()
	return play(t, options(t, s.start(t)))
}

// openScript returns the error of opening a scripted camera.
func openScript(t *testing.T, s script, change func(*source.Options)) error {
	t.Helper()
	o := options(t, s.start(t))
	if change != nil {
		change(&o)
	}
	_, err := open(t, o)
	if err == nil {
		t.Fatal("err = nil, want one")
	}
	return err
}

// repeat calls f each 20 ms until the client has gone.
func (w *wire) repeat(f func(i int)) {
	tick := time.NewTicker(20 * time.Millisecond)
	defer tick.Stop()
	for i := 0; ; i++ {
		select {
		case <-tick.C:
			f(i)
		case <-w.gone:
			return
		}
	}
}

// unitsTo returns a deliver function that counts into a channel.
func unitsTo(c chan<- struct{}) func(*media.Unit) {
	return func(*media.Unit) { c <- struct{}{} }
}

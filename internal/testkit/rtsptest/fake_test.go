package rtsptest_test

import (
	"bufio"
	"fmt"
	"net"
	"testing"

	"github.com/bluenviron/gortsplib/v5/pkg/base"
	"github.com/bluenviron/gortsplib/v5/pkg/format/rtph264"
	"github.com/pion/rtp"

	"rtsptunnel/internal/testkit/rtsptest"
)

const fakeSDP = "v=0\r\no=- 0 0 IN IP4 127.0.0.1\r\ns=fake\r\nt=0 0\r\n" +
	"m=audio 0 RTP/AVP 0\r\na=control:trackID=0\r\n" +
	"m=video 0 RTP/AVP 96\r\na=rtpmap:96 H264/90000\r\na=fmtp:96 packetization-mode=1\r\na=control:trackID=1\r\n"

// fakeCamera gives one client fixed responses, sends it the packets after PLAY, and
// returns its URL. Unlike Camera, it can send a broken stream.
func fakeCamera(t *testing.T, packets []*rtp.Packet) string {
	t.Helper()
	l := newListener(t)
	done := make(chan struct{})
	t.Cleanup(func() { l.Close(); <-done })
	go func() {
		defer close(done)
		c, err := l.Accept()
		if err != nil {
			return
		}
		defer c.Close()
		_ = serve(c, packets) // a client may disconnect at any time
	}()
	return "rtsp://" + l.Addr().String() + "/fake"
}

// serve answers requests until the client disconnects.
func serve(c net.Conn, packets []*rtp.Packet) error {
	r := bufio.NewReader(c)
	for {
		var req base.Request
		if err := req.Unmarshal(r); err != nil {
			return err
		}
		answer := "RTSP/1.0 200 OK\r\nCSeq: " + req.Header["CSeq"][0] + "\r\nSession: 1\r\n"
		switch req.Method {
		case base.Describe:
			answer += fmt.Sprintf("Content-Type: application/sdp\r\nContent-Length: %d\r\n\r\n%s", len(fakeSDP), fakeSDP)
		case base.Setup:
			answer += "Transport: RTP/AVP/TCP;unicast;interleaved=0-1\r\n\r\n"
		default:
			answer += "\r\n"
		}
		if _, err := c.Write([]byte(answer)); err != nil {
			return err
		}
		if req.Method == base.Play {
			if err := send(c, packets); err != nil {
				return err
			}
		}
	}
}

func send(c net.Conn, packets []*rtp.Packet) error {
	for _, p := range packets {
		payload, err := p.Marshal()
		if err != nil {
			return err
		}
		frame, err := base.InterleavedFrame{Payload: payload}.Marshal()
		if err != nil {
			return err
		}
		if _, err := c.Write(frame); err != nil {
			return err
		}
	}
	return nil
}

// packetsOf returns the RTP packets of the access units.
func packetsOf(t *testing.T, units []rtsptest.AccessUnit) []*rtp.Packet {
	t.Helper()
	encoder := &rtph264.Encoder{PayloadType: 96, PacketizationMode: 1}
	if err := encoder.Init(); err != nil {
		t.Fatal(err)
	}
	var all []*rtp.Packet
	for i, unit := range units {
		packets, err := encoder.Encode(unit)
		if err != nil {
			t.Fatal(err)
		}
		for _, p := range packets {
			p.Timestamp = uint32(i * 3600)
		}
		all = append(all, packets...)
	}
	return all
}

// A stream may begin between two key frames or in the middle of a frame, and may
// have an audio track.
func TestPull_skipsToKeyFrame(t *testing.T) {
	t.Parallel()
	packets := packetsOf(t, newClip(t, "yard")[:60])
	// The key frame has several packets; the first contains no picture.
	url := fakeCamera(t, packets[2:])
	got, err := rtsptest.Pull(t.Context(), url, 30)
	if err != nil {
		t.Fatal(err)
	}
	if err := got.MatchClip("yard"); err != nil {
		t.Error(err)
	}
	if got.Skipped != 24 {
		t.Errorf("skipped = %d, want the 24 frames after the broken one", got.Skipped)
	}
}

func TestPull_badPackets(t *testing.T) {
	t.Parallel()
	packets := packetsOf(t, newClip(t, "yard")[:30])
	lost := append(packets[:10:10], packets[11:]...)
	unreadable := append([]*rtp.Packet{}, packets...)
	unreadable[10] = unreadable[10].Clone()
	unreadable[10].Payload = nil
	for _, test := range []struct {
		name    string
		packets []*rtp.Packet
		want    string
	}{
		{"lost", lost, "read: 1 packets lost"},
		{"unreadable", unreadable, "read: decode packet: payload is too short"},
	} {
		t.Run(test.name, func(t *testing.T) {
			t.Parallel()
			got, err := rtsptest.Pull(t.Context(), fakeCamera(t, test.packets), 30)
			checkError(t, err, test.want)
			if err := got.MatchClip("yard"); err != nil {
				t.Errorf("frames before the error: %v", err)
			}
		})
	}
}

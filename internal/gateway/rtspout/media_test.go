package rtspout_test

import (
	"bytes"
	"fmt"
	"io"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/bluenviron/gortsplib/v5/pkg/base"
	"github.com/pion/rtcp"
	"github.com/pion/rtp"

	"rtsptunnel/internal/contract/reason"
	"rtsptunnel/internal/gateway/failure"
	"rtsptunnel/internal/gateway/media"
	"rtsptunnel/internal/gateway/rtspout"
)

// rtpPacket returns the next RTP packet of a channel, and the reports before it.
func (c *rawClient) rtpPacket(channel int) (*rtp.Packet, []rtcp.Packet) {
	c.t.Helper()
	var reports []rtcp.Packet
	for {
		got, payload := c.frame()
		if got%2 == 1 {
			list, err := rtcp.Unmarshal(payload)
			if err != nil {
				c.t.Fatal(err)
			}
			if got == channel+1 {
				reports = append(reports, list...)
			}
			continue
		}
		if got != channel {
			continue
		}
		p := &rtp.Packet{}
		if err := p.Unmarshal(payload); err != nil {
			c.t.Fatal(err)
		}
		return p, reports
	}
}

// unit reads the packets of a unit, and checks that they are the unit's with our header. It
// returns the first.
func (c *rawClient) unit(channel int, u *media.Unit) (*rtp.Packet, []rtcp.Packet) {
	c.t.Helper()
	var first *rtp.Packet
	var reports []rtcp.Packet
	for i, sent := range u.Packets {
		want := &rtp.Packet{}
		if err := want.Unmarshal(sent); err != nil {
			c.t.Fatal(err)
		}
		got, r := c.rtpPacket(channel)
		reports = append(reports, r...)
		if first == nil {
			first = got
		}
		if !bytes.Equal(got.Payload, want.Payload) || got.Marker != want.Marker {
			c.t.Fatalf("packet %d of the unit with PTS %d: another payload or marker", i, u.PTS)
		}
		if got.SequenceNumber != first.SequenceNumber+uint16(i) || got.Timestamp != first.Timestamp || got.SSRC != first.SSRC {
			c.t.Fatalf("packet %d: header %+v, the unit's first %+v", i, got.Header, first.Header)
		}
	}
	return first, reports
}

// audioEpoch adds a track with sound to an epoch.
func audioEpoch(e *media.Epoch) {
	e.Tracks = append(e.Tracks, media.Track{
		Codec: media.PCMA, ClockRate: 8000, PayloadType: 97, RTPMap: "PCMA/8000", SampleRate: 8000, Channels: 1,
	})
}

// audioUnit is the n-th packet with sound, of 20 ms.
func audioUnit(e *media.Epoch, n int) *media.Unit {
	p := rtp.Packet{Header: rtp.Header{Version: 2, PayloadType: 97, SequenceNumber: 7, Marker: n == 0}, Payload: bytes.Repeat([]byte{byte(n)}, 160)}
	b, _ := p.Marshal()
	return &media.Unit{
		Epoch: e, Track: 1, PTS: int64(n) * 160, DTS: int64(n) * 160, Key: true,
		Payload: [][]byte{p.Payload}, Packets: [][]byte{b},
	}
}

// playTracks sets up tracks with channels of the client's choice, and plays.
func (c *rawClient) playTracks(url string, channels ...int) (session string, play *base.Response) {
	c.t.Helper()
	c.want(c.do("DESCRIBE", url), 200)
	bare, _, _ := strings.Cut(url, "?")
	headers := []string{}
	for i, channel := range channels {
		h := append(headers, fmt.Sprintf("Transport: RTP/AVP/TCP;unicast;interleaved=%d-%d", channel, channel+1))
		setup := c.want(c.do("SETUP", fmt.Sprintf("%s/trackID=%d", bare, i), h...), 200)
		session = sessionID(setup)
		c.setups = append(c.setups, setup.Header["Transport"][0])
		headers = []string{"Session: " + session}
	}
	c.send("PLAY", bare, headers...)
	return session, c.want(c.next(), 200)
}

// Packets have continuous numbers and the stream's times, one source per track, and payload
// types of the SDP. RTP-Info names the first packet, and a sender report precedes it.
func TestPlayer_packets(t *testing.T) {
	for name, channels := range map[string][]int{"usual channels": {0, 2}, "other channels": {6, 0}} {
		t.Run(name, func(t *testing.T) {
			e, units := clipUnits(t, 30)
			audioEpoch(e)
			f := newFeed(t, e)
			f.put(units[0])
			g := newGateway(t, f, nil)
			c := g.dial(t)
			_, play := c.playTracks(g.url("?token=rtt_wall"), channels...)
			wantInfo := fmt.Sprintf("url=%s;seq=0;rtptime=%d,url=%s;rtptime=%d",
				g.url("/trackID=0"), uint32(e.Base[0]), g.url("/trackID=1"), uint32(e.Base[1]))
			if got := strings.Join(play.Header["RTP-Info"], "|"); got != wantInfo {
				t.Errorf("RTP-Info: %s, want %s", got, wantInfo)
			}
			p, reports := c.unit(channels[0], units[0])
			checkReport(t, e, reports, p)
			if want := fmt.Sprintf("RTP/AVP/TCP;unicast;interleaved=%d-%d;ssrc=%08X", channels[0], channels[0]+1, p.SSRC); c.setups[0] != want {
				t.Errorf("Transport: %s, want %s", c.setups[0], want)
			}
			for i := 1; i < len(units); i++ {
				sound := audioUnit(e, i)
				f.put(units[i], sound)
				q, _ := c.unit(channels[0], units[i])
				if q.SequenceNumber != uint16(units[i].Seq) || q.Timestamp != rtpTime(e, units[i].PTS) || q.PayloadType != 96 || q.SSRC != p.SSRC {
					t.Fatalf("unit %d: header %+v, want number %d", i, q.Header, units[i].Seq)
				}
				q, _ = c.unit(channels[1], sound)
				if q.SequenceNumber != uint16(i-1) || q.Timestamp != uint32(e.Base[1]+sound.PTS) || q.PayloadType != 8 || q.SSRC == p.SSRC {
					t.Fatalf("sound %d: header %+v", i, q.Header)
				}
			}
		})
	}
}

// checkReport checks the reports before the first packet of an epoch.
func checkReport(t *testing.T, e *media.Epoch, reports []rtcp.Packet, first *rtp.Packet) {
	t.Helper()
	if len(reports) != 2 {
		t.Fatalf("reports before the first packet: %v", reports)
	}
	sr, ok := reports[0].(*rtcp.SenderReport)
	if !ok || sr.SSRC != first.SSRC || sr.RTPTime != first.Timestamp {
		t.Errorf("sender report %v before %+v", reports[0], first.Header)
	}
	seconds := int64(sr.NTPTime>>32) - 2208988800
	at := time.Unix(seconds, int64(sr.NTPTime&(1<<32-1))*1e9>>32)
	if d := at.Sub(e.Begin); d < -time.Millisecond || d > time.Millisecond {
		t.Errorf("the report's time is %v after the epoch's", d)
	}
	if sd, ok := reports[1].(*rtcp.SourceDescription); !ok || sd.Chunks[0].Source != first.SSRC || sd.Chunks[0].Items[0].Type != rtcp.SDESCNAME {
		t.Errorf("second report: %v", reports[1])
	}
}

// Reports are repeated, and count what was sent.
func TestPlayer_reports(t *testing.T) {
	e, units := clipUnits(t, 10)
	f := newFeed(t, e)
	f.put(units[:5]...)
	g := newGateway(t, f, nil, rtspout.Times{Report: time.Nanosecond})
	c := g.dial(t)
	c.play(g.url("?token=rtt_wall"))
	packets, octets := 0, 0
	for i, u := range units[:5] {
		_, reports := c.unit(0, u)
		sr := reports[0].(*rtcp.SenderReport)
		if int(sr.PacketCount) != packets || int(sr.OctetCount) != octets {
			t.Errorf("report %d counts %d packets and %d bytes, want %d and %d", i, sr.PacketCount, sr.OctetCount, packets, octets)
		}
		for _, p := range u.Packets {
			packets++
			octets += len(p) - 12
		}
	}
}

// With start=live, the player gets the kept pictures from the newest key frame on, 1 ms
// apart, and then the stream's times.
func TestPlayer_live(t *testing.T) {
	e, units := clipUnits(t, 60)
	audioEpoch(e)
	f := newFeed(t, e)
	f.put(units[:40]...) // key frames at 0 and 25
	f.put(audioUnit(e, 0))
	f.keep(t)
	g := newGateway(t, f, nil)
	c := g.dial(t)
	_, play := c.playTracks(g.url("?token=rtt_wall&start=live"), 0, 2)
	newest := rtpTime(e, 39*3600)
	wantInfo := fmt.Sprintf("seq=%d;rtptime=%d,", uint16(units[25].Seq), newest-14*90)
	if got := play.Header["RTP-Info"][0]; !strings.Contains(got, wantInfo) {
		t.Errorf("RTP-Info %s, want %s", got, wantInfo)
	}
	for i := 25; i < 40; i++ {
		if p, _ := c.unit(0, units[i]); p.Timestamp != newest-uint32(39-i)*90 {
			t.Fatalf("unit %d has time %d, %d ms before the newest", i, p.Timestamp, (newest-p.Timestamp)/90)
		}
	}
	f.put(audioUnit(e, 1), units[40])
	if p, _ := c.unit(2, audioUnit(e, 1)); p.SequenceNumber != 1 {
		t.Errorf("sound begins with %d, want the newest", p.SequenceNumber)
	}
	if p, _ := c.unit(0, units[40]); p.Timestamp != newest+3600 {
		t.Errorf("the next unit has time %d, want %d", p.Timestamp, newest+3600)
	}
}

// Kept pictures of more than 6 s are not sent: the player waits for the next key frame.
func TestPlayer_live_tooOld(t *testing.T) {
	e, units := clipUnits(t, 200)
	for i, u := range units {
		u.Key = i == 0 || i == 180
	}
	f := newFeed(t, e)
	f.put(units[:180]...)
	f.keep(t)
	g := newGateway(t, f, nil)
	c := g.dial(t)
	_, play := c.play(g.url("?token=rtt_wall&start=live"))
	if got, want := play.Header["RTP-Info"][0], "url="+g.url("/trackID=0"); got != want {
		t.Errorf("RTP-Info %q, want %q", got, want)
	}
	f.put(units[180:]...)
	if p, _ := c.unit(0, units[180]); p.Timestamp != rtpTime(e, 180*3600) {
		t.Errorf("time %d", p.Timestamp)
	}
}

// A new epoch continues numbers and times, with a report of the new clock. Its payload type
// and parameter sets may differ.
func TestPlayer_epochs(t *testing.T) {
	e, units := clipUnits(t, 30)
	second := &media.Epoch{Tracks: append([]media.Track{}, e.Tracks...), Begin: e.Begin.Add(time.Hour)}
	second.Tracks[0].PayloadType = 101
	second.Tracks[0].SPS = append([]byte{}, e.Tracks[0].SPS[:len(e.Tracks[0].SPS)-1]...)
	for _, u := range units[25:] {
		u.Epoch = second
		u.PTS -= 25 * 3600
		u.DTS -= 25 * 3600
	}
	f := newFeed(t, e)
	f.put(units...)
	g := newGateway(t, f, nil)
	c := g.dial(t)
	c.play(g.url("?token=rtt_wall"))
	for i, u := range units {
		p, reports := c.unit(0, u)
		if p.SequenceNumber != uint16(u.Seq) || p.Timestamp != rtpTime(u.Epoch, u.PTS) || p.PayloadType != 96 {
			t.Fatalf("unit %d: header %+v", i, p.Header)
		}
		if i == 25 {
			checkReport(t, second, reports, p)
		}
	}
}

// Other tracks end the player: its SDP does not describe them.
func TestPlayer_tracksChanged(t *testing.T) {
	f, first, second := front(t)
	g := newGateway(t, f, nil)
	c := g.dial(t)
	c.play(g.url("?token=rtt_wall"))
	c.unit(0, first)
	second.Epoch = &media.Epoch{Tracks: []media.Track{{Codec: media.H265, ClockRate: 90000}}, Begin: time.Now()}
	f.put(second)
	c.wantBye()
	g.log.AwaitFields(t, 1, "message=viewer ended", "hop=media", "reason=TRACKS_CHANGED")
	f.awaitReaders(t, 0)
}

// wantBye fails unless the next frame is a goodbye, and the connection ends after it.
func (c *rawClient) wantBye() {
	c.t.Helper()
	channel, payload := c.frame()
	list, err := rtcp.Unmarshal(payload)
	if err != nil || channel != 1 || len(list) != 2 {
		c.t.Fatalf("channel %d: %v, %v", channel, list, err)
	}
	if _, ok := list[1].(*rtcp.Goodbye); !ok {
		c.t.Fatalf("%v, want a goodbye", list[1])
	}
	if _, err := c.r.ReadByte(); err == nil {
		c.t.Error("the connection is open")
	}
}

// The end of a stream is the player's end, with its reason in the log.
func TestPlayer_streamEnds(t *testing.T) {
	f, first, _ := front(t)
	g := newGateway(t, f, nil)
	c := g.dial(t)
	c.play(g.url("?token=rtt_wall"))
	c.unit(0, first)
	f.Close(failure.New(failure.Gateway, reason.CameraRemoved, nil))
	c.wantBye()
	g.log.AwaitFields(t, 1, "message=viewer ended", "hop=gateway", "reason=CAM_REMOVED")
}

// smallUnit returns a small key frame, the n-th of the epoch.
func smallUnit(e *media.Epoch, n int) *media.Unit {
	return &media.Unit{Epoch: e, PTS: int64(n) * 3600, DTS: int64(n) * 3600, Key: true, Packets: [][]byte{make([]byte, 20)}}
}

// PAUSE stops the media, and PLAY begins anew. No media follow the answer to TEARDOWN.
func TestPlayer_pauseAndTeardown(t *testing.T) {
	e, units := clipUnits(t, 60)
	f := newFeed(t, e)
	f.put(units[:5]...)
	g := newGateway(t, f, nil)
	c := g.dial(t)
	session, _ := c.play(g.url("?token=rtt_wall"))
	for _, u := range units[:5] {
		c.unit(0, u)
	}
	c.want(c.do("PLAY", g.url(""), "Session: "+session), 200) // a seek
	const report = "$\x01\x00\x08\x80\xc9\x00\x01abcd"        // a receiver report
	pause := "PAUSE " + g.url("") + " RTSP/1.0\r\nCSeq: 9\r\nSession: " + session + "\r\nContent-Length: 3\r\n\r\nabc"
	_, _ = io.WriteString(c, report+pause+report+report[:6])
	c.want(c.answer(), 200)
	_, _ = io.WriteString(c, report[6:]+report)
	f.put(units[5:25]...)
	c.want(c.do("PAUSE", g.url(""), "Session: "+session), 200)
	if n := g.Count("rtsp").Players; n != 0 {
		t.Errorf("%d players play", n)
	}
	c.want(c.do("PLAY", g.url(""), "Session: "+session), 200)
	f.put(units[25:]...)
	for i, u := range units[25:] {
		if p, _ := c.unit(0, u); p.Timestamp != rtpTime(u.Epoch, u.PTS) {
			t.Fatalf("unit %d has time %d", i, p.Timestamp)
		}
	}
	c.send("TEARDOWN", g.url(""), "Session: "+session)
	var wg sync.WaitGroup
	defer wg.Wait()
	wg.Go(func() {
		for i := range 1000 {
			f.put(smallUnit(e, 60+i))
		}
	})
	c.want(c.answer(), 200)
	c.send("OPTIONS", g.url(""))
	c.want(c.next(), 200)
	f.awaitReaders(t, 0)
	g.log.AwaitFields(t, 1, "message=viewer ended", "end=pause")
	g.log.AwaitFields(t, 1, "message=viewer ended", "end=teardown")
}

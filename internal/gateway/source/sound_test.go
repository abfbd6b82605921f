package source_test

import (
	"encoding/binary"
	"testing"
	"time"

	"github.com/pion/rtp"

	"rtsptunnel/internal/gateway/media"
	"rtsptunnel/internal/testkit/rtsptest"
)

// timestamp returns the RTP timestamp of a unit.
func timestamp(u *media.Unit) uint32 { return binary.BigEndian.Uint32(u.Packets[0][4:]) }

// seconds returns a unit's PTS.
func seconds(u *media.Unit) float64 {
	return float64(u.PTS) / float64(u.Epoch.Tracks[u.Track].ClockRate)
}

// Sound is placed beside the pictures by its arrival, although a camera sends old pictures
// first. Both clocks of this camera begin at 0.
func TestSession_soundByArrival(t *testing.T) {
	t.Parallel()
	for codec, samples := range map[string]int64{"PCMU": 160, "PCMA": 160, "AAC": 1024, "Opus": 960} {
		t.Run(codec, func(t *testing.T) {
			t.Parallel()
			camera := newCamera(t, rtsptest.Options{Sound: codec})
			p := play(t, options(t, camera.URL()))
			var begin float64 // of the epoch, by the camera's clock
			var last *media.Unit
			for begun := time.Now(); time.Since(begun) < 3*time.Second; {
				u := p.next(t)
				if u.Track == 0 {
					begin = float64(timestamp(u))/90000 - seconds(u)
					continue
				}
				track := u.Epoch.Tracks[1]
				if track.Codec != media.Codec(codec) || track.Channels != 1 || !u.Key || len(u.Payload) != 1 || len(u.Packets) != 1 {
					t.Fatalf("unit = %+v of %+v", u, track)
				}
				if last != nil && u.PTS <= last.PTS {
					t.Errorf("pts = %d after %d", u.PTS, last.PTS)
				}
				last = u
			}
			if last == nil {
				t.Fatal("no sound")
			}
			real := float64(timestamp(last)) / float64(last.Epoch.Tracks[1].ClockRate)
			if got := begin + seconds(last) - real; got < -0.1 || got > 0.1 {
				t.Errorf("the sound is %.3f s late", got)
			}
			if u := p.next(t); u.Track == 1 && u.PTS-last.PTS != samples {
				t.Errorf("pts rises by %d, want %d", u.PTS-last.PTS, samples)
			}
		})
	}
}

// report returns a sender report (RFC 3550, 6.4.1): at this many seconds of the camera's own
// time, the track's clock was at rtp.
func report(ssrc uint32, seconds float64, rtp uint32) []byte {
	b := binary.BigEndian.AppendUint32([]byte{0x80, 200, 0, 6}, ssrc)
	b = binary.BigEndian.AppendUint64(b, uint64(seconds*(1<<32)))
	b = binary.BigEndian.AppendUint32(b, rtp)
	return append(b, make([]byte, 8)...)
}

// Sender reports place the sound exactly, though they come later than the sound does, and
// though the camera's clock is in 1970.
func TestSession_soundByReports(t *testing.T) {
	t.Parallel()
	const in1970 = 2208988800 + 100 // NTP counts from 1900
	picture := &rtp.Packet{Header: rtp.Header{Version: 2, PayloadType: 96, SSRC: 1, Marker: true, Timestamp: 1_000_000}, Payload: []byte{0x65, 1}}
	sound := &rtp.Packet{Header: rtp.Header{Version: 2, PayloadType: 0, SSRC: 2, Timestamp: 5_000_000}, Payload: make([]byte, 160)}
	camera := script{sdp: sdp(h264Media+";sprop-parameter-sets=Z0LAH9kAoD2hAAADAAEAAAMAMg8YMkg=,aMuMsg==", pcmuMedia), play: func(w *wire) {
		w.repeat(func(i int) {
			picture.SequenceNumber, sound.SequenceNumber = uint16(i), uint16(i)
			picture.Timestamp += 1800
			sound.Timestamp += 160
			w.rtp(0, picture)
			w.rtp(1, sound)
			if i == 30 { // the sound is 0.3 s older than its arrival says
				w.frame(1, report(1, in1970, picture.Timestamp))
				w.frame(3, report(2, in1970-0.3, sound.Timestamp))
			}
		})
	}}
	p := playScript(t, camera)
	var video, heard *media.Unit
	for heard == nil || heard.PTS < 8000 {
		u := p.next(t)
		if u.Track == 0 {
			video = u
			continue
		}
		if heard != nil && u.PTS <= heard.PTS {
			t.Errorf("pts = %d after %d", u.PTS, heard.PTS)
		}
		heard = u
	}
	// In step i, the picture's time is i x 20 ms, and the sound's is 0.3 s less.
	pictures := float64(timestamp(video)-1_000_000)/90000 - seconds(video)
	sounds := float64(timestamp(heard)-5_000_000)/8000 - 0.3 - seconds(heard)
	if d := pictures - sounds; d < -0.001 || d > 0.001 {
		t.Errorf("the sound is %.4f s beside the pictures", d)
	}
	if n := time.Since(video.Epoch.Begin); n > time.Minute {
		t.Errorf("the epoch began %v ago, by the camera's clock", n)
	}
}

// A jump of the sound's clock alone does not begin an epoch: the sound is placed anew.
func TestSession_soundJumps(t *testing.T) {
	t.Parallel()
	picture := &rtp.Packet{Header: rtp.Header{Version: 2, PayloadType: 96, Marker: true}, Payload: []byte{0x65, 1}}
	sound := &rtp.Packet{Header: rtp.Header{Version: 2, PayloadType: 0}, Payload: make([]byte, 160)}
	camera := script{sdp: sdp(h264Media+";sprop-parameter-sets=Z0LAH9kAoD2hAAADAAEAAAMAMg8YMkg=,aMuMsg==", pcmuMedia), play: func(w *wire) {
		w.repeat(func(i int) {
			picture.SequenceNumber, sound.SequenceNumber = uint16(i), uint16(i)
			picture.Timestamp += 1800
			sound.Timestamp += 160
			switch i {
			case 20:
				sound.Timestamp += 80_000_000
			case 40:
				sound.Timestamp -= 90_000_000
			}
			w.rtp(0, picture)
			w.rtp(1, sound)
		})
	}}
	p := playScript(t, camera)
	var first, last *media.Unit
	for i := 0; i < 120; {
		u := p.next(t)
		if u.Track == 0 {
			i++
			continue
		}
		if first == nil {
			first = u
		}
		if u.Epoch != first.Epoch || last != nil && u.PTS <= last.PTS || last != nil && u.PTS > last.PTS+4000 {
			t.Fatalf("unit of sound: pts = %d, after %d, same epoch = %v", u.PTS, last.PTS, u.Epoch == first.Epoch)
		}
		last = u
	}
}

// A camera that sends old pictures first, and sound as it is heard: after a second, the sound
// is placed by the least delayed packets of both.
func TestSession_soundSettles(t *testing.T) {
	t.Parallel()
	picture := &rtp.Packet{Header: rtp.Header{Version: 2, PayloadType: 96, Marker: true}, Payload: []byte{0x65, 1}}
	sound := &rtp.Packet{Header: rtp.Header{Version: 2, PayloadType: 0, Timestamp: 48 * 160}, Payload: make([]byte, 160)}
	show := func(w *wire) {
		w.rtp(0, picture)
		picture.SequenceNumber++
		picture.Timestamp += 1800
	}
	camera := script{sdp: sdp(h264Media+";sprop-parameter-sets=Z0LAH9kAoD2hAAADAAEAAAMAMg8YMkg=,aMuMsg==", pcmuMedia), play: func(w *wire) {
		w.repeat(func(i int) {
			show(w)
			w.rtp(1, sound)
			sound.SequenceNumber++
			sound.Timestamp += 160
			for ; i == 1 && picture.Timestamp < 1800*50; show(w) { // a second of old pictures
			}
		})
	}}
	p := playScript(t, camera)
	late := func(u *media.Unit) float64 { return seconds(u) - float64(timestamp(u))/8000 }
	var first, last *media.Unit
	for last == nil || timestamp(last) < 8000*4 {
		u := p.next(t)
		if u.Track == 0 {
			continue
		}
		if first == nil {
			first = u
		}
		if last != nil && u.PTS <= last.PTS {
			t.Errorf("pts = %d after %d", u.PTS, last.PTS)
		}
		last = u
	}
	if a, b := late(first), late(last); a > -0.8 || b < -0.1 || b > 0.1 {
		t.Errorf("the sound is %.3f s late at first, and %.3f s at last; want -1 and 0", a, b)
	}
}

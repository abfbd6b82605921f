package rtspout_test

import (
	"encoding/base64"
	"strings"
	"testing"
	"time"

	"github.com/bluenviron/gortsplib/v5/pkg/description"
	"github.com/bluenviron/gortsplib/v5/pkg/format"
	"github.com/bluenviron/gortsplib/v5/pkg/sdpunmarshaler"

	"rtsptunnel/internal/gateway/media"
	"rtsptunnel/internal/gateway/rtspout"
)

// Each codec has its line of SDP, with the parameter sets of the epoch where the camera's
// lack or differ, and payload types that do not depend on the camera's.
func TestServer_describes(t *testing.T) {
	vps, _ := base64.StdEncoding.DecodeString("QAEMAf//AWAAAAMAkAAAAwAAAwB4mZgJ")
	sps, _ := base64.StdEncoding.DecodeString("QgEBAWAAAAMAkAAAAwAAAwB4oAPAgBDlmWakkyuAQAAA+kAAF3AC")
	pps, _ := base64.StdEncoding.DecodeString("RAHBcrRiQA==")
	h264sps, h264pps := []byte{0x67, 0x42, 0xc0, 0x1f, 0x8c}, []byte{0x68, 0xce, 0x3c, 0x80}
	for name, test := range map[string]struct {
		track media.Track
		want  []string
	}{
		"H264 without sets": {
			media.Track{Codec: media.H264, ClockRate: 90000, PayloadType: 35, RTPMap: "H264/90000"},
			[]string{"m=video 0 RTP/AVP 96", "a=rtpmap:96 H264/90000", "a=fmtp:96 packetization-mode=1"},
		},
		"H264 with others": {
			media.Track{
				Codec: media.H264, ClockRate: 90000, PayloadType: 97, RTPMap: "H264/90000", SPS: h264sps, PPS: h264pps,
				FMTP: map[string]string{"packetization-mode": "0", "sprop-parameter-sets": "%%%,%%%"},
			},
			[]string{"a=fmtp:96 packetization-mode=1; profile-level-id=42C01F; sprop-parameter-sets=Z0LAH4w=,aM48gA=="},
		},
		"H265": {
			media.Track{Codec: media.H265, ClockRate: 90000, PayloadType: 97, RTPMap: "H265/90000", VPS: vps, SPS: sps, PPS: pps, FMTP: map[string]string{"sprop-max-don-diff": "2"}},
			[]string{"a=rtpmap:96 H265/90000", "sprop-max-don-diff=2", "sprop-pps=RAHBcrRiQA==", "sprop-vps=QAEMAf//AWAAAAMAkAAAAwAAAwB4mZgJ"},
		},
		"MJPEG": {
			media.Track{Codec: media.MJPEG, ClockRate: 90000, PayloadType: 26, RTPMap: "JPEG/90000"},
			[]string{"m=video 0 RTP/AVP 26"},
		},
		"AAC": {
			media.Track{
				Codec: media.AAC, ClockRate: 16000, PayloadType: 104, RTPMap: "mpeg4-generic/16000/1", SampleRate: 16000, Channels: 1, Config: []byte{0x14, 0x08},
				FMTP: map[string]string{"streamtype": "5", "mode": "AAC-hbr", "config": "1408", "sizelength": "13", "indexlength": "3", "indexdeltalength": "3", "profile-level-id": "1"},
			},
			[]string{"m=audio 0 RTP/AVP 96", "a=rtpmap:96 mpeg4-generic/16000/1", "config=1408", "sizelength=13"},
		},
		"PCMU": {
			media.Track{Codec: media.PCMU, ClockRate: 8000, PayloadType: 0, RTPMap: "PCMU/8000", SampleRate: 8000, Channels: 1},
			[]string{"m=audio 0 RTP/AVP 0", "a=rtpmap:0 PCMU/8000"},
		},
		"PCMA without a map": {
			media.Track{Codec: media.PCMA, ClockRate: 8000, PayloadType: 8, SampleRate: 8000, Channels: 1},
			[]string{"m=audio 0 RTP/AVP 8", "a=rtpmap:8 PCMA/8000"},
		},
		"PCMA, 16 kHz": {
			media.Track{Codec: media.PCMA, ClockRate: 16000, PayloadType: 104, RTPMap: "PCMA/16000", SampleRate: 16000, Channels: 1},
			[]string{"m=audio 0 RTP/AVP 96", "a=rtpmap:96 PCMA/16000"},
		},
		"Opus": {
			media.Track{Codec: media.Opus, ClockRate: 48000, PayloadType: 111, RTPMap: "opus/48000/2", SampleRate: 48000, Channels: 2, FMTP: map[string]string{"sprop-stereo": "1"}},
			[]string{"m=audio 0 RTP/AVP 96", "a=rtpmap:96 opus/48000/2"},
		},
	} {
		t.Run(name, func(t *testing.T) {
			e := &media.Epoch{Tracks: []media.Track{test.track}, Begin: time.Now()}
			f := newFeed(t, e)
			f.put(&media.Unit{Epoch: e, Key: true, Packets: [][]byte{make([]byte, 20)}})
			g := newGateway(t, f, func(o *rtspout.Options) {
				o.Resolve = func(name string) (string, string, string) { return name, "", "Front\r\ndoor" }
			})
			c := g.dial(t)
			body := c.want(c.do("DESCRIBE", g.url("?token=rtt_wall")), 200).Body
			for _, want := range append(test.want, "s=Front  door\r\n", "a=control:trackID=0") {
				if !strings.Contains(string(body), want) {
					t.Errorf("no %q in\n%s", want, body)
				}
			}
			parsed, err := sdpunmarshaler.Unmarshal(body)
			if err != nil {
				t.Fatal(err)
			}
			var desc description.Session
			if err := desc.Unmarshal2(parsed); err != nil {
				t.Fatal(err)
			}
			if _, generic := desc.Medias[0].Formats[0].(*format.Generic); generic {
				t.Error("gortsplib does not know the format")
			}
		})
	}
}

// Tracks that cannot be described are a failure of the media.
func TestServer_describes_unknown(t *testing.T) {
	e := &media.Epoch{Tracks: []media.Track{{Codec: "VP8", ClockRate: 1, RTPMap: "x"}}, Begin: time.Now()}
	f := newFeed(t, e)
	f.put(&media.Unit{Epoch: e, Key: true, Packets: [][]byte{make([]byte, 20)}})
	g := newGateway(t, f, nil)
	c := g.dial(t)
	if got := c.want(c.do("DESCRIBE", g.url("?token=rtt_wall")), 503).Header["X-Reason"][0]; !strings.HasPrefix(got, "media; NO_MEDIA;") {
		t.Errorf("X-Reason %q", got)
	}
	f.awaitReaders(t, 0)
}

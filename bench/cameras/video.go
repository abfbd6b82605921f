package cameras

import (
	"encoding/base64"
	"encoding/binary"
	"errors"
	"fmt"
	"math/rand/v2"

	"rtsptunnel/bench/stamp"
	"rtsptunnel/internal/testkit/rtsptest"
)

const (
	clock       = 90000 // RTP's clock for H.264 (RFC 6184, 8.2.1)
	packetBytes = 1400  // at most, of an RTP packet's payload
	keySize     = 5     // a key frame has the bytes of as many other pictures

	rtpHeader   = 12
	interleaved = 4 // RFC 2326, 10.12
)

// video is one group of pictures of a kind, which is repeated.
type video struct {
	kind  Kind
	sdp   string
	group []picture
}

// picture is the interleaved RTP packets of one picture. A sender fills in what differs from
// one connection to another.
type picture struct {
	packets []byte
	headers []int // where each packet's RTP header begins
}

const nalType = 0x1F // RFC 6184, 1.3

// newVideo takes the headers of pictures from a clip: its parameter sets, its key frame and
// the pictures after it.
func newVideo(k Kind) (*video, error) {
	clip, err := rtsptest.Clip("front")
	if err != nil {
		return nil, err
	}
	sps, pps := find(clip[0], 7), find(clip[0], 8)
	if sps == nil || pps == nil {
		return nil, errors.New("the clip has no parameter sets")
	}
	v := &video{kind: k, sdp: sdp(sps, pps)}
	random := rand.New(rand.NewPCG(1, 2)) //nolint:gosec // G404: the same pictures in each run
	each := k.BitsPerSecond / 8 * k.Group / k.Rate / (k.Group + keySize - 1)
	for n := range k.Group {
		if n == 0 {
			v.group = append(v.group, packetize([][]byte{sps, pps, slice(find(clip[0], 5), keySize*each, random)}))
			continue
		}
		p := find(clip[1+n%20], 1)
		if p == nil {
			return nil, fmt.Errorf("picture %d of the clip has no slice", 1+n%20)
		}
		v.group = append(v.group, packetize([][]byte{slice(p, each, random)}))
	}
	return v, nil
}

// find returns the first NAL unit of a type.
func find(unit rtsptest.AccessUnit, kind byte) []byte {
	for _, n := range unit {
		if n[0]&nalType == kind {
			return n
		}
	}
	return nil
}

// slice returns a slice of size bytes with the header of real. No byte of it is below 4, so
// none is part of a start code. It has room for a mark.
func slice(real []byte, size int, random *rand.Rand) []byte {
	const header = 16 // bytes of real that are kept, at most
	b := make([]byte, max(size, header+stamp.Size))
	for i := range b {
		b[i] = byte(4 + random.IntN(252)) //nolint:gosec // G115: below 256
	}
	copy(b, real[:min(header, len(real))])
	return b
}

// packetize makes the packets of a picture: NAL units that fit are single packets, others
// fragments (RFC 6184, 5.6 and 5.8).
func packetize(units [][]byte) picture {
	var p picture
	for i, unit := range units {
		last := i == len(units)-1
		if len(unit) <= packetBytes {
			p.add(last, unit)
			continue
		}
		const fragmentA = 28
		indicator, header := unit[0]&^nalType|fragmentA, unit[0]&nalType
		rest := unit[1:]
		for first := true; len(rest) > 0; first = false {
			n := min(packetBytes-2, len(rest))
			if left := len(rest) - n; left > 0 && left < stamp.Size {
				n -= stamp.Size // a mark is not divided
			}
			bits := header
			if first {
				bits |= 0x80
			}
			if n == len(rest) {
				bits |= 0x40
			}
			p.add(last && n == len(rest), []byte{indicator, bits}, rest[:n])
			rest = rest[n:]
		}
	}
	return p
}

// add adds an RTP packet of payload type 96 (RFC 3550, 5.1), on channel 0.
func (p *picture) add(marker bool, parts ...[]byte) {
	length := rtpHeader
	for _, part := range parts {
		length += len(part)
	}
	kind := byte(96)
	if marker {
		kind |= 0x80
	}
	p.packets = append(p.packets, '$', 0, byte(length>>8), byte(length))
	p.headers = append(p.headers, len(p.packets))
	p.packets = append(p.packets, 0x80, kind, 0, 0, 0, 0, 0, 0, 'b', 'n', 'c', 'h')
	for _, part := range parts {
		p.packets = append(p.packets, part...)
	}
}

// putHeader fills in the RTP header at the begin of b.
func putHeader(b []byte, sequence uint16, timestamp uint32) {
	binary.BigEndian.PutUint16(b[2:], sequence)
	binary.BigEndian.PutUint32(b[4:], timestamp)
}

func sdp(sps, pps []byte) string {
	sets := base64.StdEncoding.EncodeToString(sps) + "," + base64.StdEncoding.EncodeToString(pps)
	return "v=0\r\no=- 0 0 IN IP4 127.0.0.1\r\ns=bench\r\nc=IN IP4 0.0.0.0\r\nt=0 0\r\na=control:*\r\n" +
		"m=video 0 RTP/AVP 96\r\na=rtpmap:96 H264/90000\r\na=fmtp:96 packetization-mode=1;sprop-parameter-sets=" + sets +
		"\r\na=control:trackID=0\r\n"
}

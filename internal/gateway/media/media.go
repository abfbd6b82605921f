// Package media describes what a camera sends: tracks, access units and epochs. A source
// makes them, a stream keeps them, and outputs read them.
//
// Code belongs here if it knows codecs: key frames, parameter sets, codec strings, the
// order of pictures. The package is pure: it knows neither sockets, nor who makes or reads
// the units.
package media

import (
	"sync"
	"sync/atomic"
	"time"
)

// Codec is the name of a codec, as log lines and the API show it.
type Codec string

// The codecs that the gateway passes on.
const (
	H264  Codec = "H264"
	H265  Codec = "H265"
	MJPEG Codec = "MJPEG"
	AAC   Codec = "AAC"
	PCMA  Codec = "PCMA"
	PCMU  Codec = "PCMU"
	Opus  Codec = "Opus"
)

// Track is one elementary stream of a camera. It does not change.
type Track struct {
	Codec     Codec
	ClockRate int // ticks a second of PTS, DTS and RTP times

	// PayloadType, RTPMap and FMTP are the track's description in SDP (RFC 8866, 6.6 and
	// 6.15), without "a=rtpmap:96 " and "a=fmtp:96 ": as the camera sent it, but with the
	// epoch's parameter sets.
	PayloadType uint8
	RTPMap      string
	FMTP        map[string]string

	// SPS and PPS, and VPS for H265, are the parameter sets of the epoch; nil if they are
	// not known yet.
	VPS, SPS, PPS []byte
	Width, Height int // of H264 and H265, from the SPS; 0 if not known

	// Config is AAC's AudioSpecificConfig (ISO/IEC 14496-3, 1.6.2.1).
	Config               []byte
	SampleRate, Channels int // of sound
}

// Video reports whether the track has pictures.
func (t Track) Video() bool {
	return t.Codec == H264 || t.Codec == H265 || t.Codec == MJPEG
}

// Epoch is a span of a stream with the same tracks, parameter sets and clock. Units of one
// epoch share one Epoch. A source begins a new one when any of them changes; a stream
// numbers them. Outputs begin anew at a new epoch.
type Epoch struct {
	Tracks []Track
	Begin  time.Time // the wall clock at PTS 0 of all tracks

	// Number and Base are set by the stream before it publishes the first unit. Number
	// rises by one. Base is the time of PTS 0 of each track since the stream's first unit,
	// in ticks of the track: Base plus PTS keeps rising across epochs.
	Number uint32
	Base   []int64
}

// MainTrack returns the index of the track whose key frames readers begin at: the first
// video, or the first track if there is no video.
func (e *Epoch) MainTrack() int {
	for i, t := range e.Tracks {
		if t.Video() {
			return i
		}
	}
	return 0
}

// Unit is one access unit: a picture, or the sound of one RTP packet. It does not change
// after its stream has published it, and all readers share it.
type Unit struct {
	Epoch *Epoch
	Track int // index into Epoch.Tracks
	// PTS and DTS are in ticks of the track, 0 at the begin of the epoch and never
	// negative. DTS rises strictly within the epoch. It is at most PTS, but for pictures
	// whose order is not known: the first ones of an epoch with B frames, by some
	// milliseconds, and those of streams whose codec does not tell it.
	PTS, DTS int64
	Wall     time.Time // when the gateway received it, smoothed; it never goes back within a track
	Key      bool      // decoding can begin here; true for all sound and all of MJPEG
	// Duration is the expected number of ticks to the next unit of the track, for outputs
	// that must name one; 0 if not known. The stream sets it.
	Duration int64

	// Payload is the NAL units of H264 and H265 without start codes, with the parameter
	// sets before each key frame; one JPEG image of MJPEG; the frames of sound.
	Payload [][]byte
	// Packets are the RTP packets (RFC 3550, 5.1) of the unit, as the camera sent them, for
	// outputs that pass them on. Packets with parameter sets that the camera did not send
	// precede those of a key frame. All have the timestamp of the unit. Of H264 and H265,
	// the last one alone has the marker bit.
	Packets [][]byte
	// Seq is the number of packets of this track before the unit since the stream began.
	// The stream sets it.
	Seq uint32

	memos [memoKinds]memo
}

// Size returns the bytes that the unit holds: those of the payload and of the packets.
func (u *Unit) Size() int {
	n := 0
	for _, p := range u.Payload {
		n += len(p)
	}
	for _, p := range u.Packets {
		n += len(p)
	}
	return n
}

// MemoKind names one form of a unit that readers of one output share.
type MemoKind int

// The forms. Each has one output.
const (
	Interleaved MemoKind = iota // RTP packets framed for RTSP over TCP
	Fragment                    // a WebSocket message with a fragment of MP4
	memoKinds
)

type memo struct {
	build sync.Mutex
	value atomic.Pointer[[]byte]
}

// Memo returns the bytes that build returns for this unit. It calls build once for all
// readers, and once more after each Forget. The caller must not change the bytes.
func (u *Unit) Memo(kind MemoKind, build func(*Unit) []byte) []byte {
	m := &u.memos[kind]
	if b := m.value.Load(); b != nil {
		return *b
	}
	m.build.Lock()
	defer m.build.Unlock()
	if b := m.value.Load(); b != nil {
		return *b
	}
	b := build(u)
	m.value.Store(&b)
	return b
}

// Forget frees the memos, which are as large as the unit, for a unit that few readers will
// read. Readers keep the bytes that they have.
func (u *Unit) Forget() {
	for i := range u.memos {
		u.memos[i].value.Store(nil)
	}
}

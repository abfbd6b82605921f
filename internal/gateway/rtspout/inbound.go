package rtspout

import (
	"bytes"
	"strconv"
)

// inbound drops the interleaved frames that a player sends: receiver reports, which tell
// nothing that TCP does not. gortsplib ends a connection that gets one while it does not
// play, and players go on to report after a PAUSE.
type inbound struct {
	state inboundState
	left  int    // bytes of the frame or the body
	line  []byte // of the header
	lines int    // of the header that are not empty
	body  int    // the header's Content-Length
}

type inboundState int

const (
	messageStart inboundState = iota
	frameStart                // channel and length of a frame
	framePayload
	headerLine
	bodyBytes
)

// maxBody is gortsplib's limit of a body.
const maxBody = 128 << 10

// filter removes frames from p in place, and returns how many bytes are left. It keeps them
// if drop is false.
func (in *inbound) filter(p []byte, drop bool) int {
	kept := 0
	for _, b := range p {
		if frame := in.next(b); frame && drop {
			continue
		}
		p[kept] = b
		kept++
	}
	return kept
}

// next takes a byte, and reports whether it is part of a frame.
func (in *inbound) next(b byte) bool {
	switch in.state {
	case messageStart:
		if b == '$' {
			in.state, in.line = frameStart, in.line[:0]
			return true
		}
		in.state, in.lines, in.body = headerLine, 0, 0
		in.header(b)
		return false
	case frameStart:
		in.line = append(in.line, b)
		if len(in.line) == frameHeader-1 {
			in.left = int(in.line[1])<<8 | int(in.line[2])
			in.line = in.line[:0]
			in.advance(framePayload)
		}
		return true
	case framePayload:
		in.left--
		in.advance(framePayload)
		return true
	case headerLine:
		in.header(b)
	case bodyBytes:
		in.left--
		in.advance(bodyBytes)
	}
	return false
}

// advance stays in a state while bytes of it are left.
func (in *inbound) advance(s inboundState) {
	in.state = s
	if in.left <= 0 {
		in.state = messageStart
	}
}

// header takes a byte of a request's lines.
func (in *inbound) header(b byte) {
	const longest = 64 // of the lines that matter
	if b != '\n' {
		if len(in.line) < longest {
			in.line = append(in.line, b)
		}
		return
	}
	line := bytes.TrimSpace(in.line)
	in.line = in.line[:0]
	if len(line) == 0 {
		if in.lines > 0 { // else blank lines between messages
			in.left = in.body
			in.advance(bodyBytes)
		} else {
			in.state = messageStart
		}
		return
	}
	in.lines++
	name, value, ok := bytes.Cut(line, []byte(":"))
	if !ok || !bytes.EqualFold(name, []byte("Content-Length")) {
		return
	}
	if n, err := strconv.Atoi(string(bytes.TrimSpace(value))); err == nil && n >= 0 && n <= maxBody {
		in.body = n
	}
}

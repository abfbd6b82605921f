package wsconn

import (
	"crypto/rand"
	"crypto/subtle"
	"encoding/binary"
)

// The opcodes of frames (RFC 6455, 5.2). Those of control frames begin at opClose.
const (
	opContinuation = 0
	opText         = 1
	opBinary       = 2
	opClose        = 8
	opPing         = 9
	opPong         = 10
)

// The first bytes of frames that are sent: the opcode with the FIN bit.
const (
	binaryFrame = 0x80 | opBinary
	closeFrame  = 0x80 | opClose
	pingFrame   = 0x80 | opPing
	pongFrame   = 0x80 | opPong
)

const (
	headroom   = 8                   // bytes of the longest header that is sent: 2, length 2, mask 4
	maxFrame   = 64 << 10            // bytes on the wire: four full TLS records, and a short wait for control frames
	maxPayload = maxFrame - headroom // fits into a length of 16 bits
	maxControl = 125                 // bytes of payload
)

// encodeFrame turns buf into a frame without moving its payload, which begins at
// headroom. It writes the header before the payload and masks the payload in place. It
// returns the part of buf that is the frame.
func encodeFrame(opcode byte, buf []byte, masked bool) []byte {
	payload := buf[headroom:]
	at := headroom
	var maskBit byte
	if masked {
		at -= 4
		maskBit = 0x80
		key := buf[at:headroom]
		_, _ = rand.Read(key) // never fails (crypto/rand)
		mask(payload, [4]byte(key))
	}
	if len(payload) < 126 {
		at--
		buf[at] = maskBit | byte(len(payload)) //nolint:gosec // less than 126
	} else {
		at -= 3
		buf[at] = maskBit | 126
		binary.BigEndian.PutUint16(buf[at+1:], uint16(len(payload))) //nolint:gosec // at most maxPayload
	}
	at--
	buf[at] = opcode
	return buf[at:]
}

// mask applies a frame's key to its payload (RFC 6455, 5.3).
func mask(payload []byte, key [4]byte) {
	var keys [256]byte // a multiple of the key's length; long enough for vector instructions
	filled := copy(keys[:], key[:])
	for filled < min(len(payload), len(keys)) {
		filled += copy(keys[filled:], keys[:filled])
	}
	for len(payload) > 0 {
		n := subtle.XORBytes(payload, payload, keys[:])
		payload = payload[n:]
	}
}

package manifest

import (
	"fmt"
	"strings"

	"rtsptunnel/internal/base/jsontree"
)

// A manifest has createOptions as text, split into pieces. See "Configure container
// create options for IoT Edge modules"; the sizes are the limits of Microsoft's tools.
const (
	createOptions = "createOptions"
	pieceSize     = 512 // bytes
	maxPieces     = 8
	maxOptions    = pieceSize * maxPieces
)

// pieceName returns the name of piece i, which starts at zero: createOptions,
// createOptions01, ...
func pieceName(i int) string {
	if i == 0 {
		return createOptions
	}
	return fmt.Sprintf("%s%02d", createOptions, i)
}

// splitOptions converts a module's createOptions from the object that templates have to
// compact text in pieces. It leaves text unchanged that fits one piece or is already
// split.
func (r *report) splitOptions(s settings) {
	v, at := s.get(createOptions), s.place(createOptions)
	if v == nil || v.Is(jsontree.String) && len(v.Text) <= pieceSize {
		return
	}
	if s.get(pieceName(1)) != nil {
		if !v.Is(jsontree.String) {
			r.fault(at, "is an object, but there is also "+pieceName(1), "remove "+pieceName(1)+": the object is split into pieces automatically")
		}
		return
	}
	text := v.Text
	switch v.Kind {
	case jsontree.String:
	case jsontree.Object:
		text = string(v.Compact())
	default:
		r.fault(at, "must be an object, or JSON as a string", "write {} if there are none")
		return
	}
	if bad := notASCII(text); bad >= 0 {
		r.fault(at, fmt.Sprintf("has a character that is not ASCII, at offset %d of the compact text", bad), "remove it: the tools and the hub count such characters differently")
		return
	}
	if len(text) > maxOptions {
		r.fault(at, fmt.Sprintf("is %d characters long as compact text; at most %d fit into a manifest", len(text), maxOptions), "shorten it, or move settings into the image or the module's env")
		return
	}
	for i := 0; len(text) > 0; i++ {
		size := min(len(text), pieceSize)
		piece := jsontree.NewString(text[:size])
		piece.Line = v.Line
		s.set(pieceName(i), piece)
		text = text[size:]
	}
}

// notASCII returns the offset of the first byte that is not ASCII, or -1.
func notASCII(text string) int {
	for i := range len(text) {
		if text[i] >= 0x80 {
			return i
		}
	}
	return -1
}

// joinOptions returns the text of a module's createOptions, joined from its pieces. It
// stops at the first gap.
func joinOptions(s settings) string {
	var text strings.Builder
	for i := range maxPieces {
		v := s.get(pieceName(i))
		if !v.Is(jsontree.String) {
			break
		}
		text.WriteString(v.Text)
	}
	return text.String()
}

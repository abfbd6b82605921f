package manifest

import (
	"fmt"
	"strings"

	"rtsptunnel/internal/base/jsontree"
)

// What a manifest has of createOptions: text, in pieces ("Configure container create
// options for IoT Edge modules"; the tools' limits).
const (
	createOptions = "createOptions"
	pieceSize     = 512 // bytes
	maxPieces     = 8
	maxOptions    = pieceSize * maxPieces
)

// pieceName is the name of piece i, from zero.
func pieceName(i int) string {
	if i == 0 {
		return createOptions
	}
	return fmt.Sprintf("%s%02d", createOptions, i)
}

// cutOptions makes of a module's createOptions, which a template has as an object, text
// without blanks in pieces. Text that is in pieces already, or fits one, stays as it is.
func (r *report) cutOptions(s settings) {
	v, at := s.get(createOptions), s.place(createOptions)
	if v == nil || v.Is(jsontree.String) && len(v.Text) <= pieceSize {
		return
	}
	if s.get(pieceName(1)) != nil {
		if !v.Is(jsontree.String) {
			r.fault(at, "is an object, and there is "+pieceName(1)+" besides", "remove that: the object is cut into such pieces")
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
		r.fault(at, fmt.Sprintf("has a character that is not ASCII, at %d of the text without blanks", bad), "leave it out: the tools and the hub count such characters differently")
		return
	}
	if len(text) > maxOptions {
		r.fault(at, fmt.Sprintf("is %d characters long without blanks; at most %d go into a manifest", len(text), maxOptions), "shorten it, or move settings into the image or the module's env")
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

// notASCII is where the first byte is that is not ASCII, -1 if there is none.
func notASCII(text string) int {
	for i := range len(text) {
		if text[i] >= 0x80 {
			return i
		}
	}
	return -1
}

// joinOptions is the text of a module's createOptions, out of its pieces.
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

package manifest

import (
	"fmt"
	"strings"
	"unicode/utf16"
	"unicode/utf8"

	"rtsptunnel/internal/base/jsontree"
)

// A manifest has createOptions as text, split into pieces. The sizes are iotedgedev's:
// Azure/iotedgedev, iotedgedev/deploymentmanifest.py, TWIN_VALUE_MAX_SIZE and
// TWIN_VALUE_MAX_CHUNKS. Edge agent reads more pieces; see agentPieces.
const (
	createOptions = "createOptions"
	pieceSize     = 512 // characters
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
// compact ASCII text in pieces. Text stays as it is, and is only cut. splitOptions leaves
// text unchanged that fits one piece or is already split.
func (r *report) splitOptions(s settings) {
	v, at := s.get(createOptions), s.place(createOptions)
	if v == nil || v.Is(jsontree.String) && utf8.RuneCountInString(v.Text) <= pieceSize {
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
		text = escapeJSON(string(v.Compact()))
	default:
		r.fault(at, "must be an object, or JSON as a string", "write {} if there are none")
		return
	}
	characters := []rune(text)
	if len(characters) > maxOptions {
		r.fault(at, fmt.Sprintf("is %d characters long as compact text; at most %d fit into the %d pieces of a template's createOptions", len(characters), maxOptions, maxPieces),
			"shorten it, or move settings into the image or the module's env")
		return
	}
	for i := 0; len(characters) > 0; i++ {
		size := min(len(characters), pieceSize)
		piece := jsontree.NewString(string(characters[:size]))
		piece.Line = v.Line
		s.set(pieceName(i), piece)
		characters = characters[size:]
	}
}

// escapeJSON writes the characters of a JSON text that are not printable ASCII as \uXXXX,
// two for those above U+FFFF. iotedgedev does so before it cuts the text: Azure/iotedgedev,
// iotedgedev/deploymentmanifest.py, where json.dumps has its default ensure_ascii.
func escapeJSON(text string) string {
	var escaped strings.Builder
	for _, r := range text {
		switch high, low := utf16.EncodeRune(r); {
		case r < 0x7f:
			escaped.WriteRune(r)
		case high != utf8.RuneError:
			fmt.Fprintf(&escaped, `\u%04x\u%04x`, high, low)
		default:
			fmt.Fprintf(&escaped, `\u%04x`, r)
		}
	}
	return escaped.String()
}

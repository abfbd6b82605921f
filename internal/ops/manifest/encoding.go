package manifest

import (
	"bytes"
	"encoding/binary"
	"unicode/utf16"
	"unicode/utf8"
)

// readText reads a file as az does, in UTF-8 with or without a byte order mark, or in
// UTF-16 with one: Azure/azure-iot-cli-extension, azext_iot/common/utility.py,
// read_file_content. The result is UTF-8 without a mark, or nil after a problem.
func (r *report) readText() []byte {
	doc := r.read()
	if doc == nil {
		return nil
	}
	switch {
	case bytes.HasPrefix(doc, []byte("\xef\xbb\xbf")):
		return doc[3:]
	case bytes.HasPrefix(doc, []byte("\xff\xfe")):
		return r.decodeUTF16(doc[2:], binary.LittleEndian)
	case bytes.HasPrefix(doc, []byte("\xfe\xff")):
		return r.decodeUTF16(doc[2:], binary.BigEndian)
	}
	return doc
}

func (r *report) decodeUTF16(doc []byte, order binary.ByteOrder) []byte {
	units := make([]uint16, len(doc)/2)
	for i := range units {
		units[i] = order.Uint16(doc[2*i:])
	}
	text := make([]byte, 0, len(doc))
	for i := 0; i < len(units); i++ {
		char := rune(units[i])
		if utf16.IsSurrogate(char) {
			char = utf8.RuneError
			if i+1 < len(units) {
				char = utf16.DecodeRune(rune(units[i]), rune(units[i+1]))
				i++
			}
			if char == utf8.RuneError {
				r.fault(place{}, "is not valid UTF-16", "save it as UTF-8")
				return nil
			}
		}
		text = utf8.AppendRune(text, char)
	}
	if len(doc)%2 != 0 {
		r.fault(place{}, "is not valid UTF-16", "save it as UTF-8")
		return nil
	}
	return text
}

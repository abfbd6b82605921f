package jsontree

import (
	"bytes"
	"encoding/json"
)

// Compact returns the value as JSON without white space. Members keep their order. <, >
// and & are not escaped, unlike in encoding/json.
func (v *Value) Compact() []byte {
	var text bytes.Buffer
	v.write(&text)
	return text.Bytes()
}

// Indent returns the value as JSON with two spaces per level and a final line break.
func (v *Value) Indent() []byte {
	var text bytes.Buffer
	_ = json.Indent(&text, v.Compact(), "", "  ") // fails only if a caller has made an invalid number
	text.WriteByte('\n')
	return text.Bytes()
}

func (v *Value) write(text *bytes.Buffer) {
	if v == nil {
		text.WriteString("null")
		return
	}
	switch v.Kind {
	case Null:
		text.WriteString("null")
	case Bool, Number:
		text.WriteString(v.Text)
	case String:
		quote(text, v.Text)
	case Array:
		text.WriteByte('[')
		for i, item := range v.Items {
			if i > 0 {
				text.WriteByte(',')
			}
			item.write(text)
		}
		text.WriteByte(']')
	case Object:
		text.WriteByte('{')
		for i, m := range v.Members {
			if i > 0 {
				text.WriteByte(',')
			}
			quote(text, m.Name)
			text.WriteByte(':')
			m.Value.write(text)
		}
		text.WriteByte('}')
	}
}

func quote(text *bytes.Buffer, s string) {
	encoder := json.NewEncoder(text)
	encoder.SetEscapeHTML(false)
	_ = encoder.Encode(s)         // a string always marshals
	text.Truncate(text.Len() - 1) // its line break
}

// MarshalJSON is Compact. It implements json.Marshaler.
func (v *Value) MarshalJSON() ([]byte, error) { return v.Compact(), nil }

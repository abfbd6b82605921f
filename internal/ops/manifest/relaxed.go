package manifest

import (
	"fmt"
	"strings"
)

// relaxedJSON makes JSON of text that edge agent's library reads as if it were JSON:
// single quotes, names without quotes, comments, a comma after the last member, and
// control characters in strings. Text that has another fault stays invalid. See
// JamesNK/Newtonsoft.Json, Src/Newtonsoft.Json/JsonTextReader.cs; Azure/iotedge,
// edge-agent/test/Microsoft.Azure.Devices.Edge.Agent.Docker.Test/DockerConfigTest.cs, has
// single quotes.
func relaxedJSON(text string) string {
	r := relaxer{rest: text}
	for r.rest != "" {
		r.token()
	}
	return r.json.String()
}

// relaxer copies tokens from rest to json.
type relaxer struct {
	rest  string
	json  strings.Builder
	comma bool // a comma that is not yet written, because it may be the last one
	open  bool // no */ follows
}

func (r *relaxer) token() {
	switch c := r.rest[0]; {
	case strings.HasPrefix(r.rest, "/*") && !r.open:
		if _, after, closed := strings.Cut(r.rest[2:], "*/"); closed {
			r.rest = after
		} else {
			r.open = true
		}
	case strings.HasPrefix(r.rest, "//"):
		_, r.rest, _ = strings.Cut(r.rest, "\n")
	case strings.IndexByte(" \t\r\n", c) >= 0:
		r.rest = r.rest[1:]
	case c == ',' && !r.comma:
		r.comma, r.rest = true, r.rest[1:]
	case c == '"', c == '\'':
		r.write("")
		r.quoted(c)
	case isNameRune(rune(c)):
		end := strings.IndexFunc(r.rest, func(c rune) bool { return !isNameRune(c) && c != '.' && c != '-' && c != '+' })
		if end < 0 {
			end = len(r.rest)
		}
		word := r.rest[:end]
		r.rest = r.rest[end:]
		if strings.HasPrefix(strings.TrimLeft(r.rest, " \t\r\n"), ":") && !strings.ContainsAny(word, ".-+") {
			word = `"` + word + `"`
		}
		r.write(word)
	default:
		r.write(r.rest[:1])
		r.rest = r.rest[1:]
	}
}

// write writes a token, and before it the comma, unless the token closes an object or an
// array.
func (r *relaxer) write(token string) {
	if r.comma && token != "}" && token != "]" {
		r.json.WriteByte(',')
	}
	r.comma = false
	r.json.WriteString(token)
}

// quoted writes a string in double quotes.
func (r *relaxer) quoted(quote byte) {
	r.json.WriteByte('"')
	for i := 1; i < len(r.rest); i++ {
		switch c := r.rest[i]; {
		case c == quote:
			r.json.WriteByte('"')
			r.rest = r.rest[i+1:]
			return
		case strings.HasPrefix(r.rest[i:], `\'`):
			r.json.WriteByte('\'')
			i++
		case c == '\\' && i+1 < len(r.rest):
			r.json.WriteString(r.rest[i : i+2])
			i++
		case c == '"':
			r.json.WriteString(`\"`)
		case c < ' ':
			fmt.Fprintf(&r.json, `\u%04x`, c)
		default:
			r.json.WriteByte(c)
		}
	}
	r.rest = ""
}

func isNameRune(c rune) bool {
	return c == '_' || c == '$' || c >= '0' && c <= '9' || c|0x20 >= 'a' && c|0x20 <= 'z'
}

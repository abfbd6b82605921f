package edgeroute

import (
	"regexp"
	"strings"
)

// kind is the kind of a token.
type kind int

// The kinds of tokens, with the names of Azure/iotedge,
// Microsoft.Azure.Devices.Routing.Core/grammar/GrammarLexer.g4.
const (
	kindEnd kind = iota
	kindSelect
	kindFrom
	kindWhere
	kindInto
	kindString
	kindOpenString // UNTERMINATED_STRING
	kindNumber
	kindBool
	kindNull
	kindUndefined
	kindOpen
	kindClose
	kindComma
	kindPlus
	kindMinus
	kindMultiply
	kindDivide
	kindModulo
	kindAnd
	kindOr
	kindNot
	kindEqual
	kindCompare
	kindConcat
	kindCoalesce
	kindSystem // SYS_PROP, which begins with $
	kindName   // ID
	kindPath   // QUERY_PATH, which no rule uses
	kindSpace
	kindComment
	kindUnknown
)

// token is a token of a route, as written.
type token struct {
	kind   kind
	text   string
	offset int // in bytes
}

const (
	// pathChars are the characters of names in bodies; nameChars also exclude brackets.
	pathChars = "[^()<>@,;:\\\\\"/?={} \\t\\n\\r]"
	nameChars = "[^()<>@,;:\\\\\"/\\[\\]?={} \\t\\n\\r]"
	escape    = `\\(?:["'\\]|u[0-9a-fA-F]{4})`
)

// rules are the tokens in the order of the grammar. The longest match wins, and the first
// of equal length. So 'a'||'b' is one name, because a name may contain ' and |.
var rules = []struct {
	kind    kind
	pattern *regexp.Regexp
}{
	{kindSelect, at(`(?i:select)`)},
	{kindFrom, at(`(?i:from)`)},
	{kindWhere, at(`(?i:where)`)},
	{kindInto, at(`(?i:into)`)},
	{kindString, at(`"(?:` + escape + `|[^"\\])*"|'(?:` + escape + `|[^'\\])*'`)},
	{kindOpenString, at(`"(?:` + escape + `|[^"\\])*|'(?:` + escape + `|[^'\\])*`)},
	{kindNumber, at(`-?[0-9]+|0[Xx][0-9a-fA-F]+|-?[0-9]*\.[0-9]+(?:[Ee][+-]?[0-9]+)?|-?[0-9]*[Ee][+-]?[0-9]+`)},
	{kindBool, at(`true|false`)},
	{kindNull, at(`null`)},
	{kindUndefined, at(`undefined`)},
	{kindOpen, at(`\(`)},
	{kindClose, at(`\)`)},
	{kindComma, at(`,`)},
	{kindPlus, at(`\+`)},
	{kindMinus, at(`-`)},
	{kindMultiply, at(`\*`)},
	{kindDivide, at(`/`)},
	{kindModulo, at(`%`)},
	{kindAnd, at(`(?i:and)`)},
	{kindOr, at(`(?i:or)`)},
	{kindNot, at(`(?i:not)`)},
	{kindEqual, at(`=|!=|<>`)},
	{kindCompare, at(`<=|>=|>|<`)},
	{kindConcat, at(`\|\|`)},
	{kindCoalesce, at(`\?\?`)},
	{kindSystem, at(`\$` + pathChars + `+`)},
	{kindName, at(nameChars + `+`)},
	{kindPath, at(pathChars + `+`)},
	{kindSpace, at(`[ \t\r\n]+`)},
	{kindUnknown, at(`(?s:.)`)},
}

// at compiles a pattern that matches at the start of a text, as long as it can.
func at(pattern string) *regexp.Regexp {
	compiled := regexp.MustCompile(`\A(?:` + pattern + `)`)
	compiled.Longest()
	return compiled
}

// scan returns the tokens of a route without spaces and comments, and one of kindEnd. It
// also returns the offset of the first comment, or -1.
func scan(text string) (tokens []token, comment int) {
	comment = -1
	for offset := 0; offset < len(text); {
		t := scanToken(text, offset)
		switch t.kind {
		case kindSpace:
		case kindComment:
			if comment < 0 {
				comment = offset
			}
		default:
			tokens = append(tokens, t)
		}
		offset += len(t.text)
	}
	return append(tokens, token{kind: kindEnd, offset: len(text)}), comment
}

func scanToken(text string, offset int) token {
	rest := text[offset:]
	if strings.HasPrefix(rest, "/*") {
		if end := strings.Index(rest[2:], "*/"); end >= 0 {
			return token{kindComment, rest[:2+end+2], offset}
		}
	}
	t := token{kindUnknown, rest[:1], offset}
	longest := 0
	for _, r := range rules {
		if found := r.pattern.FindString(rest); len(found) > longest {
			t.kind, t.text, longest = r.kind, found, len(found)
		}
	}
	return t
}

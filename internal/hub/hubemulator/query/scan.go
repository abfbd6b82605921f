package query

import (
	"strconv"
	"strings"
	"unicode"
	"unicode/utf16"
)

type kind int

const (
	kindEnd    kind = iota
	kindWord        // a keyword or a name
	kindName        // a name in [[double brackets]]
	kindText        // a string literal
	kindNumber      // a number literal
	kindSymbol      // an operator or a bracket
	kindBad         // none of these; text says why
)

// token is one piece of a query.
type token struct {
	kind     kind
	position int    // of its first character, from 0
	raw      string // as it stands in the query
	text     string // of a word or symbol raw, of a name or text its value
	number   number
}

// is says whether the token is this keyword, in any case, or this symbol.
func (t token) is(text string) bool {
	return (t.kind == kindWord || t.kind == kindSymbol) && strings.EqualFold(t.text, text)
}

// scanner cuts a query into tokens.
type scanner struct {
	query []rune
	at    int
}

// next returns the next token; after the last, and after a bad one, it returns
// kindEnd for ever.
func (s *scanner) next() token {
	for unicode.IsSpace(s.peek(0)) {
		s.at++
	}
	t := token{position: s.at}
	first, second := s.peek(0), s.peek(1)
	switch {
	case s.at >= len(s.query):
		return t
	case first == '[' && second == '[':
		s.name(&t)
	case first == '\'' || first == '"':
		s.literal(&t)
	case isDigit(first) || (first == '-' || first == '.') && (isDigit(second) || first == '-' && second == '.'):
		s.numeral(&t)
	case isNameStart(first):
		for isNameStart(s.peek(0)) || unicode.IsDigit(s.peek(0)) {
			s.at++
		}
		t.kind, t.text = kindWord, string(s.query[t.position:s.at])
	default:
		s.symbol(&t)
	}
	t.raw = string(s.query[t.position:s.at])
	if t.kind == kindBad {
		s.at = len(s.query)
	}
	return t
}

// peek returns the character that is n ahead, or 0 beyond the end.
func (s *scanner) peek(n int) rune {
	if s.at+n >= len(s.query) {
		return 0
	}
	return s.query[s.at+n]
}

func isDigit(c rune) bool {
	return c >= '0' && c <= '9'
}

func isNameStart(c rune) bool {
	return c == '_' || c == '$' || unicode.IsLetter(c)
}

// bad ends t here as one that cannot be.
func (t *token) bad(reason string) {
	t.kind, t.text = kindBad, reason
}

func (s *scanner) symbol(t *token) {
	for _, symbol := range []string{"!=", "<>", "<=", ">=", "=", "<", ">", "(", ")", "[", "]", ",", ".", "*"} {
		if strings.HasPrefix(string(s.query[s.at:min(s.at+2, len(s.query))]), symbol) {
			s.at += len(symbol)
			t.kind, t.text = kindSymbol, symbol
			return
		}
	}
	switch s.query[s.at] {
	case '+', '-', '/', '%':
		t.bad("arithmetic is not supported, and a name with this in it goes into double square brackets: tags.[[a-b]]")
	default:
		t.bad("this character has no meaning here")
	}
	s.at++
}

// name reads a name in double brackets.
func (s *scanner) name(t *token) {
	s.at += 2
	begin := s.at
	for s.at < len(s.query) {
		if s.peek(0) == ']' && s.peek(1) == ']' {
			t.kind, t.text = kindName, string(s.query[begin:s.at])
			s.at += 2
			return
		}
		s.at++
	}
	t.bad("there is no ]] to end this name")
}

// literal reads a text in quotes of either kind.
func (s *scanner) literal(t *token) {
	quote := s.peek(0)
	s.at++
	var text strings.Builder
	for s.at < len(s.query) {
		c := s.peek(0)
		switch {
		case c == '\\':
			escaped, ok := s.escape()
			if !ok {
				t.bad(`this text has an escape that is none of \', \", \\ and \uXXXX`)
				return
			}
			text.WriteRune(escaped)
			continue
		case c == quote && s.peek(1) == quote:
			s.at++
		case c == quote:
			s.at++
			t.kind, t.text = kindText, text.String()
			return
		}
		text.WriteRune(c)
		s.at++
	}
	t.bad("there is no quote to end this text")
}

// escape reads one character written as an escape sequence.
func (s *scanner) escape() (rune, bool) {
	switch c := s.peek(1); c {
	case '\'', '"', '\\':
		s.at += 2
		return c, true
	case 'u':
		unit, ok := s.unit()
		if !ok || !utf16.IsSurrogate(unit) {
			return unit, ok
		}
		// A character beyond the first plane is two escapes; half of one is
		// no character, and becomes the one that stands for that.
		before := s.at
		if s.peek(0) == '\\' && s.peek(1) == 'u' {
			if second, ok := s.unit(); ok {
				if c := utf16.DecodeRune(unit, second); c != unicode.ReplacementChar {
					return c, true
				}
			}
		}
		s.at = before
		return unicode.ReplacementChar, true
	default:
		return 0, false
	}
}

// unit reads \uXXXX.
func (s *scanner) unit() (rune, bool) {
	const size = len(`\uXXXX`)
	if s.at+size > len(s.query) {
		return 0, false
	}
	unit, err := strconv.ParseUint(string(s.query[s.at+2:s.at+size]), 16, 16)
	if err != nil {
		return 0, false
	}
	s.at += size
	return rune(unit), true
}

// numeral reads a number, decimal or after 0x hexadecimal. A sign belongs to
// it: there is no arithmetic.
func (s *scanner) numeral(t *token) {
	s.at++
	for {
		c, last := s.peek(0), s.query[s.at-1]
		exponent := (c == '-' || c == '+') && (last == 'e' || last == 'E')
		if !exponent && c != '.' && !isDigit(c) && !isNameStart(c) {
			break
		}
		s.at++
	}
	n, ok := parseLiteral(string(s.query[t.position:s.at]))
	if !ok {
		t.bad("this is not a number, or too large for one")
		return
	}
	t.kind, t.number = kindNumber, n
}

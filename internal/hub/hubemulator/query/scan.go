package query

import (
	"strconv"
	"strings"
	"unicode"
	"unicode/utf16"
)

type kind int

const (
	kindEnd     kind = iota
	kindWord         // a keyword or a name
	kindName         // a name in [[double brackets]]
	kindText         // a string literal
	kindNumber       // a number literal
	kindSymbol       // an operator or punctuation
	kindInvalid      // none of these; text is the reason
)

// token is one token of a query.
type token struct {
	kind     kind
	position int    // of its first character, beginning with 0
	raw      string // the characters in the query
	text     string // the value of a name or string; the characters of a word or symbol
	number   number
}

// is reports whether the token is the given keyword, in any case, or symbol.
func (t token) is(text string) bool {
	return (t.kind == kindWord || t.kind == kindSymbol) && strings.EqualFold(t.text, text)
}

// scanner splits a query into tokens.
type scanner struct {
	query []rune
	pos   int
}

// next returns the next token. After the last token or an invalid one, it always
// returns kindEnd.
func (s *scanner) next() token {
	for unicode.IsSpace(s.peek(0)) {
		s.pos++
	}
	t := token{position: s.pos}
	first, second := s.peek(0), s.peek(1)
	switch {
	case s.pos >= len(s.query):
		return t
	case first == '[' && second == '[':
		s.scanName(&t)
	case first == '\'' || first == '"':
		s.scanText(&t)
	case isDigit(first) || (first == '-' || first == '.') && (isDigit(second) || first == '-' && second == '.'):
		s.scanNumber(&t)
	case isNameStart(first):
		for isNameStart(s.peek(0)) || unicode.IsDigit(s.peek(0)) {
			s.pos++
		}
		t.kind, t.text = kindWord, string(s.query[t.position:s.pos])
	default:
		s.scanSymbol(&t)
	}
	t.raw = string(s.query[t.position:s.pos])
	if t.kind == kindInvalid {
		s.pos = len(s.query)
	}
	return t
}

// peek returns the character n positions ahead, or 0 beyond the end.
func (s *scanner) peek(n int) rune {
	if s.pos+n >= len(s.query) {
		return 0
	}
	return s.query[s.pos+n]
}

func isDigit(c rune) bool {
	return c >= '0' && c <= '9'
}

func isNameStart(c rune) bool {
	return c == '_' || c == '$' || unicode.IsLetter(c)
}

// invalid makes t an invalid token that ends at the current position.
func (t *token) invalid(reason string) {
	t.kind, t.text = kindInvalid, reason
}

func (s *scanner) scanSymbol(t *token) {
	for _, symbol := range []string{"!=", "<>", "<=", ">=", "=", "<", ">", "(", ")", "[", "]", ",", ".", "*"} {
		if strings.HasPrefix(string(s.query[s.pos:min(s.pos+2, len(s.query))]), symbol) {
			s.pos += len(symbol)
			t.kind, t.text = kindSymbol, symbol
			return
		}
	}
	switch s.query[s.pos] {
	case '+', '-', '/', '%':
		t.invalid("arithmetic is not supported, and a name with this in it goes into double square brackets: tags.[[a-b]]")
	default:
		t.invalid("this character has no meaning here")
	}
	s.pos++
}

// scanName scans a name in double brackets.
func (s *scanner) scanName(t *token) {
	s.pos += 2
	begin := s.pos
	for s.pos < len(s.query) {
		if s.peek(0) == ']' && s.peek(1) == ']' {
			t.kind, t.text = kindName, string(s.query[begin:s.pos])
			s.pos += 2
			return
		}
		s.pos++
	}
	t.invalid("there is no ]] to end this name")
}

// scanText scans a string in single or double quotes.
func (s *scanner) scanText(t *token) {
	quote := s.peek(0)
	s.pos++
	var text strings.Builder
	for s.pos < len(s.query) {
		c := s.peek(0)
		switch {
		case c == '\\':
			escaped, ok := s.scanEscape()
			if !ok {
				t.invalid(`this text has an escape that is none of \', \", \\ and \uXXXX`)
				return
			}
			text.WriteRune(escaped)
			continue
		case c == quote && s.peek(1) == quote:
			s.pos++
		case c == quote:
			s.pos++
			t.kind, t.text = kindText, text.String()
			return
		}
		text.WriteRune(c)
		s.pos++
	}
	t.invalid("there is no quote to end this text")
}

// scanEscape scans an escape sequence and returns its character.
func (s *scanner) scanEscape() (rune, bool) {
	switch c := s.peek(1); c {
	case '\'', '"', '\\':
		s.pos += 2
		return c, true
	case 'u':
		unit, ok := s.scanCodeUnit()
		if !ok || !utf16.IsSurrogate(unit) {
			return unit, ok
		}
		// A character beyond the first plane has two escapes. A single surrogate
		// becomes the replacement character.
		before := s.pos
		if s.peek(0) == '\\' && s.peek(1) == 'u' {
			if second, ok := s.scanCodeUnit(); ok {
				if c := utf16.DecodeRune(unit, second); c != unicode.ReplacementChar {
					return c, true
				}
			}
		}
		s.pos = before
		return unicode.ReplacementChar, true
	default:
		return 0, false
	}
}

// scanCodeUnit scans \uXXXX.
func (s *scanner) scanCodeUnit() (rune, bool) {
	const size = len(`\uXXXX`)
	if s.pos+size > len(s.query) {
		return 0, false
	}
	unit, err := strconv.ParseUint(string(s.query[s.pos+2:s.pos+size]), 16, 16)
	if err != nil {
		return 0, false
	}
	s.pos += size
	return rune(unit), true
}

// scanNumber scans a decimal number, or a hexadecimal one after 0x. A sign is part
// of the number, because there is no arithmetic.
func (s *scanner) scanNumber(t *token) {
	s.pos++
	for {
		c, last := s.peek(0), s.query[s.pos-1]
		exponent := (c == '-' || c == '+') && (last == 'e' || last == 'E')
		if !exponent && c != '.' && !isDigit(c) && !isNameStart(c) {
			break
		}
		s.pos++
	}
	n, ok := parseLiteral(string(s.query[t.position:s.pos]))
	if !ok {
		t.invalid("this is not a number, or too large for one")
		return
	}
	t.kind, t.number = kindNumber, n
}

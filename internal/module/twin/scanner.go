package twin

import (
	"bytes"
	"encoding/json"
)

const (
	maxPath    = 3      // names of a path that a scanner follows
	maxRawName = 64     // bytes of a name as it is written; none that matters is longer
	maxNesting = 10_000 // as encoding/json has it
)

// scanner finds values in JSON of any size, with memory for the open brackets and for what
// is captured. It checks brackets, commas and colons, and no literals. The functions must
// be set.
type scanner struct {
	begin func(path []string, first byte) // before a value at a path of at most maxPath names
	end   func(path []string)             // after it

	next     expectation
	broken   bool
	brackets []byte // the open ones
	lists    int    // how many of them are lists
	names    [maxPath]string
	name     []byte // as it is written, so far

	inside, escaped, isName bool // in a string
	literal                 bool // in a number, true, false or null

	captures [maxPath]*capture // by the length of their path; nil if there is none
	active   int               // captures that are not nil
}

// expectation is what may come next.
type expectation int

const (
	aValue expectation = iota
	aValueOrEnd
	aName
	aNameOrEnd
	aColon
	aCommaOrEnd
	nothing
)

// capture keeps a value as it is written, up to limit bytes.
type capture struct {
	limit int
	text  []byte
	over  bool // the value is larger
}

// bytes returns the last value, nil if there is none or it is larger than limit.
func (c *capture) bytes() []byte {
	if c.over {
		return nil
	}
	return c.text
}

// capture keeps the value that begins. begin may call it.
func (s *scanner) capture(c *capture) {
	c.text, c.over = nil, false
	s.captures[len(s.brackets)-1] = c
	s.active++
}

// complete tells whether one value was written, and nothing that is not JSON.
func (s *scanner) complete() bool { return !s.broken && s.next == nothing }

func (s *scanner) write(p []byte) {
	for _, b := range p {
		switch {
		case s.broken:
			return
		case s.inside:
			s.inString(b)
		case s.literal && !bytes.ContainsRune([]byte(" \t\r\n,:]}[{\""), rune(b)):
			s.keep(b)
		default:
			if s.literal {
				s.literal = false
				s.ended()
			}
			s.token(b)
		}
	}
}

// token reads a byte outside of strings and literals.
func (s *scanner) token(b byte) {
	switch b {
	case ' ', '\t', '\r', '\n':
	case '{', '[':
		s.open(b)
	case '}', ']':
		s.close(b)
	case ':':
		s.expect(b, s.next == aColon, aValue)
	case ',':
		after := aName
		if n := len(s.brackets); n > 0 && s.brackets[n-1] == '[' {
			after = aValue
		}
		s.expect(b, s.next == aCommaOrEnd, after)
	case '"':
		s.inside, s.isName, s.name = true, s.next == aName || s.next == aNameOrEnd, s.name[:0]
		if !s.isName {
			s.began(b)
		}
		s.keep(b)
	default:
		s.literal = true
		s.began(b)
		s.keep(b)
	}
}

func (s *scanner) expect(b byte, allowed bool, next expectation) {
	s.broken = s.broken || !allowed
	s.next = next
	s.keep(b)
}

func (s *scanner) open(b byte) {
	s.began(b)
	s.keep(b)
	s.broken = s.broken || len(s.brackets) == maxNesting
	s.brackets = append(s.brackets, b)
	s.next = aNameOrEnd
	if b == '[' {
		s.next = aValueOrEnd
		s.lists++
	}
}

func (s *scanner) close(b byte) {
	open, empty := byte('{'), aNameOrEnd
	if b == ']' {
		open, empty = '[', aValueOrEnd
	}
	n := len(s.brackets)
	if n == 0 || s.brackets[n-1] != open || s.next != aCommaOrEnd && s.next != empty {
		s.broken = true
		return
	}
	s.brackets = s.brackets[:n-1]
	if b == ']' {
		s.lists--
	}
	s.keep(b)
	s.ended()
}

func (s *scanner) inString(b byte) {
	s.keep(b)
	switch {
	case s.escaped:
		s.escaped = false
	case b == '\\':
		s.escaped = true
	case b == '"':
		s.inside = false
		s.endString()
		return
	}
	if s.isName && len(s.name) <= maxRawName {
		s.name = append(s.name, b)
	}
}

func (s *scanner) endString() {
	if !s.isName {
		s.ended()
		return
	}
	s.next = aColon
	if n := len(s.brackets); n <= maxPath {
		var text string
		if len(s.name) <= maxRawName {
			_ = json.Unmarshal([]byte(`"`+string(s.name)+`"`), &text)
		}
		s.names[n-1] = text
	}
}

// path returns the names that lead to the value that begins or has ended; ok is false if
// it has no such path.
func (s *scanner) path() (names []string, ok bool) {
	n := len(s.brackets)
	return s.names[:min(n, maxPath)], s.lists == 0 && n > 0 && n <= maxPath
}

// began notes the first byte of a value.
func (s *scanner) began(first byte) {
	s.broken = s.broken || s.next != aValue && s.next != aValueOrEnd
	if path, ok := s.path(); ok && !s.broken {
		s.begin(path, first)
	}
}

// ended notes that a value is over.
func (s *scanner) ended() {
	s.next = aCommaOrEnd
	if len(s.brackets) == 0 {
		s.next = nothing
	}
	path, ok := s.path()
	if !ok {
		return
	}
	if at := &s.captures[len(path)-1]; *at != nil {
		*at = nil
		s.active--
	}
	s.end(path)
}

// keep adds a byte to the values that are captured.
func (s *scanner) keep(b byte) {
	if s.active == 0 {
		return
	}
	for _, c := range s.captures {
		switch {
		case c == nil || c.over:
		case len(c.text) == c.limit:
			c.text, c.over = nil, true
		default:
			c.text = append(c.text, b)
		}
	}
}

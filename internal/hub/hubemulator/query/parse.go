package query

import (
	"fmt"
	"strings"
)

// maxToken is the number of characters of a token that an Error shows.
const maxToken = 40

// parser is a recursive descent parser for one query.
type parser struct {
	scanner scanner
	current token
	from    Collection
	schema  schema // of the documents
	depth   int
}

// Parse parses a query. The error is an *Error.
func Parse(text string) (*Query, error) {
	p, err := newParser(text, twin)
	if err != nil {
		return nil, err
	}
	return p.query()
}

// ParseTarget parses the target condition of a configuration: the condition of a device
// query, without WHERE, that names only deviceId, tags and properties.reported. The error
// is an *Error.
func ParseTarget(text string) (*Query, error) {
	p, err := newParser(text, target)
	if err != nil {
		return nil, err
	}
	p.from = Devices
	q := &Query{From: Devices}
	if q.where, err = p.condition(); err != nil {
		return nil, err
	}
	return q, p.end()
}

func newParser(text string, s schema) (*parser, error) {
	query := []rune(text)
	if len(query) > maxLength {
		return nil, &Error{
			Position: maxLength + 1, Token: string(query[maxLength : maxLength+1]),
			Reason: fmt.Sprintf("the query is longer than %d characters", maxLength),
		}
	}
	p := &parser{scanner: scanner{query: query}, schema: s}
	p.advance()
	return p, nil
}

func (p *parser) advance() {
	p.current = p.scanner.next()
}

// accept advances if the current token is the given keyword or symbol.
func (p *parser) accept(text string) bool {
	if !p.current.is(text) {
		return false
	}
	p.advance()
	return true
}

func (p *parser) expect(text, reason string) error {
	if !p.accept(text) {
		return p.refuse(reason)
	}
	return nil
}

// refuse returns the error for the current token.
func (p *parser) refuse(reason string) error {
	return refuse(p.current, reason)
}

func refuse(t token, reason string) error {
	if t.kind == kindInvalid {
		reason = t.text
	}
	raw := []rune(t.raw)
	if len(raw) > maxToken {
		raw = append(raw[:maxToken:maxToken], '…')
	}
	return &Error{Position: t.position + 1, Token: string(raw), Reason: reason}
}

func (p *parser) query() (*Query, error) {
	if err := p.expect("SELECT", "a query begins with SELECT"); err != nil {
		return nil, err
	}
	q := &Query{}
	err := p.selection(q)
	if err != nil {
		return nil, err
	}
	if err := p.collection(); err != nil {
		return nil, err
	}
	q.From = p.from
	if p.accept("WHERE") {
		if q.where, err = p.condition(); err != nil {
			return nil, err
		}
	}
	return q, p.end()
}

// collection parses FROM and the collection.
func (p *parser) collection() error {
	if err := p.expect("FROM", "FROM is expected"); err != nil {
		return err
	}
	if err := p.expect("devices", "only devices and devices.modules are supported"); err != nil {
		return err
	}
	p.from = Devices
	if p.accept(".") {
		if err := p.expect("modules", "only devices and devices.modules are supported"); err != nil {
			return err
		}
		p.from = Modules
	}
	return nil
}

func (p *parser) end() error {
	switch {
	case p.current.kind == kindEnd:
		return nil
	case p.current.is("GROUP"), p.current.is("ORDER"):
		return p.refuse(strings.ToUpper(p.current.text) + " BY is not supported")
	default:
		return p.refuse("the query should end here, or go on with an operator")
	}
}

package query

import (
	"slices"
	"strconv"
	"strings"
)

// This file parses names and paths.

// reserved are the words that are names only in double brackets (Microsoft, "Azure
// Digital Twins query language reference: Reserved keywords", which has the same
// language; for GROUP see azure-docs 17106).
var reserved = strings.Fields(`ALL AND AS ASC AVG BY COUNT DESC DEVICES ENDSWITH FALSE FROM GROUP IN
	IS_BOOL IS_DEFINED IS_NULL IS_NUMBER IS_OBJECT IS_PRIMITIVE IS_STRING MAX MIN NIN NOT NULL OR ORDER
	SELECT STARTSWITH SUM TOP TRUE WHERE`)

func (p *parser) path() (path, error) {
	t := p.current
	p.advance()
	return p.pathFrom(t)
}

// pathFrom parses the rest of a path after its first token. A path may begin with the
// collection.
func (p *parser) pathFrom(first token) (path, error) {
	if first.is("devices") {
		var err error
		if first, err = p.afterCollection(); err != nil {
			return path{}, err
		}
	}
	member, err := p.member(first, p.schema)
	if err != nil {
		return path{}, err
	}
	found := path{member: member.name}
	for {
		switch {
		case p.accept("."):
			if member, err = p.member(p.current, member); err != nil {
				return path{}, err
			}
			found.steps = append(found.steps, step{name: member.name})
			p.advance()
		case p.current.is("[") && member.open:
			index, err := p.index()
			if err != nil {
				return path{}, err
			}
			found.steps = append(found.steps, step{index: index})
		default:
			return found, nil
		}
	}
}

// afterCollection parses the rest of "devices." or "devices.modules." and returns the
// following name.
func (p *parser) afterCollection() (token, error) {
	if err := p.expect(".", "a name after devices. is expected"); err != nil {
		return token{}, err
	}
	if p.from == Modules {
		if err := p.expect("modules", "paths in queries of modules go on with modules here, or begin without devices"); err != nil {
			return token{}, err
		}
		if err := p.expect(".", "a name after devices.modules. is expected"); err != nil {
			return token{}, err
		}
	}
	first := p.current
	p.advance()
	return first, nil
}

// member returns the schema of the member that t names.
func (p *parser) member(t token, within schema) (schema, error) {
	name, err := nameOf(t)
	switch {
	case err != nil:
		return schema{}, err
	case within.open:
		return schema{name: name, open: true}, nil
	}
	found, ok := within.members[strings.ToLower(name)]
	if !ok {
		return schema{}, refuse(t, within.refusal())
	}
	return found, nil
}

func nameOf(t token) (string, error) {
	switch {
	case t.kind == kindName && t.text != "":
		return t.text, nil
	case t.kind != kindWord:
		return "", refuse(t, "a name is expected")
	case slices.ContainsFunc(reserved, t.is):
		return "", refuse(t, "this is a reserved word, and a name only in double square brackets: [["+t.text+"]]")
	default:
		return t.text, nil
	}
}

// index parses [n].
func (p *parser) index() (int, error) {
	p.advance()
	index, err := strconv.Atoi(p.current.raw)
	if err != nil || index < 0 {
		return 0, p.refuse("the index of an array is expected; names go into double square brackets: tags.[[a b]]")
	}
	p.advance()
	return index, p.expect("]", "] is expected")
}

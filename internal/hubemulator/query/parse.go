package query

import (
	"fmt"
	"slices"
	"strconv"
	"strings"
)

// maxToken is how much of a token an Error shows, in characters.
const maxToken = 40

// reserved are the words that are no names unless in double brackets
// (Microsoft, "Azure Digital Twins query language reference: Reserved
// keywords", of the same language; for GROUP see azure-docs 17106).
var reserved = strings.Fields(`ALL AND AS ASC AVG BY COUNT DESC DEVICES ENDSWITH FALSE FROM GROUP IN
	IS_BOOL IS_DEFINED IS_NULL IS_NUMBER IS_OBJECT IS_PRIMITIVE IS_STRING MAX MIN NIN NOT NULL OR ORDER
	SELECT STARTSWITH SUM TOP TRUE WHERE`)

var comparisons = []string{"=", "!=", "<>", "<", "<=", ">", ">="}

// parser is a recursive descent over the tokens of one query.
type parser struct {
	scanner scanner
	current token
	from    Collection
	depth   int
}

// Parse reads a query. The error, if any, is an *Error.
func Parse(text string) (*Query, error) {
	query := []rune(text)
	if len(query) > maxLength {
		return nil, &Error{
			Position: maxLength + 1, Token: string(query[maxLength : maxLength+1]),
			Reason: fmt.Sprintf("the query is longer than %d characters", maxLength),
		}
	}
	p := &parser{scanner: scanner{query: query}}
	p.advance()
	return p.query()
}

func (p *parser) advance() {
	p.current = p.scanner.next()
}

// accept takes the current token if it is this keyword or symbol.
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

// refuse makes the error for the current token.
func (p *parser) refuse(reason string) error {
	return refuse(p.current, reason)
}

func refuse(t token, reason string) error {
	if t.kind == kindBad {
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

// collection reads FROM and what is after it.
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

// condition reads what OR, the weakest operator, holds together.
func (p *parser) condition() (expression, error) {
	conditions, err := p.chain("OR", func() (expression, error) {
		conditions, err := p.chain("AND", p.term)
		return single(conditions, all(conditions)), err
	})
	return single(conditions, one(conditions)), err
}

// chain reads pieces with an operator between them.
func (p *parser) chain(operator string, piece func() (expression, error)) ([]expression, error) {
	var pieces []expression
	for {
		e, err := piece()
		if err != nil {
			return nil, err
		}
		pieces = append(pieces, e)
		if !p.accept(operator) {
			return pieces, nil
		}
	}
}

// single spares the chain if it is of one piece.
func single(pieces []expression, chained expression) expression {
	if len(pieces) == 1 {
		return pieces[0]
	}
	return chained
}

// term reads a comparison, or one that NOT turns round.
func (p *parser) term() (expression, error) {
	if !p.current.is("NOT") {
		return p.comparison()
	}
	return p.nested(func() (expression, error) {
		condition, err := p.term()
		return negation{condition}, err
	})
}

// nested takes the current token and reads what it leads to, one level deeper.
func (p *parser) nested(read func() (expression, error)) (expression, error) {
	if p.depth == maxDepth {
		return nil, p.refuse(fmt.Sprintf("conditions are nested deeper than %d levels", maxDepth))
	}
	p.depth++
	defer func() { p.depth-- }()
	p.advance()
	return read()
}

func (p *parser) comparison() (expression, error) {
	left, err := p.operand()
	if err != nil {
		return nil, err
	}
	operator := p.current
	switch {
	case slices.ContainsFunc(comparisons, operator.is):
		p.advance()
		right, err := p.operand()
		return comparison{left: left, right: right, operator: operator.text}, err
	case operator.is("IN"), operator.is("NIN"):
		p.advance()
		list, err := p.list()
		return membership{element: left, list: list, negated: operator.is("NIN")}, err
	default:
		return left, nil
	}
}

// operand reads what stands on a side of an operator.
func (p *parser) operand() (expression, error) {
	switch t := p.current; {
	case t.is("("):
		return p.parenthesized()
	case t.kind == kindName:
		return p.path()
	case t.kind == kindWord && !isLiteral(t):
		p.advance()
		if p.current.is("(") {
			return p.call(t)
		}
		return p.pathFrom(t)
	default:
		v, err := p.literal()
		return constant{v}, err
	}
}

func (p *parser) parenthesized() (expression, error) {
	return p.nested(func() (expression, error) {
		e, err := p.condition()
		if err != nil {
			return nil, err
		}
		return e, p.expect(")", ") is expected")
	})
}

func isLiteral(t token) bool {
	return t.is("TRUE") || t.is("FALSE") || t.is("NULL")
}

// literal reads a constant value.
func (p *parser) literal() (any, error) {
	t := p.current
	var v any
	switch {
	case t.kind == kindText:
		v = t.text
	case t.kind == kindNumber:
		v = t.number
	case t.is("TRUE"), t.is("FALSE"):
		v = t.is("TRUE")
	case t.is("NULL"):
	default:
		return nil, p.refuse("a value is expected")
	}
	p.advance()
	return v, nil
}

// list reads the values of IN.
func (p *parser) list() ([]any, error) {
	if err := p.expect("[", "a list in square brackets is expected"); err != nil {
		return nil, err
	}
	var list []any
	for {
		v, err := p.literal()
		if err != nil {
			return nil, err
		}
		list = append(list, v)
		if !p.accept(",") {
			return list, p.expect("]", "] or , is expected")
		}
	}
}

// call reads the arguments of the function that name is.
func (p *parser) call(name token) (expression, error) {
	f, ok := functions[strings.ToUpper(name.text)]
	if !ok {
		return nil, refuse(name, "queries of twins have no such function")
	}
	p.advance()
	c := call{function: f}
	for range f.parameters {
		if len(c.arguments) > 0 {
			if err := p.expect(",", ", is expected"); err != nil {
				return nil, err
			}
		}
		argument, err := p.argument(f)
		if err != nil {
			return nil, err
		}
		c.arguments = append(c.arguments, argument)
	}
	return c, p.expect(")", ") is expected")
}

func (p *parser) argument(f function) (expression, error) {
	if f.ofPath || p.current.kind == kindName || p.current.kind == kindWord && !isLiteral(p.current) {
		return p.path()
	}
	v, err := p.literal()
	return constant{v}, err
}

func (p *parser) path() (path, error) {
	t := p.current
	p.advance()
	return p.pathFrom(t)
}

// pathFrom reads the rest of a path that begins with the token before the
// current one. A path may name the collection first.
func (p *parser) pathFrom(first token) (path, error) {
	if first.is("devices") {
		var err error
		if first, err = p.afterCollection(); err != nil {
			return path{}, err
		}
	}
	member, err := p.member(first, twin)
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

// afterCollection reads the rest of "devices." or "devices.modules." and
// returns the name that follows.
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

// member finds the place that t names within a form.
func (p *parser) member(t token, within form) (form, error) {
	name, err := nameOf(t)
	switch {
	case err != nil:
		return form{}, err
	case within.open:
		return form{name: name, open: true}, nil
	}
	found, ok := within.members[strings.ToLower(name)]
	if !ok {
		return form{}, refuse(t, "a twin has no such member there")
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

// index reads [n].
func (p *parser) index() (int, error) {
	p.advance()
	index, err := strconv.Atoi(p.current.raw)
	if err != nil || index < 0 {
		return 0, p.refuse("the index of an array is expected; names go into double square brackets: tags.[[a b]]")
	}
	p.advance()
	return index, p.expect("]", "] is expected")
}

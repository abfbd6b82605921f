package query

import (
	"fmt"
	"slices"
	"strings"
)

// This file parses conditions: the part after WHERE.

var comparisons = []string{"=", "!=", "<>", "<", "<=", ">", ">="}

// condition parses a disjunction: OR is the operator of lowest precedence.
func (p *parser) condition() (expression, error) {
	conditions, err := p.chain("OR", func() (expression, error) {
		conditions, err := p.chain("AND", p.term)
		return unwrapSingle(conditions, and(conditions)), err
	})
	return unwrapSingle(conditions, or(conditions)), err
}

// chain parses operands that are separated by an operator.
func (p *parser) chain(operator string, operand func() (expression, error)) ([]expression, error) {
	var operands []expression
	for {
		e, err := operand()
		if err != nil {
			return nil, err
		}
		operands = append(operands, e)
		if !p.accept(operator) {
			return operands, nil
		}
	}
}

// unwrapSingle returns the only operand, or the chain if there are more.
func unwrapSingle(operands []expression, chain expression) expression {
	if len(operands) == 1 {
		return operands[0]
	}
	return chain
}

// term parses a comparison, or NOT and a term.
func (p *parser) term() (expression, error) {
	if !p.current.is("NOT") {
		return p.comparison()
	}
	return p.nested(func() (expression, error) {
		condition, err := p.term()
		return negation{condition}, err
	})
}

// nested skips the current token and parses the rest one level deeper.
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

// operand parses one side of a comparison.
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

// literal parses a constant.
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

// list parses the values of IN and NIN.
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

// call parses the arguments of the named function.
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

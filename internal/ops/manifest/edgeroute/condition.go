package edgeroute

import (
	"fmt"
	"slices"
	"strings"
)

// maxDepth bounds the nesting of a condition, and the stack of this parser.
const maxDepth = 100

const operators = "use the operators = != <> < <= > >= + - * / % || ?? AND OR NOT; there is no == && LIKE IN IS BETWEEN"

// valueType is the type of an expression when edge hub compiles it. There are no implicit
// conversions: Azure/iotedge, Microsoft.Azure.Devices.Routing.Core/query/ConditionVisitor.cs.
type valueType int

const (
	typeUndefined valueType = iota
	typeText
	typeNumber
	typeBool
	typeNull
	typeBody // a value of the message's body, which has any type
)

func (t valueType) String() string {
	return [...]string{"an undefined value", "text", "a number", "a boolean", "null", "a value of the body"}[t]
}

// value is a parsed expression.
type value struct {
	valueType
	offset   int
	property bool // an unquoted name of an application's property
}

// levels are the binary operators, from the weakest to the strongest.
var levels = [][]kind{
	{kindCoalesce},
	{kindOr},
	{kindAnd},
	{kindEqual},
	{kindCompare},
	{kindPlus, kindMinus, kindConcat},
	{kindMultiply, kindDivide, kindModulo},
}

// parseCondition parses a condition and checks its type.
func (p *parser) parseCondition() {
	if p.at(kindInto) {
		p.fail(p.current().offset, "has no condition after WHERE", "write one, or remove WHERE")
		return
	}
	v := p.parseBinary(0)
	switch v.valueType {
	case typeBool, typeBody:
	case typeUndefined, typeText, typeNumber, typeNull:
		if p.failed == nil {
			p.find("has a condition that is "+v.String()+" instead of a boolean, so that no message meets it", "compare it with a value")
		}
	}
}

// parseBinary parses binary operators of a level and of stronger ones, from left to right.
func (p *parser) parseBinary(level int) value {
	if level == len(levels) {
		return p.parseUnary()
	}
	left := p.parseBinary(level + 1)
	for p.failed == nil && p.isOperator(level) {
		op := p.take()
		right := p.parseBinary(level + 1)
		if p.failed == nil {
			left = value{p.checkBinary(op, left, right), left.offset, false}
		}
	}
	return left
}

func (p *parser) isOperator(level int) bool { return slices.ContainsFunc(levels[level], p.at) }

// checkBinary returns the type of left op right.
func (p *parser) checkBinary(op token, left, right value) valueType {
	l, r := left.valueType, right.valueType
	switch op.kind {
	case kindAnd, kindOr:
		return p.checkLogical(op, l, r)
	case kindConcat:
		p.checkOperands(op, typeText, l, r)
		return typeText
	case kindEqual, kindCompare:
		p.checkOperands(op, l, l, r)
		if left.property && right.property {
			p.find("compares two properties of the message", "put text into quotes; ignore this if both are properties")
		}
		return typeBool
	case kindCoalesce:
		p.checkOperands(op, l, l, r)
	default:
		p.checkOperands(op, typeNumber, l, r)
		if l != typeBody && r != typeBody {
			return typeNumber
		}
	}
	if r == typeBody {
		return typeBody
	}
	return l
}

// checkOperands fails unless both operands have the wanted type. Values of the body have
// any.
func (p *parser) checkOperands(op token, want, left, right valueType) {
	for _, got := range []valueType{left, right} {
		if got != want && got != typeBody && want != typeBody {
			p.fail(op.offset, fmt.Sprintf("has a condition that edge hub cannot compile: %s between %s and %s", op.text, left, right), typeRemedy(left, right))
			return
		}
	}
}

// typeRemedy helps with the most frequent fault: a property is text, so it is not
// comparable with a number or a boolean.
func typeRemedy(left, right valueType) string {
	types := [2]valueType{left, right}
	switch types {
	case [2]valueType{typeText, typeNumber}, [2]valueType{typeNumber, typeText}:
		return "a property is text: write as_number(NAME), or $body.NAME for a value of the body"
	case [2]valueType{typeText, typeBool}, [2]valueType{typeBool, typeText}:
		return "a property is text: compare it with text in quotes, or write $body.NAME for a value of the body"
	}
	return "give both sides the same type"
}

// checkLogical returns the type of left AND right or left OR right. Edge hub tests the
// right operand by the type of the left one, so a value of the body cannot stand alone on
// the right of a boolean.
func (p *parser) checkLogical(op token, left, right valueType) valueType {
	ok := func(t valueType) bool { return t == typeBool || t == typeNull || t == typeUndefined }
	switch {
	case left == typeBody, ok(left) && ok(right):
	case ok(left) && right == typeBody:
		p.fail(op.offset, "has a condition that edge hub cannot compile: a value of the body cannot stand alone on the right of AND or OR", "write $body.NAME = true, or put it on the left")
	default:
		p.fail(op.offset, fmt.Sprintf("has a condition that edge hub cannot compile: %s between %s and %s", strings.ToUpper(op.text), left, right), "compare both sides with a value; NOT binds more tightly than =, so write NOT (A = B)")
	}
	nulls := 0
	for _, t := range []valueType{left, right} {
		if t == typeNull {
			nulls++
		}
	}
	if nulls == 2 || nulls == 1 && op.kind == kindAnd {
		return typeNull
	}
	return typeBool
}

// parseUnary parses - and NOT, which bind more tightly than all binary operators.
func (p *parser) parseUnary() value {
	op := p.current()
	if op.kind != kindMinus && op.kind != kindNot {
		return p.parsePrimary()
	}
	p.take()
	if !p.deeper(op) {
		return value{}
	}
	v := p.parseUnary()
	p.depth--
	if p.failed != nil {
		return value{}
	}
	if op.kind == kindMinus {
		if v.valueType != typeNumber && v.valueType != typeBody {
			p.fail(op.offset, "has a condition that edge hub cannot compile: - before "+v.String(), "write it before a number")
		}
		return value{v.valueType, op.offset, false}
	}
	if v.valueType != typeBool && v.valueType != typeNull && v.valueType != typeBody {
		p.fail(op.offset, "has a condition that edge hub cannot compile: NOT before "+v.String(), "NOT binds more tightly than =, so write NOT (A = B)")
	}
	return value{typeBool, op.offset, false}
}

// deeper counts a level of nesting, and fails if there are too many.
func (p *parser) deeper(t token) bool {
	p.depth++
	if p.depth > maxDepth {
		p.fail(t.offset, fmt.Sprintf("has a condition that is nested more than %d levels deep", maxDepth), "simplify it")
	}
	return p.failed == nil
}

// parsePrimary parses a literal, a property, a function's call or an expression in
// parentheses.
func (p *parser) parsePrimary() value {
	t := p.take()
	v := value{offset: t.offset}
	switch t.kind {
	case kindString:
		v.valueType = typeText
	case kindNumber:
		v.valueType = typeNumber
	case kindBool:
		v.valueType = typeBool
	case kindNull:
		v.valueType = typeNull
	case kindUndefined:
	case kindSystem:
		v.valueType = p.systemProperty(t)
	case kindName:
		if p.at(kindOpen) {
			return p.parseCall(t)
		}
		p.checkProperty(t)
		v.valueType, v.property = typeText, true
	case kindOpen:
		return p.parseNested(t)
	default:
		if !p.escapedProperty(t, &v) {
			p.unexpected(t)
		}
	}
	return v
}

func (p *parser) parseNested(t token) value {
	if !p.deeper(t) {
		return value{}
	}
	v := p.parseBinary(0)
	p.depth--
	p.expect(kindClose, "has a condition with a ( that no ) closes", "close it, or write an operator before this place")
	v.property = false
	return v
}

// escapedProperty parses {$NAME}; t is the token {.
func (p *parser) escapedProperty(t token, v *value) bool {
	if t.text != "{" || !p.at(kindSystem) {
		return false
	}
	v.valueType = p.systemProperty(p.take())
	end := p.take()
	return end.text == "}"
}

// unexpected fails at a token that begins no expression.
func (p *parser) unexpected(t token) {
	switch {
	case t.kind == kindOpenString:
		p.fail(t.offset, "has a condition with a text whose quote is not closed", `close it; within it, write \\ for a backslash and \" for a quote`)
	case t.text == "{" || t.text == "<":
		p.fail(t.offset, "has a condition with a placeholder, or with a bracket where a value is expected", "write a value, a property or a function; {} stands only around a system property, as in {$NAME}")
	default:
		p.fail(t.offset, "has a condition that edge hub cannot parse: a value is expected here", operators)
	}
}

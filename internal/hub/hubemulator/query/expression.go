package query

import "slices"

// expression is a condition or a part of one.
type expression interface {
	// value evaluates the expression for a document.
	value(d Document) any
}

// isTrue evaluates an expression as a condition: every value except true counts as
// false.
func isTrue(e expression, d Document) bool {
	return e.value(d) == true
}

// constant has the same value for all documents.
type constant struct{ v any }

func (c constant) value(Document) any { return c.v }

// and is true if all conditions are true; or is true if any of them is.
type (
	and []expression
	or  []expression
)

func (a and) value(d Document) any {
	return !slices.ContainsFunc(a, func(e expression) bool { return !isTrue(e, d) })
}

func (o or) value(d Document) any {
	return slices.ContainsFunc(o, func(e expression) bool { return isTrue(e, d) })
}

// negation is NOT.
type negation struct{ condition expression }

func (n negation) value(d Document) any { return !isTrue(n.condition, d) }

// comparison compares two expressions by =, !=, <>, <, <=, > or >=.
type comparison struct {
	left, right expression
	operator    string
}

func (c comparison) value(d Document) any {
	left, right := c.left.value(d), c.right.value(d)
	if !isPrimitive(left) || !isPrimitive(right) {
		return false
	}
	switch c.operator {
	case "=":
		return equal(left, right)
	case "!=", "<>":
		return !equal(left, right)
	}
	result, ok := order(left, right)
	if !ok {
		return false
	}
	switch c.operator {
	case "<":
		return result < 0
	case "<=":
		return result <= 0
	case ">":
		return result > 0
	default: // >=
		return result >= 0
	}
}

// membership is IN, or NIN if negated.
type membership struct {
	element expression
	list    []any
	negated bool
}

func (m membership) value(d Document) any {
	element := m.element.value(d)
	if !isPrimitive(element) {
		return false
	}
	return slices.ContainsFunc(m.list, func(v any) bool { return equal(element, v) }) != m.negated
}

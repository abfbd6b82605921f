package query

import "slices"

// expression is a piece of a condition.
type expression interface {
	// value is what the expression comes to for a document.
	value(d Document) any
}

// holds says whether an expression is true as a condition: whatever is not
// true is false.
func holds(e expression, d Document) bool {
	return e.value(d) == true
}

// constant is the same for all documents.
type constant struct{ v any }

func (c constant) value(Document) any { return c.v }

// all is true if all of its conditions are, one if any is.
type (
	all []expression
	one []expression
)

func (a all) value(d Document) any {
	return !slices.ContainsFunc(a, func(e expression) bool { return !holds(e, d) })
}

func (o one) value(d Document) any {
	return slices.ContainsFunc(o, func(e expression) bool { return holds(e, d) })
}

// negation is NOT.
type negation struct{ condition expression }

func (n negation) value(d Document) any { return !holds(n.condition, d) }

// comparison is two expressions with one of =, !=, <>, <, <=, > and >= between.
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

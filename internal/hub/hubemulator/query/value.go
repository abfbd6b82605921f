package query

import (
	"cmp"
	"encoding/json"
	"math/big"
	"strconv"
	"strings"
	"time"
)

// The values of expressions are those of JSON: nil, bool, string, number,
// map[string]any and []any; and undefined, for what a document does not have.
type undefined struct{}

// number is a JSON number: exact if it is an integer of 64 bits, else the
// nearest that a float64 can be.
type number struct {
	integer int64
	float   float64
	isFloat bool
}

// parseNumber reads a number as JSON has it. One that is too large becomes an
// infinity.
func parseNumber(text string) number {
	if integer, err := strconv.ParseInt(text, 10, 64); err == nil {
		return number{integer: integer}
	}
	float, _ := strconv.ParseFloat(text, 64) // infinite on overflow
	return number{float: float, isFloat: true}
}

// parseLiteral reads a number as queries have it; ok is false if it is none.
func parseLiteral(text string) (n number, ok bool) {
	if hexadecimal, isHexadecimal := cutHexadecimal(text); isHexadecimal {
		integer, err := strconv.ParseInt(hexadecimal, 16, 64)
		return number{integer: integer}, err == nil
	}
	// What else ParseFloat takes for a number, a query does not.
	if strings.Trim(text, "0123456789.eE+-") != "" {
		return number{}, false
	}
	if _, err := strconv.ParseFloat(text, 64); err != nil {
		return number{}, false
	}
	return parseNumber(text), true
}

// cutHexadecimal returns the digits after 0x, with the sign before them.
func cutHexadecimal(text string) (digits string, ok bool) {
	unsigned, negative := strings.CutPrefix(strings.ToLower(text), "-")
	digits, ok = strings.CutPrefix(unsigned, "0x")
	if negative {
		digits = "-" + digits
	}
	return digits, ok
}

func (n number) compare(other number) int {
	if !n.isFloat && !other.isFloat {
		return cmp.Compare(n.integer, other.integer)
	}
	x, exact := n.asFloat()
	y, alsoExact := other.asFloat()
	if exact && alsoExact {
		return cmp.Compare(x, y)
	}
	return n.big().Cmp(other.big())
}

// asFloat is quicker than big; exact is false if it may be another number.
func (n number) asFloat() (f float64, exact bool) {
	const most = 1 << 53 // up to here a float64 has all integers
	if n.isFloat {
		return n.float, true
	}
	return float64(n.integer), -most <= n.integer && n.integer <= most
}

// big is exact for both forms, so that an integer is not taken for the float
// next to it.
func (n number) big() *big.Float {
	if n.isFloat {
		return big.NewFloat(n.float)
	}
	return new(big.Float).SetInt64(n.integer)
}

// valueOf turns what a document holds into a value.
func valueOf(v any) any {
	switch v := v.(type) {
	case json.Number:
		return parseNumber(string(v))
	case int64:
		return number{integer: v}
	case time.Time:
		return v.Format(time.RFC3339Nano) // as encoding/json writes it
	default:
		return v
	}
}

func isPrimitive(v any) bool {
	switch v.(type) {
	case nil, bool, string, number:
		return true
	default:
		return false
	}
}

// equal compares primitive values.
func equal(a, b any) bool {
	if x, ok := a.(number); ok {
		y, ok := b.(number)
		return ok && x.compare(y) == 0
	}
	return a == b
}

// order compares values that have an order; ok is false for others.
func order(a, b any) (result int, ok bool) {
	switch x := a.(type) {
	case number:
		if y, ok := b.(number); ok {
			return x.compare(y), true
		}
	case string:
		if y, ok := b.(string); ok {
			return cmp.Compare(x, y), true // UTF-8 is in the order of code points
		}
	}
	return 0, false
}

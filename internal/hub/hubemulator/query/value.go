package query

import (
	"cmp"
	"encoding/json"
	"math/big"
	"strconv"
	"strings"
	"time"
)

// undefined is the value of a path that a document lacks. The other values of
// expressions are JSON values: nil, bool, string, number, map[string]any and []any.
type undefined struct{}

// number is a JSON number: exact if it is a 64-bit integer, else the nearest float64.
type number struct {
	integer int64
	float   float64
	isFloat bool
}

// parseNumber parses a JSON number. A number that is too large becomes an infinity.
func parseNumber(text string) number {
	if integer, err := strconv.ParseInt(text, 10, 64); err == nil {
		return number{integer: integer}
	}
	float, _ := strconv.ParseFloat(text, 64) // infinite on overflow
	return number{float: float, isFloat: true}
}

// parseLiteral parses a number literal of a query; ok is false if text is not one.
func parseLiteral(text string) (n number, ok bool) {
	if hexadecimal, isHexadecimal := cutHexadecimal(text); isHexadecimal {
		integer, err := strconv.ParseInt(hexadecimal, 16, 64)
		return number{integer: integer}, err == nil
	}
	// ParseFloat also accepts other forms of numbers, such as "inf" and "0x1p-2".
	if strings.Trim(text, "0123456789.eE+-") != "" {
		return number{}, false
	}
	if _, err := strconv.ParseFloat(text, 64); err != nil {
		return number{}, false
	}
	return parseNumber(text), true
}

// cutHexadecimal returns the digits after 0x, with the sign.
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

// asFloat is faster than big; exact is false if the result may differ from n.
func (n number) asFloat() (f float64, exact bool) {
	const most = 1 << 53 // a float64 represents all integers up to this
	if n.isFloat {
		return n.float, true
	}
	return float64(n.integer), -most <= n.integer && n.integer <= most
}

// big is exact for integers and floats, so that an integer never equals a different
// float.
func (n number) big() *big.Float {
	if n.isFloat {
		return big.NewFloat(n.float)
	}
	return new(big.Float).SetInt64(n.integer)
}

// valueOf converts a document's value to an expression's value.
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

// order compares two numbers or two strings; ok is false for other values.
func order(a, b any) (result int, ok bool) {
	switch x := a.(type) {
	case number:
		if y, ok := b.(number); ok {
			return x.compare(y), true
		}
	case string:
		if y, ok := b.(string); ok {
			return cmp.Compare(x, y), true // UTF-8 sorts like code points
		}
	}
	return 0, false
}

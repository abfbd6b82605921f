package desired

import (
	"bytes"
	"encoding/json"
	"math"
	"strconv"
	"strings"

	"rtsptunnel/internal/contract/reason"
)

// The hub's limits for a section (Microsoft, "Understand and use device twins in IoT
// Hub", "Device twin size" and "Tags and properties format").
const (
	// MaxSize is in bytes of names and strings, plus 8 for each number and 4 for each boolean.
	MaxSize  = 32 * 1024
	maxDepth = 10
)

// Unusable replaces a value that no property can have. It becomes a fault if it belongs to
// a known property, and has no effect elsewhere.
type Unusable struct {
	Code reason.Code
	Text string
}

var (
	duplicate  = Unusable{reason.ConfigDuplicate, "appears more than once"}
	tooDeep    = Unusable{reason.ConfigSize, "is nested deeper than 10 levels"}
	outOfRange = Unusable{reason.ConfigRange, "is a number beyond the range of any property"}
)

// Decode turns valid JSON into a tree of map[string]any, []any, string, bool, int64,
// float64 and Unusable. It drops members that are null or whose names begin with $; nil
// is null. left is how many bytes the hub still allows, as the hub counts them. Decode
// stops when the tree exceeds them, and returns the rest, which then is negative.
func Decode(doc []byte, left int) (tree any, _ int) {
	d := decoder{json: json.NewDecoder(bytes.NewReader(doc)), left: left}
	d.json.UseNumber()
	tree = d.value(0)
	return tree, d.left
}

type decoder struct {
	json *json.Decoder
	left int // bytes, as the hub counts them, plus one for each element of an array
}

// value reads one value. It returns nil for null and at the end of the input.
func (d *decoder) value(depth int) any {
	token, err := d.json.Token()
	if err != nil || d.left < 0 {
		return nil
	}
	switch token := token.(type) {
	case json.Delim:
		if token == '{' {
			return d.object(depth)
		}
		return d.array(depth)
	case json.Number:
		d.left -= 8
		return Number(token)
	case bool:
		d.left -= 4
	case string:
		d.left -= len(token)
	}
	return token
}

func (d *decoder) object(depth int) any {
	object := make(map[string]any)
	seen := make(map[string]bool)
	for d.left >= 0 && d.json.More() {
		token, _ := d.json.Token()
		name, _ := token.(string)
		if strings.HasPrefix(name, "$") {
			d.skip()
			continue
		}
		d.left -= len(name)
		value := d.value(depth + 1)
		switch {
		case seen[name]:
			object[name] = duplicate
		case value != nil:
			object[name] = value
		}
		seen[name] = true
	}
	return d.end(object, depth)
}

func (d *decoder) array(depth int) any {
	array := []any{}
	for d.left >= 0 && d.json.More() {
		d.left--
		array = append(array, d.value(depth+1))
	}
	return d.end(array, depth)
}

func (d *decoder) end(value any, depth int) any {
	if d.left >= 0 {
		_, _ = d.json.Token() // the bracket
	}
	if depth > maxDepth {
		return tooDeep
	}
	return value
}

// skip ignores one value without counting its size, for the hub's metadata.
func (d *decoder) skip() {
	var ignored json.RawMessage
	_ = d.json.Decode(&ignored)
}

// Number returns an int64 for every integral value, whatever its notation.
func Number(n json.Number) any {
	if i, err := strconv.ParseInt(string(n), 10, 64); err == nil {
		return i
	}
	f, err := strconv.ParseFloat(string(n), 64)
	if err != nil {
		return outOfRange
	}
	if f == math.Trunc(f) && math.Abs(f) < 1<<53 {
		return int64(f)
	}
	return f
}

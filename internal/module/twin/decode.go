package twin

import (
	"bytes"
	"encoding/json"
	"math"
	"strconv"
	"strings"

	"rtsptunnel/internal/contract/reason"
)

// The hub's limits of a section (Microsoft, "Understand and use device twins in IoT
// Hub", "Device twin size" and "Tags and properties format").
const (
	maxDesired = 32 * 1024 // bytes of names and texts, 8 for a number, 4 for a boolean
	maxDepth   = 10
)

// unusable stands in place of a value that no property can have. No schema admits
// it, so that it becomes a fault where somebody looks for it, and else nothing.
type unusable struct {
	code reason.Code
	text string
}

var (
	twice   = unusable{reason.ConfigDuplicate, "is there more than once"}
	tooDeep = unusable{reason.ConfigSize, "is nested deeper than 10 levels"}
	tooBig  = unusable{reason.ConfigRange, "is a number that no property can have"}
)

// decode is valid JSON as a tree of map[string]any, []any, string, bool, int64,
// float64 and unusable, without nulls and without members whose names begin with $;
// nil is null. It gives up when the tree is larger than left, which is how much a hub
// would still allow, in its bytes; then what is left is negative.
func decode(doc []byte, left int) (tree any, _ int) {
	d := decoder{json: json.NewDecoder(bytes.NewReader(doc)), left: left}
	d.json.UseNumber()
	tree = d.value(0)
	return tree, d.left
}

type decoder struct {
	json *json.Decoder
	left int // bytes, as the hub counts them, and one for each element of an array
}

// value reads one value; nil is null, or that there is no more to read.
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
		return number(token)
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
			object[name] = twice
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

// skip passes over one value, which costs nothing: the hub's metadata.
func (d *decoder) skip() {
	var ignored json.RawMessage
	_ = d.json.Decode(&ignored)
}

// number is an int64 for every integral value, however it is written.
func number(n json.Number) any {
	if i, err := strconv.ParseInt(string(n), 10, 64); err == nil {
		return i
	}
	f, err := strconv.ParseFloat(string(n), 64)
	if err != nil {
		return tooBig
	}
	if f == math.Trunc(f) && math.Abs(f) < 1<<53 {
		return int64(f)
	}
	return f
}

package manifest

import (
	"fmt"
	"regexp"
	"slices"
	"strconv"
	"strings"

	"rtsptunnel/internal/base/jsontree"
)

// shape describes the values that are valid in one place.
type shape struct {
	kinds  []jsontree.Kind
	values []string                 // a string's allowed values; empty allows any
	least  int64                    // a number's lower bound, if most is not 0
	most   int64                    // a number's upper bound, which makes it an integer; 0 for no bounds
	fields []field                  // an object's known members
	names  *regexp.Regexp           // the names that an object's other members may have
	naming string                   // the rule of names, as a remedy
	each   *shape                   // an object's other members; nil if it has none
	alike  func(name string) *shape // known members by the form of their names; nil for others. Nil if there are none
	closed bool                     // az refuses unknown members in all versions of its schema

	check func(c *checker, v *jsontree.Value, at place) // further checks, for values of the right kind
}

// field is a known member of an object.
type field struct {
	name     string
	required bool
	shape    *shape
}

// validate reports how a value and its members violate the shape.
func (s *shape) validate(c *checker, v *jsontree.Value, at place) {
	if !slices.Contains(s.kinds, v.Kind) {
		c.fault(at, "must be "+s.kind(), "it is "+v.Kind.String())
		return
	}
	switch v.Kind {
	case jsontree.String:
		if len(s.values) > 0 && !slices.Contains(s.values, v.Text) {
			c.fault(at, "must be "+oneOf(s.values), "use one of these values; they are case-sensitive")
			return
		}
	case jsontree.Number:
		if n, err := strconv.ParseInt(v.Text, 10, 64); s.most > 0 && (err != nil || n < s.least || n > s.most) {
			c.fault(at, fmt.Sprintf("must be an integer from %d to %d", s.least, s.most), "write a number in this range")
			return
		}
	case jsontree.Object:
		s.members(c, v, at)
	}
	if s.check != nil {
		s.check(c, v, at)
	}
}

func (s *shape) kind() string {
	names := make([]string, len(s.kinds))
	for i, k := range s.kinds {
		names[i] = k.String()
	}
	return strings.Join(names, " or ")
}

func oneOf(values []string) string {
	if len(values) == 1 {
		return strconv.Quote(values[0])
	}
	return "one of " + strings.Join(values, ", ")
}

func (s *shape) members(c *checker, v *jsontree.Value, at place) {
	for _, f := range s.fields {
		if f.required && v.Get(f.name) == nil {
			c.fault(at.below(v.Line, f.name), "is missing", "add it: it must be "+f.shape.kind())
		}
	}
	for _, m := range v.Members {
		below := at.below(m.Value.Line, m.Name)
		f, known := s.field(m.Name)
		switch {
		case known:
			f.validate(c, m.Value, below)
		case s.each == nil:
			c.unknownMember(below, s)
		case !s.names.MatchString(m.Name):
			c.fault(below, "has a name that is not allowed", s.naming)
		default:
			s.each.validate(c, m.Value, below)
		}
	}
}

// unknownMember reports a member that the runtime ignores. It is an error where az's
// schemas are closed, because az then refuses the manifest.
func (c *checker) unknownMember(at place, s *shape) {
	remedy := "check its spelling and its place: " + s.known()
	if c.closed || s.closed {
		c.fault(at, "is not known here, and az does not accept it", "remove it, or "+remedy)
		return
	}
	c.warn(at, "is not known here", remedy)
}

func (s *shape) known() string {
	names := make([]string, len(s.fields))
	for i, f := range s.fields {
		names[i] = f.name
	}
	return "known are " + strings.Join(names, ", ")
}

// field returns the shape of a known member.
func (s *shape) field(name string) (*shape, bool) {
	for _, f := range s.fields {
		if f.name == name {
			return f.shape, true
		}
	}
	if s.alike == nil {
		return nil, false
	}
	found := s.alike(name)
	return found, found != nil
}

// at returns the shape of the descendant at a path; nil if it is unknown.
func (s *shape) at(names []string) *shape {
	for _, name := range names {
		below, known := s.field(name)
		if !known {
			below = s.each
		}
		if below == nil {
			return nil
		}
		s = below
	}
	return s
}

// The common shapes.
var (
	textShape = &shape{kinds: []jsontree.Kind{jsontree.String}}
	anyObject = &shape{kinds: []jsontree.Kind{jsontree.Object}, names: regexp.MustCompile(""), each: anything}
	anything  = &shape{kinds: []jsontree.Kind{jsontree.Null, jsontree.Bool, jsontree.Number, jsontree.String, jsontree.Array, jsontree.Object}}
)

func enum(values ...string) *shape {
	return &shape{kinds: textShape.kinds, values: values}
}

func integer(least, most int64) *shape {
	return &shape{kinds: []jsontree.Kind{jsontree.Number}, least: least, most: most}
}

func object(fields ...field) *shape {
	return &shape{kinds: anyObject.kinds, fields: fields}
}

// closedObject is an object without other members in all versions of az's schemas, such as
// azext_iot/assets/azure-iot-edgeagent-deployment-1.0.json in
// Azure/azure-iot-cli-extension.
func closedObject(fields ...field) *shape {
	return &shape{kinds: anyObject.kinds, fields: fields, closed: true}
}

// mapOf is the shape of an object whose members all have one shape. names is a regular
// expression for their names, and naming says it in words.
func mapOf(names, naming string, each *shape) *shape {
	return &shape{kinds: anyObject.kinds, names: regexp.MustCompile(names), naming: naming, each: each}
}

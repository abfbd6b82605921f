package manifest

import (
	"math"
	"strconv"
	"strings"

	"rtsptunnel/internal/base/jsontree"
)

// reader is a program that decodes createOptions into types of its own. createOptions pass
// through edge agent and aziot-edged to Docker. The first one with a type for a member
// decides which values are right.
type reader int

const (
	noReader reader = iota
	docker          // strict; it creates no container
	edged           // aziot-edged: strict, and it creates no container
	agent           // converts numbers, booleans and text; it rejects the whole configuration
)

// effect returns what a wrong value causes.
func (r reader) effect() string {
	return [...]string{"", "Docker does not create the container", "aziot-edged does not create the container", "edge agent rejects the whole configuration"}[r]
}

// option describes the values that are right for one member of createOptions.
type option struct {
	kind     jsontree.Kind
	reader   reader
	notNull  reader             // the program that refuses null; noReader if null means that the member is missing
	unsigned bool               // of a number, which is always an integer
	bits     int                // of a number
	fields   map[string]*option // of an object, by name in lower case; nil if any name is right
	each     *option            // of an array's items, and of the members of an object without fields; nil for any
}

// options lists members of an object; several names with a space between them share one
// option.
type options map[string]*option

func (r reader) text() *option { return &option{kind: jsontree.String, reader: r} }

func (r reader) boolean() *option {
	return (&option{kind: jsontree.Bool, reader: r}).agentNotNull()
}

// integer is a number of 64 bits with a sign.
func (r reader) integer() *option {
	return (&option{kind: jsontree.Number, reader: r, bits: 64}).agentNotNull()
}

func (r reader) unsigned(bits int) *option {
	o := r.integer()
	o.unsigned, o.bits = true, bits
	return o
}

func (r reader) list(each *option) *option {
	return &option{kind: jsontree.Array, reader: r, each: each}
}

// mapOf is an object with members of any name.
func (r reader) mapOf(each *option) *option {
	return &option{kind: jsontree.Object, reader: r, each: each}
}

func (r reader) object(members options) *option {
	fields := make(map[string]*option)
	for names, o := range members {
		for name := range strings.FieldsSeq(names) {
			fields[strings.ToLower(name)] = o
		}
	}
	return &option{kind: jsontree.Object, reader: r, fields: fields}
}

// agentNotNull makes null wrong for edge agent, whose types for plain numbers and booleans
// have no null.
func (o *option) agentNotNull() *option {
	if o.reader == agent {
		o.notNull = agent
	}
	return o
}

func (o *option) orNull() *option {
	o.notNull = noReader
	return o
}

func (o *option) never(r reader) *option {
	o.notNull = r
	return o
}

// validate reports how a value and its descendants differ from the option. Names match in
// any letter case, as in edge agent and in Docker.
func (o *option) validate(r *report, v *jsontree.Value, at place) {
	if v.Is(jsontree.Null) {
		if o.notNull != noReader {
			r.fault(at, "must not be null: "+o.notNull.effect(), "write "+o.name()+", or remove it")
		}
		return
	}
	right, converted := o.takes(v)
	switch {
	case converted:
		r.warn(at, "should be "+o.name()+": edge agent converts it, but Docker's API does not", "it is "+v.Kind.String())
	case !right:
		r.fault(at, "must be "+o.name()+": "+o.reader.effect(), "it is "+v.Kind.String())
		return
	}
	for i, item := range v.Items {
		o.each.validate(r, item, at.below(at.line, index(i)))
	}
	for _, m := range v.Members {
		below, each := at.below(at.line, m.Name), o.each
		if o.fields != nil {
			each = o.fields[strings.ToLower(m.Name)]
		}
		switch {
		case each != nil:
			each.validate(r, m.Value, below)
		case o.fields != nil:
			r.warn(below, "is not a Docker option in this place", "check its spelling, and whether it belongs in HostConfig")
		}
	}
}

// name returns the kind with its article, for a problem.
func (o *option) name() string {
	switch {
	case o.kind != jsontree.Number:
		return o.kind.String()
	case o.bits == 16:
		return "an integer from 0 to 65535"
	case o.unsigned:
		return "an integer that is not negative"
	}
	return "an integer"
}

// takes reports whether the reader takes a value, and whether it converts it before. Only
// edge agent converts: its library makes text of numbers and booleans, and numbers and
// booleans of text that has their form. See JamesNK/Newtonsoft.Json,
// Src/Newtonsoft.Json/JsonTextReader.cs (ReadAsString, ReadAsBoolean) and
// Serialization/JsonSerializerInternalReader.cs (EnsureType).
func (o *option) takes(v *jsontree.Value) (right, converted bool) {
	switch {
	case o.kind == jsontree.Number && v.Is(jsontree.Number):
		return o.takesNumber(v.Text)
	case v.Is(o.kind):
		return true, false
	case o.reader != agent || o.kind > jsontree.String || v.Kind > jsontree.String: // the others are arrays and objects
		return false, false
	case o.kind == jsontree.String, o.kind == jsontree.Bool && v.Is(jsontree.Number), o.kind == jsontree.Number && v.Is(jsontree.Bool):
		return true, true
	}
	text := strings.TrimSpace(v.Text)
	form := o.isInteger(text)
	if o.kind == jsontree.Bool {
		form = strings.EqualFold(text, "true") || strings.EqualFold(text, "false")
	}
	return form, form
}

// takesNumber judges the notation of a number. Docker and aziot-edged take no fraction and
// no exponent where an integer belongs; edge agent rounds.
func (o *option) takesNumber(text string) (right, converted bool) {
	if o.isInteger(text) || o.reader != agent {
		return o.isInteger(text), false
	}
	n, err := strconv.ParseFloat(text, 64)
	least, most := 0.0, math.Ldexp(1, o.bits)
	if !o.unsigned {
		least, most = -math.Ldexp(1, o.bits-1), math.Ldexp(1, o.bits-1)
	}
	inRange := err == nil && strings.ContainsAny(text, ".eE") && n >= least && n < most
	return inRange, inRange && n != math.Trunc(n)
}

func (o *option) isInteger(text string) bool {
	var err error
	if o.unsigned {
		_, err = strconv.ParseUint(text, 10, o.bits)
	} else {
		_, err = strconv.ParseInt(text, 10, o.bits)
	}
	return err == nil
}

package edgeroute

import (
	"slices"
	"strings"
)

// function is a built-in function.
type function struct {
	args   []valueType // the required arguments; nil is one of any type
	more   []valueType // an optional argument after them
	repeat bool        // the last required argument may be repeated
	result valueType
}

var (
	oneNumber = []valueType{typeNumber}
	oneText   = []valueType{typeText}
	twoTexts  = []valueType{typeText, typeText}
)

// functions are edge hub's built-in functions, by their names in lower case:
// Azure/iotedge, Microsoft.Azure.Devices.Routing.Core/query/builtins; the arguments follow
// its ConditionCompilerTest and BodyQueryTest. twin_change_includes is missing, because
// edge hub accepts it for no source that a route can have.
var functions = map[string]function{
	"abs":     {args: oneNumber, result: typeNumber},
	"exp":     {args: oneNumber, result: typeNumber},
	"square":  {args: oneNumber, result: typeNumber},
	"ceiling": {args: oneNumber, result: typeNumber},
	"floor":   {args: oneNumber, result: typeNumber},
	"sign":    {args: oneNumber, result: typeNumber},
	"sqrt":    {args: oneNumber, result: typeNumber},
	"power":   {args: []valueType{typeNumber, typeNumber}, result: typeNumber},

	"as_number":  {args: oneText, result: typeNumber}, // or a number
	"is_bool":    {result: typeBool},
	"is_defined": {result: typeBool},
	"is_null":    {result: typeBool},
	"is_number":  {result: typeBool},
	"is_string":  {result: typeBool},

	"concat":      {args: twoTexts, repeat: true, result: typeText},
	"length":      {args: oneText, result: typeNumber},
	"lower":       {args: oneText, result: typeText},
	"upper":       {args: oneText, result: typeText},
	"substring":   {args: []valueType{typeText, typeNumber}, more: oneNumber, result: typeText},
	"index_of":    {args: twoTexts, result: typeNumber},
	"starts_with": {args: twoTexts, result: typeBool},
	"ends_with":   {args: twoTexts, result: typeBool},
	"contains":    {args: twoTexts, result: typeBool},
}

// parseCall parses the arguments of a function; name is its token.
func (p *parser) parseCall(name token) value {
	p.take()
	if !p.deeper(name) {
		return value{}
	}
	var args []valueType
	for p.failed == nil && !p.at(kindClose) {
		if len(args) > 0 {
			p.expect(kindComma, "has a condition with a function whose arguments are not closed: , or ) is expected here", "close them with )")
		}
		args = append(args, p.parseBinary(0).valueType)
	}
	p.depth--
	p.expect(kindClose, "has a condition with a function whose arguments are not closed", "close them with )")
	if p.failed != nil {
		return value{}
	}
	id := strings.ToLower(name.text)
	f, known := functions[id]
	switch {
	case !known:
		p.fail(name.offset, "has a condition with a function that edge hub does not have", "use one of "+functionNames())
	case !f.accepts(args) && (id != "as_number" || !slices.Equal(args, oneNumber)):
		p.fail(name.offset, "has a condition that edge hub cannot compile: the arguments of "+id, "give it "+f.usage())
	}
	return value{f.result, name.offset, false}
}

// accepts reports whether a function takes arguments of these types.
func (f function) accepts(args []valueType) bool {
	if f.args == nil {
		return len(args) == 1
	}
	want := f.args
	if len(args) > len(want) {
		want = slices.Concat(want, f.more)
	}
	for f.repeat && len(want) < len(args) {
		want = append(slices.Clip(want), want[len(want)-1])
	}
	return slices.EqualFunc(want, args, func(want, got valueType) bool { return got == want || got == typeBody })
}

// usage returns the arguments in words.
func (f function) usage() string {
	if f.args == nil {
		return "one argument"
	}
	var list []string
	for _, t := range f.args {
		list = append(list, t.String())
	}
	text := strings.Join(list, " and ")
	if f.repeat {
		text += ", or more of them"
	}
	if f.more != nil {
		text += ", and optionally " + f.more[0].String()
	}
	return text + "; a property is text, and as_number makes it a number"
}

func functionNames() string {
	names := make([]string, 0, len(functions))
	for name := range functions {
		names = append(names, name)
	}
	slices.Sort(names)
	return strings.Join(names, ", ")
}

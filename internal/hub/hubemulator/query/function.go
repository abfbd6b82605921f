package query

import "strings"

// function is a function that conditions can call.
type function struct {
	parameters int
	// ofPath is set if the argument must be a path, not a literal.
	ofPath bool
	call   func(arguments []any) bool
}

// functions has the functions by upper-case name.
var functions = map[string]function{
	"IS_DEFINED": {parameters: 1, ofPath: true, call: func(a []any) bool {
		_, missing := a[0].(undefined)
		return !missing
	}},
	"IS_NULL":      {parameters: 1, call: func(a []any) bool { return a[0] == nil }},
	"IS_BOOL":      {parameters: 1, call: is[bool]},
	"IS_NUMBER":    {parameters: 1, call: is[number]},
	"IS_STRING":    {parameters: 1, call: is[string]},
	"IS_OBJECT":    {parameters: 1, call: is[map[string]any]},
	"IS_PRIMITIVE": {parameters: 1, call: func(a []any) bool { return isPrimitive(a[0]) }},
	"STARTSWITH":   {parameters: 2, call: onTexts(strings.HasPrefix)},
	"ENDSWITH":     {parameters: 2, call: onTexts(strings.HasSuffix)},
}

func is[T any](arguments []any) bool {
	_, ok := arguments[0].(T)
	return ok
}

// onTexts returns a function that is false if an argument is not a string.
func onTexts(test func(s, part string) bool) func(arguments []any) bool {
	return func(arguments []any) bool {
		s, ok := arguments[0].(string)
		part, partOK := arguments[1].(string)
		return ok && partOK && test(s, part)
	}
}

// call is a function call.
type call struct {
	function  function
	arguments []expression
}

func (c call) value(d Document) any {
	values := make([]any, len(c.arguments))
	for i, argument := range c.arguments {
		values[i] = argument.value(d)
	}
	return c.function.call(values)
}

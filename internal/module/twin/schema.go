package twin

import (
	"encoding/json"
	"fmt"
	"slices"
	"strings"
	"sync"

	"github.com/santhosh-tekuri/jsonschema/v6"
	"github.com/santhosh-tekuri/jsonschema/v6/kind"

	"rtsptunnel/internal/contract/desired"
	"rtsptunnel/internal/contract/reason"
	"rtsptunnel/modules/rtsptunnel"
)

// schemaURL identifies the embedded schema to the compiler; nothing is fetched.
const schemaURL = "mem:///twin.schema.json"

// schema is the compiled schema of the twin.
type schema struct {
	parts map[string]*jsonschema.Schema // by name in $defs
	nodes map[string]*jsonschema.Schema // by location
	texts map[string]string             // patternErrorMessage, by the location of its node

	defaults map[string]map[string]any // by part and name; read-only
}

// theSchema compiles the schema on first use. It panics if the embedded file is not a
// valid schema, which any test of this package detects.
var theSchema = sync.OnceValue(func() schema {
	raw, err := jsonschema.UnmarshalJSON(strings.NewReader(rtsptunnel.TwinSchema))
	must(err)
	compiler := jsonschema.NewCompiler()
	must(compiler.AddResource(schemaURL, raw))
	s := schema{map[string]*jsonschema.Schema{}, map[string]*jsonschema.Schema{}, map[string]string{}, map[string]map[string]any{}}
	document, _ := raw.(map[string]any)
	parts, _ := document["$defs"].(map[string]any)
	for name := range parts {
		part, err := compiler.Compile(schemaURL + "#/$defs/" + name)
		must(err)
		s.parts[name] = part
		s.defaults[name] = defaults(part)
		s.indexNode(part)
	}
	s.indexTexts(schemaURL+"#", raw)
	return s
})

func must(err error) {
	if err != nil {
		panic(fmt.Sprintf("twin.schema.json: %v", err))
	}
}

func (s schema) indexNode(node *jsonschema.Schema) {
	if node == nil || s.nodes[node.Location] != nil {
		return
	}
	s.nodes[node.Location] = node
	for _, property := range node.Properties {
		s.indexNode(property)
	}
	additional, _ := node.AdditionalProperties.(*jsonschema.Schema)
	s.indexNode(additional)
	s.indexNode(node.PropertyNames)
	s.indexNode(node.Ref)
}

func (s schema) indexTexts(pointer string, raw any) {
	object, _ := raw.(map[string]any)
	for name, value := range object {
		if text, ok := value.(string); ok && name == "patternErrorMessage" {
			s.texts[pointer] = text
		}
		s.indexTexts(pointer+"/"+name, value)
	}
}

// check validates the value at path against a named part of the schema, and returns one
// fault a path.
func (s schema) check(part string, value any, path string) []Fault {
	bad, ok := s.parts[part].Validate(value).(*jsonschema.ValidationError) //nolint:errorlint // never wrapped; no error is nil
	if !ok {
		return nil
	}
	var faults []Fault
	var walk func(e *jsonschema.ValidationError)
	walk = func(e *jsonschema.ValidationError) {
		if len(e.Causes) == 0 || isNameError(e) {
			faults = append(faults, s.faults(e, path)...)
			return
		}
		for _, cause := range e.Causes {
			walk(cause)
		}
	}
	walk(bad)
	sortFaults(faults)
	return slices.CompactFunc(faults, func(a, b Fault) bool { return a.Path == b.Path })
}

// isNameError reports whether e is about a name that is not allowed. Its causes say why,
// but do not know the name.
func isNameError(e *jsonschema.ValidationError) bool {
	_, ok := e.ErrorKind.(*kind.PropertyNames)
	return ok
}

// faults converts one error of the library. The library's texts contain values; ours do
// not.
func (s schema) faults(e *jsonschema.ValidationError, path string) []Fault {
	for _, name := range e.InstanceLocation {
		path += "/" + desired.Printable(name)
	}
	node := s.nodes[e.SchemaURL]
	switch k := e.ErrorKind.(type) {
	case *kind.InvalidJsonValue:
		bad, _ := k.Value.(desired.Unusable)
		return []Fault{{Path: path, Code: bad.Code, Text: bad.Text}}
	case *kind.PropertyNames:
		return []Fault{{Path: path + objectOf(e.SchemaURL) + "/" + desired.Printable(k.Property), Code: reason.ConfigFormat, Text: s.allowed(node)}}
	case *kind.Required:
		var faults []Fault
		for _, name := range k.Missing {
			faults = append(faults, Fault{Path: path + "/" + name, Code: reason.ConfigMissing, Text: "is missing: " + s.allowed(node.Properties[name])})
		}
		return faults
	case *kind.MaxProperties:
		return []Fault{{Path: path, Code: reason.ConfigSize, Text: fmt.Sprintf("must have at most %d entries", k.Want)}}
	case *kind.Minimum, *kind.Maximum, *kind.Enum:
		return []Fault{{Path: path, Code: reason.ConfigRange, Text: s.allowed(node)}}
	case *kind.Pattern, *kind.MaxLength:
		if !hasType(node, "integer") && !hasType(node, "boolean") {
			return []Fault{{Path: path, Code: reason.ConfigFormat, Text: s.allowed(node)}}
		}
	}
	return []Fault{{Path: path, Code: reason.ConfigType, Text: s.allowed(node)}}
}

// objectOf returns the path of the object whose names the schema at location is for, below
// its part of the schema. The library leaves it out of the error.
func objectOf(location string) string {
	_, path, _ := strings.Cut(location, "/properties")
	return strings.TrimSuffix(path, "/propertyNames")
}

// allowed says which values a node of the schema accepts.
func (s schema) allowed(node *jsonschema.Schema) string {
	switch {
	case node == nil:
		return "does not match the schema"
	case s.texts[node.Location] != "":
		return s.texts[node.Location]
	case node.Enum != nil:
		names := make([]string, len(node.Enum.Values))
		for i, value := range node.Enum.Values {
			names[i], _ = value.(string)
		}
		return "must be one of " + strings.Join(names, ", ")
	case hasType(node, "integer"):
		return fmt.Sprintf("must be an integer from %s to %s", node.Minimum.RatString(), node.Maximum.RatString())
	case hasType(node, "boolean"):
		return "must be true or false"
	case hasType(node, "object"):
		return "must be an object"
	default:
		return "must be a string"
	}
}

func hasType(node *jsonschema.Schema, name string) bool {
	return node.Types != nil && slices.Contains(node.Types.ToStrings(), name)
}

// convert returns a copy of an object in which strings that spell a number or a boolean have
// become one, where the schema wants that. converted lists their paths below the object,
// and unknown those that the schema does not define. Other strings stay.
func (s schema) convert(part string, object map[string]any) (values map[string]any, converted, unknown []string) {
	c := converter{}
	values = c.object(s.parts[part], "", object)
	return values, c.converted, c.unknown
}

type converter struct{ converted, unknown []string }

func (c *converter) object(node *jsonschema.Schema, path string, object map[string]any) map[string]any {
	values := make(map[string]any, len(object))
	for _, name := range sortedNames(object) {
		below, member := path+desired.Printable(name), memberSchema(node, name)
		if member == nil {
			c.unknown = append(c.unknown, below)
		}
		values[name] = c.value(member, below, object[name])
	}
	return values
}

func (c *converter) value(node *jsonschema.Schema, path string, value any) any {
	switch given := value.(type) {
	case map[string]any:
		if node != nil && hasType(node, "object") {
			return c.object(node, path+"/", given)
		}
	case string:
		spelled := desired.Spelled(given)
		_, isNumber := spelled.(int64)
		_, isBool := spelled.(bool)
		if node != nil && (isNumber && hasType(node, "integer") || isBool && hasType(node, "boolean")) {
			c.converted = append(c.converted, path)
			return spelled
		}
	}
	return value
}

// memberSchema returns the schema of an object's member, nil if there is none.
func memberSchema(object *jsonschema.Schema, name string) *jsonschema.Schema {
	member := object.Properties[name]
	if additional, ok := object.AdditionalProperties.(*jsonschema.Schema); ok && member == nil {
		member = additional
	}
	if member != nil && member.Ref != nil {
		member = member.Ref
	}
	return member
}

// defaults returns the schema's default values for absent properties.
func defaults(part *jsonschema.Schema) map[string]any {
	values := make(map[string]any)
	for name, node := range part.Properties {
		if node.Default == nil {
			continue
		}
		values[name] = *node.Default
		if n, ok := (*node.Default).(json.Number); ok {
			values[name] = desired.Number(n)
		}
	}
	return values
}

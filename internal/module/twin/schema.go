package twin

import (
	"encoding/json"
	"fmt"
	"slices"
	"strconv"
	"strings"
	"sync"

	"github.com/santhosh-tekuri/jsonschema/v6"
	"github.com/santhosh-tekuri/jsonschema/v6/kind"

	"rtsptunnel/internal/contract/reason"
	"rtsptunnel/modules/rtsptunnel"
)

// schemaURL is where the schema says it is; nothing is fetched.
const schemaURL = "mem:///twin.schema.json"

// schema is the twin's schema, compiled.
type schema struct {
	parts map[string]*jsonschema.Schema // by their name in $defs
	nodes map[string]*jsonschema.Schema // by where they stand
	texts map[string]string             // patternErrorMessage, by where it stands

	defaults map[string]map[string]any // by part and name; only to be read
}

// theSchema panics if the file that this program was built with is not a schema,
// which the first test sees.
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
		s.note(part)
	}
	s.noteTexts(schemaURL+"#", raw)
	return s
})

func must(err error) {
	if err != nil {
		panic(fmt.Sprintf("twin.schema.json: %v", err))
	}
}

func (s schema) note(node *jsonschema.Schema) {
	if node == nil || s.nodes[node.Location] != nil {
		return
	}
	s.nodes[node.Location] = node
	for _, property := range node.Properties {
		s.note(property)
	}
	additional, _ := node.AdditionalProperties.(*jsonschema.Schema)
	s.note(additional)
	s.note(node.PropertyNames)
	s.note(node.Ref)
}

func (s schema) noteTexts(pointer string, raw any) {
	object, _ := raw.(map[string]any)
	for name, value := range object {
		if text, ok := value.(string); ok && name == "patternErrorMessage" {
			s.texts[pointer] = text
		}
		s.noteTexts(pointer+"/"+name, value)
	}
}

// check is what is wrong with value, which stands at path, by the part of the schema
// that has this name.
func (s schema) check(part string, value any, path string) []Fault {
	bad, ok := s.parts[part].Validate(value).(*jsonschema.ValidationError) //nolint:errorlint // never wrapped; no error is nil
	if !ok {
		return nil
	}
	var faults []Fault
	var walk func(e *jsonschema.ValidationError)
	walk = func(e *jsonschema.ValidationError) {
		if len(e.Causes) == 0 || isName(e) {
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

// isName tells of a name that is not allowed; what is wrong with it stands below.
func isName(e *jsonschema.ValidationError) bool {
	_, ok := e.ErrorKind.(*kind.PropertyNames)
	return ok
}

// faults are what one error of the library says, which holds values, in our words,
// which do not.
func (s schema) faults(e *jsonschema.ValidationError, path string) []Fault {
	for _, name := range e.InstanceLocation {
		path += "/" + printable(name)
	}
	node := s.nodes[e.SchemaURL]
	switch k := e.ErrorKind.(type) {
	case *kind.InvalidJsonValue:
		bad, _ := k.Value.(unusable)
		return []Fault{{Path: path, Code: bad.code, Text: bad.text}}
	case *kind.PropertyNames:
		return []Fault{{Path: path + "/" + printable(k.Property), Code: reason.ConfigFormat, Text: s.allowed(node)}}
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
		if !is(node, "integer") && !is(node, "boolean") {
			return []Fault{{Path: path, Code: reason.ConfigFormat, Text: s.allowed(node)}}
		}
	}
	return []Fault{{Path: path, Code: reason.ConfigType, Text: s.allowed(node)}}
}

// allowed says what a value must be.
func (s schema) allowed(node *jsonschema.Schema) string {
	switch {
	case node == nil:
		return "is not as it must be"
	case s.texts[node.Location] != "":
		return s.texts[node.Location]
	case node.Enum != nil:
		names := make([]string, len(node.Enum.Values))
		for i, value := range node.Enum.Values {
			names[i], _ = value.(string)
		}
		return "must be one of " + strings.Join(names, ", ")
	case is(node, "integer"):
		return fmt.Sprintf("must be an integer from %s to %s", node.Minimum.RatString(), node.Maximum.RatString())
	case is(node, "boolean"):
		return "must be true or false"
	case is(node, "object"):
		return "must be an object"
	default:
		return "must be a string"
	}
}

func is(node *jsonschema.Schema, name string) bool {
	return node.Types != nil && slices.Contains(node.Types.ToStrings(), name)
}

// plain is object with the numbers and booleans that are written as strings as what
// they mean, and the names of these. What means nothing stays as it is.
func (s schema) plain(part string, object map[string]any) (_ map[string]any, converted []string) {
	plain := make(map[string]any, len(object))
	for _, name := range sortedNames(object) {
		value := object[name]
		plain[name] = value
		node := s.parts[part].Properties[name]
		text, isText := value.(string)
		if node == nil || !isText || node.Pattern == nil || !node.Pattern.MatchString(text) {
			continue
		}
		switch {
		case is(node, "integer"):
			plain[name], _ = strconv.ParseInt(text, 10, 64) // the pattern has 15 digits
		case is(node, "boolean"):
			plain[name] = strings.EqualFold(text, "true")
		default:
			continue
		}
		converted = append(converted, name)
	}
	return plain, converted
}

// unknown are the names in object that the schema does not have.
func (s schema) unknown(part string, object map[string]any) []string {
	return slices.DeleteFunc(sortedNames(object), func(name string) bool { return s.parts[part].Properties[name] != nil })
}

// defaults are the values that the schema gives to what is absent.
func defaults(part *jsonschema.Schema) map[string]any {
	values := make(map[string]any)
	for name, node := range part.Properties {
		if node.Default == nil {
			continue
		}
		values[name] = *node.Default
		if n, ok := (*node.Default).(json.Number); ok {
			values[name] = number(n)
		}
	}
	return values
}

package config

import (
	_ "embed"
	"fmt"
	"slices"
	"strings"
	"sync"
	"weak"

	"github.com/santhosh-tekuri/jsonschema/v6"
	"github.com/santhosh-tekuri/jsonschema/v6/kind"
)

// Schema is the JSON Schema (2020-12) of the file, for editors. In addition to the
// standard's keywords it uses patternErrorMessage: the message for a text that does not
// match its pattern.
//
//go:embed tunnelgateway.schema.json
var Schema string

// schemaURL identifies the embedded schema to the compiler; nothing is fetched.
const schemaURL = "mem:///tunnelgateway.schema.json"

type schema struct {
	root  *jsonschema.Schema
	nodes map[string]*jsonschema.Schema // by location
	texts map[string]string             // patternErrorMessage, by the location of its node
}

// kept is the compiled schema for as long as the garbage collector leaves it: a gateway
// reads its file seldom, and the schema's expressions take 3 MB.
var kept struct {
	sync.Mutex
	schema weak.Pointer[schema]
}

// theSchema returns the compiled schema.
func theSchema() *schema {
	kept.Lock()
	defer kept.Unlock()
	s := kept.schema.Value()
	if s == nil {
		s = compile()
		kept.schema = weak.Make(s)
	}
	return s
}

// compile panics if the embedded file is not a valid schema, which any test of this package
// detects.
func compile() *schema {
	raw, err := jsonschema.UnmarshalJSON(strings.NewReader(Schema))
	must(err)
	compiler := jsonschema.NewCompiler()
	must(compiler.AddResource(schemaURL, raw))
	root, err := compiler.Compile(schemaURL)
	must(err)
	s := &schema{root, map[string]*jsonschema.Schema{}, map[string]string{}}
	s.indexNode(root)
	s.indexTexts(schemaURL+"#", raw)
	return s
}

func must(err error) {
	if err != nil {
		panic(fmt.Sprintf("tunnelgateway.schema.json: %v", err))
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
	for _, below := range []*jsonschema.Schema{additional, node.PropertyNames, node.Ref, items(node)} {
		s.indexNode(below)
	}
}

func items(node *jsonschema.Schema) *jsonschema.Schema {
	if node.Items2020 != nil {
		return node.Items2020
	}
	below, _ := node.Items.(*jsonschema.Schema)
	return below
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

// check validates a document and returns its faults.
func (s schema) check(d *document) []Fault {
	value := d.value()
	if len(d.faults) > 0 {
		return d.faults
	}
	bad, ok := s.root.Validate(value).(*jsonschema.ValidationError) //nolint:errorlint // never wrapped; no error is nil
	if !ok {
		return nil
	}
	var faults []Fault
	var walk func(e *jsonschema.ValidationError)
	walk = func(e *jsonschema.ValidationError) {
		if len(faults) >= enoughFaults {
			return
		}
		_, isName := e.ErrorKind.(*kind.PropertyNames) // its causes say why, but do not know the name
		if len(e.Causes) == 0 || isName {
			faults = append(faults, s.faults(d, e)...)
			return
		}
		for _, cause := range e.Causes {
			walk(cause)
		}
	}
	walk(bad)
	return faults
}

// faults converts one error of the library. The library's texts contain values; ours do not.
func (s schema) faults(d *document, e *jsonschema.ValidationError) []Fault {
	path, node := e.InstanceLocation, s.nodes[e.SchemaURL]
	key, value := d.find(path)
	switch k := e.ErrorKind.(type) {
	case *kind.PropertyNames:
		path = d.search(mappingOf(e.SchemaURL), k.Property) // the library leaves the location out
		return []Fault{s.keyFault(d, path[:len(path)-1], k.Property, s.allowed(node))}
	case *kind.AdditionalProperties:
		var faults []Fault
		for _, name := range k.Properties {
			faults = append(faults, s.keyFault(d, path, name, "unknown key"+suggestion(name, node)))
		}
		return faults
	case *kind.Required:
		var faults []Fault
		for _, name := range k.Missing {
			faults = append(faults, d.at(key, extend(path, name), "is missing"))
		}
		return faults
	case *kind.MaxProperties:
		return []Fault{d.at(key, path, fmt.Sprintf("must have at most %d entries", k.Want))}
	case *kind.MinItems:
		return []Fault{d.at(value, path, fmt.Sprintf("must have at least %d entries", k.Want))}
	case *kind.MaxItems:
		return []Fault{d.at(key, path, fmt.Sprintf("must have at most %d entries", k.Want))}
	case *kind.MinLength:
		return []Fault{d.at(value, path, "must not be empty")}
	case *kind.MaxLength:
		return []Fault{d.at(value, path, fmt.Sprintf("must have at most %d characters", k.Want))}
	}
	return []Fault{d.at(value, path, s.allowed(node))}
}

// mappingOf returns the path of the mappings whose propertyNames are at a location of the
// schema, with "*" for any key.
func mappingOf(location string) []string {
	_, pointer, _ := strings.Cut(location, "#/")
	var path []string
	words := strings.Split(strings.TrimSuffix(pointer, "propertyNames"), "/")
	for i, word := range words {
		switch {
		case word == "additionalProperties":
			path = append(path, "*")
		case i > 0 && words[i-1] == "properties":
			path = append(path, word)
		}
	}
	return path
}

// keyFault is a fault of a key, at the key.
func (s schema) keyFault(d *document, path []string, name, text string) Fault {
	path = extend(path, name)
	key, _ := d.find(path)
	return d.at(key, path, text)
}

// allowed says which values a node of the schema accepts.
func (s schema) allowed(node *jsonschema.Schema) string {
	switch {
	case node == nil:
		return "does not match the schema"
	case node.Ref != nil && node.Pattern == nil && node.Types == nil:
		return s.allowed(node.Ref)
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
		return "must be a mapping: keys with values"
	case hasType(node, "array"):
		return "must be a sequence: [a, b], or lines that begin with -"
	default:
		return "must be a text (a number or true as a text needs quotes)"
	}
}

func hasType(node *jsonschema.Schema, name string) bool {
	return node.Types != nil && slices.Contains(node.Types.ToStrings(), name)
}

// suggestion names the key of the schema that a mistyped one is probably for.
func suggestion(name string, node *jsonschema.Schema) string {
	if node == nil {
		return ""
	}
	known := make([]string, 0, len(node.Properties))
	for k := range node.Properties {
		known = append(known, k)
	}
	if near := nearest(name, known); near != "" {
		return ", did you mean " + near + "?"
	}
	slices.Sort(known)
	if text := strings.Join(known, ", "); len(text) <= 200 {
		return "; there are " + text
	}
	return ""
}

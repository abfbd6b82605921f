package config

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"regexp"
	"slices"
	"strconv"
	"strings"

	"go.yaml.in/yaml/v3"
)

// The bounds of a file. 10,000 cameras have about 2 MB and 100,000 nodes.
const (
	maxFile  = 4 << 20 // bytes
	maxNodes = 1 << 20 // a node has about 200 bytes
	maxDepth = 16
	// enoughFaults is how many faults are looked for; finding the line of one takes time.
	enoughFaults = 100
)

// document is a parsed file: its nodes have lines and columns.
type document struct {
	file   string
	root   *yaml.Node // a mapping; nil if the file is empty
	faults []Fault    // enoughFaults at most
	nodes  int        // converted so far, with those that aliases repeat
}

// parse reads YAML. If it returns faults, the document is not usable.
func parse(file string, text []byte) (*document, []Fault) {
	d := &document{file: file}
	if len(text) > maxFile {
		return d, []Fault{{File: file, Text: fmt.Sprintf("has more than %d MiB", maxFile>>20)}}
	}
	if separators(text) > maxNodes {
		return d, []Fault{{File: file, Text: "has too many values"}}
	}
	decoder := yaml.NewDecoder(bytes.NewReader(text))
	var top, second yaml.Node
	switch err := decoder.Decode(&top); {
	case errors.Is(err, io.EOF):
		return d, nil
	case err != nil:
		return d, []Fault{d.syntax(err, text)}
	}
	if err := decoder.Decode(&second); !errors.Is(err, io.EOF) {
		if err != nil {
			return d, []Fault{d.syntax(err, text)}
		}
		return d, []Fault{d.at(&second, nil, "is a second document; a file has one")}
	}
	root := top.Content[0]
	switch {
	case root.Kind == yaml.ScalarNode && root.ShortTag() == "!!null":
		return d, nil
	case root.Kind != yaml.MappingNode:
		return d, []Fault{d.at(root, nil, "must be a mapping: keys with values")}
	}
	d.root = root
	return d, nil
}

// separators returns at least the number of the nodes in a text: one of these bytes is
// between any two.
func separators(text []byte) int {
	n := 0
	for _, b := range []byte(",:-?\n[{") {
		n += bytes.Count(text, []byte{b})
	}
	return n
}

var syntaxLine = regexp.MustCompile(`^yaml: line (\d+): `)

// ofParser are the errors of the library's parser, in contrast to its scanner: it counts
// their lines from 0, and often has the line at which the broken mapping or sequence begins.
var ofParser = regexp.MustCompile(`^did not find expected (<document start>|node content|'-' indicator|key|',' or '[\]}]')`)

// syntax returns the fault of the library's error. Its texts describe the grammar; only the
// one about unknown anchors repeats a part of the file.
func (d *document) syntax(err error, text []byte) Fault {
	what := strings.TrimPrefix(err.Error(), "yaml: ")
	f := Fault{File: d.file, Text: "is not YAML: " + what}
	if m := syntaxLine.FindStringSubmatch(err.Error()); m != nil {
		f.Line, _ = strconv.Atoi(m[1])
		what = err.Error()[len(m[0]):]
		f.Text = "is not YAML: " + what
	}
	lines := bytes.Split(bytes.TrimSuffix(text, []byte("\n")), []byte("\n"))
	switch {
	case strings.Contains(what, "unknown anchor"):
		f.Text = "is not YAML: an alias refers to an unknown anchor"
	case ofParser.MatchString(what):
		f.Line = min(f.Line+1, len(lines))
		f.Text = "is not YAML, here or below: " + what
	case f.Line > 0 && f.Line <= len(lines) && tabIndent.Match(lines[f.Line-1]):
		f.Text = "is not YAML: the line begins with a tab; use blanks"
	}
	return f
}

var tabIndent = regexp.MustCompile(`^ *\t`)

func (d *document) at(node *yaml.Node, path []string, text string) Fault {
	return Fault{File: d.file, Line: node.Line, Column: node.Column, Path: dotted(path), Text: text}
}

func (d *document) fault(node *yaml.Node, path []string, text string) {
	if len(d.faults) >= enoughFaults {
		return
	}
	d.faults = append(d.faults, d.at(node, path, text))
}

// value returns the document as JSON has it, for the schema. Keys without a value are
// absent. What JSON does not have becomes a fault.
func (d *document) value() map[string]any {
	if d.root == nil {
		return map[string]any{}
	}
	value, _ := d.convert(d.root, nil).(map[string]any)
	return value
}

func (d *document) convert(node *yaml.Node, path []string) any {
	d.nodes++
	if d.nodes > maxNodes || len(path) > maxDepth {
		if d.nodes <= maxNodes+1 {
			d.fault(node, path, "the file has too many values, or nests them too deeply")
		}
		d.nodes = max(d.nodes, maxNodes+1)
		return nil
	}
	switch node.Kind {
	case yaml.AliasNode:
		return d.convert(node.Alias, path)
	case yaml.MappingNode:
		return d.mapping(node, path)
	case yaml.SequenceNode:
		list := make([]any, 0, len(node.Content))
		for i, item := range node.Content {
			list = append(list, d.convert(item, extend(path, strconv.Itoa(i))))
		}
		return list
	default:
		return d.scalar(node, path)
	}
}

func (d *document) mapping(node *yaml.Node, path []string) any {
	values := make(map[string]any, len(node.Content)/2)
	seen := make(map[string]bool, len(node.Content)/2)
	for i := 0; i+1 < len(node.Content); i += 2 {
		key, item := node.Content[i], node.Content[i+1]
		if key.Kind != yaml.ScalarNode || key.ShortTag() == "!!merge" {
			d.fault(key, path, "has a key that is not a text")
			continue
		}
		below := extend(path, key.Value)
		if seen[key.Value] {
			d.fault(key, below, "stands twice")
			continue
		}
		seen[key.Value] = true
		if value := d.convert(item, below); value != nil {
			values[key.Value] = value
		}
	}
	return values
}

func (d *document) scalar(node *yaml.Node, path []string) any {
	switch node.ShortTag() {
	case "!!null":
		return nil
	case "!!str", "!!timestamp":
		return node.Value
	case "!!bool":
		var b bool
		if node.Decode(&b) == nil {
			return b
		}
	case "!!int":
		var n int64
		if node.Decode(&n) == nil {
			return n
		}
	case "!!float":
		var f float64
		if node.Decode(&f) == nil && f-f == 0 { // JSON has no infinity and no NaN
			return f
		}
	}
	d.fault(node, path, "has a value of a type that this file does not have")
	return nil
}

// extend returns a new slice: callers extend one path several times.
func extend(path []string, part string) []string {
	return append(slices.Clip(path), part)
}

// find returns the nodes of a path: the key, or the item of a sequence, and its value. For
// a path that does not exist they are those of its longest part that does.
func (d *document) find(path []string) (key, value *yaml.Node) {
	if d.root == nil {
		return &yaml.Node{}, &yaml.Node{}
	}
	key, value = d.root, d.root
	for _, part := range path {
		for value.Kind == yaml.AliasNode {
			value = value.Alias
		}
		k, v := child(value, part)
		if v == nil {
			break
		}
		key, value = k, v
	}
	return key, value
}

func child(node *yaml.Node, part string) (key, value *yaml.Node) {
	switch node.Kind {
	case yaml.SequenceNode:
		if i, err := strconv.Atoi(part); err == nil && i >= 0 && i < len(node.Content) {
			return node.Content[i], node.Content[i]
		}
	case yaml.MappingNode:
		for i := 0; i+1 < len(node.Content); i += 2 {
			if node.Content[i].Value == part {
				return node.Content[i], node.Content[i+1]
			}
		}
	}
	return nil, nil
}

// search returns the path of the first key with this name below a mapping at a path in which
// "*" stands for any key, or the name alone if there is none.
func (d *document) search(pattern []string, name string) []string {
	var walk func(node *yaml.Node, at int, path []string) []string
	walk = func(node *yaml.Node, at int, path []string) []string {
		for node.Kind == yaml.AliasNode {
			node = node.Alias
		}
		if at == len(pattern) {
			if key, _ := child(node, name); key != nil {
				return extend(path, name)
			}
			return nil
		}
		for i := 0; i+1 < len(node.Content); i += 2 {
			key := node.Content[i].Value
			if pattern[at] != "*" && pattern[at] != key {
				continue
			}
			if found := walk(node.Content[i+1], at+1, extend(path, key)); found != nil {
				return found
			}
		}
		return nil
	}
	if found := walk(d.root, 0, nil); found != nil {
		return found
	}
	return []string{name}
}

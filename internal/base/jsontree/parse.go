package jsontree

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"slices"
	"strings"
	"unicode/utf8"
)

// maxDepth bounds how deeply arrays and objects may be nested.
const maxDepth = 100

// Duplicate is a member with the same name as an earlier member of its object. The tree
// holds both.
type Duplicate struct {
	Path  []string // to the member; array items by index
	First int      // line of the first member with this name
	Line  int      // line of this member
}

// SyntaxError is the error of a document that is not valid JSON.
type SyntaxError struct {
	Line int // from 1
	Err  error
}

// Error returns the line and the cause. It may repeat one character of the document.
func (e *SyntaxError) Error() string { return fmt.Sprintf("line %d: %v", e.Line, e.Err) }

// Unwrap returns the cause without the line.
func (e *SyntaxError) Unwrap() error { return e.Err }

// Parse parses one document in UTF-8, with or without a byte order mark. It accepts
// duplicate members and returns them. The error is a *SyntaxError.
func Parse(doc []byte) (*Value, []Duplicate, error) {
	doc = bytes.TrimPrefix(doc, []byte("\ufeff"))
	p := &parser{doc: doc, json: json.NewDecoder(bytes.NewReader(doc)), line: 1}
	p.json.UseNumber()
	if err := p.checkEncoding(); err != nil {
		return nil, nil, err
	}
	v, err := p.value(0)
	if err == nil {
		err = p.end()
	}
	if err != nil {
		return nil, nil, err
	}
	return v, p.duplicates, nil
}

type parser struct {
	doc        []byte
	json       *json.Decoder
	path       []string
	duplicates []Duplicate

	line, counted int // line is the line of the offset counted in doc
}

func (p *parser) checkEncoding() error {
	if bytes.HasPrefix(p.doc, []byte("\xff\xfe")) || bytes.HasPrefix(p.doc, []byte("\xfe\xff")) {
		return p.fail(0, errors.New("the file is in UTF-16; save it as UTF-8"))
	}
	for i := 0; i < len(p.doc); {
		r, size := utf8.DecodeRune(p.doc[i:])
		if r == utf8.RuneError && size == 1 {
			return p.fail(i, errors.New("the file is not in UTF-8"))
		}
		i += size
	}
	return nil
}

// lineAt returns the line of an offset. Offsets must not decrease.
func (p *parser) lineAt(offset int) int {
	offset = min(offset, len(p.doc))
	if offset > p.counted {
		p.line += bytes.Count(p.doc[p.counted:offset], []byte{'\n'})
		p.counted = offset
	}
	return p.line
}

func (p *parser) fail(offset int, err error) error {
	return &SyntaxError{Line: p.lineAt(offset), Err: err}
}

// token returns the next token and its line; tokens hold no line breaks.
func (p *parser) token() (json.Token, int, error) {
	t, err := p.json.Token()
	at := int(p.json.InputOffset())
	switch bad, isSyntax := errors.AsType[*json.SyntaxError](err); {
	case err == nil:
		return t, p.lineAt(at), nil
	case errors.Is(err, io.EOF), errors.Is(err, io.ErrUnexpectedEOF):
		return nil, 0, p.fail(len(p.doc), errors.New("the file ends before the JSON does"))
	case isSyntax:
		return nil, 0, p.fail(max(int(bad.Offset)-1, at), errors.New(bad.Error()))
	default:
		return nil, 0, p.fail(at, err)
	}
}

func (p *parser) value(depth int) (*Value, error) {
	t, line, err := p.token()
	if err != nil {
		return nil, err
	}
	v := &Value{Line: line}
	switch t := t.(type) {
	case bool:
		v.Kind, v.Text = Bool, fmt.Sprint(t)
	case json.Number:
		v.Kind, v.Text = Number, t.String()
	case string:
		v.Kind, v.Text = String, t
	case json.Delim:
		if depth == maxDepth {
			return nil, p.fail(0, fmt.Errorf("nested more than %d deep", maxDepth))
		}
		if t == '[' {
			v.Kind = Array
			return v, p.items(v, depth)
		}
		v.Kind = Object
		return v, p.members(v, depth)
	}
	return v, nil
}

func (p *parser) items(v *Value, depth int) error {
	for i := 0; p.json.More(); i++ {
		p.path = append(p.path, fmt.Sprint(i))
		item, err := p.value(depth + 1)
		if err != nil {
			return err
		}
		p.path = p.path[:len(p.path)-1]
		v.Items = append(v.Items, item)
	}
	_, _, err := p.token() // the bracket
	return err
}

func (p *parser) members(v *Value, depth int) error {
	lines := make(map[string]int)
	for p.json.More() {
		t, line, err := p.token()
		if err != nil {
			return err
		}
		name, _ := t.(string)
		p.path = append(p.path, name)
		if first, twice := lines[name]; twice {
			p.duplicates = append(p.duplicates, Duplicate{slices.Clone(p.path), first, line})
		} else {
			lines[name] = line
		}
		value, err := p.value(depth + 1)
		if err != nil {
			return err
		}
		p.path = p.path[:len(p.path)-1]
		v.Members = append(v.Members, Member{name, value})
	}
	_, _, err := p.token() // the brace
	return err
}

// end checks that only white space follows.
func (p *parser) end() error {
	at := int(p.json.InputOffset())
	if rest := strings.TrimLeft(string(p.doc[at:]), " \t\r\n"); rest != "" {
		return p.fail(len(p.doc)-len(rest), errors.New("something follows the end of the JSON"))
	}
	return nil
}

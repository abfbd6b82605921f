// Package jsontree parses a JSON document into a tree that keeps what encoding/json
// loses: the order of members, duplicate members, the notation of numbers, and the line
// of each value. It is for files that people write and that are written back.
//
// Code belongs here if it applies to any JSON document. The meaning of a document does
// not.
package jsontree

import (
	"encoding/json"
	"slices"
)

// Kind is the type of a value.
type Kind int

// The kinds of JSON.
const (
	Null Kind = iota
	Bool
	Number
	String
	Array
	Object
)

// String returns the name of the kind with its article, for error messages.
func (k Kind) String() string {
	return [...]string{"null", "a boolean", "a number", "a string", "an array", "an object"}[k]
}

// Value is one JSON value. The zero Value is null. It is not safe for concurrent use while
// it is changed.
type Value struct {
	Kind    Kind
	Text    string   // of a string its content, of a number its notation, of a boolean true or false
	Items   []*Value // of an array
	Members []Member // of an object, in the order of the document
	Line    int      // where the value begins, from 1; 0 if it was not parsed
}

// Member is a member of an object.
type Member struct {
	Name  string
	Value *Value
}

var _ json.Marshaler = (*Value)(nil)

// NewString returns a string value.
func NewString(text string) *Value { return &Value{Kind: String, Text: text} }

// NewObject returns an empty object.
func NewObject() *Value { return &Value{Kind: Object} }

// Is tells whether v is not nil and of this kind.
func (v *Value) Is(kind Kind) bool { return v != nil && v.Kind == kind }

// Get returns the first member with this name. It returns nil if there is none, if v is no
// object, and if v is nil.
func (v *Value) Get(name string) *Value {
	if v == nil {
		return nil
	}
	for _, m := range v.Members {
		if m.Name == name {
			return m.Value
		}
	}
	return nil
}

// At follows a path of member names. It returns nil if there is no such member.
func (v *Value) At(names ...string) *Value {
	for _, name := range names {
		v = v.Get(name)
	}
	return v
}

// Set sets a member of an object: it replaces the value of the first member with this name,
// or appends a member.
func (v *Value) Set(name string, value *Value) {
	for i := range v.Members {
		if v.Members[i].Name == name {
			v.Members[i].Value = value
			return
		}
	}
	v.Members = append(v.Members, Member{name, value})
}

// Delete removes all members with this name from an object.
func (v *Value) Delete(name string) {
	v.Members = slices.DeleteFunc(v.Members, func(m Member) bool { return m.Name == name })
}

// Clone returns a deep copy; nil for nil.
func (v *Value) Clone() *Value {
	if v == nil {
		return nil
	}
	c := *v
	c.Items, c.Members = nil, nil
	for _, item := range v.Items {
		c.Items = append(c.Items, item.Clone())
	}
	for _, m := range v.Members {
		c.Members = append(c.Members, Member{m.Name, m.Value.Clone()})
	}
	return &c
}

// All returns the members of an object, and none for any other value or nil.
func (v *Value) All() []Member {
	if v == nil {
		return nil
	}
	return v.Members
}

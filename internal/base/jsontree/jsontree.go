// Package jsontree reads a JSON document as a tree that keeps what encoding/json
// loses: the order of members, members that are given twice, how numbers are written,
// and on which line a value stands. It is for files that people wrote and get back.
//
// A line belongs here when it would hold for any JSON document. What a document
// means does not.
package jsontree

import (
	"slices"
)

// Kind is what a value is.
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

// String is the kind's name as people say it.
func (k Kind) String() string {
	return [...]string{"null", "a boolean", "a number", "a string", "an array", "an object"}[k]
}

// Value is one JSON value. The zero Value is null.
type Value struct {
	Kind    Kind
	Text    string   // of a string what it says, of a number how it is written, of a boolean true or false
	Items   []*Value // of an array
	Members []Member // of an object, in the order of the document
	Line    int      // where the value begins, from 1; 0 if it was not read
}

// Member is a name and its value in an object.
type Member struct {
	Name  string
	Value *Value
}

// NewString is a string that was not read.
func NewString(text string) *Value { return &Value{Kind: String, Text: text} }

// NewObject is an object that was not read, and is empty.
func NewObject() *Value { return &Value{Kind: Object} }

// Is tells whether there is a value and it is of that kind.
func (v *Value) Is(kind Kind) bool { return v != nil && v.Kind == kind }

// Get is the member with this name, the first if there are more; nil if there is
// none, or v is no object, or nil.
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

// At goes down by these names; nil where there is nothing.
func (v *Value) At(names ...string) *Value {
	for _, name := range names {
		v = v.Get(name)
	}
	return v
}

// Set gives an object's member this value: in its place if there is one, at the end
// otherwise.
func (v *Value) Set(name string, value *Value) {
	for i := range v.Members {
		if v.Members[i].Name == name {
			v.Members[i].Value = value
			return
		}
	}
	v.Members = append(v.Members, Member{name, value})
}

// Delete takes a member out of an object, if it is there.
func (v *Value) Delete(name string) {
	v.Members = slices.DeleteFunc(v.Members, func(m Member) bool { return m.Name == name })
}

// Clone is a copy of the whole tree; nil of nil.
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

// All are an object's members; none of anything else, or of nil.
func (v *Value) All() []Member {
	if v == nil {
		return nil
	}
	return v.Members
}

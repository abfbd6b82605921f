package query

import (
	"cmp"
	"slices"
)

// path leads to a value in a document.
type path struct {
	member string // of the document
	steps  []step
}

// step selects a member of an object, or an element of an array.
type step struct {
	name  string
	index int // if name is empty
}

func (p path) value(d Document) any {
	v, ok := p.find(d)
	if !ok {
		return undefined{}
	}
	return valueOf(v)
}

// find returns the document's value at the path; ok is false if there is none.
func (p path) find(d Document) (v any, ok bool) {
	v, ok = d[p.member]
	for _, s := range p.steps {
		if !ok {
			return nil, false
		}
		v, ok = s.from(v)
	}
	return v, ok
}

// name returns the last name in the path.
func (p path) name() string {
	for _, s := range slices.Backward(p.steps) {
		if s.name != "" {
			return s.name
		}
	}
	return p.member
}

func (s step) from(v any) (value any, ok bool) {
	switch v := v.(type) {
	case map[string]any:
		value, ok = v[s.name]
		return value, ok && s.name != ""
	case []any:
		if s.name == "" && s.index < len(v) {
			return v[s.index], true
		}
	}
	return nil, false
}

// schema describes a member of a twin.
type schema struct {
	// name is the member's name in a document.
	name string
	// members are its members by lower-case name; nil if there are none.
	members map[string]schema
	// open is set if any members are allowed below it.
	open bool
	// reason is why other members are refused; if empty, a twin has no others.
	reason string
}

func (s schema) refusal() string {
	return cmp.Or(s.reason, "a twin has no such member there")
}

// target is the part of a twin that target conditions can name (Microsoft,
// "Automatic IoT device and module management": twin tags and reported properties;
// "Understand IoT Edge automatic deployments": deviceId).
var target = schema{reason: "target conditions are about deviceId, tags and properties.reported", members: map[string]schema{
	"deviceid": {name: "deviceId"},
	"tags":     {name: "tags", open: true},
	"properties": {name: "properties", reason: "target conditions know properties.reported alone", members: map[string]schema{
		"reported": {name: "reported", open: true},
	}},
}}

// twin is the schema of a twin (Microsoft, "Understand and use device twins in IoT
// Hub", section "Device twins", and the corresponding page for module twins).
var twin = schema{members: map[string]schema{
	"deviceid":                  {name: "deviceId"},
	"moduleid":                  {name: "moduleId"},
	"etag":                      {name: "etag"},
	"deviceetag":                {name: "deviceEtag"},
	"status":                    {name: "status"},
	"statusreason":              {name: "statusReason"},
	"statusupdatetime":          {name: "statusUpdateTime"},
	"connectionstate":           {name: "connectionState"},
	"lastactivitytime":          {name: "lastActivityTime"},
	"cloudtodevicemessagecount": {name: "cloudToDeviceMessageCount"},
	"authenticationtype":        {name: "authenticationType"},
	"modelid":                   {name: "modelId"},
	"version":                   {name: "version"},
	"devicescope":               {name: "deviceScope"},
	"tags":                      {name: "tags", open: true},
	"configurations":            {name: "configurations", open: true},
	"x509thumbprint": {name: "x509Thumbprint", members: map[string]schema{
		"primarythumbprint":   {name: "primaryThumbprint"},
		"secondarythumbprint": {name: "secondaryThumbprint"},
	}},
	"capabilities": {name: "capabilities", members: map[string]schema{
		"iotedge": {name: "iotEdge"},
	}},
	"properties": {name: "properties", members: map[string]schema{
		"desired":  {name: "desired", open: true},
		"reported": {name: "reported", open: true},
	}},
}}

package query

import (
	"cmp"
	"slices"
)

// path is the way to a value of a document.
type path struct {
	member string // of the document
	steps  []step
}

// step goes from an object to its member, or from an array to its element.
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

// find returns what the document holds there; ok is false if it has nothing.
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

// name is that of the last member on the way.
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

// form is what a place in a twin may hold.
type form struct {
	// name is how the place is written in a document.
	name string
	// members are the places below it, by name in lower case; nil if there
	// are none.
	members map[string]form
	// open says that everything may be below it.
	open bool
	// reason is why other members are refused; empty if a twin has none.
	reason string
}

func (f form) refusal() string {
	return cmp.Or(f.reason, "a twin has no such member there")
}

// target is the part of a twin that target conditions may name (Microsoft,
// "Automatic IoT device and module management": twin tags and reported properties;
// "Understand IoT Edge automatic deployments": deviceId).
var target = form{reason: "target conditions are about deviceId, tags and properties.reported", members: map[string]form{
	"deviceid": {name: "deviceId"},
	"tags":     {name: "tags", open: true},
	"properties": {name: "properties", reason: "target conditions know properties.reported alone", members: map[string]form{
		"reported": {name: "reported", open: true},
	}},
}}

// twin is the form of a twin (Microsoft, "Understand and use device twins in
// IoT Hub", section "Device twins", and the same of modules).
var twin = form{members: map[string]form{
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
	"x509thumbprint": {name: "x509Thumbprint", members: map[string]form{
		"primarythumbprint":   {name: "primaryThumbprint"},
		"secondarythumbprint": {name: "secondaryThumbprint"},
	}},
	"capabilities": {name: "capabilities", members: map[string]form{
		"iotedge": {name: "iotEdge"},
	}},
	"properties": {name: "properties", members: map[string]form{
		"desired":  {name: "desired", open: true},
		"reported": {name: "reported", open: true},
	}},
}}

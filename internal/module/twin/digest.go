package twin

import (
	"encoding/json"
	"slices"
	"strings"
)

// The sections that a Digest keeps, in bytes. Together they are the size of a PUBLISH that
// the hub connection keeps.
const (
	maxKeptDesired  = 512 << 10
	maxKeptReported = 256 << 10
	maxKeptValue    = 64 // a number or a boolean, also as a string
)

// tooLargeKey marks desired properties of which only the names of the sections are left.
const tooLargeKey = "$tooLarge"

// Digest reads a twin of any size with bounded memory, as it is written to it in pieces.
// Document returns a smaller twin in its place:
//   - a section (desired, reported) that is small enough is unchanged;
//   - larger desired properties keep their version and the names of their sections, for
//     Parse to reject them, and tunnels.enabled=false if that is not absent, null or true;
//   - tunnels.enabled is false, too, if the document cannot be read to its end.
type Digest struct {
	scan              scanner
	desired, reported capture
	version, enabled  capture
	readable          bool // desired is an object
	off               bool
	sections          []string // the known sections that are there
}

// NewDigest returns a Digest of an empty document.
func NewDigest() *Digest {
	d := &Digest{
		desired: capture{limit: maxKeptDesired}, reported: capture{limit: maxKeptReported},
		version: capture{limit: maxKeptValue}, enabled: capture{limit: maxKeptValue},
	}
	d.scan = scanner{begin: d.begin, end: d.end}
	return d
}

// Write reads the next piece of the document. It never fails.
func (d *Digest) Write(p []byte) (int, error) {
	d.scan.write(p)
	return len(p), nil
}

// begin is called before the first byte of each value at the end of a path of at most
// three names.
func (d *Digest) begin(path []string, first byte) {
	switch strings.Join(path, "/") {
	case "desired":
		d.readable = first == '{'
		d.scan.capture(&d.desired)
	case "reported":
		d.scan.capture(&d.reported)
	case "desired/$version":
		d.scan.capture(&d.version)
	case "desired/tunnels":
		d.off = d.off || first != '{' && first != 'n'
	case "desired/tunnels/enabled":
		d.scan.capture(&d.enabled)
	}
	if len(path) == 2 && path[0] == "desired" && first != 'n' && slices.Contains(sections, path[1]) && !slices.Contains(d.sections, path[1]) {
		d.sections = append(d.sections, path[1])
	}
}

// end is called after the last byte of each value for which begin was called.
func (d *Digest) end(path []string) {
	if strings.Join(path, "/") == "desired/tunnels/enabled" {
		d.off = d.off || !leavesTunnelsOn(d.enabled.bytes())
	}
}

// leavesTunnelsOn tells whether a value of tunnels.enabled is null or true. A boolean may be
// a string.
func leavesTunnelsOn(value []byte) bool {
	text := strings.Trim(string(value), `"`)
	return text == "null" || strings.EqualFold(text, "true")
}

// switchedOff tells whether the document switches tunnels off, or cannot be read.
func (d *Digest) switchedOff() bool { return d.off || !d.readable || !d.scan.complete() }

// Document returns the smaller twin. It has at most 768 KiB and some more bytes.
func (d *Digest) Document() []byte {
	document := make(map[string]json.RawMessage)
	if kept := d.reported.bytes(); json.Valid(kept) {
		document["reported"] = kept
	}
	kept := d.desired.bytes()
	d.readable = d.readable && (kept == nil || json.Valid(kept))
	if kept != nil && d.readable && d.scan.complete() {
		document["desired"] = kept
	} else {
		document["desired"] = d.names()
	}
	text, _ := json.Marshal(document) // its values are valid JSON
	return text
}

// names returns desired properties of which only the names of the sections are left.
func (d *Digest) names() []byte {
	names := map[string]any{tooLargeKey: true}
	for _, section := range d.sections {
		names[section] = struct{}{}
	}
	if version := d.version.bytes(); json.Valid(version) {
		names["$version"] = json.RawMessage(version)
	}
	if d.switchedOff() {
		names["tunnels"] = map[string]bool{"enabled": false}
	}
	text, _ := json.Marshal(names)
	return text
}

// switchesOff tells whether desired properties that are too large to be applied switch
// tunnels off.
func switchesOff(section json.RawMessage) bool {
	d := NewDigest()
	d.desired.limit = 0
	for _, piece := range []string{`{"desired":`, string(section), `}`} {
		d.scan.write([]byte(piece))
	}
	return d.switchedOff()
}

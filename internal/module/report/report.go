// Package report writes the reported properties: what the module is like, which
// configuration is in force and what became of the desired one, and what of that the
// hub does not have yet.
//
// The rules are:
//   - each section of the desired properties that is there is acknowledged under its
//     own name, as IoT Plug and Play conventions have it ("Writable properties"):
//     value is what is in force, ac 200 or 400, av the version that was read, ad why;
//   - the module's state stands beside them, never under a section's name;
//   - 8 KB if that can be had without leaving something out, 24 KB always, and then
//     truncated is true;
//   - nothing in it is a secret: a fault has no value, a proxy no login.
//
// The package is pure: it is handed everything, and does not know when or how often
// the hub is told. A line belongs here when it writes the reported section's JSON.
package report

import (
	"encoding/json"
	"strings"
	"time"

	"rtsptunnel/internal/contract/reason"
	"rtsptunnel/internal/module/twin"
)

// schemaVersion is that of the reported properties' shape; it goes up when something
// means something else.
const schemaVersion = 1

// capabilities tell a service what it may ask of this module.
var capabilities = []string{"tunnelOpen/1"}

// State is how the module is, beside its configuration. What the module does not know
// is zero and not told. Everything that changes is told, so the figures should be
// those of a moment ago that lasts as long as the hub may go without.
type State struct {
	Version string        // of the module
	Reasons []reason.Code // why it is degraded, each once; none if all is well
	Since   time.Time     // when Reasons became what they are
	Stopped bool          // it shuts down
	Hub     Hub
	Proxy   *Proxy                  // on the way to remote endpoints; nil for none
	Cameras map[string]CameraStatus // by name; those without configuration are not told
	Totals  *Totals                 // from the start on
}

// Hub is the hub connection.
type Hub struct {
	Protocol       string    `json:"protocol"` // mqtt or mqttws
	ConnectedSince time.Time `json:"connectedSince,omitzero"`
	Reconnects     int       `json:"reconnects"`
	TokenExpires   time.Time `json:"tokenExpires,omitzero"` // zero with a certificate
}

// Proxy is the proxy in use. Its host has a port and no login.
type Proxy struct {
	Origin string `json:"origin"` // twin or environment
	Host   string `json:"host"`
	Auth   bool   `json:"auth"` // a login is sent
}

// CameraStatus is one camera's state.
type CameraStatus struct {
	LocalPort  int         `json:"localPort"`            // of the configuration in force: Build sets it
	State      string      `json:"state,omitempty"`      // ok, unreachable, ...; empty before the first dial
	Since      time.Time   `json:"since,omitzero"`       // when State became what it is
	Open       int         `json:"open"`                 // tunnels
	LastReason reason.Code `json:"lastReason,omitempty"` // why the last tunnel ended or could not be opened
}

// Totals are counts and bytes.
type Totals struct {
	Opened    int64 `json:"opened"`
	Failed    int64 `json:"failed"`
	BytesUp   int64 `json:"bytesUp"`   // from cameras
	BytesDown int64 `json:"bytesDown"` // to cameras
}

// section is the reported section without the acknowledgements.
type section struct {
	Schema       int                     `json:"schema"`
	Version      string                  `json:"version"`
	State        string                  `json:"state"`
	Since        time.Time               `json:"since,omitzero"`
	Reasons      []reason.Code           `json:"reasons"`
	Config       config                  `json:"config"`
	Hub          Hub                     `json:"hub"`
	Proxy        *Proxy                  `json:"effectiveProxy,omitempty"`
	Policy       string                  `json:"policy"`
	CameraStatus map[string]CameraStatus `json:"cameraStatus,omitempty"`
	Totals       *Totals                 `json:"totals,omitempty"`
	Capabilities []string                `json:"capabilities"`
	Truncated    bool                    `json:"truncated,omitempty"`
}

type config struct {
	Applied     int64    `json:"applied"`            // the desired version in force
	Rejected    int64    `json:"rejected,omitempty"` // the desired version of which something was not taken
	Errors      []fault  `json:"errors,omitempty"`
	UnknownKeys []string `json:"unknownKeys,omitempty"`
	NotYet      []string `json:"notYet,omitempty"`
}

type fault struct {
	Path string      `json:"path"`
	Code reason.Code `json:"code"`
}

// Build is the whole reported section as it should be: as encoding/json decodes it,
// which is how Diff compares it with what the hub has.
func Build(state State, inForce twin.Settings, outcome twin.Outcome) map[string]any {
	var doc []byte
	for _, d := range details {
		doc = d.build(state, inForce, outcome)
		if len(doc) <= d.size {
			break
		}
	}
	var section map[string]any
	_ = json.Unmarshal(doc, &section) // it is an object
	return section
}

func (d detail) build(state State, inForce twin.Settings, outcome twin.Outcome) []byte {
	s := section{
		Schema: schemaVersion, Version: state.Version, State: state.name(), Since: second(state.Since),
		Reasons: append([]reason.Code{}, state.Reasons...), Hub: state.Hub, Proxy: state.Proxy,
		Policy: policy(inForce.Remotes), Totals: state.Totals, Capabilities: capabilities,
		Config: d.config(inForce, outcome), CameraStatus: d.cameraStatus(state, inForce),
	}
	s.Hub.ConnectedSince, s.Hub.TokenExpires = second(s.Hub.ConnectedSince), second(s.Hub.TokenExpires)
	if p := state.Proxy; p != nil {
		s.Proxy = &Proxy{Origin: p.Origin, Host: p.Host[strings.LastIndexByte(p.Host, '@')+1:], Auth: p.Auth}
	}
	s.Truncated = d.truncated || len(outcome.Faults) > len(s.Config.Errors) || len(outcome.UnknownKeys) > len(s.Config.UnknownKeys)
	acks := d.acks(inForce, outcome)
	status, err := json.Marshal(s)
	if err == nil && len(acks) > 0 {
		var more []byte
		more, err = json.Marshal(acks)
		status = append(append(status[:len(status)-1], ','), more[1:]...)
	}
	if err != nil { // strings, numbers and times of this era always marshal
		return []byte("{}")
	}
	return status
}

func (s State) name() string {
	switch {
	case s.Stopped:
		return "stopped"
	case len(s.Reasons) > 0:
		return "degraded"
	default:
		return "healthy"
	}
}

// policy tells which remote endpoints are allowed; those that the twin lists are in
// its acknowledgement.
func policy(r twin.Remotes) string {
	switch {
	case r.Any:
		return "any"
	case len(r.Patterns) == 0:
		return "none"
	default:
		return "list"
	}
}

// second is what the hub is told of a time.
func second(t time.Time) time.Time { return t.UTC().Truncate(time.Second) }

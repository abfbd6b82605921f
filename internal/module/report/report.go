// Package report builds the reported properties: the module's state, the configuration
// in force, and acknowledgements of the desired properties. It also computes the patch
// that the hub needs.
//
// The rules are:
//   - each desired section that is present is acknowledged under its own name, by the
//     IoT Plug and Play conventions ("Writable properties"): value is the section in
//     force, ac is 200 or 400, av is the version that was read, ad is the description;
//   - the module's state has its own keys, never the name of a section;
//   - the report has at most 8 KB if that is possible without leaving anything out, and
//     at most 24 KB in any case; truncated is true if something is left out;
//   - the report contains no secrets: faults have no values, proxies no logins.
//
// The package is pure: callers pass in everything, and decide when to report. A line
// belongs here when it writes the reported section's JSON.
package report

import (
	"encoding/json"
	"strings"
	"time"

	"rtsptunnel/internal/contract/reason"
	"rtsptunnel/internal/module/twin"
)

// schemaVersion is the version of the reported properties' schema. Increase it when the
// meaning of a property changes.
const schemaVersion = 1

// capabilities lists the direct methods that a service may call, with their versions.
var capabilities = []string{"tunnelOpen/1"}

// State is the module's state apart from its configuration. Unknown values are zero and
// not reported. Every change is reported, so a caller should refresh counters only as
// often as the hub needs them.
type State struct {
	Version string        // of the module
	Reasons []reason.Code // why it is degraded, without duplicates; empty if it is healthy
	Since   time.Time     // when Reasons last changed
	Stopped bool          // the module is shutting down
	Hub     Hub
	Proxy   *Proxy                  // for remote endpoints; nil for none
	Cameras map[string]CameraStatus // by name; cameras without configuration are not reported
	Totals  *Totals                 // since the start
}

// Hub is the hub connection.
type Hub struct {
	Protocol       string    `json:"protocol"` // mqtt or mqttws
	ConnectedSince time.Time `json:"connectedSince,omitzero"`
	Reconnects     int       `json:"reconnects"`
	TokenExpires   time.Time `json:"tokenExpires,omitzero"` // zero with a certificate
}

// Proxy is the proxy in use.
type Proxy struct {
	Origin string `json:"origin"` // twin or environment
	Host   string `json:"host"`   // host:port, without a login
	Auth   bool   `json:"auth"`   // the proxy is sent a login
}

// CameraStatus is one camera's state.
type CameraStatus struct {
	LocalPort  int         `json:"localPort"`            // Build sets it from the configuration in force
	State      string      `json:"state,omitempty"`      // ok or unreachable; empty before the first dial
	Since      time.Time   `json:"since,omitzero"`       // when State last changed
	Open       int         `json:"open"`                 // open tunnels
	LastReason reason.Code `json:"lastReason,omitempty"` // why the last dial of the camera failed; empty if it succeeded
}

// Totals counts tunnels and their bytes.
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
	Rejected    int64    `json:"rejected,omitempty"` // the desired version that has faults
	Errors      []fault  `json:"errors,omitempty"`
	UnknownKeys []string `json:"unknownKeys,omitempty"`
	NotYet      []string `json:"notYet,omitempty"`
}

type fault struct {
	Path string      `json:"path"`
	Code reason.Code `json:"code"`
}

// Build returns the whole reported section as encoding/json decodes it, so that Diff can
// compare it with the hub's.
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
	if err != nil { // cannot happen: strings, numbers and times before the year 10000 can be encoded
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

// policy says which remote endpoints are allowed. The acknowledgement of remoteEndpoints
// contains the list.
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

// second truncates a time to the precision of the report.
func second(t time.Time) time.Time { return t.UTC().Truncate(time.Second) }

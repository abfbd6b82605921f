package twin

import (
	"encoding/json"
	"fmt"
	"net/http"
	"strings"
)

const (
	maxDescription = 1024 // characters of ad; the hub allows 4 KB a string
	maxFaults      = 8    // named in ad; the rest is counted
)

// State is how the module is, as the reported properties state and reasons tell it.
type State struct {
	Reasons []string // reason codes, each once; none if all is well
	Hub     Hub
}

// Hub is how the module reaches its hub, as the reported property hub tells it.
type Hub struct {
	Protocol string `json:"protocol"` // mqtt or mqttws
}

func (s State) name() string {
	if len(s.Reasons) > 0 {
		return "degraded"
	}
	return "healthy"
}

// Report is the reported properties: the state of the module, and the
// acknowledgement of the desired property cameras, as IoT Plug and Play conventions
// have it ("Writable properties"): value is what is really in force, ac 200 or 400,
// av the version of the desired properties that was read, ad why. It is a merge
// patch for the whole reported section: a camera that an earlier acknowledgement
// named and that is gone is deleted by a null.
func (t Twin) Report(state State, inForce []Camera, faults []Fault) []byte {
	value := make(map[string]any, len(inForce)+len(t.reported))
	for _, name := range t.reported {
		value[name] = nil
	}
	for _, c := range inForce {
		value[c.Name] = map[string]any{"host": c.Host, "port": c.Port, "localPort": c.LocalPort}
	}
	ac := http.StatusOK
	if len(faults) > 0 {
		ac = http.StatusBadRequest
	}
	patch, err := json.Marshal(map[string]any{
		"state": state.name(), "reasons": append([]string{}, state.Reasons...), "hub": state.Hub,
		"cameras": map[string]any{"value": value, "ac": ac, "av": t.Version, "ad": describe(inForce, faults)},
	})
	if err != nil { // maps of strings and numbers always marshal
		return nil
	}
	return patch
}

// describe is for the operator who reads the twin in a portal.
func describe(inForce []Camera, faults []Fault) string {
	if len(faults) == 0 {
		return fmt.Sprintf("cameras in force: %d", len(inForce))
	}
	texts := make([]string, 0, maxFaults+1)
	for i, f := range faults {
		if i == maxFaults {
			texts = append(texts, fmt.Sprintf("and %d more", len(faults)-i))
			break
		}
		texts = append(texts, f.String())
	}
	text := strings.Join(texts, "; ")
	return text[:min(len(text), maxDescription)]
}

package figures

import (
	"encoding/json"
	"io"
)

// ratio compares one relay with one baseline in one phase.
type ratio struct {
	Phase  string `json:"phase"`
	Metric string `json:"metric"`
	Relay  string `json:"relay"`
	Base   string `json:"base"`
	Stat
}

// WriteJSON writes samples, ratios and the bar as one JSON object.
func (r *Results) WriteJSON(w io.Writer, module, base string) error {
	encoder := json.NewEncoder(w)
	encoder.SetIndent("", " ")
	return encoder.Encode(struct {
		*Results
		Ratios []ratio  `json:"ratios"`
		Bar    []Judged `json:"bar"`
	}{r, r.ratios(), r.Judge(module, base)})
}

// ratios returns the ratios of each phase's first metric.
func (r *Results) ratios() []ratio {
	var all []ratio
	for _, p := range r.Phases {
		for _, relay := range r.relaysOf(p) {
			for _, base := range r.bases(p) {
				metric := p.Metrics[0].Key
				if s := r.Ratio(p.Name, metric, relay.Name, base.Name); relay.Name != base.Name && s.N > 0 {
					all = append(all, ratio{p.Name, metric, relay.Name, base.Name, s})
				}
			}
		}
	}
	return all
}

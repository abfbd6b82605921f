// Package figures holds measured values: samples, medians, ratios to the baselines of the
// same round, and the bar that they are compared with. It writes them as tables, JSON and
// a plot.
//
// The package is pure. It does not know how anything is measured.
package figures

import (
	"slices"
	"time"
)

// Results holds the samples of one run, and what describes them.
type Results struct {
	Machine Machine   `json:"machine"`
	Command string    `json:"command"`
	Begin   time.Time `json:"begin"`
	Seconds float64   `json:"seconds"` // duration of the whole run
	Rounds  int       `json:"rounds"`
	Relays  []Relay   `json:"relays"`
	Phases  []Phase   `json:"phases"`
	Samples []Sample  `json:"samples"`
}

// Machine describes the machine of the run.
type Machine struct {
	Processor string  `json:"processor"`
	Cores     int     `json:"cores"`
	MemoryGiB float64 `json:"memoryGiB"`
	Kernel    string  `json:"kernel"`
	Go        string  `json:"go"`
	Module    string  `json:"module"`  // output of the module's version command
	LoadAvg   string  `json:"loadAvg"` // before the first round, so the load of other processes
}

// Relay is one row of each table.
type Relay struct {
	Name string `json:"name"`
	Text string `json:"text"`
	Base bool   `json:"base"` // is a divisor of ratios
}

// Phase is one kind of measurement, and one table.
type Phase struct {
	Name    string   `json:"name"`
	Text    string   `json:"text"`
	Metrics []Metric `json:"metrics"` // ratios are computed of the first
	// Base is the divisor of the phase's ratios; empty: every relay that is one.
	Base string `json:"base,omitempty"`
	// Rows are the relays that take part; empty: all that are in no phase's Rows.
	Rows []string `json:"rows,omitempty"`
}

// Metric is one column: a key of Sample.Values. Of a phase's first metric, less is better.
type Metric struct {
	Key    string `json:"key"`
	Title  string `json:"title"` // with the unit
	Digits int    `json:"digits"`
}

// Sample holds the values of one relay in one phase of one round.
type Sample struct {
	Round  int                `json:"round"`
	Phase  string             `json:"phase"`
	Relay  string             `json:"relay"`
	Values map[string]float64 `json:"values,omitempty"`
	Note   string             `json:"note,omitempty"` // why values are missing
}

// relaysOf returns the relays that take part in a phase.
func (r *Results) relaysOf(p Phase) []Relay {
	var special []string
	for _, other := range r.Phases {
		special = append(special, other.Rows...)
	}
	return slices.DeleteFunc(slices.Clone(r.Relays), func(relay Relay) bool {
		if len(p.Rows) > 0 {
			return !slices.Contains(p.Rows, relay.Name)
		}
		return slices.Contains(special, relay.Name)
	})
}

// bases returns the divisors of a phase's ratios.
func (r *Results) bases(p Phase) []Relay {
	return slices.DeleteFunc(r.relaysOf(p), func(relay Relay) bool {
		return !relay.Base || p.Base != "" && relay.Name != p.Base
	})
}

// Stat summarizes a figure over all rounds.
type Stat struct {
	Median float64 `json:"median"`
	Min    float64 `json:"min"`
	Max    float64 `json:"max"`
	N      int     `json:"n"` // rounds that have the figure; if 0, the other fields are 0
}

// stat summarizes values, which it sorts.
func stat(values []float64) Stat {
	if len(values) == 0 {
		return Stat{}
	}
	slices.Sort(values)
	n := len(values)
	return Stat{Median: (values[(n-1)/2] + values[n/2]) / 2, Min: values[0], Max: values[n-1], N: n}
}

// Value returns a metric of a relay.
func (r *Results) Value(phase, metric, relay string) Stat {
	var values []float64
	for round := range r.Rounds {
		if v, ok := r.at(round+1, phase, metric, relay); ok {
			values = append(values, v)
		}
	}
	return stat(values)
}

// Ratio returns a metric of a relay divided by the same metric of base in the same round.
func (r *Results) Ratio(phase, metric, relay, base string) Stat {
	return r.pairwise(phase, metric, relay, base, func(a, b float64) float64 { return a / b })
}

// Above returns a metric of a relay minus the same metric of base in the same round.
func (r *Results) Above(phase, metric, relay, base string) Stat {
	return r.pairwise(phase, metric, relay, base, func(a, b float64) float64 { return a - b })
}

// pairwise combines the values of two relays in each round that has both.
func (r *Results) pairwise(phase, metric, relay, base string, combine func(a, b float64) float64) Stat {
	var values []float64
	for round := range r.Rounds {
		a, ok := r.at(round+1, phase, metric, relay)
		b, also := r.at(round+1, phase, metric, base)
		if ok && also && b != 0 {
			values = append(values, combine(a, b))
		}
	}
	return stat(values)
}

func (r *Results) at(round int, phase, metric, relay string) (float64, bool) {
	for _, s := range r.Samples {
		if s.Round == round && s.Phase == phase && s.Relay == relay {
			v, ok := s.Values[metric]
			return v, ok
		}
	}
	return 0, false
}

// Note returns the reason why a relay has no values in a phase, or "" if it has some.
func (r *Results) Note(phase, relay string) string {
	note := ""
	for _, s := range r.Samples {
		if s.Phase != phase || s.Relay != relay {
			continue
		}
		if len(s.Values) > 0 {
			return ""
		}
		note = s.Note
	}
	return note
}

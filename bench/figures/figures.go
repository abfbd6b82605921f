// Package figures is what was measured as values: samples, their medians, ratios to
// the baselines of the same round, and the bar that they are held against; and how
// all that is written, as tables, JSON and a plot.
//
// The package is pure. It does not know how anything is measured.
package figures

import (
	"slices"
	"time"
)

// Results are one run's.
type Results struct {
	Machine Machine   `json:"machine"`
	Command string    `json:"command"`
	Begin   time.Time `json:"begin"`
	Seconds float64   `json:"seconds"` // that all of it took
	Rounds  int       `json:"rounds"`
	Relays  []Relay   `json:"relays"`
	Phases  []Phase   `json:"phases"`
	Samples []Sample  `json:"samples"`
}

// Machine is where it was measured.
type Machine struct {
	Processor string  `json:"processor"`
	Cores     int     `json:"cores"`
	MemoryGiB float64 `json:"memoryGiB"`
	Kernel    string  `json:"kernel"`
	Go        string  `json:"go"`
	Module    string  `json:"module"`  // the module's version and commit, as it says them
	LoadAvg   string  `json:"loadAvg"` // before the first round: what else ran
}

// Relay is one row of each table.
type Relay struct {
	Name string `json:"name"`
	Text string `json:"text"`
	Base bool   `json:"base"` // is divided by
}

// Phase is one kind of measurement: one table.
type Phase struct {
	Name    string   `json:"name"`
	Text    string   `json:"text"`
	Metrics []Metric `json:"metrics"` // of the first, ratios are taken
}

// Metric is one column: a key of Sample.Values. Less is better, of the first of a phase.
type Metric struct {
	Key    string `json:"key"`
	Title  string `json:"title"` // with the unit
	Digits int    `json:"digits"`
}

// Sample is what one relay gave in one phase of one round.
type Sample struct {
	Round  int                `json:"round"`
	Phase  string             `json:"phase"`
	Relay  string             `json:"relay"`
	Values map[string]float64 `json:"values,omitempty"`
	Note   string             `json:"note,omitempty"` // why values are missing
}

// Stat is a figure over all rounds.
type Stat struct {
	Median float64 `json:"median"`
	Min    float64 `json:"min"`
	Max    float64 `json:"max"`
	N      int     `json:"n"` // rounds that have it; the rest means nothing if 0
}

// stat sorts what it is given.
func stat(values []float64) Stat {
	if len(values) == 0 {
		return Stat{}
	}
	slices.Sort(values)
	n := len(values)
	return Stat{Median: (values[(n-1)/2] + values[n/2]) / 2, Min: values[0], Max: values[n-1], N: n}
}

// Value is a metric of a relay.
func (r *Results) Value(phase, metric, relay string) Stat {
	var values []float64
	for round := range r.Rounds {
		if v, ok := r.at(round+1, phase, metric, relay); ok {
			values = append(values, v)
		}
	}
	return stat(values)
}

// Ratio is a metric of a relay divided by that of base in the same round.
func (r *Results) Ratio(phase, metric, relay, base string) Stat {
	return r.both(phase, metric, relay, base, func(a, b float64) float64 { return a / b })
}

// Above is how much a metric of a relay is above that of base in the same round.
func (r *Results) Above(phase, metric, relay, base string) Stat {
	return r.both(phase, metric, relay, base, func(a, b float64) float64 { return a - b })
}

// both combines the values of two relays in the rounds that have both.
func (r *Results) both(phase, metric, relay, base string, combine func(a, b float64) float64) Stat {
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

// Note is why a relay has no values in a phase; "" if it has some.
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

package figures

import "fmt"

// Line is one line of the bar: a figure with its upper limit and its record.
type Line struct {
	Figure string
	Must   float64
	Record float64
	Unit   string // follows each number
	Digits int
	of     func(*Results) Stat
}

// bar returns the limits for the module, to which ratios and differences are relative to
// base, and those for the gateway.
func bar(module, base string) []Line {
	ratio := func(phase, metric string) func(*Results) Stat {
		return func(r *Results) Stat { return r.Ratio(phase, metric, module, base) }
	}
	value := func(phase, metric string) func(*Results) Stat {
		return func(r *Results) Stat { return r.Value(phase, metric, module) }
	}
	above := func(phase, metric string) func(*Results) Stat {
		return func(r *Results) Stat { return r.Above(phase, metric, module, base) }
	}
	return []Line{
		{"bulk, 16 tunnels: CPU per GiB, × " + base, 1.15, 0.95, "", 2, ratio("bulk-16", CPUPerGiB)},
		{"bulk, 1 tunnel: CPU per GiB, × " + base, 1.25, 1.0, "", 2, ratio("bulk-1", CPUPerGiB)},
		{"video, 50 tunnels: CPU, × " + base, 1.2, 0.8, "", 2, ratio("video-50", CPUPercent)},
		{"an idle tunnel at 5000, TLS included", 27, 20, " KiB", 1, value("idle", "kib_5000")},
		{"RSS with 0 tunnels, connected to the hub", 20, 14, " MiB", 1, value("idle", "rss_mib_0")},
		{"round trip of 200 bytes, p50, above " + base, 100, 40, " µs", 0, above("rtt-200", P50Micros)},
		{"round trip of 1400 bytes, p50, above " + base, 100, 40, " µs", 0, above("rtt-1400", P50Micros)},
		{"open to first byte, p50, above " + base, 0.5, 0.2, " ms", 2, above("open", P50Millis)},
	}
}

// The gateway, and what its output is compared with.
const (
	gateway = "gateway"
	fanout  = "gortsplib"
)

// gatewayBar returns the limits for the gateway.
func gatewayBar() []Line {
	ratio := func(phase string) func(*Results) Stat {
		return func(r *Results) Stat { return r.Ratio(phase, CPUPercent, gateway, fanout) }
	}
	value := func(phase, metric string) func(*Results) Stat {
		return func(r *Results) Stat { return r.Value(phase, metric, gateway) }
	}
	return []Line{
		{"gateway, 100 readers: CPU, × " + fanout, 0.25, 0.15, "", 2, ratio("gateway-readers-100")},
		{"gateway, 20 readers: CPU, × " + fanout, 0.5, 0.35, "", 2, ratio("gateway-readers-20")},
		{"gateway, RSS with 100 readers", 48, 32, " MiB", 1, value("gateway-readers-100", RSS)},
		{"gateway, first picture, stream open, p50", 400, 120, " ms", 1, value("gateway-first-open", P50Millis)},
		{"gateway, first picture, stream closed, p50", 600, 200, " ms", 1, value("gateway-first-closed", P50Millis)},
		{"gateway, delay of a picture, 20 readers, p99", 40, 10, " ms", 1, value("gateway-readers-20", DelayP99)},
		{"gateway, 10,000 idle cameras: RSS", 64, 40, " MiB", 1, value("gateway-idle", RSS)},
		{"gateway, 1,000 streams of 64 kbit/s: pictures missing", 0, 0, "", 0, value("gateway-streams-1000-low", Missing)},
		{"gateway, 200 streams of 4 Mbit/s: pictures missing", 0, 0, "", 0, value("gateway-streams-200-hd", Missing)},
		{"gateway, 200 streams of 4 Mbit/s: CPU of a core", 200, 120, " %", 0, value("gateway-streams-200-hd", CPUPercent)},
	}
}

// Keys of the metrics that the bar uses.
const (
	CPUPerGiB  = "cpu_s_per_gib"
	CPUPercent = "cpu_percent"
	P50Micros  = "p50_us"
	P50Millis  = "p50_ms"
	RSS        = "rss_mib"
	DelayP99   = "delay_p99_ms"
	Missing    = "missing"
)

// Judged is a line of the bar with the measured figure.
type Judged struct {
	Figure   string  `json:"figure"`
	Must     float64 `json:"must"`
	Record   float64 `json:"record"`
	Measured Stat    `json:"measured"`
	Verdict  string  `json:"verdict"` // "record", "met", "missed" or "not measured"

	line Line
}

// Judge compares the medians of module and gateway with the bar. base is the relay that copies TCP to
// TLS.
func (r *Results) Judge(module, base string) []Judged {
	var all []Judged
	for _, l := range append(bar(module, base), gatewayBar()...) {
		j := Judged{Figure: l.Figure, Must: l.Must, Record: l.Record, Measured: l.of(r), line: l}
		switch {
		case j.Measured.N == 0:
			j.Verdict = "not measured"
		case j.Measured.Median <= l.Record:
			j.Verdict = "record"
		case j.Measured.Median <= l.Must:
			j.Verdict = "met"
		default:
			j.Verdict = "missed"
		}
		all = append(all, j)
	}
	return all
}

// number formats v with the line's digits and unit.
func (l Line) number(v float64) string { return fmt.Sprintf("%.*f%s", l.Digits, v, l.Unit) }

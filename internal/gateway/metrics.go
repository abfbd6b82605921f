package gateway

import (
	"sync/atomic"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/collectors"

	"rtsptunnel/internal/base/buildinfo"
	"rtsptunnel/internal/gateway/failure"
	"rtsptunnel/internal/gateway/stream"
)

const (
	namespace = "tunnelgateway"
	kindAPI   = "api"

	// maxCameraLabels bounds the label values that one gateway gives to Prometheus.
	maxCameraLabels = 1000
)

// metrics are what /metrics shows. Counters of the other packages are read at each scrape.
// Labels have values of closed sets, but for the streams of configured cameras that had a
// viewer: no name that a stranger asks for, no address and no token becomes one.
type metrics struct {
	registry *prometheus.Registry
	applied  atomic.Bool // the newest configuration is in force
	cameras  atomic.Bool // figures of single cameras are shown

	openSeconds *prometheus.HistogramVec
	opens       *prometheus.CounterVec
	reopens     *prometheus.CounterVec
	refused     *prometheus.CounterVec
	firstUnits  *prometheus.HistogramVec
}

func newMetrics(g *gateway) *metrics {
	m := &metrics{
		registry: prometheus.NewRegistry(),
		openSeconds: prometheus.NewHistogramVec(prometheus.HistogramOpts{
			Namespace: namespace, Name: "stream_open_seconds", Help: "How long the parts of an opening took: hub, tunnel, rtsp and key.",
			Buckets: []float64{.01, .03, .1, .3, 1, 3, 10, 30},
		}, []string{"phase"}),
		opens: prometheus.NewCounterVec(prometheus.CounterOpts{
			Namespace: namespace, Name: "stream_opens_total", Help: "Openings of streams, with hop and reason of those that failed.",
		}, []string{"result", "hop", "reason"}),
		reopens: prometheus.NewCounterVec(prometheus.CounterOpts{
			Namespace: namespace, Name: "stream_reopens_total", Help: "Streams that were lost while viewers watched, and open again.",
		}, []string{"reason"}),
		refused: prometheus.NewCounterVec(prometheus.CounterOpts{
			Namespace: namespace, Name: "access_denied_total", Help: "Requests that access refused.",
		}, []string{"kind", "reason"}),
		firstUnits: prometheus.NewHistogramVec(prometheus.HistogramOpts{
			Namespace: namespace, Name: "reader_first_unit_seconds", Help: "Time from a viewer's request to its first media.",
			Buckets: []float64{.01, .03, .1, .3, 1, 3, 10, 30},
		}, []string{"output"}),
	}
	m.registry.MustRegister(
		collectors.NewGoCollector(), collectors.NewProcessCollector(collectors.ProcessCollectorOpts{}),
		m.openSeconds, m.opens, m.reopens, m.refused, m.firstUnits, &scrape{g: g, m: m},
	)
	return m
}

// event counts an event of a stream.
func (m *metrics) event(e stream.Event) {
	for phase, took := range e.Took {
		m.openSeconds.WithLabelValues(string(phase)).Observe(took.Seconds())
	}
	var hop, reason string
	if e.Failure != nil {
		hop, reason = string(e.Failure.Hop), string(e.Failure.Reason)
	}
	switch e.Kind {
	case stream.EventOpened:
		m.opens.WithLabelValues("ok", "", "").Inc()
	case stream.EventFailed:
		m.opens.WithLabelValues("failed", hop, reason).Inc()
	case stream.EventReopening:
		m.reopens.WithLabelValues(reason).Inc()
	case stream.EventClosed:
	}
}

func (m *metrics) firstUnit(output string, took time.Duration) {
	m.firstUnits.WithLabelValues(output).Observe(took.Seconds())
}

// denied counts a request of one kind of output that access refused.
func (m *metrics) denied(kind string, f *failure.Failure) {
	m.refused.WithLabelValues(kind, string(f.Reason)).Inc()
}

// scrape reads the counters of the other packages.
type scrape struct {
	g *gateway
	m *metrics
}

var _ prometheus.Collector = (*scrape)(nil)

// value is a metric that is read at a scrape.
type value struct {
	name, help string
	kind       prometheus.ValueType
	label      string
	by         map[string]float64 // by the label's value; one with "" without a label
}

func one(n float64) map[string]float64 { return map[string]float64{"": n} }

// Describe describes nothing: the collector is unchecked, because its metrics are read from
// one list.
func (s *scrape) Describe(chan<- *prometheus.Desc) {}

// Collect reads all values.
func (s *scrape) Collect(out chan<- prometheus.Metric) {
	for _, v := range append(s.streams(), s.rest()...) {
		var labels []string
		if v.label != "" {
			labels = []string{v.label}
		}
		desc := prometheus.NewDesc(prometheus.BuildFQName(namespace, "", v.name), v.help, labels, nil)
		for label, n := range v.by {
			if v.label == "" {
				out <- prometheus.MustNewConstMetric(desc, v.kind, n)
			} else {
				out <- prometheus.MustNewConstMetric(desc, v.kind, n, label)
			}
		}
	}
	info := buildinfo.Read("tunnelgateway")
	desc := prometheus.NewDesc(namespace+"_build_info", "The binary.", []string{"version", "commit", "goversion"}, nil)
	out <- prometheus.MustNewConstMetric(desc, prometheus.GaugeValue, 1, info.Version, info.Commit, info.Go)
}

func (s *scrape) streams() []value {
	phases := map[string]float64{}
	for _, p := range stream.Phases() {
		phases[string(p)] = 0
	}
	s.g.streams.mu.Lock()
	bytes := float64(s.g.streams.dropped)
	s.g.streams.mu.Unlock()
	received, intervals := map[string]float64{}, map[string]float64{}
	for full, e := range s.g.streams.snapshot() {
		state := e.stream.State()
		phases[string(state.Phase)]++
		bytes += float64(state.Bytes)
		received[full] = float64(state.Bytes)
		if state.Phase != stream.PhaseIdle && state.KeyInterval > 0 {
			intervals[full] = state.KeyInterval.Seconds()
		}
	}
	if !s.m.cameras.Load() || len(received) > maxCameraLabels {
		received, intervals = nil, nil
	}
	return []value{
		{"camera_ingress_bytes_total", "Media received from a camera's stream, since it was last opened after a minute without viewers.", prometheus.CounterValue, "camera", received},
		{"camera_key_interval_seconds", "Time between the newest two key frames of a stream that is open.", prometheus.GaugeValue, "camera", intervals},
		{"streams", "Streams that had a viewer, by what they do.", prometheus.GaugeValue, "state", phases},
		{"stream_ingress_bytes_total", "Media received from cameras.", prometheus.CounterValue, "", one(bytes)},
		{"openings_waiting", "Streams that wait for their turn to open.", prometheus.GaugeValue, "", one(float64(s.g.streams.openings.waiting.Load()))},
	}
}

// viewers are the counters of outputs.
func (s *scrape) viewers() []value {
	readers, skips, stalls, bytes := map[string]float64{}, map[string]float64{}, map[string]float64{}, map[string]float64{}
	refusals := map[string]float64{outputRTSP: float64(s.g.rtsp.Counters().Refused)} // those over WebSockets, too
	for _, output := range []string{outputRTSP, outputRTSPWS} {
		n := s.g.rtsp.Count(output)
		readers[output], skips[output], stalls[output], bytes[output] = float64(n.Players), float64(n.Skipped), float64(n.Stalled), float64(n.Bytes)
	}
	for _, output := range outputNames {
		if output == outputRTSPWS {
			continue
		}
		n := s.g.watching.Count(output)
		readers[output], skips[output], stalls[output], bytes[output] = float64(n.Viewers), float64(n.Skipped), float64(n.Stalled), float64(n.Bytes)
		refusals[output] = float64(n.Refused)
	}
	const counter, gauge, label = prometheus.CounterValue, prometheus.GaugeValue, "output"
	return []value{
		{"readers", "Viewers that watch now.", gauge, label, readers},
		{"reader_skips_total", "Groups of pictures that slow viewers did not get.", counter, label, skips},
		{"reader_stalled_total", "Viewers that ended because they did not read.", counter, label, stalls},
		{"reader_refusals_total", "Requests, connections and viewers that were refused.", counter, label, refusals},
		{"egress_bytes_total", "Media sent to viewers.", counter, label, bytes},
		{"connections", "Connections of RTSP players, those over WebSockets included.", gauge, label, map[string]float64{outputRTSP: float64(s.g.rtsp.Counters().Connections)}},
		{"websockets", "WebSockets of viewers.", gauge, "", one(float64(s.g.live.Sockets()))},
		{"hls_muxers", "Streams that are served as HLS.", gauge, "", one(float64(s.g.hls.Muxers()))},
		{"event_clients", "Clients that read server-sent events.", gauge, "", one(float64(s.g.operate.EventClients()))},
	}
}

func (s *scrape) rest() []value {
	pending, open, up, down := s.g.opener.Counts()
	logins := s.g.access.Counts()
	const counter, gauge = prometheus.CounterValue, prometheus.GaugeValue
	values := append(s.viewers(), []value{
		{"tunnels", "Tunnels.", gauge, "state", map[string]float64{"pending": float64(pending), "open": float64(open)}},
		{"tunnel_bytes_total", "Bytes through tunnels; up is from cameras.", counter, "direction", map[string]float64{"up": float64(up), "down": float64(down)}},
		{"login_failures_total", "Failed logins.", counter, "", one(float64(logins.Failed))},
		{"cameras", "Cameras of the configuration and of the hubs.", gauge, "", one(float64(len(s.g.fleet.Cameras())))},
		{"config_applied", "1 if the newest configuration is in force, 0 if it is invalid.", gauge, "", one(flag(s.m.applied.Load()))},
		{"draining", "1 while the gateway shuts down.", gauge, "", one(flag(s.g.draining.Load()))},
		{"log_lines_dropped_total", "Log lines that were dropped because their reader was too slow.", counter, "", one(float64(s.g.queue.Dropped()))},
	}...)
	if expiry := s.g.certificateExpiry(); !expiry.IsZero() {
		values = append(values, value{"certificate_expiry_timestamp_seconds", "When the certificate that expires first expires.", gauge, "", one(float64(expiry.Unix()))})
	}
	return values
}

func flag(on bool) float64 {
	if on {
		return 1
	}
	return 0
}

package measure

import (
	"context"
	"fmt"
	"slices"
	"time"

	"rtsptunnel/bench/figures"
	"rtsptunnel/bench/relays"
)

// phase is one kind of measurement: of relays, or, with serve, of servers.
type phase struct {
	figures.Phase
	measure func(context.Context, *relayed) (map[string]float64, error)
	serve   func(context.Context, served) (map[string]float64, error)
}

// relays returns those of all that take part in the phase.
func (p phase) relays(all []relays.Relay) []relays.Relay {
	return slices.DeleteFunc(slices.Clone(all), func(r relays.Relay) bool {
		return r.Serves != (p.serve != nil) || r.Serves && !slices.Contains(p.Rows, r.Name)
	})
}

// relayed is a running relay, with what phases need to know of it.
type relayed struct {
	*relays.Instance
	descriptors int // open files for each tunnel
}

// plan says how much is measured.
type plan struct {
	window    time.Duration // of bulk, video and round trips
	warm      time.Duration // before each window
	opens     int           // of the phase open
	idle      []int         // numbers of idle tunnels, in ascending order
	settle    time.Duration // before memory is read
	videos    []int         // numbers of tunnels with video
	exchanges int           // upper limit of round trips
	gateway   gatewayPlan
}

// full is the plan whose figures the bar is about.
func full(window time.Duration) plan {
	return plan{
		window: window, warm: 300 * time.Millisecond, opens: 50, exchanges: 20000,
		idle: []int{0, 100, 1000, 5000}, settle: time.Second, videos: []int{50, 200},
		gateway: fullGateway(window),
	}
}

// smoke is the plan that tests in seconds that everything runs. Its figures are
// meaningless.
func smoke() plan {
	return plan{
		window: 50 * time.Millisecond, warm: 10 * time.Millisecond, opens: 3, exchanges: 100,
		idle: []int{0, 10}, settle: 20 * time.Millisecond, videos: []int{5},
		gateway: smokeGateway(),
	}
}

// phases returns all phases in their order.
func (p plan) phases() []phase {
	cpu := figures.Metric{Key: figures.CPUPerGiB, Title: "CPU s/GiB", Digits: 2}
	speed := figures.Metric{Key: "mb_per_s", Title: "MB/s", Digits: 0}
	var all []phase
	add := func(name, text string, measure func(context.Context, *relayed) (map[string]float64, error), metrics ...figures.Metric) {
		all = append(all, phase{Phase: figures.Phase{Name: name, Text: text, Metrics: metrics}, measure: measure})
	}
	add("bulk-1", "one camera sends as fast as it can", p.bulk(1), cpu, speed)
	add("bulk-16", "16 cameras send as fast as they can", p.bulk(16), cpu, speed)
	for _, n := range []int{200, 1400} {
		add(fmt.Sprintf("rtt-%d", n), fmt.Sprintf("round trips of %d bytes, cloud to camera and back", n), p.roundTrips(n),
			figures.Metric{Key: figures.P50Micros, Title: "p50 µs"}, figures.Metric{Key: "p99_us", Title: "p99 µs"})
	}
	for _, n := range p.videos {
		add(fmt.Sprintf("video-%d", n), fmt.Sprintf("%d cameras of 4 Mbit/s, 25 frames/s in writes of 1400 bytes", n), p.video(n),
			figures.Metric{Key: figures.CPUPercent, Title: "CPU % of a core", Digits: 1}, cpu, figures.Metric{Key: "late_ms", Title: "latest frame, ms late", Digits: 0})
	}
	add("open", "from the command to the camera's first byte in the cloud", p.open,
		figures.Metric{Key: figures.P50Millis, Title: "p50 ms", Digits: 2}, figures.Metric{Key: "p99_ms", Title: "p99 ms", Digits: 2},
		figures.Metric{Key: "way_ms", Title: "of it taken off, ms", Digits: 2})
	add("idle", "memory of tunnels that have carried 200 bytes each way", p.idling, p.idleMetrics()...)
	return append(all, p.gateway.phases()...)
}

// idleMetrics returns KiB a tunnel, for the largest number of tunnels first, then RSS.
func (p plan) idleMetrics() []figures.Metric {
	var metrics []figures.Metric
	for i := len(p.idle) - 1; i > 0 && i >= len(p.idle)-2; i-- {
		metrics = append(metrics, figures.Metric{Key: kibKey(p.idle[i]), Title: fmt.Sprintf("KiB a tunnel at %d", p.idle[i]), Digits: 1})
	}
	for _, n := range p.idle {
		metrics = append(metrics, figures.Metric{Key: rssKey(n), Title: fmt.Sprintf("RSS MiB at %d", n), Digits: 1})
	}
	return metrics
}

func kibKey(tunnels int) string { return fmt.Sprintf("kib_%d", tunnels) }
func rssKey(tunnels int) string { return fmt.Sprintf("rss_mib_%d", tunnels) }

// wait returns nil after d, or an error when ctx is done before that.
func wait(ctx context.Context, d time.Duration) error {
	timer := time.NewTimer(d)
	defer timer.Stop()
	select {
	case <-timer.C:
		return nil
	case <-ctx.Done():
		return ctx.Err()
	}
}

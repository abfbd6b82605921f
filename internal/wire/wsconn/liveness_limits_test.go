package wsconn_test

import (
	"strings"
	"testing"
	"time"

	"rtsptunnel/internal/wire/wsconn"
)

// Ten minutes of samples of a peer are evaluated with the product's limits, without
// waiting.
func TestLiveness_tenMinutes(t *testing.T) {
	never := wsconn.Liveness{Stall: -1}
	for name, c := range map[string]struct {
		limits wsconn.Liveness
		at     func(after time.Duration) wsconn.Sample
		dies   string        // part of the error; empty if the peer stays alive
		within time.Duration // upper bound for the time of death
	}{
		"stops reading": {limits: never, at: func(time.Duration) wsconn.Sample {
			return wsconn.Sample{Acked: 1 << 20, Queued: 64 << 10, Blocked: true}
		}},
		"stops reading, but sends": {limits: never, at: func(after time.Duration) wsconn.Sample {
			return wsconn.Sample{Received: int64(after), Acked: 1 << 20, Queued: 64 << 10, Blocked: true}
		}},
		"stops reading after the last write": {limits: never, at: func(after time.Duration) wsconn.Sample {
			return wsconn.Sample{Acked: 1 << 20, Queued: 64 << 10, Blocked: after == 0, Wrote: after == 0, Pinged: isPing(after)}
		}},
		"stops reading, with the default limits": {at: func(time.Duration) wsconn.Sample {
			return wsconn.Sample{Acked: 1 << 20, Queued: 64 << 10, Blocked: true}
		}, dies: "no byte was acknowledged for 1m0s", within: 63 * time.Second},
		"128 KiB/s": {at: func(after time.Duration) wsconn.Sample {
			return wsconn.Sample{Acked: int64(after.Seconds()) * 128 << 10, Queued: 2 << 20, Blocked: true}
		}},
		"1 KiB/s, acknowledged in pieces of 48 KiB": {at: func(after time.Duration) wsconn.Sample {
			return wsconn.Sample{Acked: int64(after.Seconds()) / 48 * 48 << 10, Queued: 2 << 20, Blocked: true}
		}},
		"idle, and answers": {at: func(after time.Duration) wsconn.Sample {
			return wsconn.Sample{Received: int64(after), Acked: int64(after), Pinged: isPing(after)}
		}},
		"idle, only its host acknowledges": {at: func(after time.Duration) wsconn.Sample {
			return wsconn.Sample{Acked: int64(after), Pinged: isPing(after)}
		}, dies: "no answer to a ping for 20s", within: 45 * time.Second},
		"idle, and gone": {at: func(after time.Duration) wsconn.Sample {
			return wsconn.Sample{Queued: int64(after / 20e9 * 20), Pinged: isPing(after)}
		}, dies: "no answer to a ping for 20s", within: 45 * time.Second},
		"gone while the camera sends": {at: func(after time.Duration) wsconn.Sample {
			return wsconn.Sample{Acked: 1 << 20, Queued: min(int64(after.Seconds())<<10, 10<<10), Wrote: after <= 10*time.Second}
		}, dies: "no byte was acknowledged for 1m0s", within: 63 * time.Second},
		"not read, since the camera reads nothing": {at: func(after time.Duration) wsconn.Sample {
			return wsconn.Sample{Received: 1 << 20, Unread: true, Acked: int64(after), Pinged: isPing(after)}
		}},
	} {
		t.Run(name, func(t *testing.T) {
			begin := time.Now()
			w, interval := wsconn.NewWatch(c.limits, begin)
			var err error
			after := time.Duration(0)
			for ; err == nil && after <= 10*time.Minute; after += interval {
				err = w.Evaluate(begin.Add(after), c.at(after))
			}
			switch {
			case c.dies == "" && err != nil:
				t.Errorf("dead after %s: %v", after, err)
			case c.dies != "" && (err == nil || !strings.Contains(err.Error(), c.dies) || after > c.within):
				t.Errorf("after %s: %v", after, err)
			}
		})
	}
}

// isPing tells whether the product sends a ping at this time: every 20 s.
func isPing(after time.Duration) bool { return after > 0 && after%(20*time.Second) == 0 }

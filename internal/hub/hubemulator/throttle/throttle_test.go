package throttle_test

import (
	"testing"
	"testing/synctest"
	"time"

	"rtsptunnel/internal/hub/hubemulator/throttle"
)

// granted returns how many of n operations are within the limit.
func granted(l *throttle.Limits, kind throttle.Kind, n, cost int) int {
	count := 0
	for range n {
		if _, ok := l.Take(kind, cost); ok {
			count++
		}
	}
	return count
}

func TestS1(t *testing.T) {
	tests := []struct {
		name          string
		kind          throttle.Kind
		cost          int
		burst, minute int // how many at once, and in the minute after the burst
	}{
		{"connections", throttle.Connections, 1, 100, 6000},
		{"twin reads", throttle.TwinReads, 1, 100, 6000},
		{"twin updates", throttle.TwinUpdates, 1, 50, 3000},
		{"small methods", throttle.Methods, throttle.MethodCost(10), 40, 2400},
		{"large methods", throttle.Methods, throttle.MethodCost(128 * 1024), 1, 75},
		{"registry", throttle.Registry, 1, 100, 100},
		{"queries", throttle.Queries, 1, 20, 20},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				l := throttle.New(throttle.S1())
				if got := granted(l, tt.kind, 1000, tt.cost); got != tt.burst {
					t.Errorf("%d at once, want %d", got, tt.burst)
				}
				got := 0
				for range 600 { // ten times a second
					<-time.After(100 * time.Millisecond)
					got += granted(l, tt.kind, 100, tt.cost)
				}
				if got < tt.minute-1 || got > tt.minute+1 { // a fraction of a token at each end
					t.Errorf("%d in a minute, want %d", got, tt.minute)
				}
			})
		})
	}
}

func TestTake_retryAfter(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		l := throttle.New(map[throttle.Kind]throttle.Rate{throttle.Registry: {PerSecond: 0.1, Burst: 1}})
		if retry, ok := l.Take(throttle.Registry, 5); !ok || retry != 0 {
			t.Errorf("more than the burst: %v, %t; want it counted as the burst", retry, ok)
		}
		for range 3 { // refused operations do not count
			if retry, ok := l.Take(throttle.Registry, 1); ok || retry != 10*time.Second {
				t.Errorf("got %v, %t; want refused for 10s", retry, ok)
			}
		}
		<-time.After(10 * time.Second)
		if _, ok := l.Take(throttle.Registry, 1); !ok {
			t.Error("refused after retryAfter has passed")
		}
	})
}

func TestTake_unlimited(t *testing.T) {
	for _, l := range []*throttle.Limits{nil, throttle.New(nil)} {
		if got := granted(l, throttle.Queries, 10000, 1); got != 10000 {
			t.Errorf("%d of 10000 granted", got)
		}
	}
}

func TestMethodCost(t *testing.T) {
	for bytes, want := range map[int64]int{-1: 1, 0: 1, 1: 1, 4096: 1, 4097: 2, 128 * 1024: 32} {
		if got := throttle.MethodCost(bytes); got != want {
			t.Errorf("%d bytes: %d, want %d", bytes, got, want)
		}
	}
}

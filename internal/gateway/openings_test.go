package gateway

import (
	"context"
	"errors"
	"testing"
	"testing/synctest"
	"time"

	"rtsptunnel/internal/contract/reason"
	"rtsptunnel/internal/gateway/failure"
)

// Those that wait for a slot get it in their order. One whose time ends first fails.
func TestOpenings(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var o openings
		o.limit(1)
		release, err := o.acquire(t.Context())
		if err != nil {
			t.Fatal(err)
		}
		order := make(chan int, 2)
		for i := range 2 {
			go func() {
				release, err := o.acquire(t.Context())
				if err != nil {
					t.Error(err)
					return
				}
				order <- i
				release()
			}()
			synctest.Wait()
		}
		if n := o.waiting.Load(); n != 2 {
			t.Errorf("%d wait", n)
		}
		ctx, cancel := context.WithTimeout(t.Context(), time.Second)
		defer cancel()
		if _, err := o.acquire(ctx); failure.Of(err).Reason != reason.LimitOpenings {
			t.Errorf("after the time of the opening: %v", err)
		}
		gone, leave := context.WithCancelCause(t.Context())
		cause := errors.New("the stream was closed")
		leave(cause)
		if _, err := o.acquire(gone); !errors.Is(err, cause) {
			t.Errorf("after the end of the stream: %v", err)
		}
		release()
		if first, second := <-order, <-order; first != 0 || second != 1 {
			t.Errorf("order %d, %d", first, second)
		}
	})
}

// A new limit holds for openings after it; those before give their old slot back.
func TestOpenings_limit(t *testing.T) {
	var o openings
	o.limit(1)
	release, err := o.acquire(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	o.limit(2)
	for range 2 {
		if _, err := o.acquire(t.Context()); err != nil {
			t.Fatal(err)
		}
	}
	release()
}

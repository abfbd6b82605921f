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
		release, err := o.acquire(t.Context(), false)
		if err != nil {
			t.Fatal(err)
		}
		order := make(chan int, 2)
		for i := range 2 {
			go func() {
				release, err := o.acquire(t.Context(), false)
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
		if _, err := o.acquire(ctx, false); failure.Of(err).Reason != reason.LimitOpenings {
			t.Errorf("after the time of the opening: %v", err)
		}
		gone, leave := context.WithCancelCause(t.Context())
		cause := errors.New("the stream was closed")
		leave(cause)
		if _, err := o.acquire(gone, false); !errors.Is(err, cause) {
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
	release, err := o.acquire(t.Context(), false)
	if err != nil {
		t.Fatal(err)
	}
	o.limit(2)
	for range 2 {
		if _, err := o.acquire(t.Context(), false); err != nil {
			t.Fatal(err)
		}
	}
	release()
}

// Streams that open after a failure leave half of the slots to the others.
func TestOpenings_again(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var o openings
		o.limit(4)
		failing, leave := context.WithCancel(t.Context())
		acquired := make(chan func(), 10)
		for range cap(acquired) {
			go func() {
				release, err := o.acquire(failing, true)
				if err != nil {
					release = func() {}
				}
				acquired <- release
			}()
		}
		synctest.Wait()
		if n := len(acquired); n != 2 {
			t.Errorf("%d of 4 slots are of streams that failed", n)
		}
		for range 2 {
			release, err := o.acquire(t.Context(), false)
			if err != nil {
				t.Fatal(err)
			}
			defer release()
		}
		leave()
		for range cap(acquired) {
			(<-acquired)()
		}
		release, err := o.acquire(t.Context(), true)
		if err != nil {
			t.Fatal(err)
		}
		release()
	})
}

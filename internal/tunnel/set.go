package tunnel

import (
	"context"

	"rtsptunnel/internal/reason"
)

// enter counts a tunnel from its first dial on; end ends it. False once the set
// shuts down.
func (s *Set) enter(id string, end context.CancelCauseFunc) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.closing {
		return false
	}
	s.ends[id] = end
	s.tunnels.Add(1)
	return true
}

// leave is enter's counterpart: nothing of the tunnel is left.
func (s *Set) leave(id string) {
	s.mu.Lock()
	end := s.ends[id]
	delete(s.ends, id)
	s.mu.Unlock()
	end(nil)
	s.tunnels.Done()
}

// Len is the number of tunnels that are open or being opened.
func (s *Set) Len() int {
	s.mu.Lock()
	defer s.mu.Unlock()
	return len(s.ends)
}

// Shutdown opens nothing any more, tells every tunnel's remote end that the module
// goes away (reason.ShuttingDown), and returns when all are closed, or with ctx's
// error when that takes longer than ctx.
func (s *Set) Shutdown(ctx context.Context) error {
	s.mu.Lock()
	s.closing = true
	for _, end := range s.ends {
		end(reason.New(reason.ShuttingDown, nil))
	}
	s.mu.Unlock()

	closed := make(chan struct{})
	go func() {
		s.tunnels.Wait()
		close(closed)
	}()
	select {
	case <-closed:
		return nil
	case <-ctx.Done():
		return ctx.Err()
	}
}

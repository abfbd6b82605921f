package gateway

import (
	"context"
	"time"

	"rtsptunnel/internal/gateway/failure"
	"rtsptunnel/internal/gateway/stream"
)

// keepOpen makes the main streams of these cameras open without viewers, and no others. A
// kept stream has a reader that never leaves, with a goroutine; shutdown ends it.
func (s *streams) keepOpen(ctx context.Context, cameras map[string]bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	for name, end := range s.kept {
		if !cameras[name] {
			end()
			delete(s.kept, name)
		}
	}
	for name := range cameras {
		if s.kept[name] != nil || s.refused != nil {
			continue
		}
		ctx, end := context.WithCancel(context.WithoutCancel(ctx))
		s.kept[name] = end
		s.closing.Go(func() { s.keep(ctx, name) })
	}
}

// The pause between two attempts to keep a stream open. It doubles: a name that no camera has
// makes the fleet read the hubs, which limit how often they are read.
const (
	firstKeepPause = 2 * time.Second
	lastKeepPause  = time.Minute
)

// keep reads a camera's main stream until ctx is done.
func (s *streams) keep(ctx context.Context, name string) {
	wait := firstKeepPause
	for {
		begun := time.Now()
		err := s.readAll(ctx, name)
		if ctx.Err() != nil {
			return
		}
		if time.Since(begun) > lastKeepPause {
			wait = firstKeepPause
		}
		pause := time.NewTimer(max(wait, time.Until(failure.Of(err).RetryAt)))
		select {
		case <-ctx.Done():
			pause.Stop()
			return
		case <-pause.C:
		}
		wait = min(2*wait, lastKeepPause)
	}
}

func (s *streams) readAll(ctx context.Context, name string) error {
	opened, err := s.find(name)
	if err != nil {
		return err
	}
	reader, err := opened.Attach(ctx, stream.Want{})
	if err != nil {
		return err
	}
	defer reader.Close()
	for {
		if _, err := reader.Next(ctx); err != nil {
			return err
		}
	}
}

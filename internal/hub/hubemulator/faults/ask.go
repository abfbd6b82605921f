package faults

import "time"

// This file is what those ask who serve clients. An identity's own group goes
// before the hub's.

func groupOf[T any](s *Set, identity string, group func(Rules) *T) T {
	if own := group(s.identities[identity]); own != nil {
		return *own
	}
	return valueOf(group(s.hub))
}

// The groups; the caller holds the lock.
func (s *Set) logins(identity string) Logins {
	return groupOf(s, identity, func(r Rules) *Logins { return r.Logins })
}

func (s *Set) twin(identity string) Twin {
	return groupOf(s, identity, func(r Rules) *Twin { return r.Twin })
}

func (s *Set) methods(identity string) Methods {
	return groupOf(s, identity, func(r Rules) *Methods { return r.Methods })
}

// LoginRefused reports whether a login shall be refused.
func (s *Set) LoginRefused(identity string) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.logins(identity).Refuse
}

// AwaitCut waits for the moment when a connection that logged in at since
// shall be cut. It returns false if done is closed first.
func (s *Set) AwaitCut(done <-chan struct{}, identity string, since time.Time) bool {
	return s.await(done, func() time.Duration {
		after := s.logins(identity).CutAfterSeconds
		if after == 0 {
			return never
		}
		return time.Until(since.Add(duration(after)))
	})
}

// SubscriptionRefused reports whether subscriptions shall be refused.
func (s *Set) SubscriptionRefused(identity string) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	return groupOf(s, identity, func(r Rules) *Subscriptions { return r.Subscriptions }).Refuse
}

// TwinStatus returns the status that twin requests shall get, or 0 if they
// are to be carried out.
func (s *Set) TwinStatus(identity string) int {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.twin(identity).Status
}

// TwinAnswersWait reports whether AwaitTwinAnswer would wait for the answer to
// a request that comes now.
func (s *Set) TwinAnswersWait(identity string) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	twin := s.twin(identity)
	return twin.Hold || twin.DelaySeconds > 0
}

// AwaitTwinAnswer waits until the answer to a twin request that came at asked
// may go out. It returns false if done is closed first.
func (s *Set) AwaitTwinAnswer(done <-chan struct{}, identity string, asked time.Time) bool {
	return s.await(done, func() time.Duration {
		twin := s.twin(identity)
		if twin.Hold {
			return never
		}
		return time.Until(asked.Add(duration(twin.DelaySeconds)))
	})
}

// MethodRequestLost reports whether method calls shall not be delivered.
func (s *Set) MethodRequestLost(identity string) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.methods(identity).LoseRequests
}

// MethodAnswerLost reports whether answers to method calls shall be dropped.
func (s *Set) MethodAnswerLost(identity string) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.methods(identity).LoseAnswers
}

// MethodDeliveredTwice reports whether method calls shall be delivered again.
func (s *Set) MethodDeliveredTwice(identity string) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.methods(identity).DeliverTwice
}

// TakeThrottled reports whether a request to the service side shall get
// status 429, and what its Retry-After says. It counts throttleNext down.
func (s *Set) TakeThrottled() (retryAfter time.Duration, throttled bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	rest := s.hub.REST
	if rest == nil || !rest.Throttle && rest.ThrottleNext == 0 {
		return 0, false
	}
	if rest.ThrottleNext > 0 {
		rest.ThrottleNext--
	}
	if rest.RetryAfterSeconds == 0 {
		return defaultRetryIn * time.Second, true
	}
	return time.Duration(rest.RetryAfterSeconds) * time.Second, true
}

// AwaitWorkload waits until a request to the workload API that came at asked
// may be answered, and returns what with: nothing at all if down, else status,
// if that is not 0. ok is false if done is closed first.
func (s *Set) AwaitWorkload(done <-chan struct{}, asked time.Time) (status int, down, ok bool) {
	ok = s.await(done, func() time.Duration {
		rules := valueOf(s.hub.Workload)
		status, down = rules.Status, rules.Down
		if down {
			return 0
		}
		return time.Until(asked.Add(duration(rules.DelaySeconds)))
	})
	return status, down, ok
}

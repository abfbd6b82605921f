package faults

import "time"

// This file has the questions that the packages that serve clients ask. The group of
// an identity overrides the group of the hub.

func groupOf[T any](s *Set, identity string, group func(Rules) *T) T {
	if own := group(s.identities[identity]); own != nil {
		return *own
	}
	return valueOf(group(s.hub))
}

// These return one group. The caller holds the lock.
func (s *Set) logins(identity string) Logins {
	return groupOf(s, identity, func(r Rules) *Logins { return r.Logins })
}

func (s *Set) twin(identity string) Twin {
	return groupOf(s, identity, func(r Rules) *Twin { return r.Twin })
}

func (s *Set) methods(identity string) Methods {
	return groupOf(s, identity, func(r Rules) *Methods { return r.Methods })
}

// LoginRefused reports whether the hub must refuse a login.
func (s *Set) LoginRefused(identity string) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.logins(identity).Refuse
}

// AwaitCut waits until the hub must cut a connection that logged in at since. It
// returns false if done is closed first.
func (s *Set) AwaitCut(done <-chan struct{}, identity string, since time.Time) bool {
	return s.await(done, func() time.Duration {
		after := s.logins(identity).CutAfterSeconds
		if after == 0 {
			return never
		}
		return time.Until(since.Add(duration(after)))
	})
}

// SubscriptionRefused reports whether the hub must refuse subscriptions.
func (s *Set) SubscriptionRefused(identity string) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	return groupOf(s, identity, func(r Rules) *Subscriptions { return r.Subscriptions }).Refuse
}

// TwinStatus returns the status to answer twin requests with, or 0 if the hub must
// carry them out.
func (s *Set) TwinStatus(identity string) int {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.twin(identity).Status
}

// TwinAnswersWait reports whether AwaitTwinAnswer would wait for a request that
// arrives now.
func (s *Set) TwinAnswersWait(identity string) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	twin := s.twin(identity)
	return twin.Hold || twin.DelaySeconds > 0
}

// AwaitTwinAnswer waits until the hub may answer a twin request that arrived at asked.
// It returns false if done is closed first.
func (s *Set) AwaitTwinAnswer(done <-chan struct{}, identity string, asked time.Time) bool {
	return s.await(done, func() time.Duration {
		twin := s.twin(identity)
		if twin.Hold {
			return never
		}
		return time.Until(asked.Add(duration(twin.DelaySeconds)))
	})
}

// MethodRequestLost reports whether the hub must drop method calls.
func (s *Set) MethodRequestLost(identity string) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.methods(identity).LoseRequests
}

// MethodAnswerLost reports whether the hub must drop the answers to method calls.
func (s *Set) MethodAnswerLost(identity string) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.methods(identity).LoseAnswers
}

// MethodDeliveredTwice reports whether the hub must deliver method calls twice.
func (s *Set) MethodDeliveredTwice(identity string) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.methods(identity).DeliverTwice
}

// TakeThrottled reports whether the hub must answer a request of the service API with
// status 429, and the Retry-After of that answer. It counts throttleNext down.
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

// AwaitWorkload waits until the workload API may answer a request that arrived at
// asked. If down is true, the connection must be closed without an answer. Otherwise
// the answer has this status, unless it is 0. ok is false if done is closed first.
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

package faults_test

import (
	"testing"
	"testing/synctest"
	"time"

	"github.com/google/go-cmp/cmp"
	"go.uber.org/goleak"

	"rtsptunnel/internal/hub/hubemulator/faults"
)

const long = 24 * time.Hour

func TestMain(m *testing.M) {
	goleak.VerifyTestMain(m)
}

func TestSet_emptyHasNoFaults(t *testing.T) {
	set := faults.New()
	if set.LoginRefused("d") || set.SubscriptionRefused("d") || set.TwinStatus("d") != 0 ||
		set.TwinAnswersWait("d") || set.MethodRequestLost("d") || set.MethodAnswerLost("d") {
		t.Error("an empty set has faults")
	}
	if _, throttled := set.TakeThrottled(); throttled {
		t.Error("an empty set throttles")
	}
	if status, down, ok := set.AwaitWorkload(nil, time.Now()); status != 0 || down || !ok {
		t.Errorf("workload: status %d, down %t, %t", status, down, ok)
	}
}

func TestSet_identityOverridesHub(t *testing.T) {
	set := faults.New()
	put(t, set, `{"logins":{"refuse":true},"subscriptions":{"refuse":true},"twin":{"status":429},"methods":{"loseAnswers":true}}`)
	putFor(t, set, "d1/m1", `{"logins":{},"twin":{"hold":true},"methods":{"loseRequests":true}}`)

	if !set.LoginRefused("d1") || set.LoginRefused("d1/m1") {
		t.Error("logins: want all refused except those of d1/m1")
	}
	if !set.SubscriptionRefused("d1/m1") {
		t.Error("the hub's group does not apply to an identity without that group")
	}
	if got, own := set.TwinStatus("d1"), set.TwinStatus("d1/m1"); got != 429 || own != 0 {
		t.Errorf("twin status %d and %d, want 429 and 0", got, own)
	}
	if set.TwinAnswersWait("d1") || !set.TwinAnswersWait("d1/m1") {
		t.Error("want only the answers of d1/m1 held")
	}
	if !set.MethodAnswerLost("d1") || set.MethodAnswerLost("d1/m1") || !set.MethodRequestLost("d1/m1") {
		t.Error("methods: the groups are mixed")
	}
	set.Clear()
	if set.LoginRefused("d1") || set.TwinAnswersWait("d1/m1") || len(set.Identities()) > 0 {
		t.Error("faults remain after Clear")
	}
}

func TestTakeThrottled(t *testing.T) {
	set := faults.New()
	put(t, set, `{"rest":{"throttleNext":2,"retryAfterSeconds":7}}`)
	var got []time.Duration
	for range 3 {
		if retry, throttled := set.TakeThrottled(); throttled {
			got = append(got, retry)
		}
	}
	if diff := cmp.Diff([]time.Duration{7 * time.Second, 7 * time.Second}, got); diff != "" {
		t.Errorf("throttled (-want +got):\n%s", diff)
	}
	put(t, set, `{"rest":{"throttle":true}}`)
	for range 3 {
		if retry, throttled := set.TakeThrottled(); !throttled || retry != 10*time.Second {
			t.Errorf("got %v, %t; want 10s", retry, throttled)
		}
	}
}

// elapsed returns how long wait takes on the clock of the synctest bubble.
func elapsed(wait func() bool) (time.Duration, bool) {
	begin := time.Now()
	ok := wait()
	return time.Since(begin), ok
}

func TestAwait_delay(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		set := faults.New()
		put(t, set, `{"logins":{"cutAfterSeconds":5},"twin":{"delaySeconds":0.25},"workload":{"delaySeconds":3,"status":500}}`)
		now := time.Now()
		waits := []struct {
			name string
			want time.Duration
			wait func() bool
		}{
			{"twin", 250 * time.Millisecond, func() bool { return set.AwaitTwinAnswer(nil, "d", now) }},
			{"twin, asked long ago", 0, func() bool { return set.AwaitTwinAnswer(nil, "d", now.Add(-long)) }},
			{"cut", 4750 * time.Millisecond, func() bool { return set.AwaitCut(nil, "d", now) }},
			{"cut, logged in long ago", 0, func() bool { return set.AwaitCut(nil, "d", now.Add(-long)) }},
			{"workload", 3 * time.Second, func() bool {
				status, down, ok := set.AwaitWorkload(nil, time.Now())
				return status == 500 && !down && ok
			}},
		}
		for _, w := range waits {
			if took, ok := elapsed(w.wait); took != w.want || !ok {
				t.Errorf("%s: %v, %t; want %v", w.name, took, ok, w.want)
			}
		}
	})
}

func TestAwait_endsWhenRuleIsRemoved(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		set := faults.New()
		put(t, set, `{"twin":{"hold":true,"delaySeconds":9},"workload":{"delaySeconds":100}}`)
		twin, workload := make(chan bool), make(chan bool)
		go func() { twin <- set.AwaitTwinAnswer(nil, "d", time.Now()) }()
		go func() {
			_, _, ok := set.AwaitWorkload(nil, time.Now())
			workload <- ok
		}()
		<-time.After(10 * time.Second)
		putFor(t, set, "other", `{"logins":{"refuse":true}}`) // a change that does not concern them
		synctest.Wait()
		select {
		case <-twin:
			t.Error("a held answer was released")
		case <-workload:
			t.Error("a delayed answer was released")
		default:
		}
		took, ok := elapsed(func() bool {
			set.Clear()
			return <-twin && <-workload
		})
		if took != 0 || !ok {
			t.Errorf("waited %v more, %t; want both at once", took, ok)
		}
	})
}

// A rule also applies to connections that are older than the rule.
func TestAwaitCut_ruleAddedAfterLogin(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		set := faults.New()
		login := time.Now()
		cut := make(chan time.Duration)
		go func() {
			set.AwaitCut(nil, "d", login)
			cut <- time.Since(login)
		}()
		<-time.After(2 * time.Second)
		put(t, set, `{"logins":{"cutAfterSeconds":5}}`)
		if got := <-cut; got != 5*time.Second {
			t.Errorf("cut after %v, want 5s", got)
		}
	})
}

func TestAwait_done(t *testing.T) {
	set := faults.New()
	put(t, set, `{"twin":{"hold":true},"workload":{"delaySeconds":100}}`)
	done := make(chan struct{})
	close(done)
	_, _, workload := set.AwaitWorkload(done, time.Now())
	if set.AwaitTwinAnswer(done, "d", time.Now()) || set.AwaitCut(done, "d", time.Now()) || workload {
		t.Error("a wait did not end when done was closed")
	}
}

func TestAwaitWorkload_down(t *testing.T) {
	set := faults.New()
	put(t, set, `{"workload":{"down":true,"delaySeconds":100}}`)
	if _, down, ok := set.AwaitWorkload(nil, time.Now()); !down || !ok {
		t.Errorf("down %t, %t; want it down at once", down, ok)
	}
}

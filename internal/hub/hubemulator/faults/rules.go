// Package faults holds the faults that a test injects into a hub.
//
// There is one set of rules for the whole hub, and one for each identity that has any.
// There are no faults by default: an empty Set changes nothing. The package keeps the
// rules and measures delays; it does no I/O. The packages that serve clients ask it
// what to do.
//
// A JSON document holds the rules. All its members are optional, and each belongs to a
// group. Seconds are numbers from 0 to 86400 and may have a fraction. 0, false and a
// missing member all mean no fault.
//
//	group          member             meaning
//	logins         refuse             bool: CONNACK 5 to every CONNECT
//	               cutAfterSeconds    number: the connection is cut this long after its login, as if
//	                                  its token expired; an older connection is cut at once
//	subscriptions  refuse             bool: SUBACK 0x80 for every topic
//	twin           status             429 or 500 to 599: twin requests of the device get this
//	                                  status, and change nothing
//	               delaySeconds       number: twin requests are answered this long after they arrive
//	               hold               bool: answers to twin requests wait until the rule is removed,
//	                                  and are then sent in their order
//	methods        loseRequests       bool: calls are not delivered, and so time out
//	               loseAnswers        bool: the device's answers are dropped, so calls time out
//	               deliverTwice       bool: each call is delivered again at once, as MQTT allows
//	rest           throttle           bool: every request gets status 429
//	               throttleNext       0 to 1000000: this many requests get status 429; counts down
//	               retryAfterSeconds  whole number: the Retry-After of the 429; 0 means 10
//	workload       down               bool: connections are closed without an answer
//	               status             400 to 599: every request gets this status
//	               delaySeconds       number: every request is answered this long after it arrives
//
// The rules of an identity have all groups except rest and workload. A group of an
// identity overrides the hub's whole group: {"twin":{}} exempts an identity from the
// hub's twin group.
//
// A change of the rules takes effect at once, also on waits in progress: a delay that
// is removed ends, and a longer one lasts longer.
//
// Example: {"logins":{"cutAfterSeconds":5},"twin":{"hold":true}}.
package faults

import (
	"errors"
	"fmt"
	"net/http"
)

const (
	maxSeconds     = 24 * 60 * 60
	maxNext        = 1_000_000
	defaultRetryIn = 10 // seconds
)

// ErrRules reports rules that do not have the form that the package documents. It is
// wrapped with the name of the invalid member; match it with errors.Is.
var ErrRules = errors.New("bad fault rules")

// Rules are the faults of the hub or of one identity. The package documentation
// describes all members. A nil group is missing from the document.
type Rules struct {
	Logins        *Logins        `json:"logins,omitempty"`
	Subscriptions *Subscriptions `json:"subscriptions,omitempty"`
	Twin          *Twin          `json:"twin,omitempty"`
	Methods       *Methods       `json:"methods,omitempty"`
	REST          *REST          `json:"rest,omitempty"`
	Workload      *Workload      `json:"workload,omitempty"`
}

// Logins are the faults of MQTT logins.
type Logins struct {
	Refuse          bool    `json:"refuse,omitempty"`
	CutAfterSeconds float64 `json:"cutAfterSeconds,omitempty"`
}

// Subscriptions are the faults of MQTT subscriptions.
type Subscriptions struct {
	Refuse bool `json:"refuse,omitempty"`
}

// Twin are the faults of twin requests over MQTT.
type Twin struct {
	Status       int     `json:"status,omitempty"`
	DelaySeconds float64 `json:"delaySeconds,omitempty"`
	Hold         bool    `json:"hold,omitempty"`
}

// Methods are the faults of direct methods between hub and device.
type Methods struct {
	LoseRequests bool `json:"loseRequests,omitempty"`
	LoseAnswers  bool `json:"loseAnswers,omitempty"`
	DeliverTwice bool `json:"deliverTwice,omitempty"`
}

// REST are the faults of the service API.
type REST struct {
	Throttle          bool `json:"throttle,omitempty"`
	ThrottleNext      int  `json:"throttleNext,omitempty"`
	RetryAfterSeconds int  `json:"retryAfterSeconds,omitempty"`
}

// Workload are the faults of the workload API.
type Workload struct {
	Down         bool    `json:"down,omitempty"`
	Status       int     `json:"status,omitempty"`
	DelaySeconds float64 `json:"delaySeconds,omitempty"`
}

// check returns ErrRules, wrapped, if a value is out of range.
func (r Rules) check() error {
	logins, twin, rest, workload := valueOf(r.Logins), valueOf(r.Twin), valueOf(r.REST), valueOf(r.Workload)
	return errors.Join(
		checkSeconds("logins.cutAfterSeconds", logins.CutAfterSeconds),
		checkSeconds("twin.delaySeconds", twin.DelaySeconds),
		checkStatus("twin.status", twin.Status, "429 or 500 to 599", twin.Status == http.StatusTooManyRequests || isServerError(twin.Status)),
		checkSeconds("rest.retryAfterSeconds", float64(rest.RetryAfterSeconds)),
		checkNext("rest.throttleNext", rest.ThrottleNext),
		checkSeconds("workload.delaySeconds", workload.DelaySeconds),
		checkStatus("workload.status", workload.Status, "400 to 599", workload.Status >= 400 && workload.Status <= 599),
	)
}

// checkForIdentity is check for the rules of one identity.
func (r Rules) checkForIdentity() error {
	if r.REST != nil || r.Workload != nil {
		return fmt.Errorf("%w: rest and workload are of the whole hub, not of one identity", ErrRules)
	}
	return r.check()
}

func checkSeconds(member string, seconds float64) error {
	if seconds >= 0 && seconds <= maxSeconds { // also refuses NaN
		return nil
	}
	return fmt.Errorf("%w: %s must be 0 to %d", ErrRules, member, maxSeconds)
}

func checkNext(member string, n int) error {
	if n >= 0 && n <= maxNext {
		return nil
	}
	return fmt.Errorf("%w: %s must be 0 to %d", ErrRules, member, maxNext)
}

func checkStatus(member string, status int, want string, ok bool) error {
	if status == 0 || ok {
		return nil
	}
	return fmt.Errorf("%w: %s must be %s", ErrRules, member, want)
}

func isServerError(status int) bool {
	return status >= 500 && status <= 599
}

// clone returns a copy that shares no memory with r.
func (r Rules) clone() Rules {
	return Rules{
		Logins:        copyOf(r.Logins),
		Subscriptions: copyOf(r.Subscriptions),
		Twin:          copyOf(r.Twin),
		Methods:       copyOf(r.Methods),
		REST:          copyOf(r.REST),
		Workload:      copyOf(r.Workload),
	}
}

func copyOf[T any](p *T) *T {
	if p == nil {
		return nil
	}
	return new(*p)
}

func valueOf[T any](p *T) T {
	if p == nil {
		var none T
		return none
	}
	return *p
}

package broker_test

import (
	"errors"
	"fmt"
	"strings"
	"sync"
	"testing"
	"time"

	paho "github.com/eclipse/paho.mqtt.golang"

	"rtsptunnel/internal/hub/hubemulator/store"
)

// keeper stands for the state file. Each write stores all changes up to that time.
type keeper struct {
	store *store.Store

	mu     sync.Mutex
	hook   func() // called before each write; may be nil
	err    error
	kept   int64
	writes int
}

// before sets a function to call before each write, without the lock held.
func (k *keeper) before(f func()) {
	k.mu.Lock()
	defer k.mu.Unlock()
	k.hook = f
}

// fail makes all later writes return err.
func (k *keeper) fail(err error) {
	k.mu.Lock()
	defer k.mu.Unlock()
	k.err = err
}

func (k *keeper) keep(revision int64) error {
	k.mu.Lock()
	hook, err, done := k.hook, k.err, revision <= k.kept && k.hook == nil
	k.mu.Unlock()
	if done {
		return nil
	}
	if err != nil {
		return err
	}
	if hook != nil {
		hook()
	}
	k.mu.Lock()
	defer k.mu.Unlock()
	k.kept = k.store.Revision()
	k.writes++
	return nil
}

// state returns the kept revision and the number of writes.
func (k *keeper) state() (kept int64, writes int) {
	k.mu.Lock()
	defer k.mu.Unlock()
	return k.kept, k.writes
}

// A crash must not undo anything that a client has an answer for.
func TestAnswer_afterChangeIsKept(t *testing.T) {
	e := start(t)
	bystander := connect(t, e.options(t, other))
	e.keep.before(func() { roundTrip(t, bystander) }) // gives an early answer time to arrive
	check := func(what string) {
		t.Helper()
		if kept, _ := e.keep.state(); kept < e.store.Revision() {
			t.Errorf("%s: answered at revision %d, kept up to %d", what, e.store.Revision(), kept)
		}
	}
	client, _ := logInAs(t, e.options(t, module).SetCleanSession(false))
	check("CONNACK of a new session")
	answers := subscribe(t, client, twinFilter)
	check("SUBACK")
	wait(t, client.Subscribe(methodsFilter, 0, nil))
	wait(t, client.Unsubscribe(methodsFilter))
	check("UNSUBACK")
	client.Publish("$iothub/twin/PATCH/properties/reported/?$rid=1", 0, false, `{"a":1}`)
	next(t, answers)
	check("reported")
	tags, err := store.ParsePatch([]byte(`{"a":1}`))
	if err != nil {
		t.Fatal(err)
	}
	if _, err := e.store.UpdateTwin(module, store.TwinUpdate{Tags: tags}, ""); err != nil {
		t.Fatal(err)
	}
	client.Publish("$iothub/twin/GET/?$rid=1", 0, false, " ")
	next(t, answers)
	check("twin")
	client, _ = logInAs(t, e.options(t, module))
	check("CONNACK of a clean session")
	client.Disconnect(0)
}

func TestKeep_failsForSubscriptions(t *testing.T) {
	for name, do := range map[string]func(paho.Client){
		"subscribe":   func(c paho.Client) { c.Subscribe(twinFilter, 0, nil) },
		"unsubscribe": func(c paho.Client) { c.Unsubscribe(methodsFilter) },
	} {
		t.Run(name, func(t *testing.T) {
			e := start(t)
			o := e.options(t, module).SetCleanSession(false)
			lost := lossOf(o)
			client := connect(t, o)
			wait(t, client.Subscribe(methodsFilter, 0, nil))
			e.keep.fail(errors.New("disk full"))
			do(client)
			next(t, lost)
			if log := e.log.String(); !strings.Contains(log, `"level":"error","identity":"d1/m1","error":"disk full"`) {
				t.Errorf("the log has no error with the cause:\n%s", log)
			}
		})
	}
}

func TestKeep_failsForReported(t *testing.T) {
	e := start(t)
	client := connect(t, e.options(t, module))
	answers := subscribe(t, client, twinFilter)
	e.keep.fail(errors.New("disk full"))
	client.Publish("$iothub/twin/PATCH/properties/reported/?$rid=1", 0, false, `{"a":1}`)
	answer := next(t, answers)
	if got, want := answer.Topic(), "$iothub/twin/res/500/?$rid=1"; got != want {
		t.Errorf("topic %s, want %s", got, want)
	}
	if got, want := string(answer.Payload()), `{"errorCode":500000,"message":"Internal Server Error"}`; got != want {
		t.Errorf("body %s, want %s", got, want)
	}
	if log := e.log.String(); !strings.Contains(log, "disk full") {
		t.Errorf("the log does not have the cause:\n%s", log)
	}
	e.keep.fail(nil)
	client.Publish("$iothub/twin/PATCH/properties/reported/?$rid=2", 0, false, `{"b":1}`)
	if got, want := next(t, answers).Topic(), "$iothub/twin/res/204/?$rid=2&$version=3"; got != want {
		t.Errorf("topic %s, want %s", got, want)
	}
}

// An answer does not wait for changes of other identities, which may take long.
func TestAnswer_waitsForItsOwnChangesOnly(t *testing.T) {
	e := start(t)
	client := connect(t, e.options(t, module).SetCleanSession(false))
	answers := subscribe(t, client, twinFilter)
	e.keep.fail(errors.New("disk full"))
	if err := e.store.SetModelID(other, "dtmi:a;1"); err != nil {
		t.Fatal(err)
	}
	client.Publish("$iothub/twin/GET/?$rid=1", 0, false, " ")
	if got, want := next(t, answers).Topic(), "$iothub/twin/res/200/?$rid=1"; got != want {
		t.Errorf("topic %s, want %s", got, want)
	}
	wait(t, client.Subscribe(twinFilter, 0, nil)) // changes nothing
	_, present := logInAs(t, e.options(t, module).SetCleanSession(false))
	if !present {
		t.Error("the session is lost")
	}
}

// A client of a deleted identity gets no SUBACK for a session that does not exist.
func TestSubscribe_deletedIdentity(t *testing.T) {
	e := start(t)
	o := e.options(t, module)
	lost := lossOf(o)
	client := connect(t, o)
	if _, err := e.store.Delete(module, "*"); err != nil { // before a call of Drop
		t.Fatal(err)
	}
	client.Subscribe(twinFilter, 0, nil)
	next(t, lost)
}

// The broker applies patches while earlier ones are written. Patches that wait for a slow
// disk share the next write.
func TestReported_pipelinedPatchesShareWrites(t *testing.T) {
	const patches = 1000
	e := start(t)
	bystander := connect(t, e.options(t, other))
	client := connect(t, e.options(t, module))
	answers := subscribe(t, client, twinFilter)
	applied := e.store.Revision() + patches
	_, before := e.keep.state()
	e.keep.before(func() {
		e.keep.before(nil)
		for end := time.Now().Add(patience); e.store.Revision() < applied; {
			if time.Now().After(end) {
				t.Errorf("a write blocks the client: %d patches are missing", applied-e.store.Revision())
				return
			}
			roundTrip(t, bystander)
		}
	})
	for i := range patches {
		client.Publish(fmt.Sprintf("$iothub/twin/PATCH/properties/reported/?$rid=%d", i), 0, false, fmt.Sprintf(`{"n":%d}`, i))
	}
	for i := range patches {
		want := fmt.Sprintf("$iothub/twin/res/204/?$rid=%d&$version=%d", i, i+2)
		if got := next(t, answers).Topic(); got != want {
			t.Fatalf("answer %s, want %s", got, want)
		}
	}
	if _, writes := e.keep.state(); writes-before > 3 {
		t.Errorf("%d patches took %d writes", patches, writes-before)
	}
}

// A client that sends reported properties faster than they can be kept has to wait. It is
// not cut like a client that does not read.
func TestReported_backpressure(t *testing.T) {
	const patches = 6000
	e := start(t)
	bystander := connect(t, e.options(t, other))
	client := connect(t, e.options(t, module))
	answered := make(chan struct{}, patches)
	wait(t, client.Subscribe(twinFilter, 0, func(paho.Client, paho.Message) { answered <- struct{}{} }))
	e.keep.before(func() {
		e.keep.before(nil)
		waitStable(t, bystander, e.store.Revision)
	})
	for range patches {
		client.Publish("$iothub/twin/PATCH/properties/reported/?$rid=1", 0, false, `{"a":1}`)
	}
	for range patches {
		next(t, answered)
	}
}

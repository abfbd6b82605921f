package broker_test

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"strings"
	"sync"
	"testing"
	"time"

	paho "github.com/eclipse/paho.mqtt.golang"

	"rtsptunnel/internal/hub/hubemulator/broker"
)

// echo answers a call with its own payload and this status.
func echo(status int) func(string, []byte) (string, []byte) {
	return func(topic string, payload []byte) (string, []byte) {
		_, rid, _ := strings.Cut(topic, "?$rid=")
		return fmt.Sprintf("$iothub/methods/res/%d/?$rid=%s", status, rid), payload
	}
}

func TestInvoke_roundTrip(t *testing.T) {
	e := start(t)
	client := connect(t, e.options(t, module))
	topics := make(chan string, 10)
	answerMethods(t, client, func(topic string, payload []byte) (string, []byte) {
		topics <- topic
		return echo(418)(topic, payload)
	})
	for _, payload := range []string{`{"a":[1,"ü",null]}`, `[1]`, `"text"`, `null`, ``} {
		call := broker.Call{Method: "component*doIt", Payload: json.RawMessage(payload), ResponseTimeout: patience}
		status, got, err := e.broker.Invoke(t.Context(), module, call)
		if err != nil {
			t.Fatal(err)
		}
		if status != 418 || string(got) != payload {
			t.Errorf("got %d %s, want 418 %s", status, got, payload)
		}
		if topic, want := next(t, topics), "$iothub/methods/POST/component*doIt/?$rid="; !strings.HasPrefix(topic, want) {
			t.Errorf("topic %s, want prefix %s", topic, want)
		}
	}
}

func TestInvoke_concurrent(t *testing.T) {
	const calls = 20
	e := start(t)
	client := connect(t, e.options(t, module))
	answerMethods(t, client, echo(200))
	var wg sync.WaitGroup
	for i := range calls {
		wg.Go(func() {
			payload := fmt.Sprintf(`{"n":%d}`, i)
			call := broker.Call{Method: "m", Payload: json.RawMessage(payload), ResponseTimeout: patience}
			status, got, err := e.broker.Invoke(t.Context(), module, call)
			if err != nil || status != 200 || string(got) != payload {
				t.Errorf("got %d %s %v, want 200 %s", status, got, err, payload)
			}
		})
	}
	wg.Wait()
}

func TestInvoke_notConnected(t *testing.T) {
	e := start(t)
	call := broker.Call{Method: "m", ResponseTimeout: patience}
	invoke := func(call broker.Call) error {
		_, _, err := e.broker.Invoke(t.Context(), module, call)
		return err
	}
	if err := invoke(call); !errors.Is(err, broker.ErrNotConnected) {
		t.Errorf("offline: got %v, want %v", err, broker.ErrNotConnected)
	}

	client := connect(t, e.options(t, module))
	if err := invoke(call); !errors.Is(err, broker.ErrNotConnected) {
		t.Errorf("not subscribed: got %v, want %v", err, broker.ErrNotConnected)
	}
	call.ConnectTimeout = time.Millisecond
	if err := invoke(call); !errors.Is(err, broker.ErrNotConnected) {
		t.Errorf("not subscribed in time: got %v, want %v", err, broker.ErrNotConnected)
	}

	// A waiting call is delivered when the client subscribes.
	call.ConnectTimeout = patience
	result := make(chan error, 1)
	go func() { result <- invoke(call) }()
	answerMethods(t, client, echo(200))
	if err := next(t, result); err != nil {
		t.Errorf("subscribed while the call waited: %v", err)
	}
}

func TestInvoke_noAnswer(t *testing.T) {
	e := start(t)
	client := connect(t, e.options(t, module))
	stranger := connect(t, e.options(t, other))
	late := make(chan string, 1)
	wait(t, client.Subscribe("$iothub/methods/POST/#", 0, func(_ paho.Client, m paho.Message) {
		topic, payload := echo(200)(m.Topic(), m.Payload())
		stranger.Publish(topic, 1, false, payload).Wait() // must not answer the call
		late <- topic
	}))
	call := broker.Call{Method: "m", ResponseTimeout: 100 * time.Millisecond}
	if _, _, err := e.broker.Invoke(t.Context(), module, call); !errors.Is(err, broker.ErrNoAnswer) {
		t.Errorf("got %v, want %v", err, broker.ErrNoAnswer)
	}
	// A late answer is ignored.
	wait(t, client.Publish(next(t, late), 1, false, "{}"))
}

func TestInvoke_contextAndClose(t *testing.T) {
	e := start(t)
	client := connect(t, e.options(t, module))
	calls := subscribe(t, client, "$iothub/methods/POST/#")
	call := broker.Call{Method: "m", ResponseTimeout: patience}

	ctx, cancel := context.WithCancel(t.Context())
	result := make(chan error, 1)
	go func() { _, _, err := e.broker.Invoke(ctx, module, call); result <- err }()
	next(t, calls)
	cancel()
	if err := next(t, result); !errors.Is(err, context.Canceled) {
		t.Errorf("cancelled: got %v, want %v", err, context.Canceled)
	}

	go func() { _, _, err := e.broker.Invoke(t.Context(), module, call); result <- err }()
	next(t, calls)
	e.close(t)
	if err := next(t, result); !errors.Is(err, broker.ErrClosed) {
		t.Errorf("closed: got %v, want %v", err, broker.ErrClosed)
	}
}

package hublink_test

import (
	"bytes"
	"fmt"
	"runtime"
	"strings"
	"sync"
	"testing"

	"github.com/eclipse/paho.mqtt.golang/packets"
)

const (
	maxCalls   = 256 // calls that run at once
	burstCalls = 30_000
)

// burst sends calls with QoS 1 as fast as the connection takes them, without waiting for an
// answer. Their request ids are 0 to calls-1.
func (h *fakeHub) burst(calls int) error {
	h.mu.Lock()
	conn := h.conn
	h.mu.Unlock()
	var stream bytes.Buffer
	for n := range calls {
		p := packets.NewControlPacket(packets.Publish).(*packets.PublishPacket)
		p.Qos, p.MessageID = 1, uint16(n%65535+1)
		p.TopicName, p.Payload = fmt.Sprintf("$iothub/methods/POST/open/?$rid=%d", n), []byte(`{}`)
		if err := p.Write(&stream); err != nil {
			return err
		}
	}
	_, err := conn.Write(stream.Bytes())
	return err
}

// Of 30,000 calls in one burst 256 run. Each of the others is answered at once, without a
// goroutine or memory of its own, and the connection stays. This test is not parallel: it
// counts the goroutines and the memory of the process.
func TestMethod_burst(t *testing.T) {
	s := newSite(t)
	module := &counter{echo: s.module, hold: make(chan struct{}), began: make(chan struct{}, burstCalls)}
	s.o.Handler = module
	h := newFakeHub(t, s, twinDoc(1, ""))
	c := s.start(t, quick)
	awaitState(t, s, c, "subscribed", ready)
	goroutines, memory := runtime.NumGoroutine(), memoryInUse()

	var sending sync.WaitGroup
	sending.Go(func() {
		if err := h.burst(burstCalls); err != nil {
			t.Error(err)
		}
	})
	var most int
	var mostMemory uint64
	for n := range burstCalls - maxCalls {
		got, ok := receive(t, h.answers)
		if !ok {
			t.Fatalf("%d refusals\n%s", n, s.log)
		}
		if !strings.HasPrefix(got.topic, "$iothub/methods/res/429/?$rid=") || got.payload != `"open"` {
			t.Fatalf("answer %d: %v", n, got)
		}
		if n%1000 == 0 {
			most, mostMemory = max(most, runtime.NumGoroutine()), max(mostMemory, memoryInUse())
		}
	}
	sending.Wait()
	if n := most - goroutines; n > maxCalls+64 {
		t.Errorf("%d goroutines for %d calls", n, maxCalls)
	}
	if n := (int64(mostMemory) - int64(memory)) >> 20; n > 32 {
		t.Errorf("the burst costs %d MiB", n)
	}
	close(module.hold)
	for n := range maxCalls {
		if got, ok := receive(t, h.answers); !ok || !strings.HasPrefix(got.topic, "$iothub/methods/res/200/") {
			t.Fatalf("answer of call %d: %v", n, got)
		}
	}
	h.publish("$iothub/methods/POST/ping/?$rid=after", "{}")
	if got, _ := receive(t, h.answers); got.payload != "pong" {
		t.Errorf("after the burst: %v", got)
	}
	if n, state := module.calls.Load(), c.State(); n != maxCalls || state.Attempts != 1 {
		t.Errorf("%d calls ran, %+v", n, state)
	}
}

// memoryInUse is the memory of heap and stacks, in bytes, with garbage.
func memoryInUse() uint64 {
	var m runtime.MemStats
	runtime.ReadMemStats(&m)
	return m.HeapInuse + m.StackInuse
}

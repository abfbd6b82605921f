// Package telemetry keeps what devices and modules have sent to the cloud, so
// that a test or a person can look at it.
//
// What is kept is the newest: a bound on messages and one on bytes, and a count
// of what they have cost. The package is pure: it is in memory, knows no clock
// and no topics but the property bag at their end.
package telemetry

import (
	"encoding/json"
	"sync"
	"time"
	"unicode/utf8"
)

const (
	// maxMessages and maxBytes bound what is kept. Bytes are those of bodies
	// and properties.
	maxMessages = 10_000
	maxBytes    = 64 << 20
	// propertyCost is what a property takes in memory besides its text, about.
	propertyCost = 64
)

// Message is one message from a device or module.
type Message struct {
	// Identity is the sender, "device" or "device/module".
	Identity string
	// Properties are decoded; see ParseProperties. Names of the system's own
	// begin with "$.", as they are sent.
	Properties map[string]string
	// Body is what was sent, byte by byte.
	Body []byte
	// Enqueued is when the hub got the message.
	Enqueued time.Time
}

// MarshalJSON writes the message as
//
//	{"identity":"d/m","properties":{"a":"b"},"body":"text","enqueuedTime":"2026-01-02T03:04:05.6Z"}
//
// A body that is not UTF-8 is written in base64, and "bodyEncoding":"base64"
// says so.
func (m Message) MarshalJSON() ([]byte, error) {
	document := struct {
		Identity     string            `json:"identity"`
		Properties   map[string]string `json:"properties"`
		Body         any               `json:"body"`
		BodyEncoding string            `json:"bodyEncoding,omitempty"`
		EnqueuedTime time.Time         `json:"enqueuedTime"`
	}{
		Identity:     m.Identity,
		Properties:   m.Properties,
		Body:         string(m.Body),
		EnqueuedTime: m.Enqueued.UTC(),
	}
	if m.Properties == nil {
		document.Properties = map[string]string{}
	}
	if !utf8.Valid(m.Body) {
		document.Body, document.BodyEncoding = m.Body, "base64" // as encoding/json writes []byte
	}
	return json.Marshal(document)
}

// size is what m counts against maxBytes.
func (m Message) size() int {
	n := len(m.Body)
	for name, value := range m.Properties {
		n += propertyCost + len(name) + len(value)
	}
	return n
}

// Log is the messages kept. The zero value is ready to use. All methods are
// safe for concurrent use.
type Log struct {
	mu       sync.Mutex
	messages []Message // oldest first
	bytes    int
	dropped  int64
}

// Add keeps m, and drops the oldest messages as far as the bounds ask for it.
// The caller must not change m's body and properties any more.
func (l *Log) Add(m Message) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.messages = append(l.messages, m)
	l.bytes += m.size()
	for len(l.messages) > maxMessages || l.bytes > maxBytes {
		l.bytes -= l.messages[0].size()
		l.messages[0] = Message{} // its body is not held by the array any longer
		l.messages = l.messages[1:]
		l.dropped++
	}
}

// List returns the messages kept, oldest first, never nil. Bodies and
// properties are not copied: they are to be read only.
func (l *Log) List() []Message {
	l.mu.Lock()
	defer l.mu.Unlock()
	return append([]Message{}, l.messages...)
}

// Clear forgets all messages; they do not count as dropped.
func (l *Log) Clear() {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.messages, l.bytes = nil, 0
}

// Dropped is how many messages the bounds have cost since the start.
func (l *Log) Dropped() int64 {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.dropped
}

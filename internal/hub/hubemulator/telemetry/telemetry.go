// Package telemetry stores the messages that devices and modules send to the cloud, so
// that tests and developers can read them.
//
// A Log keeps the newest messages, up to a number of messages and a number of bytes, and
// counts the dropped ones. The package is pure: it works in memory and has no clock. Of
// topics, it knows only the property bag at their end.
package telemetry

import (
	"encoding/json"
	"sync"
	"time"
	"unicode/utf8"
)

const (
	// maxMessages and maxBytes limit a Log. Bytes are those of bodies and properties.
	maxMessages = 10_000
	maxBytes    = 64 << 20
	// propertyCost is the approximate memory of a property besides its text, in bytes.
	propertyCost = 64
)

// Message is one message from a device or module.
type Message struct {
	// Identity is the sender, "device" or "device/module".
	Identity string
	// Properties are decoded; see ParseProperties. Names of system properties begin
	// with "$.", as in the topic.
	Properties map[string]string
	// Body is the payload, unchanged.
	Body []byte
	// Enqueued is when the hub received the message.
	Enqueued time.Time
}

// MarshalJSON writes the message as
//
//	{"identity":"d/m","properties":{"a":"b"},"body":"text","enqueuedTime":"2026-01-02T03:04:05.6Z"}
//
// A body that is not UTF-8 is written in base64, with "bodyEncoding":"base64".
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

// size returns the bytes that m counts against maxBytes.
func (m Message) size() int {
	n := len(m.Body)
	for name, value := range m.Properties {
		n += propertyCost + len(name) + len(value)
	}
	return n
}

// Log stores messages. The zero value is ready to use. All methods are safe for
// concurrent use.
type Log struct {
	mu       sync.Mutex
	messages []Message // oldest first
	bytes    int
	dropped  int64
}

// Add stores m, and drops the oldest messages until the limits hold. The caller must not
// change m's body and properties afterwards.
func (l *Log) Add(m Message) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.messages = append(l.messages, m)
	l.bytes += m.size()
	for len(l.messages) > maxMessages || l.bytes > maxBytes {
		l.bytes -= l.messages[0].size()
		l.messages[0] = Message{} // releases the body, which the array would keep in memory
		l.messages = l.messages[1:]
		l.dropped++
	}
}

// List returns the stored messages, oldest first, and never nil. It does not copy bodies
// and properties: the caller must not change them.
func (l *Log) List() []Message {
	l.mu.Lock()
	defer l.mu.Unlock()
	return append([]Message{}, l.messages...)
}

// Clear deletes all messages. They do not count as dropped.
func (l *Log) Clear() {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.messages, l.bytes = nil, 0
}

// Dropped returns how many messages the limits have dropped since the start.
func (l *Log) Dropped() int64 {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.dropped
}

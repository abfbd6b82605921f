package demo

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"path"
	"strings"
	"sync"

	"rtsptunnel/internal/contract/reason"
)

// Messages of the gateway's log.
const (
	tunnelOpened   = "tunnel opened"
	tunnelClosed   = "tunnel closed"
	viewerStarted  = "viewer started"
	viewerEnded    = "viewer ended"
	viewerRefused  = "viewer refused"
	streamFailed   = "stream not opened"
	streamLost     = "stream lost: it opens again"
	camerasChanged = "cameras changed"
)

// event is a line of the gateway's log.
type event struct {
	Level   string `json:"level"`
	Message string `json:"message"`
	Error   string `json:"error"`
	Hop     string `json:"hop"`
	Reason  string `json:"reason"`

	Camera    string  `json:"camera"`
	Stream    string  `json:"stream"`
	Remote    string  `json:"remote"`
	End       string  `json:"end"`
	Cameras   int     `json:"cameras"`
	Took      float64 `json:"durMs"`
	Bytes     int64   `json:"bytes"`
	BytesUp   int64   `json:"bytesUp"`
	BytesDown int64   `json:"bytesDown"`
}

// lines decodes a log in JSON.
type lines struct {
	handle func(event)
	rest   []byte // the begin of a line
}

// maxLine bounds a line, in bytes; of a longer one the rest is dropped.
const maxLine = 64 << 10

// Write does not fail: a line that is no JSON is not for the demo.
func (l *lines) Write(p []byte) (int, error) {
	size := len(p)
	for {
		head, tail, whole := bytes.Cut(p, []byte{'\n'})
		if len(l.rest) < maxLine {
			l.rest = append(l.rest, head...)
		}
		if !whole {
			return size, nil
		}
		var e event
		if json.Unmarshal(l.rest, &e) == nil {
			e.Camera = e.camera()
			l.handle(e)
		}
		l.rest, p = nil, tail
	}
}

// camera is the camera's name; a line about a stream has it before the stream's name.
func (e event) camera() string {
	if e.Camera != "" {
		return e.Camera
	}
	camera, _ := path.Split(e.Stream)
	return strings.TrimSuffix(camera, "/")
}

// printed is an event for people.
type printed struct{ label, line string }

// text returns how an event is printed, if it is.
func (e event) text() (printed, bool) {
	switch e.Message {
	case tunnelOpened:
		return printed{"tunnel opened", fmt.Sprintf("%s in %.1f ms", e.Camera, e.Took)}, true
	case tunnelClosed:
		return printed{"tunnel closed", fmt.Sprintf("%s: %d bytes from the camera, %d to it, %.1f s%s", e.Camera, e.BytesUp, e.BytesDown, e.Took/1000, e.why())}, true
	case viewerStarted:
		return printed{"viewer started", fmt.Sprintf("%s for %s", e.Camera, e.Remote)}, true
	case viewerEnded:
		return printed{"viewer ended", fmt.Sprintf("%s for %s: %d bytes, %.1f s%s", e.Camera, e.Remote, e.Bytes, e.Took/1000, e.why())}, true
	case viewerRefused:
		return printed{"viewer refused", fmt.Sprintf("%s for %s: %s", e.Camera, e.Remote, e.failure())}, true
	case streamFailed, streamLost:
		return printed{"no picture", fmt.Sprintf("%s: %s", e.Stream, e.failure())}, true
	}
	if e.Level == "error" {
		return printed{gatewayStep, e.Message + ": " + e.Error}, true
	}
	return printed{}, false
}

// why is the reason of an end in brackets; nothing if it ended in order.
func (e event) why() string {
	switch {
	case e.Reason != "":
		return " (" + e.Hop + ": " + reason.Code(e.Reason).Text() + ", " + e.Reason + ")"
	case e.End != "":
		return " (" + e.End + ")"
	}
	return ""
}

// failure is the hop, the reason and the cause.
func (e event) failure() string {
	text := e.Hop + ": " + reason.Code(e.Reason).Text() + " (" + e.Reason + ")"
	if e.Error != "" {
		text += ": " + e.Error
	}
	return text
}

// eventLog keeps the first event of each camera and message, for later queries.
type eventLog struct {
	mu    sync.Mutex
	first map[eventKey]event
	grown chan struct{} // closed and replaced at each event
}

type eventKey struct{ camera, message string }

func newEventLog() *eventLog {
	return &eventLog{first: map[eventKey]event{}, grown: make(chan struct{})}
}

func (l *eventLog) record(e event) {
	l.mu.Lock()
	defer l.mu.Unlock()
	key := eventKey{e.Camera, e.Message}
	if _, known := l.first[key]; !known {
		l.first[key] = e
	}
	close(l.grown)
	l.grown = make(chan struct{})
}

// await waits for the first event of a camera with one of the messages.
func (l *eventLog) await(ctx context.Context, camera string, messages ...string) (event, error) {
	for {
		e, grown, ok := l.find(camera, messages)
		if ok {
			return e, nil
		}
		select {
		case <-grown:
		case <-ctx.Done():
			return event{}, ctx.Err()
		}
	}
}

func (l *eventLog) find(camera string, messages []string) (event, <-chan struct{}, bool) {
	l.mu.Lock()
	defer l.mu.Unlock()
	for _, message := range messages {
		if e, ok := l.first[eventKey{camera, message}]; ok {
			return e, nil, true
		}
	}
	return event{}, l.grown, false
}

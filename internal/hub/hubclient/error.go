package hubclient

import (
	"encoding/json"
	"fmt"
	"net/http"
	"strings"
)

// Error is an answer of the hub that is not a success. Match it by errors.AsType.
type Error struct {
	Host   string // the hub's
	Status int    // HTTP status
	// Code is the hub's own, of the header iothub-errorcode: DeviceNotOnline. It may
	// be empty.
	Code string
	// Number is the hub's code in six digits: 404103. Zero if the answer has none,
	// which only those to method calls have reliably.
	Number  int
	Message string
}

// Error has what an operator needs to look it up.
func (e *Error) Error() string {
	said := fmt.Sprintf("the hub %s answered %d", e.Host, e.Status)
	if e.Code != "" {
		said += " " + e.Code
	}
	if e.Number != 0 {
		said += fmt.Sprintf(" (%d)", e.Number)
	}
	return said + ": " + e.Message
}

// failure reads a refusal. Its Message is "ErrorCode:Name;text", or JSON once more
// with a number and the text ("Understand and resolve Azure IoT Hub errors").
func (c *Client) failure(resp *http.Response, body []byte) error {
	e := &Error{Host: c.host, Status: resp.StatusCode, Code: resp.Header.Get("iothub-errorcode")}
	var b struct{ Message string }
	if json.Unmarshal(body, &b) != nil || b.Message == "" {
		e.Message = http.StatusText(resp.StatusCode)
		return e
	}
	var inner struct {
		ErrorCode int
		Message   string
	}
	if json.Unmarshal([]byte(b.Message), &inner) == nil && inner.Message != "" {
		e.Number, e.Message = inner.ErrorCode, inner.Message
		return e
	}
	e.Message = strings.TrimPrefix(b.Message, "ErrorCode:"+e.Code+";")
	return e
}

package hubclient

import (
	"encoding/json"
	"fmt"
	"net/http"
	"strings"
)

// Error is a response of the hub with a status other than 2xx. Match it with
// errors.AsType.
type Error struct {
	Host   string // of the hub
	Status int    // HTTP status
	// Code is the value of the header iothub-errorcode, such as DeviceNotOnline. It may
	// be empty.
	Code string
	// Number is the hub's error number of six digits, such as 404103. It is zero if the
	// response has none; only responses to method calls always have one.
	Number  int
	Message string
}

// Error returns host, status, code, number and message, for an operator to look up.
func (e *Error) Error() string {
	text := fmt.Sprintf("the hub %s answered %d", e.Host, e.Status)
	if e.Code != "" {
		text += " " + e.Code
	}
	if e.Number != 0 {
		text += fmt.Sprintf(" (%d)", e.Number)
	}
	return text + ": " + e.Message
}

// responseError returns the *Error for a response. The body's Message is
// "ErrorCode:Name;text", or JSON text with a number and a message ("Understand and
// resolve Azure IoT Hub errors").
func (c *Client) responseError(resp *http.Response, body []byte) error {
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

package hubclient

import (
	"context"
	"encoding/json"
	"fmt"
	"net/http"
	"time"
)

// Method is one call of a direct method ("Understand and invoke direct methods").
type Method struct {
	Name            string
	Payload         json.RawMessage // null if empty
	ConnectTimeout  time.Duration   // wait for an offline device or module; 0 to 300 s, whole seconds
	ResponseTimeout time.Duration   // 5 to 300 s, whole seconds; 30 s if zero
}

// Invoke calls a direct method and returns the status and payload of the device or module.
// The error is an *Error of the hub (404 offline, 504 no answer in time), or says why the
// hub cannot be reached.
func (c *Client) Invoke(ctx context.Context, id Identity, m Method) (status int, payload json.RawMessage, err error) {
	if m.ResponseTimeout == 0 {
		m.ResponseTimeout = 30 * time.Second
	}
	if m.Payload == nil {
		m.Payload = json.RawMessage("null")
	}
	body := map[string]any{
		"methodName": m.Name, "payload": m.Payload,
		"responseTimeoutInSeconds": int(m.ResponseTimeout / time.Second),
		"connectTimeoutInSeconds":  int(m.ConnectTimeout / time.Second),
	}
	ctx, cancel := context.WithTimeout(ctx, m.ConnectTimeout+m.ResponseTimeout+requestTimeout)
	defer cancel()
	var answer struct {
		Status  int             `json:"status"`
		Payload json.RawMessage `json:"payload"`
	}
	r := request{method: http.MethodPost, path: id.path("twins") + "/methods", body: body}
	if _, err := c.do(ctx, r, &answer); err != nil {
		return 0, nil, fmt.Errorf("invoke %s on %s: %w", m.Name, id, err)
	}
	return answer.Status, answer.Payload, nil
}

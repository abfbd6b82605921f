package rest

import (
	"crypto/rand"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"strings"
	"time"
	"unicode"
	"unicode/utf8"

	"rtsptunnel/internal/hub/hubemulator/broker"
)

// Limits of a method call (Microsoft, "Understand and invoke direct methods from IoT
// Hub"): the name in characters, the payloads of request and response in bytes, timeouts
// in seconds.
const (
	maxMethodName = 100
	maxPayload    = 128 * 1024

	defaultResponseTimeout = 30
	minResponseTimeout     = 5
	maxResponseTimeout     = 300
	maxConnectTimeout      = 300
)

// Error numbers of a method call without a response from the device.
const (
	numberDeviceNotOnline = 404103
	numberGatewayTimeout  = 504101
)

type methodRequest struct {
	MethodName      string          `json:"methodName"`
	Payload         json.RawMessage `json:"payload"`
	ResponseTimeout *int            `json:"responseTimeoutInSeconds"`
	ConnectTimeout  int             `json:"connectTimeoutInSeconds"`
}

// methodAnswer is the body of a response with HTTP status 200, for any status of the
// device.
type methodAnswer struct {
	Status  int             `json:"status"`
	Payload json.RawMessage `json:"payload"`
}

func (a *api) invokeMethod(w http.ResponseWriter, r *http.Request) {
	answer, err := a.callMethod(w, r)
	if err != nil {
		a.refuse(w, r, fromStore(err, idOf(r)))
		return
	}
	a.answer(w, http.StatusOK, answer)
}

func (a *api) callMethod(w http.ResponseWriter, r *http.Request) (methodAnswer, error) {
	var request methodRequest
	if err := readJSON(w, r, &request); err != nil {
		return methodAnswer{}, err
	}
	call, err := request.call()
	if err != nil {
		return methodAnswer{}, err
	}
	if _, err := a.Store.Enabled(idOf(r)); err != nil {
		return methodAnswer{}, err
	}
	status, payload, err := a.Broker.Invoke(r.Context(), idOf(r), call)
	if err != nil {
		return methodAnswer{}, fromInvoke(err)
	}
	switch {
	case len(payload) > maxPayload:
		return methodAnswer{}, newError(http.StatusBadGateway, codeBadDeviceResponse, "the device's answer is larger than 128 KB")
	case len(payload) == 0:
		payload = []byte("null")
	case !json.Valid(payload):
		return methodAnswer{}, newError(http.StatusBadGateway, codeBadDeviceResponse, "the device's answer is not JSON")
	}
	return methodAnswer{Status: status, Payload: payload}, nil
}

// call checks the limits and returns the request for the broker.
func (m methodRequest) call() (broker.Call, error) {
	response := defaultResponseTimeout
	if m.ResponseTimeout != nil {
		response = *m.ResponseTimeout
	}
	switch {
	case !validMethodName(m.MethodName):
		return broker.Call{}, invalid("methodName must have 1 to 100 characters and none of / + # ? and control characters")
	case response < minResponseTimeout || response > maxResponseTimeout:
		return broker.Call{}, invalid("responseTimeoutInSeconds must be 5 to 300")
	case m.ConnectTimeout < 0 || m.ConnectTimeout > maxConnectTimeout:
		return broker.Call{}, invalid("connectTimeoutInSeconds must be 0 to 300")
	case len(m.Payload) > maxPayload:
		return broker.Call{}, newError(http.StatusRequestEntityTooLarge, codeMessageTooLarge, "the payload is larger than 128 KB")
	}
	payload := m.Payload
	if len(payload) == 0 {
		payload = json.RawMessage("null")
	}
	return broker.Call{
		Method:          m.MethodName,
		Payload:         payload,
		ConnectTimeout:  time.Duration(m.ConnectTimeout) * time.Second,
		ResponseTimeout: time.Duration(response) * time.Second,
	}, nil
}

// validMethodName reports whether the name is valid as one level of an MQTT topic. It
// also refuses '?', with which properties begin in the topic: Microsoft's SDK for Node
// ends the process when it gets such a topic. Microsoft's page lists '?' among the
// characters that "property names and values" must not contain.
func validMethodName(name string) bool {
	return name != "" && utf8.RuneCountInString(name) <= maxMethodName &&
		!strings.ContainsAny(name, "/+#?") && !strings.ContainsFunc(name, unicode.IsControl)
}

// fromInvoke converts an error of the broker to an *apiError, or wraps it.
func fromInvoke(err error) error {
	switch {
	case errors.Is(err, broker.ErrNotConnected):
		return callError(http.StatusNotFound, codeDeviceNotOnline, numberDeviceNotOnline,
			"Timed out waiting for device to connect.", err)
	case errors.Is(err, broker.ErrNoAnswer):
		return callError(http.StatusGatewayTimeout, codeGatewayTimeout, numberGatewayTimeout,
			"Timed out waiting for the response from device.", err)
	case errors.Is(err, broker.ErrClosed):
		return newError(http.StatusServiceUnavailable, codeUnavailable, "the hub is going down")
	default:
		return fmt.Errorf("invoke method: %w", err)
	}
}

// callError returns an *apiError whose Message is JSON text, as in IoT Hub's errors of
// method calls (Azure/azure-iot-cli-extension, issue 54).
func callError(status int, code string, number int, text string, cause error) error {
	message, err := json.Marshal(struct {
		ErrorCode    int    `json:"errorCode"`
		TrackingID   string `json:"trackingId"`
		Message      string `json:"message"`
		TimestampUTC string `json:"timestampUtc"`
	}{number, rand.Text(), text, time.Now().UTC().Format(time.RFC3339)})
	if err != nil {
		return fmt.Errorf("encode error %d: %w", number, err)
	}
	return &apiError{status: status, code: code, message: string(message), cause: cause}
}

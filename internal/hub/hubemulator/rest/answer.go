package rest

import (
	"crypto/rand"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"

	"rtsptunnel/internal/hub/hubemulator/deployment"
	"rtsptunnel/internal/hub/hubemulator/rollout"
	"rtsptunnel/internal/hub/hubemulator/store"
)

// maxBody is the size limit of a request body in bytes.
const maxBody = 512 * 1024

// Error codes in the iothub-errorcode header and in Message (Microsoft, "Understand and
// resolve Azure IoT Hub errors").
const (
	codeArgumentInvalid   = "ArgumentInvalid"
	codeBadDeviceResponse = "BadDeviceResponse"

	codeConfigurationExists    = "ConfigurationAlreadyExists"
	codeConfigurationImmutable = "CannotModifyImmutableConfigurationContent"
	codeConfigurationNotFound  = "ConfigurationNotFound"
	codeInvalidContent         = "InvalidConfigurationContent"
	codeInvalidMetric          = "InvalidConfigurationCustomMetricsQuery"
	codeInvalidTarget          = "InvalidConfigurationTargetCondition"
	codeTooManyConfigurations  = "ConfigurationCountLimitExceeded"

	codeDeviceExists    = "DeviceAlreadyExists"
	codeDeviceNotFound  = "DeviceNotFound"
	codeDeviceNotOnline = "DeviceNotOnline"
	codeGatewayTimeout  = "GatewayTimeout"
	codeMessageTooLarge = "MessageTooLarge"
	codeModuleExists    = "ModuleAlreadyExistsOnDevice"
	codeModuleNotFound  = "ModuleNotFound"
	codeNotFound        = "NotFound"
	codePrecondition    = "PreconditionFailed"
	codeServerError     = "ServerError"
	codeThrottling      = "ThrottlingException"
	codeTooManyModules  = "TooManyModulesOnDevice"
	codeUnauthorized    = "IotHubUnauthorizedAccess"
	codeUnavailable     = "ServiceUnavailable"
)

var errPolicy = errors.New("unknown policy")

// apiError is an error response.
type apiError struct {
	status  int
	code    string // for the header
	message string // the body's Message
	cause   error  // for the log only; may be nil
}

func (e *apiError) Error() string {
	if e.cause != nil {
		return fmt.Sprintf("%s: %v", e.code, e.cause)
	}
	return e.message
}

func (e *apiError) Unwrap() error {
	return e.cause
}

// newError returns an *apiError whose Message has the usual form.
func newError(status int, code, text string) error {
	return &apiError{status: status, code: code, message: "ErrorCode:" + code + ";" + text}
}

func invalid(text string) error {
	return newError(http.StatusBadRequest, codeArgumentInvalid, text)
}

// unauthorized returns an error response without the cause, which only the log gets.
func unauthorized(cause error) error {
	return &apiError{
		status:  http.StatusUnauthorized,
		code:    codeUnauthorized,
		message: "ErrorCode:" + codeUnauthorized + ";Unauthorized",
		cause:   cause,
	}
}

// fromStore converts an error of package store to an *apiError, or returns it unchanged.
func fromStore(err error, id store.ID) error {
	switch {
	case errors.Is(err, store.ErrDeviceNotFound):
		return newError(http.StatusNotFound, codeDeviceNotFound, id.Device)
	case errors.Is(err, store.ErrModuleNotFound):
		return newError(http.StatusNotFound, codeModuleNotFound, id.String())
	case errors.Is(err, store.ErrDisabled):
		return &apiError{
			status:  http.StatusNotFound,
			code:    codeDeviceNotFound,
			message: "ErrorCode:" + codeDeviceNotFound + ";" + id.Device,
			cause:   err,
		}
	case errors.Is(err, store.ErrDeviceExists):
		return newError(http.StatusConflict, codeDeviceExists, "Conflict: device "+id.Device)
	case errors.Is(err, store.ErrModuleExists):
		return newError(http.StatusConflict, codeModuleExists, "Conflict: module "+id.String())
	case errors.Is(err, store.ErrTooManyModules):
		return newError(http.StatusRequestEntityTooLarge, codeTooManyModules, err.Error())
	case errors.Is(err, store.ErrETag):
		return newError(http.StatusPreconditionFailed, codePrecondition, "Precondition failed: the etag has changed")
	case errors.Is(err, store.ErrInvalidID), errors.Is(err, store.ErrSettings), errors.Is(err, store.ErrLimit):
		return invalid(err.Error())
	default:
		return err
	}
}

// fromRollout converts an error of package rollout to an *apiError, or returns it
// unchanged. id names the configuration or the device.
func fromRollout(err error, id string) error {
	switch {
	case errors.Is(err, store.ErrConfigurationNotFound):
		return newError(http.StatusNotFound, codeConfigurationNotFound, id)
	case errors.Is(err, store.ErrConfigurationExists):
		return newError(http.StatusConflict, codeConfigurationExists, "Conflict: configuration "+id)
	case errors.Is(err, store.ErrTooManyConfigurations):
		return newError(http.StatusRequestEntityTooLarge, codeTooManyConfigurations, err.Error())
	case errors.Is(err, rollout.ErrImmutable):
		return newError(http.StatusBadRequest, codeConfigurationImmutable, err.Error())
	case errors.Is(err, rollout.ErrTarget):
		return newError(http.StatusBadRequest, codeInvalidTarget, err.Error())
	case errors.Is(err, rollout.ErrMetric):
		return newError(http.StatusBadRequest, codeInvalidMetric, err.Error())
	case errors.Is(err, deployment.ErrContent):
		return newError(http.StatusBadRequest, codeInvalidContent, err.Error())
	case errors.Is(err, rollout.ErrSettings):
		return invalid(err.Error())
	case errors.Is(err, store.ErrNotEdge):
		return invalid(id + " is not an Azure IoT Edge device")
	default:
		return fromStore(err, store.ID{Device: id})
	}
}

// persist waits until everything up to revision is written to disk, or returns an
// *apiError. Every successful response waits for it, also of a read. So a crash never
// reverts a change or a version that a client has seen.
func (a *api) persist(revision int64) error {
	err := a.Store.Keep(revision)
	if err == nil {
		return nil
	}
	return &apiError{
		status:  http.StatusServiceUnavailable,
		code:    codeUnavailable,
		message: "ErrorCode:" + codeUnavailable + ";the hub's state cannot be kept",
		cause:   err,
	}
}

// refuse logs err and responds with it. Any error except an *apiError becomes a 500.
func (a *api) refuse(w http.ResponseWriter, r *http.Request, err error) {
	e, ok := errors.AsType[*apiError](err)
	if !ok {
		e = &apiError{
			status:  http.StatusInternalServerError,
			code:    codeServerError,
			message: "ErrorCode:" + codeServerError + ";internal error",
			cause:   err,
		}
	}
	a.Log.Warn().Err(e).Int("status", e.status).Str("method", r.Method).Str("path", r.URL.EscapedPath()).Msg("request refused")
	w.Header().Set("iothub-errorcode", e.code)
	a.answer(w, e.status, struct {
		Message          string
		ExceptionMessage string
	}{e.message, "Tracking ID:" + rand.Text()})
}

func (a *api) answer(w http.ResponseWriter, status int, body any) {
	w.Header().Set("Content-Type", "application/json; charset=utf-8")
	w.WriteHeader(status)
	if err := json.NewEncoder(w).Encode(body); err != nil {
		a.Log.Debug().Err(err).Msg("response not sent")
	}
}

// answerPersisted persists the current state and responds with body, which depends on
// several identities.
func (a *api) answerPersisted(w http.ResponseWriter, r *http.Request, body any) {
	if err := a.persist(a.Store.Revision()); err != nil {
		a.refuse(w, r, err)
		return
	}
	a.answer(w, http.StatusOK, body)
}

// readJSON decodes the request's body into target. It ignores unknown members.
func readJSON(w http.ResponseWriter, r *http.Request, target any) error {
	body, err := io.ReadAll(http.MaxBytesReader(w, r.Body, maxBody))
	if _, tooLarge := errors.AsType[*http.MaxBytesError](err); tooLarge {
		return newError(http.StatusRequestEntityTooLarge, codeMessageTooLarge, "the request is larger than 512 KB")
	}
	if err != nil {
		return invalid("the request body cannot be read")
	}
	if err := json.Unmarshal(body, target); err != nil {
		return invalid("the request body is not JSON of the expected form")
	}
	return nil
}

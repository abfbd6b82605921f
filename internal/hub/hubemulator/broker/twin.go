package broker

import (
	"encoding/json"
	"errors"
	"fmt"
	"net/http"

	"rtsptunnel/internal/hub/hubemulator/store"
	"rtsptunnel/internal/hub/hubemulator/throttle"
)

// codeArgumentInvalid is IoT Hub's error code for an invalid request body
// (Azure/azure-iot-sdk-csharp, ErrorCode.ArgumentInvalid).
const codeArgumentInvalid = 400004

// codeThrottling is IoT Hub's error code for a throttled request (Microsoft, "Understand
// and resolve Azure IoT Hub errors", 429001 ThrottlingException).
const codeThrottling = 429001

// twinDocument is the answer to a twin request. It has no "properties" around the sections
// and no $metadata in them.
type twinDocument struct {
	Desired  store.Section `json:"desired"`
	Reported store.Section `json:"reported"`
}

// errorDocument is the body of a refused twin request. Microsoft's Node SDK reads its two
// members and ignores the status in the topic.
type errorDocument struct {
	ErrorCode int    `json:"errorCode"`
	Message   string `json:"message"`
}

func (b *Broker) answerTwinGet(s *session, rid string) {
	if status, reason := b.checkTwinRequest(s, throttle.TwinReads); reason != nil {
		s.answer(refusal(s, status, rid, reason))
		return
	}
	twin, err := b.store.Twin(s.id)
	if err != nil {
		s.answer(refusal(s, http.StatusNotFound, rid, err))
		return
	}
	body, err := json.Marshal(twinDocument{Desired: twin.Desired, Reported: twin.Reported})
	if err != nil {
		s.answer(refusal(s, http.StatusInternalServerError, rid, err))
		return
	}
	answerKept(s, rid, twin.Identity.Revision, message{topic: twinTopic(http.StatusOK, rid), payload: body})
}

func (b *Broker) answerReportedPatch(s *session, rid string, payload []byte) {
	if status, reason := b.checkTwinRequest(s, throttle.TwinUpdates); reason != nil {
		s.answer(refusal(s, status, rid, reason))
		return
	}
	patch, err := store.ParsePatch(payload)
	if err != nil {
		s.answer(refusal(s, http.StatusBadRequest, rid, err))
		return
	}
	version, revision, err := b.store.PatchReported(s.id, patch)
	switch {
	case errors.Is(err, store.ErrLimit):
		s.answer(refusal(s, http.StatusBadRequest, rid, err))
		return
	case err != nil:
		s.answer(refusal(s, http.StatusNotFound, rid, err))
		return
	}
	answerKept(s, rid, revision, message{topic: fmt.Sprintf("%s&$version=%d", twinTopic(http.StatusNoContent, rid), version)})
}

// answerKept queues an answer that is sent after revision is kept, so that no client sees
// a state that a crash can undo. The client may send further requests in the meantime.
func answerKept(s *session, rid string, revision int64, m message) {
	m.revision = revision
	m.fallback = func(cause error) message {
		return refusal(s, http.StatusInternalServerError, rid, cause)
	}
	s.answer(m)
}

// refusal returns the answer to a failed twin request, and logs the cause.
func refusal(s *session, status int, rid string, cause error) message {
	s.log.Warn().Err(cause).Int(fieldStatus, status).Msg("twin request refused")
	code, text := status*1000, http.StatusText(status) // IoT Hub's codes are the status followed by three digits
	switch status {
	case http.StatusBadRequest:
		code = codeArgumentInvalid
	case http.StatusTooManyRequests:
		code = codeThrottling
	}
	if errors.Is(cause, store.ErrLimit) {
		text = cause.Error()
	}
	body, err := json.Marshal(errorDocument{ErrorCode: code, Message: text})
	if err != nil {
		s.log.Error().Err(err).Msg("encode error document")
	}
	return message{topic: twinTopic(status, rid), payload: body}
}

func twinTopic(status int, rid string) string {
	return fmt.Sprintf("%s%d/?$rid=%s", topicTwin, status, rid)
}

// deliverDesired is the observer of the store. It is called once for each change, in
// version order for each identity. It only queues the message.
func (b *Broker) deliverDesired(patch store.DesiredPatch) {
	s := b.session(patch.ID)
	if s == nil {
		return
	}
	body, err := json.Marshal(patch)
	if err != nil {
		s.log.Error().Err(err).Msg("encode desired patch")
		return
	}
	s.send(filterDesired, message{topic: fmt.Sprintf("%s?$version=%d", topicDesired, patch.Version), payload: body})
}

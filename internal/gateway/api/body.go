package api

import (
	"bytes"
	"encoding/json"
	"errors"
	"io"
	"mime"
	"net/http"

	"rtsptunnel/internal/contract/reason"
	"rtsptunnel/internal/gateway/failure"
)

// decode reads the JSON object of a request into body, a pointer to a struct. members describes
// them for people. An empty body is an object without members. The errors are REQ_MEDIA_TYPE,
// REQ_SIZE and REQ_BODY.
func decode(w http.ResponseWriter, r *http.Request, body any, members string) error {
	content, err := io.ReadAll(http.MaxBytesReader(w, r.Body, maxBody))
	if err != nil {
		if _, large := errors.AsType[*http.MaxBytesError](err); large {
			return failure.New(failure.Viewer, reason.RequestSize, nil)
		}
		return invalid(members)
	}
	if len(content) == 0 {
		return nil
	}
	media, _, err := mime.ParseMediaType(r.Header.Get("Content-Type"))
	if err != nil || media != "application/json" {
		return failure.New(failure.Viewer, reason.RequestMediaType, nil)
	}
	if err := strict(content, body); err != nil {
		return invalid(members)
	}
	return nil
}

var errObject = errors.New("not a JSON object")

// strict decodes one object that has no other members. Neither error nor answer repeats what
// is in it: that may be a secret.
func strict(content []byte, body any) error {
	var object map[string]json.RawMessage // null and other values are no objects
	if err := json.Unmarshal(content, &object); err != nil || object == nil {
		return errObject
	}
	decoder := json.NewDecoder(bytes.NewReader(content))
	decoder.DisallowUnknownFields()
	return decoder.Decode(body)
}

func invalid(members string) error {
	f := failure.New(failure.Viewer, reason.RequestBody, nil)
	f.Message = "the body is a JSON object with " + members
	return f
}

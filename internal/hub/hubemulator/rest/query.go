package rest

import (
	"crypto/sha256"
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"
	"iter"
	"net/http"
	"strconv"

	"rtsptunnel/internal/hub/hubemulator/query"
	"rtsptunnel/internal/hub/hubemulator/store"
)

// Headers of a query (Microsoft, "Azure IoT Hub REST API", Query - Get Twins).
const (
	headerPageSize     = "X-Ms-Max-Item-Count"
	headerContinuation = "X-Ms-Continuation"
	headerItemType     = "X-Ms-Item-Type"
)

// maxPage is the size of the largest page, and of pages nobody asks a size of
// (Microsoft, "IoT Hub query language", 2018: "a page size (up to 100)"). That
// a larger one is taken for it is documented with the header: "the service may
// use a different value".
const maxPage = 100

// queryTwins answers with one page of the twins a query wants, by device, then
// by module.
func (a *api) queryTwins(w http.ResponseWriter, r *http.Request) {
	var request struct {
		Query string `json:"query"`
	}
	err := readJSON(w, r, &request)
	if err != nil {
		a.refuse(w, r, err)
		return
	}
	size, err := pageSize(r)
	if err != nil {
		a.refuse(w, r, err)
		return
	}
	after, err := parseContinuation(r.Header.Get(headerContinuation), request.Query)
	if err != nil {
		a.refuse(w, r, err)
		return
	}
	parsed, err := query.Parse(request.Query)
	if err != nil {
		a.refuse(w, r, invalidQuery(err))
		return
	}
	if parsed.Count != "" {
		a.countTwins(w, r, parsed)
		return
	}
	rows, last, more := a.page(r, parsed, after, size)
	if more {
		w.Header().Set(headerContinuation, continuation(last, request.Query))
	}
	w.Header().Set(headerItemType, itemType(parsed))
	a.answerKept(w, r, rows)
}

// itemType is what the answer has, by the names that Microsoft's SDKs know.
func itemType(q *query.Query) string {
	if q.All() {
		return "Twin"
	}
	return "Raw"
}

func (a *api) countTwins(w http.ResponseWriter, r *http.Request, q *query.Query) {
	n := 0
	for range a.matches(r, q, store.ID{}) {
		n++
	}
	w.Header().Set(headerItemType, itemType(q))
	a.answerKept(w, r, []map[string]int{{q.Count: n}})
}

// page collects what the query selects of the first twins after one; more says
// whether there are others after the last.
func (a *api) page(r *http.Request, q *query.Query, after store.ID, size int) (rows []any, last store.ID, more bool) {
	rows = []any{}
	for document := range a.matches(r, q, after) {
		if len(rows) == size {
			return rows, last, true
		}
		last = store.ID{Device: document.DeviceID, Module: document.ModuleID}
		if q.All() {
			rows = append(rows, document)
		} else {
			rows = append(rows, q.Row(queried(document)))
		}
	}
	return rows, last, false
}

// matches yields the twins after one that the query wants. It ends early if
// nobody waits for the answer any more.
func (a *api) matches(r *http.Request, q *query.Query, after store.ID) iter.Seq[twinDocument] {
	return func(yield func(twinDocument) bool) {
		for twin := range a.Store.Twins(after, q.From == query.Modules) {
			if r.Context().Err() != nil {
				return
			}
			document := newTwinDocument(twin)
			if q.Matches(queried(document)) && !yield(document) {
				return
			}
		}
	}
}

// queried returns the document as queries see it, with the members it has in
// JSON.
func queried(d twinDocument) query.Document {
	document := query.Document{
		"deviceId":                  d.DeviceID,
		"etag":                      d.ETag,
		"deviceEtag":                d.DeviceETag,
		"status":                    d.Status,
		"statusUpdateTime":          d.StatusUpdateTime,
		"connectionState":           d.ConnectionState,
		"lastActivityTime":          d.LastActivityTime,
		"cloudToDeviceMessageCount": int64(d.MessageCount),
		"authenticationType":        d.AuthenticationType,
		"x509Thumbprint": map[string]any{
			"primaryThumbprint":   d.Thumbprint.Primary.value(),
			"secondaryThumbprint": d.Thumbprint.Secondary.value(),
		},
		"modelId": d.ModelID,
		"version": d.Version,
		"tags":    d.Tags,
		"properties": map[string]any{
			"desired":  d.Properties.Desired,
			"reported": d.Properties.Reported,
		},
	}
	for name, text := range map[string]string{
		"moduleId": d.ModuleID, "statusReason": d.StatusReason, "deviceScope": d.DeviceScope,
	} {
		if text != "" {
			document[name] = text
		}
	}
	if len(d.Configurations) > 0 {
		configurations := make(map[string]any, len(d.Configurations))
		for id, c := range d.Configurations {
			configurations[id] = map[string]any{"status": c.Status}
		}
		document["configurations"] = configurations
	}
	if d.Capabilities != nil {
		document["capabilities"] = map[string]any{"iotEdge": d.Capabilities.IoTEdge}
	}
	return document
}

// value returns what n is in JSON.
func (n nullable) value() any {
	if n == "" {
		return nil
	}
	return string(n)
}

// pageSize returns how many twins the answer may have.
func pageSize(r *http.Request) (int, error) {
	header := r.Header.Get(headerPageSize)
	if header == "" {
		return maxPage, nil
	}
	size, err := strconv.Atoi(header)
	if errors.Is(err, strconv.ErrRange) && size > 0 {
		return maxPage, nil
	}
	if err != nil || size < 1 {
		return 0, invalid("x-ms-max-item-count is not a number from 1 up")
	}
	return min(size, maxPage), nil
}

// invalidQuery is the refusal of a query. The log gets the place, but nothing
// of the query itself.
func invalidQuery(err error) error {
	refusal := &apiError{
		status:  http.StatusBadRequest,
		code:    codeArgumentInvalid,
		message: "ErrorCode:" + codeArgumentInvalid + ";The query is not supported: " + err.Error(),
	}
	if e, ok := errors.AsType[*query.Error](err); ok {
		refusal.cause = fmt.Errorf("query, position %d: %s", e.Position, e.Reason)
	}
	return refusal
}

// position is what a continuation token holds: where a page ended, and of
// which query.
type position struct {
	Device string
	Module string
	Query  []byte // a hash
}

// continuation returns the token for what is after a twin. It names the twin,
// not its number, so twins may come and go between two pages.
func continuation(after store.ID, text string) string {
	raw, err := json.Marshal(position{Device: after.Device, Module: after.Module, Query: hash(text)})
	if err != nil {
		panic(err) // texts and bytes always marshal
	}
	return base64.URLEncoding.EncodeToString(raw)
}

// parseContinuation returns the twin a token names; without a token, the ID
// that is before all.
func parseContinuation(token, text string) (store.ID, error) {
	if token == "" {
		return store.ID{}, nil
	}
	var p position
	raw, err := base64.URLEncoding.DecodeString(token)
	if err != nil || json.Unmarshal(raw, &p) != nil || p.Device == "" {
		return store.ID{}, invalid("x-ms-continuation is not a token of this hub")
	}
	if string(p.Query) != string(hash(text)) {
		return store.ID{}, invalid("x-ms-continuation is the token of another query")
	}
	return store.ID{Device: p.Device, Module: p.Module}, nil
}

func hash(text string) []byte {
	sum := sha256.Sum256([]byte(text))
	return sum[:8] // enough to tell mistakes apart
}

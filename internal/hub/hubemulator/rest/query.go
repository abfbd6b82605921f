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

// maxPage is the maximum and default number of twins in a page (Microsoft, "IoT Hub
// query language", 2018: "a page size (up to 100)"). A larger size means the maximum; the
// documentation of the header says "the service may use a different value".
const maxPage = 100

// queryTwins responds with one page of the twins that a query selects, sorted by device
// and module.
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
	a.answerPersisted(w, r, rows)
}

// itemType returns the type of the items in the response, by the names that Microsoft's
// SDKs expect.
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
	a.answerPersisted(w, r, []map[string]int{{q.Count: n}})
}

// page returns up to size rows of the twins that sort after the given one. last is the
// last twin in the page; more is set if other twins follow.
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
			rows = append(rows, q.Row(queryDocument(document)))
		}
	}
	return rows, last, false
}

// matches yields the twins that the query selects and that sort after the given one. It
// ends early if the client disconnects.
func (a *api) matches(r *http.Request, q *query.Query, after store.ID) iter.Seq[twinDocument] {
	return func(yield func(twinDocument) bool) {
		for twin := range a.Store.Twins(after, q.From == query.Modules) {
			if r.Context().Err() != nil {
				return
			}
			document := newTwinDocument(twin)
			if q.Matches(queryDocument(document)) && !yield(document) {
				return
			}
		}
	}
}

// queryDocument converts the twin for queries: it has the same members as the JSON.
func queryDocument(d twinDocument) query.Document {
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

// value returns nil or the string, as in JSON.
func (n nullable) value() any {
	if n == "" {
		return nil
	}
	return string(n)
}

// pageSize returns the number of twins that the request wants in a page.
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

// invalidQuery returns the error response for a query. The log gets position and reason,
// but no part of the query.
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

// tokenContent is the content of a continuation token: the last twin of a page, and the
// query.
type tokenContent struct {
	Device string
	Module string
	Query  []byte // a hash
}

// continuation returns the token for the page after a twin. It has the twin's name
// instead of a number, so that twins can be created and deleted between two pages.
func continuation(after store.ID, text string) string {
	raw, err := json.Marshal(tokenContent{Device: after.Device, Module: after.Module, Query: hash(text)})
	if err != nil {
		panic(err) // strings and bytes always marshal
	}
	return base64.URLEncoding.EncodeToString(raw)
}

// parseContinuation returns the twin that a token names. Without a token it returns the
// zero ID, which sorts before all twins.
func parseContinuation(token, text string) (store.ID, error) {
	if token == "" {
		return store.ID{}, nil
	}
	var c tokenContent
	raw, err := base64.URLEncoding.DecodeString(token)
	if err != nil || json.Unmarshal(raw, &c) != nil || c.Device == "" {
		return store.ID{}, invalid("x-ms-continuation is not a token of this hub")
	}
	if string(c.Query) != string(hash(text)) {
		return store.ID{}, invalid("x-ms-continuation is the token of another query")
	}
	return store.ID{Device: c.Device, Module: c.Module}, nil
}

func hash(text string) []byte {
	sum := sha256.Sum256([]byte(text))
	return sum[:8] // enough to detect mistakes
}

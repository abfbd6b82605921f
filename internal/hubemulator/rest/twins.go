package rest

import (
	"encoding/json"
	"net/http"
	"strings"

	"rtsptunnel/internal/hubemulator/store"
)

// twinDocument is a twin as the service sees it (Microsoft, "Understand and
// use device twins in IoT Hub", section "Device twins").
type twinDocument struct {
	DeviceID   string             `json:"deviceId"`
	ModuleID   string             `json:"moduleId,omitempty"`
	ETag       string             `json:"etag"`
	Version    int64              `json:"version"`
	ModelID    string             `json:"modelId"`
	Properties propertiesDocument `json:"properties"`
}

type propertiesDocument struct {
	Desired  store.Section `json:"desired"`
	Reported store.Section `json:"reported"`
}

// twinUpdate is what may be changed. Read-only members, as whole twins that
// were read and sent back have them, are passed over.
type twinUpdate struct {
	Tags       map[string]any `json:"tags"`
	Properties struct {
		Desired json.RawMessage `json:"desired"`
	} `json:"properties"`
}

func (a *api) getTwin(w http.ResponseWriter, r *http.Request) {
	twin, err := a.Store.Twin(idOf(r))
	if err != nil {
		a.refuse(w, r, fromStore(err, idOf(r)))
		return
	}
	a.answerTwin(w, twin)
}

func (a *api) patchTwin(w http.ResponseWriter, r *http.Request) {
	twin, err := a.updateTwin(w, r)
	if err != nil {
		a.refuse(w, r, fromStore(err, idOf(r)))
		return
	}
	a.answerTwin(w, twin)
}

func (a *api) updateTwin(w http.ResponseWriter, r *http.Request) (store.Twin, error) {
	var update twinUpdate
	if err := readJSON(w, r, &update); err != nil {
		return store.Twin{}, err
	}
	if len(update.Tags) > 0 {
		// Better than to say 200 and forget them.
		return store.Twin{}, invalid("tags are not emulated")
	}
	var patch store.Patch
	if len(update.Properties.Desired) > 0 {
		var err error
		if patch, err = store.ParsePatch(update.Properties.Desired); err != nil {
			return store.Twin{}, invalid("properties.desired is not a JSON object")
		}
	}
	return a.Store.PatchDesired(idOf(r), patch, ifMatch(r))
}

// ifMatch returns the etag a change depends on, without quotes. The SDKs send
// it as *, "*" and "etag"; bodies have it without quotes.
func ifMatch(r *http.Request) string {
	return strings.Trim(r.Header.Get("If-Match"), `"`)
}

func quote(etag string) string {
	return `"` + etag + `"`
}

func (a *api) answerTwin(w http.ResponseWriter, twin store.Twin) {
	w.Header().Set("ETag", quote(twin.ETag))
	a.answer(w, http.StatusOK, twinDocument{
		DeviceID: twin.ID.Device,
		ModuleID: twin.ID.Module,
		ETag:     twin.ETag,
		Version:  twin.Version,
		ModelID:  twin.ModelID,
		Properties: propertiesDocument{
			Desired:  twin.Desired,
			Reported: twin.Reported,
		},
	})
}

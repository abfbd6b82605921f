package rest

import (
	"encoding/json"
	"net/http"
	"strings"
	"time"

	"rtsptunnel/internal/hub/hubemulator/store"
)

// twinDocument is the JSON form of a twin (Microsoft, "Understand and use device twins in
// IoT Hub", section "Device twins").
type twinDocument struct {
	DeviceID           string             `json:"deviceId"`
	ModuleID           string             `json:"moduleId,omitempty"`
	ETag               string             `json:"etag"`
	DeviceETag         string             `json:"deviceEtag"`
	Status             string             `json:"status"` // always enabled for a module
	StatusReason       string             `json:"statusReason,omitempty"`
	StatusUpdateTime   time.Time          `json:"statusUpdateTime"`
	ConnectionState    string             `json:"connectionState"`
	LastActivityTime   time.Time          `json:"lastActivityTime"`
	MessageCount       int                `json:"cloudToDeviceMessageCount"` // always 0
	AuthenticationType string             `json:"authenticationType"`
	Thumbprint         thumbprint         `json:"x509Thumbprint"`
	ModelID            string             `json:"modelId"`
	Version            int64              `json:"version"`
	Tags               map[string]any     `json:"tags"`
	Properties         propertiesDocument `json:"properties"`
	Capabilities       *capabilities      `json:"capabilities,omitempty"` // of devices, as DeviceScope
	DeviceScope        string             `json:"deviceScope,omitempty"`
	// Configurations are the configurations that target a module, by id.
	Configurations map[string]statusDocument `json:"configurations,omitempty"`
}

type statusDocument struct {
	Status string `json:"status"`
}

type propertiesDocument struct {
	Desired  map[string]any `json:"desired"`
	Reported map[string]any `json:"reported"`
}

func newTwinDocument(twin store.Twin) twinDocument {
	i := twin.Identity
	d := twinDocument{
		DeviceID:           i.ID.Device,
		ModuleID:           i.ID.Module,
		ETag:               twin.ETag,
		DeviceETag:         i.ETag,
		Status:             status(i),
		StatusReason:       i.StatusReason,
		StatusUpdateTime:   i.StatusUpdated,
		ConnectionState:    connectionState(i),
		LastActivityTime:   i.LastActivity,
		AuthenticationType: i.Type,
		Thumbprint:         newThumbprint(i),
		ModelID:            i.ModelID,
		Version:            twin.Version,
		Tags:               twin.Tags,
		Properties: propertiesDocument{
			Desired:  twin.Desired.WithMetadata(),
			Reported: twin.Reported.WithMetadata(),
		},
		Configurations: make(map[string]statusDocument, len(twin.Configurations)),
	}
	for id, status := range twin.Configurations {
		d.Configurations[id] = statusDocument{status}
	}
	if i.ID.Module == "" {
		d.Capabilities, d.DeviceScope = &capabilities{IoTEdge: i.IoTEdge}, i.DeviceScope
	}
	return d
}

// twinRequest has the members that a service can change. A service may send back a twin
// as it was read, so read-only members are ignored.
type twinRequest struct {
	Tags       json.RawMessage `json:"tags"`
	Properties struct {
		Desired json.RawMessage `json:"desired"`
	} `json:"properties"`
}

func (a *api) getTwin(w http.ResponseWriter, r *http.Request) {
	twin, err := a.Store.Twin(idOf(r))
	a.answerTwin(w, r, twin, err)
}

// patchTwin merges the sections in the request.
func (a *api) patchTwin(w http.ResponseWriter, r *http.Request) {
	twin, err := a.updateTwin(w, r, false)
	a.answerTwin(w, r, twin, err)
}

// putTwin replaces the sections in the request; other sections do not change.
func (a *api) putTwin(w http.ResponseWriter, r *http.Request) {
	twin, err := a.updateTwin(w, r, true)
	a.answerTwin(w, r, twin, err)
}

func (a *api) updateTwin(w http.ResponseWriter, r *http.Request, replace bool) (store.Twin, error) {
	var request twinRequest
	if err := readJSON(w, r, &request); err != nil {
		return store.Twin{}, err
	}
	tags, err := parseSection("tags", request.Tags)
	if err != nil {
		return store.Twin{}, err
	}
	desired, err := parseSection("properties.desired", request.Properties.Desired)
	if err != nil {
		return store.Twin{}, err
	}
	return a.Store.UpdateTwin(idOf(r), store.TwinUpdate{Tags: tags, Desired: desired, Replace: replace}, ifMatch(r))
}

// parseSection returns nil for a section that the request leaves out.
func parseSection(name string, section json.RawMessage) (store.Patch, error) {
	if len(section) == 0 {
		return nil, nil
	}
	patch, err := store.ParsePatch(section)
	if err != nil {
		return nil, invalid(name + " is not a JSON object")
	}
	return patch, nil
}

// noETag is an If-Match without an etag. It matches nothing.
const noETag = `""`

// ifMatch returns the etag that a change depends on, without quotes. SDKs send *, "*" or
// "etag"; etags in bodies have no quotes.
func ifMatch(r *http.Request) string {
	value := r.Header.Get("If-Match")
	if value == noETag {
		return value
	}
	return strings.Trim(value, `"`)
}

func quote(etag string) string {
	return `"` + etag + `"`
}

func (a *api) answerTwin(w http.ResponseWriter, r *http.Request, twin store.Twin, err error) {
	if err == nil {
		err = a.persist(twin.Identity.Revision)
	}
	if err != nil {
		a.refuse(w, r, fromStore(err, idOf(r)))
		return
	}
	w.Header().Set("ETag", quote(twin.ETag))
	a.answer(w, http.StatusOK, newTwinDocument(twin))
}

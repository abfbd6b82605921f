package rest

import (
	"encoding/json"
	"net/http"
	"strconv"
	"time"

	"rtsptunnel/internal/hub/hubemulator/store"
)

// maxTop is the maximum and default number of devices in a list (Microsoft, "Azure IoT
// Hub REST API", Devices - Get Devices).
const maxTop = 1000

const (
	statusEnabled  = "enabled"
	statusDisabled = "disabled"
)

// identityDocument is the JSON form of a device or module (Microsoft, "Understand the
// identity registry in your IoT hub", sections "Device identity properties" and "Module
// identity properties").
type identityDocument struct {
	DeviceID                   string                 `json:"deviceId"`
	ModuleID                   string                 `json:"moduleId,omitempty"`
	ManagedBy                  *string                `json:"managedBy,omitempty"` // of modules
	GenerationID               string                 `json:"generationId"`
	ETag                       string                 `json:"etag"`
	ConnectionState            string                 `json:"connectionState"`
	Status                     string                 `json:"status,omitempty"` // of devices, as StatusReason
	StatusReason               *string                `json:"statusReason,omitempty"`
	ConnectionStateUpdatedTime time.Time              `json:"connectionStateUpdatedTime"`
	StatusUpdatedTime          *time.Time             `json:"statusUpdatedTime,omitempty"` // of devices
	LastActivityTime           time.Time              `json:"lastActivityTime"`
	MessageCount               int                    `json:"cloudToDeviceMessageCount"` // always 0
	Authentication             authenticationDocument `json:"authentication"`
	Capabilities               *capabilities          `json:"capabilities,omitempty"` // of devices, as DeviceScope
	DeviceScope                string                 `json:"deviceScope,omitempty"`
}

type authenticationDocument struct {
	Type         string       `json:"type"`
	SymmetricKey symmetricKey `json:"symmetricKey"`
	Thumbprint   thumbprint   `json:"x509Thumbprint"`
}

type symmetricKey struct {
	Primary   nullable `json:"primaryKey"`
	Secondary nullable `json:"secondaryKey"`
}

type thumbprint struct {
	Primary   nullable `json:"primaryThumbprint"`
	Secondary nullable `json:"secondaryThumbprint"`
}

type capabilities struct {
	IoTEdge bool `json:"iotEdge"`
}

// nullable is a string that is null in JSON if it is empty.
type nullable string

// MarshalJSON returns null or the string.
func (n nullable) MarshalJSON() ([]byte, error) {
	if n == "" {
		return []byte("null"), nil
	}
	return json.Marshal(string(n))
}

func newIdentityDocument(i store.Identity) identityDocument {
	d := identityDocument{
		DeviceID:                   i.ID.Device,
		ModuleID:                   i.ID.Module,
		GenerationID:               i.GenerationID,
		ETag:                       i.ETag,
		ConnectionState:            connectionState(i),
		ConnectionStateUpdatedTime: i.ConnectionUpdated,
		LastActivityTime:           i.LastActivity,
		Authentication: authenticationDocument{
			Type:         i.Type,
			SymmetricKey: symmetricKey{Primary: nullable(i.PrimaryKey), Secondary: nullable(i.SecondaryKey)},
			Thumbprint:   newThumbprint(i),
		},
	}
	if i.ID.Module != "" {
		d.ManagedBy = &i.ManagedBy
		return d
	}
	d.Status, d.StatusReason, d.StatusUpdatedTime = status(i), &i.StatusReason, &i.StatusUpdated
	d.Capabilities, d.DeviceScope = &capabilities{IoTEdge: i.IoTEdge}, i.DeviceScope
	return d
}

func newThumbprint(i store.Identity) thumbprint {
	return thumbprint{Primary: nullable(i.PrimaryThumbprint), Secondary: nullable(i.SecondaryThumbprint)}
}

func connectionState(i store.Identity) string {
	if i.Connected {
		return "Connected"
	}
	return "Disconnected"
}

func status(i store.Identity) string {
	if i.Disabled {
		return statusDisabled
	}
	return statusEnabled
}

// identityRequest has the members that a service can set. A service may send back an
// identity as it was read, so members that only the hub writes are ignored. Among them
// are times, which Microsoft's SDK for .NET sends without a zone.
type identityRequest struct {
	DeviceID       string                 `json:"deviceId"`
	ModuleID       string                 `json:"moduleId"`
	ManagedBy      string                 `json:"managedBy"`
	Status         string                 `json:"status"`
	StatusReason   string                 `json:"statusReason"`
	Authentication authenticationDocument `json:"authentication"`
	Capabilities   capabilities           `json:"capabilities"`
	DeviceScope    string                 `json:"deviceScope"`
}

func (d identityRequest) settings(id store.ID) (store.Settings, error) {
	switch {
	case d.DeviceID != id.Device || d.ModuleID != id.Module:
		return store.Settings{}, invalid("deviceId or moduleId in the body are not those of the path")
	case d.Status != "" && d.Status != statusEnabled && d.Status != statusDisabled:
		return store.Settings{}, invalid("status must be enabled or disabled")
	}
	s := store.Settings{
		Disabled:     d.Status == statusDisabled,
		StatusReason: d.StatusReason,
		IoTEdge:      d.Capabilities.IoTEdge,
		DeviceScope:  d.DeviceScope,
		ManagedBy:    d.ManagedBy,
		Authentication: store.Authentication{
			Type:                d.Authentication.Type,
			PrimaryKey:          string(d.Authentication.SymmetricKey.Primary),
			SecondaryKey:        string(d.Authentication.SymmetricKey.Secondary),
			PrimaryThumbprint:   string(d.Authentication.Thumbprint.Primary),
			SecondaryThumbprint: string(d.Authentication.Thumbprint.Secondary),
		},
	}
	if id.Module != "" {
		s.Disabled, s.StatusReason, s.IoTEdge, s.DeviceScope = false, "", false, ""
	}
	return s, nil
}

func (a *api) getIdentity(w http.ResponseWriter, r *http.Request) {
	identity, err := a.Store.Identity(idOf(r))
	a.answerIdentity(w, r, identity, err)
}

// putIdentity updates an identity if the request has If-Match, and creates it otherwise.
func (a *api) putIdentity(w http.ResponseWriter, r *http.Request) {
	identity, err := a.writeIdentity(w, r)
	a.answerIdentity(w, r, identity, err)
}

func (a *api) writeIdentity(w http.ResponseWriter, r *http.Request) (store.Identity, error) {
	id := idOf(r)
	var request identityRequest
	if err := readJSON(w, r, &request); err != nil {
		return store.Identity{}, err
	}
	settings, err := request.settings(id)
	if err != nil {
		return store.Identity{}, err
	}
	if r.Header.Get("If-Match") == "" {
		return a.Store.Create(id, settings)
	}
	identity, err := a.Store.Update(id, settings, ifMatch(r))
	if err == nil && identity.Disabled {
		a.dropDevice(id.Device)
	}
	return identity, err
}

func (a *api) answerIdentity(w http.ResponseWriter, r *http.Request, identity store.Identity, err error) {
	if err == nil {
		err = a.persist(identity.Revision)
	}
	if err != nil {
		a.refuse(w, r, fromStore(err, idOf(r)))
		return
	}
	w.Header().Set("ETag", quote(identity.ETag))
	a.answer(w, http.StatusOK, newIdentityDocument(identity))
}

func (a *api) deleteIdentity(w http.ResponseWriter, r *http.Request) {
	id := idOf(r)
	gone, err := a.Store.Delete(id, ifMatch(r))
	if err != nil {
		a.refuse(w, r, fromStore(err, id))
		return
	}
	for _, id := range gone {
		a.Broker.Drop(id)
	}
	if err := a.persist(a.Store.Revision()); err != nil {
		a.refuse(w, r, err)
		return
	}
	w.WriteHeader(http.StatusNoContent)
}

// dropDevice disconnects a device and its modules.
func (a *api) dropDevice(device string) {
	a.Broker.Drop(store.ID{Device: device})
	modules, err := a.Store.Modules(device)
	if err != nil {
		return // deleted and disconnected in the meantime
	}
	for _, module := range modules {
		a.Broker.Drop(module.ID)
	}
}

func (a *api) listDevices(w http.ResponseWriter, r *http.Request) {
	top := maxTop
	if text := r.URL.Query().Get("top"); text != "" {
		n, err := strconv.Atoi(text)
		if err != nil || n < 1 || n > maxTop {
			a.refuse(w, r, invalid("top must be 1 to 1000"))
			return
		}
		top = n
	}
	devices := a.Store.Devices()
	a.answerList(w, r, devices[:min(top, len(devices))])
}

func (a *api) listModules(w http.ResponseWriter, r *http.Request) {
	modules, err := a.Store.Modules(idOf(r).Device)
	if err != nil {
		a.refuse(w, r, fromStore(err, idOf(r)))
		return
	}
	a.answerList(w, r, modules)
}

func (a *api) answerList(w http.ResponseWriter, r *http.Request, identities []store.Identity) {
	list := make([]identityDocument, len(identities))
	for i, identity := range identities {
		list[i] = newIdentityDocument(identity)
	}
	a.answerPersisted(w, r, list)
}

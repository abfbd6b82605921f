// Package control is how a test drives the hub it runs against, over HTTP:
// faults, cut connections, what devices have sent.
//
//	GET    /emulator/faults                             the rules of the hub
//	PUT    /emulator/faults                             replaces them; those of identities stay
//	DELETE /emulator/faults                             removes all rules, those of identities too
//	GET    /emulator/faults/devices                     the rules of all identities, by "device" or "device/module"
//	GET    /emulator/faults/devices/{d}[/modules/{m}]   the rules of one identity
//	PUT    /emulator/faults/devices/{d}[/modules/{m}]   replaces them
//	DELETE /emulator/faults/devices/{d}[/modules/{m}]   removes them
//	POST   /emulator/drop/devices/{d}[/modules/{m}]     cuts the MQTT connection, as a broken network would
//	GET    /emulator/telemetry[?identity=d/m]           what devices and modules have sent, or that one; oldest first
//	DELETE /emulator/telemetry                          forgets it
//
// Rules are the document of package faults; PUT answers with what it set. What
// has nothing to say is answered with 204, an unknown identity with 404, and
// errors have IoT Hub's form. Rules outlive their identity: one of the same name
// made anew has them. Telemetry is a JSON array of what package telemetry says a
// message is written as: identity, properties and body. IoT Hub has nothing of
// all this.
//
// No Authorization is asked for: whoever reaches the hub's port may do it, and
// the hub listens on loopback unless it is told otherwise. A web page in a
// browser on the same machine reaches the port too, so requests that come
// from one (they have an Origin) or that were sent to another name than the
// hub's or loopback's are refused with 403.
package control

import (
	"net/http"

	"github.com/rs/zerolog"

	"rtsptunnel/internal/hub/hubemulator/faults"
	"rtsptunnel/internal/hub/hubemulator/store"
	"rtsptunnel/internal/hub/hubemulator/telemetry"
)

// Prefix is what all paths begin with.
const Prefix = "/emulator/"

// Options are what the handler drives.
type Options struct {
	// Faults are what shall go wrong. Required.
	Faults *faults.Set
	// Store holds the identities there are. Required.
	Store *store.Store
	// Drop cuts the MQTT connection of an identity, if there is one. Required.
	Drop func(store.ID)
	// HostNames are the names requests may be sent to, besides loopback's;
	// with any port.
	HostNames []string
	// Telemetry is what devices have sent. Required.
	Telemetry *telemetry.Log
	// Log gets every change, and refused requests with the reason.
	Log zerolog.Logger
}

type api struct {
	Options
}

// New returns the handler, safe for concurrent use.
func New(o Options) http.Handler {
	a := &api{Options: o}
	mux := http.NewServeMux()
	mux.HandleFunc("GET /emulator/faults", a.getFaults)
	mux.HandleFunc("PUT /emulator/faults", a.putFaults)
	mux.HandleFunc("DELETE /emulator/faults", a.clearFaults)
	mux.HandleFunc("GET /emulator/faults/devices", a.listFaults)
	mux.HandleFunc("GET /emulator/telemetry", a.listTelemetry)
	mux.HandleFunc("DELETE /emulator/telemetry", a.clearTelemetry)
	for _, identity := range []string{"/devices/{device}", "/devices/{device}/modules/{module}"} {
		mux.HandleFunc("GET /emulator/faults"+identity, a.ofIdentity(a.getFaultsFor))
		mux.HandleFunc("PUT /emulator/faults"+identity, a.ofIdentity(a.putFaultsFor))
		mux.HandleFunc("DELETE /emulator/faults"+identity, a.ofIdentity(a.clearFaultsFor))
		mux.HandleFunc("POST /emulator/drop"+identity, a.ofIdentity(a.drop))
	}
	mux.HandleFunc("/", func(w http.ResponseWriter, r *http.Request) {
		a.refuse(w, r, http.StatusNotFound, "NotFound", "no such resource")
	})
	return a.refuseBrowsers(mux)
}

// ofIdentity passes requests on whose path names an identity there is, or one that
// is gone and has left rules.
func (a *api) ofIdentity(next func(http.ResponseWriter, *http.Request, store.ID)) http.HandlerFunc {
	return func(w http.ResponseWriter, r *http.Request) {
		id := store.ID{Device: r.PathValue("device"), Module: r.PathValue("module")}
		_, err := a.Store.Identity(id)
		if err != nil && a.Faults.For(id.String()) == (faults.Rules{}) {
			a.refuseUnknown(w, r, id, err)
			return
		}
		next(w, r, id)
	}
}

func (a *api) drop(w http.ResponseWriter, _ *http.Request, id store.ID) {
	a.Log.Info().Str(fieldIdentity, id.String()).Msg("connection cut on demand")
	a.Drop(id)
	w.WriteHeader(http.StatusNoContent)
}

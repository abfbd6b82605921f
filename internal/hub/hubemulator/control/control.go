// Package control lets a test control its hub over HTTP: inject faults, cut
// connections, and read telemetry.
//
//	GET    /emulator/faults                             the rules of the hub
//	PUT    /emulator/faults                             replaces them, but not the rules of identities
//	DELETE /emulator/faults                             removes all rules, including the rules of identities
//	GET    /emulator/faults/devices                     the rules of all identities, by "device" or "device/module"
//	GET    /emulator/faults/devices/{d}[/modules/{m}]   the rules of one identity
//	PUT    /emulator/faults/devices/{d}[/modules/{m}]   replaces them
//	DELETE /emulator/faults/devices/{d}[/modules/{m}]   removes them
//	POST   /emulator/drop/devices/{d}[/modules/{m}]     cuts the MQTT connection, as a network failure would
//	GET    /emulator/telemetry[?identity=d/m]           messages of all devices and modules, or of one; oldest first
//	DELETE /emulator/telemetry                          deletes the messages
//
// Rules are documents of package faults. PUT responds with the new rules. A
// response without a body has status 204, a request for an unknown identity gets
// 404, and errors have IoT Hub's form. Rules stay when their identity is deleted,
// and apply to a new identity with the same name. Telemetry is a JSON array of
// messages in the form of package telemetry, with identity, properties and body.
// IoT Hub itself has none of these paths.
//
// Requests need no Authorization, so every client that reaches the hub's port can
// send them. By default the hub listens on loopback. Web pages in a browser on the
// same machine reach that port, too. Therefore requests with an Origin header, and
// requests with a Host other than the hub's names or loopback, get 403.
package control

import (
	"net/http"

	"github.com/rs/zerolog"

	"rtsptunnel/internal/hub/hubemulator/faults"
	"rtsptunnel/internal/hub/hubemulator/store"
	"rtsptunnel/internal/hub/hubemulator/telemetry"
)

// Prefix is the prefix of all paths.
const Prefix = "/emulator/"

// Options configures the handler.
type Options struct {
	// Faults has the fault rules. Required.
	Faults *faults.Set
	// Store has the identities. Required.
	Store *store.Store
	// Drop cuts the MQTT connection of an identity, if there is one. Required.
	Drop func(store.ID)
	// HostNames are allowed in the Host header, besides loopback names and
	// addresses, with any port.
	HostNames []string
	// Telemetry has the messages of devices and modules. Required.
	Telemetry *telemetry.Log
	// Log gets every change, and every refused request with the reason.
	Log zerolog.Logger
}

type api struct {
	Options
}

// New returns the handler. It is safe for concurrent use.
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
		mux.HandleFunc("GET /emulator/faults"+identity, a.withIdentity(a.getFaultsFor))
		mux.HandleFunc("PUT /emulator/faults"+identity, a.withIdentity(a.putFaultsFor))
		mux.HandleFunc("DELETE /emulator/faults"+identity, a.withIdentity(a.clearFaultsFor))
		mux.HandleFunc("POST /emulator/drop"+identity, a.withIdentity(a.drop))
	}
	mux.HandleFunc("/", func(w http.ResponseWriter, r *http.Request) {
		a.refuse(w, r, http.StatusNotFound, "NotFound", "no such resource")
	})
	return a.refuseBrowsers(mux)
}

// withIdentity calls next with the identity in the path. It refuses an unknown identity,
// unless there are rules for it.
func (a *api) withIdentity(next func(http.ResponseWriter, *http.Request, store.ID)) http.HandlerFunc {
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
	a.Log.Info().Str(fieldIdentity, id.String()).Msg("connection cut on request")
	a.Drop(id)
	w.WriteHeader(http.StatusNoContent)
}

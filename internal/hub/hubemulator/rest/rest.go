// Package rest is the service side of the hub: the part of IoT Hub's REST API
// by which a service keeps the registry of devices and modules, reads and
// changes twins, finds them by queries, calls direct methods, deploys modules to
// IoT Edge devices and counts devices.
//
// Paths, error bodies and limits follow Microsoft, "Azure IoT Hub REST API",
// and what Microsoft's SDKs look at. All answers are JSON. Not emulated
// (yet): changes of many devices in one request, policies other than the owner,
// parent scopes of devices, and calls from module to module. What queries may say is
// in package query, what deployments come to in packages rollout and deployment.
//
// What an answer tells of identities and twins is kept (see store.Store.Keep)
// before it is sent, or the answer is 503 ServiceUnavailable.
//
// Some behaviours are documented only in part, and follow the nearest text: an
// update that leaves keys empty gets new ones, as a creation does; a method
// call on a disabled device gets DeviceNotFound ("Understand and resolve Azure
// IoT Hub errors", 404001: "either not registered or disabled"); an answer of a
// device that is larger than 128 KB, or no JSON, is 502; PUT of a twin leaves a
// section alone that the request does not have; a twin that would break a limit
// is refused with ArgumentInvalid; $lastUpdatedVersion is only in desired
// properties, and only once they were written; a query sees changes at once, its
// pages are of 100 twins at most, in the order of their names, and go on with the
// same query only.
package rest

import (
	"net/http"
	"path"
	"time"

	"github.com/rs/zerolog"

	"rtsptunnel/internal/hub/hubemulator/broker"
	"rtsptunnel/internal/hub/hubemulator/faults"
	"rtsptunnel/internal/hub/hubemulator/rollout"
	"rtsptunnel/internal/hub/hubemulator/sas"
	"rtsptunnel/internal/hub/hubemulator/store"
	"rtsptunnel/internal/hub/hubemulator/throttle"
)

// Options are what the API needs.
type Options struct {
	// Store holds the identities and twins. Required.
	Store *store.Store
	// Broker takes the method calls. Required.
	Broker *broker.Broker
	// Rollout brings deployments to devices. Required.
	Rollout *rollout.Rollout
	// HostNames are the names of the hub a token may be made for; the first is
	// what it is called. At least one is required.
	HostNames []string
	// PolicyName and PolicyKey (base64) are the one policy that may use the
	// API. The key is a secret.
	PolicyName string
	PolicyKey  string
	// Faults are what shall go wrong; nothing if nil.
	Faults *faults.Set
	// Throttle limits how often requests are carried out; nil is no limits.
	Throttle *throttle.Limits
	// Log gets refused requests with the reason. Never a token or a payload.
	Log zerolog.Logger
}

type api struct {
	Options
}

// New returns the API as an HTTP handler, safe for concurrent use. It is
// meant to be served over TLS.
func New(o Options) http.Handler {
	if o.Faults == nil {
		o.Faults = faults.New()
	}
	a := &api{Options: o}
	mux := http.NewServeMux()
	// ServeMux matches the escaped path and unescapes each segment, so an id
	// may hold a '/' or '%' as far as this package is concerned.
	a.handleRegistry(mux)
	a.handleConfigurations(mux)
	for _, path := range []string{"/twins/{device}", "/twins/{device}/modules/{module}"} {
		mux.HandleFunc("GET "+path, a.getTwin)
		mux.HandleFunc("PATCH "+path, a.patchTwin)
		mux.HandleFunc("PUT "+path, a.putTwin)
		mux.HandleFunc("POST "+path+"/methods", a.invokeMethod)
	}
	mux.HandleFunc("/", a.refuseRoute)
	return a.authorize(a.requireVersion(a.throttle(a.refuseRedirects(mux))))
}

func (a *api) refuseRoute(w http.ResponseWriter, r *http.Request) {
	a.refuse(w, r, newError(http.StatusNotFound, codeNotFound, "no such resource"))
}

// refuseRedirects passes paths that ServeMux would not answer with a redirect
// to their shortest form, which IoT Hub does not do.
func (a *api) refuseRedirects(next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if p := r.URL.EscapedPath(); path.Clean(p) != p && path.Clean(p)+"/" != p {
			a.refuseRoute(w, r)
			return
		}
		next.ServeHTTP(w, r)
	})
}

func (a *api) handleRegistry(mux *http.ServeMux) {
	for _, path := range []string{"/devices/{device}", "/devices/{device}/modules/{module}"} {
		mux.HandleFunc("GET "+path, a.getIdentity)
		mux.HandleFunc("PUT "+path, a.putIdentity)
		mux.HandleFunc("DELETE "+path, a.deleteIdentity)
	}
	mux.HandleFunc("GET /devices", a.listDevices)
	mux.HandleFunc("GET /devices/{$}", a.listDevices) // as Microsoft's Node SDK has it
	mux.HandleFunc("GET /devices/{device}/modules", a.listModules)
	mux.HandleFunc("POST /devices/query", a.queryTwins)
	mux.HandleFunc("GET /statistics/devices", a.countDevices)
	mux.HandleFunc("GET /statistics/service", a.countConnected)
}

// authorize passes requests with a valid token of the policy.
func (a *api) authorize(next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if err := a.checkToken(r); err != nil {
			a.refuse(w, r, err)
			return
		}
		next.ServeHTTP(w, r)
	})
}

func (a *api) checkToken(r *http.Request) error {
	token, err := sas.Parse(r.Header.Get("Authorization"))
	if err != nil {
		return unauthorized(err)
	}
	if token.KeyName != a.PolicyName {
		return unauthorized(errPolicy)
	}
	return a.verify(token, r.URL.Path)
}

// verify judges the token by the name of the hub that it is made for; if there is
// none, by the first.
func (a *api) verify(token sas.Token, path string) error {
	host := a.HostNames[0]
	for _, name := range a.HostNames {
		if sas.Covers(token.Resource, name+path) {
			host = name
		}
	}
	if err := token.Verify(time.Now(), host+path, a.PolicyKey); err != nil {
		return unauthorized(err)
	}
	return nil
}

func (a *api) requireVersion(next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.URL.Query().Get("api-version") == "" {
			a.refuse(w, r, invalid("the api-version query parameter is missing"))
			return
		}
		next.ServeHTTP(w, r)
	})
}

// idOf returns the identity the path names.
func idOf(r *http.Request) store.ID {
	return store.ID{Device: r.PathValue("device"), Module: r.PathValue("module")}
}

// Package rest implements the hub's service side: the part of IoT Hub's REST API
// for the registry of devices and modules, twins, queries, direct methods,
// deployments to IoT Edge devices, and statistics.
//
// Paths, error bodies and limits follow Microsoft, "Azure IoT Hub REST API", and
// the parts of responses that Microsoft's SDKs evaluate. All responses are JSON.
// Not emulated (yet): changes of several devices in one request, policies other
// than the owner's, parent scopes of devices, and calls from module to module.
// Package query defines the query language; packages rollout and deployment
// define the effect of deployments.
//
// The API writes the state of identities and twins to disk before it sends a
// response that depends on it (see store.Store.Keep). If it cannot, the response
// is 503 ServiceUnavailable.
//
// Microsoft documents some behavior only in part. Here:
//   - An update without keys generates new ones, as a creation does.
//   - A method call on a disabled device gets DeviceNotFound ("Understand and
//     resolve Azure IoT Hub errors", 404001: "either not registered or disabled").
//   - A device's response that is larger than 128 KB, or is not JSON, gets 502.
//   - PUT of a twin does not change a section that the request leaves out.
//   - A change that would exceed a limit of twins gets ArgumentInvalid.
//   - $lastUpdatedVersion is only in desired properties, after their first change.
//   - A query sees changes at once. A page has at most 100 twins, sorted by name,
//     and a continuation is valid only for the same query.
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

// Options configures the API.
type Options struct {
	// Store has the identities and twins. Required.
	Store *store.Store
	// Broker calls direct methods. Required.
	Broker *broker.Broker
	// Rollout applies deployments to devices. Required.
	Rollout *rollout.Rollout
	// HostNames are the hub's names that tokens may be for; the first is the
	// hub's own name. At least one is required.
	HostNames []string
	// PolicyName and PolicyKey (base64) are the only policy with access to the
	// API. The key is a secret.
	PolicyName string
	PolicyKey  string
	// Faults has the fault rules; no faults if nil.
	Faults *faults.Set
	// Throttle limits the rates of requests; no limits if nil.
	Throttle *throttle.Limits
	// Log gets refused requests with the reason. It gets no tokens or payloads.
	Log zerolog.Logger
}

type api struct {
	Options
}

// New returns the API as an HTTP handler, which is safe for concurrent use. Serve it
// over TLS.
func New(o Options) http.Handler {
	if o.Faults == nil {
		o.Faults = faults.New()
	}
	a := &api{Options: o}
	mux := http.NewServeMux()
	// ServeMux matches the escaped path and unescapes each segment, so an id may
	// contain '/' and '%'.
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

// refuseRedirects refuses paths that ServeMux would redirect to their cleaned form. IoT
// Hub does not redirect.
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
	mux.HandleFunc("GET /devices/{$}", a.listDevices) // for Microsoft's Node SDK
	mux.HandleFunc("GET /devices/{device}/modules", a.listModules)
	mux.HandleFunc("POST /devices/query", a.queryTwins)
	mux.HandleFunc("GET /statistics/devices", a.countDevices)
	mux.HandleFunc("GET /statistics/service", a.countConnected)
}

// authorize refuses requests without a valid token of the policy.
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

// verify verifies the token for the host name that it covers, or for the first one if
// it covers none.
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

// idOf returns the identity that the path names.
func idOf(r *http.Request) store.ID {
	return store.ID{Device: r.PathValue("device"), Module: r.PathValue("module")}
}

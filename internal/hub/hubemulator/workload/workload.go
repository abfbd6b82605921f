// Package workload is the part of the IoT Edge workload API that a module needs to log
// in: the trust bundle, and signatures with the module's key.
//
// Paths, statuses and bodies follow Azure/iotedge, edgelet/api/workload.yaml and
// edgelet-http-workload (release 1.5). Not emulated: the check that the caller is the
// module that it claims to be, the limit of ten concurrent requests, encryption, server
// and identity certificates.
//
// Faults (package faults, group workload) make the API unavailable or slow, or let it
// answer every request with an error status.
package workload

import (
	"bytes"
	"crypto/hmac"
	"crypto/sha256"
	"encoding/base64"
	"encoding/json"
	"io"
	"mime"
	"net/http"
	"slices"
	"time"

	"github.com/rs/zerolog"

	"rtsptunnel/internal/hub/hubemulator/faults"
	"rtsptunnel/internal/hub/hubemulator/store"
)

// maxBody is the largest request body accepted, in bytes.
const maxBody = 64 * 1024

// apiVersions are those that IoT Edge accepts (Azure/iotedge,
// edgelet-http/src/version.rs).
var apiVersions = []string{
	"2018-06-28", "2019-01-30", "2019-10-22", "2019-11-05", "2020-07-07", "2021-12-07", "2022-08-03",
}

// Options are what the API needs.
type Options struct {
	// Store holds the modules. Required.
	Store *store.Store
	// Device is the IoT Edge device whose modules are served.
	Device string
	// TrustBundle holds the certificates that modules trust, PEM encoded.
	TrustBundle []byte
	// Faults are the faults to inject; none if nil.
	Faults *faults.Set
	// Log gets refused requests with the reason.
	Log zerolog.Logger
}

type api struct {
	Options
}

// New returns the API as an HTTP handler, safe for concurrent use. Serve it on the socket
// that Listen opens. Old IoT Edge runtimes and the simulator for developers serve it on
// a TCP port.
func New(o Options) http.Handler {
	if o.Faults == nil {
		o.Faults = faults.New()
	}
	a := &api{Options: o}
	mux := http.NewServeMux()
	mux.HandleFunc("GET /trust-bundle", a.trustBundle)
	mux.HandleFunc("POST /modules/{module}/genid/{generation}/sign", a.sign)
	mux.HandleFunc("/", func(w http.ResponseWriter, _ *http.Request) {
		a.refuse(w, http.StatusNotFound, "not found")
	})
	return a.injectFaults(a.checkVersion(mux))
}

// injectFaults applies Faults to each request, and calls next if no fault answers it.
func (a *api) injectFaults(next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		// net/http detects a closed connection only after the whole request is read.
		body, err := io.ReadAll(http.MaxBytesReader(w, r.Body, maxBody))
		if err != nil {
			a.refuse(w, http.StatusBadRequest, "request body cannot be read")
			return
		}
		r.Body = io.NopCloser(bytes.NewReader(body))
		status, down, ok := a.Faults.AwaitWorkload(r.Context().Done(), time.Now())
		switch {
		case !ok:
			return // the client has closed the connection
		case down:
			a.Log.Info().Msg("connection closed by an injected fault")
			panic(http.ErrAbortHandler) // makes net/http close the connection
		case status != 0:
			a.refuse(w, status, "refused on demand")
		default:
			next.ServeHTTP(w, r)
		}
	})
}

func (a *api) checkVersion(next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		version := r.URL.Query().Get("api-version")
		if !slices.Contains(apiVersions, version) {
			a.refuse(w, http.StatusBadRequest, "invalid api-version: "+version)
			return
		}
		next.ServeHTTP(w, r)
	})
}

func (a *api) trustBundle(w http.ResponseWriter, _ *http.Request) {
	a.answer(w, http.StatusOK, struct {
		Certificate string `json:"certificate"`
	}{string(a.TrustBundle)})
}

// sign signs with the module's primary key. It ignores keyId, algo and the generation
// id, as IoT Edge 1.2 and later do.
func (a *api) sign(w http.ResponseWriter, r *http.Request) {
	// IoT Edge 1.2 and later drop a body of another content type, and then report it
	// as missing (Azure/iot-identity-service, http-common/src/server.rs).
	if kind := r.Header.Get("Content-Type"); kind != "" && !isJSON(kind) {
		a.refuse(w, http.StatusBadRequest, "missing parameter: request body")
		return
	}
	body, err := io.ReadAll(r.Body)
	if err != nil || len(body) == 0 {
		a.refuse(w, http.StatusBadRequest, "missing parameter: request body")
		return
	}
	var request struct {
		Data string `json:"data"`
	}
	if err := json.Unmarshal(body, &request); err != nil {
		a.refuse(w, http.StatusUnprocessableEntity, "request body is not JSON of the expected form")
		return
	}
	data, err := base64.StdEncoding.DecodeString(request.Data)
	if err != nil {
		a.refuse(w, http.StatusBadRequest, "data is not base64")
		return
	}
	a.signData(w, r.PathValue("module"), data)
}

func (a *api) signData(w http.ResponseWriter, module string, data []byte) {
	identity, err := a.Store.Identity(store.ID{Device: a.Device, Module: module})
	if err != nil || module == "" {
		a.refuse(w, http.StatusNotFound, "module not found: "+module)
		return
	}
	key, err := base64.StdEncoding.DecodeString(identity.PrimaryKey)
	if err != nil {
		a.refuse(w, http.StatusInternalServerError, "key cannot be used")
		return
	}
	mac := hmac.New(sha256.New, key)
	mac.Write(data)
	a.answer(w, http.StatusOK, struct {
		Digest string `json:"digest"`
	}{base64.StdEncoding.EncodeToString(mac.Sum(nil))})
}

func isJSON(contentType string) bool {
	kind, _, err := mime.ParseMediaType(contentType)
	return err == nil && kind == "application/json"
}

func (a *api) refuse(w http.ResponseWriter, status int, message string) {
	a.Log.Warn().Int("status", status).Str("reason", message).Msg("workload request refused")
	a.answer(w, status, struct {
		Message string `json:"message"`
	}{message})
}

func (a *api) answer(w http.ResponseWriter, status int, body any) {
	w.Header().Set("Content-Type", "application/json")
	w.WriteHeader(status)
	if err := json.NewEncoder(w).Encode(body); err != nil {
		a.Log.Debug().Err(err).Msg("workload client has disconnected")
	}
}

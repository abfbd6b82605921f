package control

import (
	"io"
	"net/http"
	"strings"

	"rtsptunnel/internal/hub/hubemulator/faults"
	"rtsptunnel/internal/hub/hubemulator/store"
)

// maxBody is the size limit of a document in bytes.
const maxBody = 64 * 1024

func (a *api) getFaults(w http.ResponseWriter, _ *http.Request) {
	a.answer(w, http.StatusOK, a.Faults.Hub())
}

func (a *api) putFaults(w http.ResponseWriter, r *http.Request) {
	a.put(w, r, a.Faults.Put, a.Faults.Hub)
}

func (a *api) clearFaults(w http.ResponseWriter, _ *http.Request) {
	a.Faults.Clear()
	a.Log.Info().Msg("all faults cleared")
	w.WriteHeader(http.StatusNoContent)
}

func (a *api) listFaults(w http.ResponseWriter, _ *http.Request) {
	a.answer(w, http.StatusOK, a.Faults.Identities())
}

func (a *api) getFaultsFor(w http.ResponseWriter, _ *http.Request, id store.ID) {
	a.answer(w, http.StatusOK, a.Faults.For(id.String()))
}

func (a *api) putFaultsFor(w http.ResponseWriter, r *http.Request, id store.ID) {
	a.put(w, r,
		func(rules faults.Rules) error { return a.Faults.PutFor(id.String(), rules) },
		func() faults.Rules { return a.Faults.For(id.String()) })
}

func (a *api) clearFaultsFor(w http.ResponseWriter, r *http.Request, id store.ID) {
	if err := a.Faults.PutFor(id.String(), faults.Rules{}); err != nil {
		a.refuseRules(w, r, err)
		return
	}
	a.Log.Info().Str(fieldIdentity, id.String()).Msg("faults cleared")
	w.WriteHeader(http.StatusNoContent)
}

// put sets the rules in the request and responds with the rules in force.
func (a *api) put(w http.ResponseWriter, r *http.Request, set func(faults.Rules) error, get func() faults.Rules) {
	document, err := io.ReadAll(http.MaxBytesReader(w, r.Body, maxBody))
	if err != nil {
		a.refuse(w, r, http.StatusRequestEntityTooLarge, "MessageTooLarge", "the request is larger than 64 KB or broke off")
		return
	}
	rules, err := faults.Parse(document)
	if err == nil {
		err = set(rules)
	}
	if err != nil {
		a.refuseRules(w, r, err)
		return
	}
	a.Log.Info().Str("path", r.URL.EscapedPath()).Interface("faults", rules).Msg("faults set")
	a.answer(w, http.StatusOK, get())
}

func (a *api) refuseRules(w http.ResponseWriter, r *http.Request, err error) {
	a.refuse(w, r, http.StatusBadRequest, "ArgumentInvalid", strings.ReplaceAll(err.Error(), "\n", "; "))
}

package control

import (
	"net/http"
	"slices"

	"rtsptunnel/internal/hub/hubemulator/telemetry"
)

// listTelemetry responds with the messages of all identities, or of the one that
// ?identity= names. The identity need not exist any more.
func (a *api) listTelemetry(w http.ResponseWriter, r *http.Request) {
	messages := a.Telemetry.List()
	if identity := r.URL.Query().Get("identity"); identity != "" {
		messages = slices.DeleteFunc(messages, func(m telemetry.Message) bool { return m.Identity != identity })
	}
	a.answer(w, http.StatusOK, messages)
}

func (a *api) clearTelemetry(w http.ResponseWriter, _ *http.Request) {
	a.Telemetry.Clear()
	w.WriteHeader(http.StatusNoContent)
}

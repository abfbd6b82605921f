package hubemulator

import (
	"net/http"
	"strings"

	"rtsptunnel/internal/hub/hubemulator/control"
)

// withControl serves the paths below /emulator/, which need no Authorization. next serves
// all others.
func (h *Hub) withControl(next http.Handler) http.Handler {
	handler := control.New(control.Options{
		Faults:    h.faults,
		Store:     h.store,
		Drop:      h.broker.Drop,
		Telemetry: &h.telemetry,
		HostNames: []string{h.options.HostName, h.options.GatewayName},
		Log:       component(h.options.Log, "control"),
	})
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if strings.HasPrefix(r.URL.Path, control.Prefix) {
			handler.ServeHTTP(w, r)
			return
		}
		next.ServeHTTP(w, r)
	})
}

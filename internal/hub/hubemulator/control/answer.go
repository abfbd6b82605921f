package control

import (
	"crypto/rand"
	"encoding/json"
	"errors"
	"net/http"

	"rtsptunnel/internal/hub/hubemulator/store"
)

// fieldIdentity names the log field of an identity: "device" or "device/module".
const fieldIdentity = "identity"

func (a *api) refuseUnknown(w http.ResponseWriter, r *http.Request, id store.ID, err error) {
	code := "DeviceNotFound"
	if errors.Is(err, store.ErrModuleNotFound) {
		code = "ModuleNotFound"
	}
	a.refuse(w, r, http.StatusNotFound, code, id.String())
}

// refuse responds with an error in IoT Hub's form, as package rest does.
func (a *api) refuse(w http.ResponseWriter, r *http.Request, status int, code, text string) {
	a.Log.Warn().Int("status", status).Str("method", r.Method).Str("path", r.URL.EscapedPath()).
		Str("reason", text).Msg("control request refused")
	w.Header().Set("iothub-errorcode", code)
	a.answer(w, status, struct {
		Message          string
		ExceptionMessage string
	}{"ErrorCode:" + code + ";" + text, "Tracking ID:" + rand.Text()})
}

func (a *api) answer(w http.ResponseWriter, status int, body any) {
	w.Header().Set("Content-Type", "application/json; charset=utf-8")
	w.WriteHeader(status)
	if err := json.NewEncoder(w).Encode(body); err != nil {
		a.Log.Debug().Err(err).Msg("response not sent")
	}
}

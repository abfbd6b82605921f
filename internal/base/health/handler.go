package health

import (
	"encoding/json"
	"net/http"
	"time"
)

// Handler answers GET and HEAD of /livez and /readyz with 200 or 503 and a small JSON object
// that says why. No answer holds a secret or an address.
func Handler(p Program) http.Handler {
	mux := http.NewServeMux()
	mux.HandleFunc("GET /livez", func(w http.ResponseWriter, _ *http.Request) {
		stuck := Stuck(p)
		answer(w, len(stuck) == 0, liveness(stuck))
	})
	mux.HandleFunc("GET /readyz", func(w http.ResponseWriter, _ *http.Request) {
		missing := p.Missing()
		body := readiness{Ready: len(missing) == 0, Missing: missing}
		if n, ok := p.(Noter); ok {
			body.Notes = n.Notes()
		}
		answer(w, body.Ready, body)
	})
	return mux
}

// live is the body of /livez.
type live struct {
	Live  bool        `json:"live"`
	Stuck []stuckLoop `json:"stuck,omitempty"`
}

type stuckLoop struct {
	Loop string    `json:"loop"`
	Last time.Time `json:"lastTurn"`
}

func liveness(stuck []Loop) live {
	body := live{Live: len(stuck) == 0}
	for _, l := range stuck {
		body.Stuck = append(body.Stuck, stuckLoop{l.Name, l.Last.UTC()})
	}
	return body
}

// readiness is the body of /readyz.
type readiness struct {
	Ready   bool      `json:"ready"`
	Missing []Missing `json:"missing,omitempty"`
	Notes   []Missing `json:"notes,omitempty"`
}

func answer(w http.ResponseWriter, good bool, body any) {
	b, err := json.Marshal(body)
	if err != nil { // structs of texts and times always marshal
		http.Error(w, "internal error", http.StatusInternalServerError)
		return
	}
	w.Header().Set("Content-Type", "application/json")
	w.Header().Set("Cache-Control", "no-store")
	if !good {
		w.WriteHeader(http.StatusServiceUnavailable)
	}
	_, _ = w.Write(append(b, '\n'))
}

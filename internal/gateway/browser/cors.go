package browser

import (
	"net/http"
	"strings"
)

// What pages of listed origins may send and read. Tokens travel in Authorization, so that
// there are no credentials in the sense of CORS.
const (
	corsMethods = "GET, HEAD, POST, OPTIONS"
	corsHeaders = "Authorization, Content-Type, Range, If-None-Match"
	corsExposed = "Content-Length, Content-Range, ETag, Retry-After, X-Reason"
	corsMaxAge  = "600" // seconds; browsers ask again after a change of the list
)

// CORS lets pages of the listed origins use next with tokens (WHATWG Fetch, 3.3). It answers
// their preflight requests. All other requests reach next unchanged, and a page of another
// origin cannot read the answers.
func (p *Policy) CORS(next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		header := w.Header()
		header.Add("Vary", "Origin")
		from, _, ok := originOf(r)
		if !ok || !p.listed(from) {
			next.ServeHTTP(w, r)
			return
		}
		header.Set("Access-Control-Allow-Origin", r.Header.Get("Origin"))
		if r.Method == http.MethodOptions && r.Header.Get("Access-Control-Request-Method") != "" {
			header.Add("Vary", "Access-Control-Request-Method, Access-Control-Request-Headers")
			header.Set("Access-Control-Allow-Methods", corsMethods)
			header.Set("Access-Control-Allow-Headers", strings.ToLower(corsHeaders))
			header.Set("Access-Control-Max-Age", corsMaxAge)
			w.WriteHeader(http.StatusNoContent)
			return
		}
		header.Set("Access-Control-Expose-Headers", corsExposed)
		next.ServeHTTP(w, r)
	})
}

package api

import (
	"context"
	"net/http"
	"net/netip"
	"path"
	"slices"
	"strings"
	"time"

	"rtsptunnel/internal/contract/reason"
	"rtsptunnel/internal/gateway/access"
	"rtsptunnel/internal/gateway/browser"
	"rtsptunnel/internal/gateway/failure"
	"rtsptunnel/internal/gateway/weblog"
)

// handler answers a request of a principal. An error becomes a problem document.
type handler func(w http.ResponseWriter, r *http.Request, p access.Principal) error

// methods are the handlers of a route. HEAD is answered as GET.
type methods map[string]handler

// serve answers one request and writes its line of the access log.
func (a *API) serve(w http.ResponseWriter, r *http.Request, from netip.Addr) {
	began := time.Now()
	header := w.Header()
	header.Set("Cache-Control", "no-store")
	header.Set("Referrer-Policy", "no-referrer")
	header.Set("X-Content-Type-Options", "nosniff")
	header.Set("Content-Security-Policy", "default-src 'none'; frame-ancestors 'none'")
	header.Set("Cross-Origin-Resource-Policy", "same-origin") // for requests without CORS alone
	exchange := &exchange{ResponseWriter: w, from: from}
	if err := a.admit(exchange, r); err != nil {
		refuse(exchange, failure.Of(err))
	} else {
		a.mux.ServeHTTP(exchange, r)
	}
	a.log.Write(r, weblog.Answer{
		From: exchange.from, User: exchange.principal.Name, Status: exchange.status, Failure: exchange.failure, Took: time.Since(began),
	})
	if f := exchange.failure; f != nil && a.Denied != nil && isDenial(f.Reason) {
		a.Denied(f)
	}
}

// isDenial reports whether a reason is one of access.
func isDenial(code reason.Code) bool {
	switch code {
	case reason.AccessLogin, reason.AccessExpired, reason.AccessDenied, reason.AccessThrottled, reason.AccessOrigin, reason.AccessHost:
		return true
	default:
		return false
	}
}

// exchange is the answer to a request, with what the access log shows of both.
type exchange struct {
	http.ResponseWriter
	from      netip.Addr
	principal access.Principal
	status    int
	failure   *failure.Failure // nil if the request succeeded
}

// fromOf returns the address of a request's client. The mux hands on what serve gave it.
func fromOf(w http.ResponseWriter) netip.Addr {
	if e, ok := w.(*exchange); ok {
		return e.from
	}
	return netip.Addr{}
}

// identify sets who the log shows, for routes that need no principal.
func identify(w http.ResponseWriter, p access.Principal) {
	if e, ok := w.(*exchange); ok {
		e.principal = p
	}
}

// Unwrap serves http.ResponseController.
func (e *exchange) Unwrap() http.ResponseWriter { return e.ResponseWriter }

func (e *exchange) WriteHeader(status int) {
	if e.status == 0 {
		e.status = status
	}
	e.ResponseWriter.WriteHeader(status)
}

func (e *exchange) Write(b []byte) (int, error) {
	if e.status == 0 {
		e.status = http.StatusOK
	}
	return e.ResponseWriter.Write(b)
}

// admit checks the credential, the size of the body and the path, and sets the principal.
func (a *API) admit(e *exchange, r *http.Request) error {
	if !open(r.URL.Path) {
		p, err := a.authenticate(r, e.from)
		if err != nil {
			return err
		}
		e.principal = p
	}
	switch {
	case r.ContentLength > maxBody:
		return failure.New(failure.Viewer, reason.RequestSize, nil)
	case !plainPath(r.URL.Path):
		return failure.New(failure.Viewer, reason.RequestRoute, nil)
	}
	return nil
}

// authenticate returns the principal of a request. A token in the URL counts for outputs
// alone: nothing that a link can do needs the API.
func (a *API) authenticate(r *http.Request, from netip.Addr) (access.Principal, error) {
	text, kind := a.Browser.Token(r)
	if err := a.Browser.Check(r, kind); err != nil {
		return access.Principal{}, err
	}
	switch kind {
	case browser.Cookie:
		return a.Access.AuthenticateCookie(text)
	case browser.Bearer:
		return a.Access.Authenticate(text, from)
	default:
		return a.Access.Authenticate("", from)
	}
}

// plainPath reports whether the decoded path is absolute, and has no empty segment, ".", ".."
// or control character. ServeMux would redirect some of these.
func plainPath(p string) bool {
	control := func(r rune) bool { return r < ' ' || r == 0x7f || r == '\\' }
	clean := path.Clean(p)
	return strings.HasPrefix(p, "/") && (p == clean || p == clean+"/" && clean != "/") && !strings.ContainsFunc(p, control)
}

// ServeHTTP calls the handler of the request's method.
func (m methods) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	e, ok := w.(*exchange)
	if !ok { // the mux hands on what ServeHTTP of API gave it
		http.Error(w, "internal error", http.StatusInternalServerError)
		return
	}
	method := r.Method
	if method == http.MethodHead {
		method = http.MethodGet
	}
	handle := m[method]
	switch {
	case len(m) == 0:
		refuse(e, failure.New(failure.Viewer, reason.RequestRoute, nil))
		return
	case handle == nil:
		w.Header().Set("Allow", m.allowed())
		refuse(e, failure.New(failure.Viewer, reason.RequestMethod, nil))
		return
	}
	if err := handle(e, r, e.principal); err != nil {
		refuse(e, failure.Of(err))
	}
}

func (m methods) allowed() string {
	var names []string
	for method := range m {
		names = append(names, method)
		if method == http.MethodGet {
			names = append(names, http.MethodHead)
		}
	}
	slices.Sort(names)
	return strings.Join(names, ", ")
}

// diagnoseWithin bounds a diagnosis: a tunnel's opening, a session and a key frame.
const diagnoseWithin = time.Minute

// diagnose runs one of the diagnoses that may run at once.
func (a *API) diagnose(ctx context.Context, camera, stream string) (any, error) {
	select {
	case a.diagnoses <- struct{}{}:
		defer func() { <-a.diagnoses }()
	default:
		f := failure.New(failure.Gateway, reason.LimitOpenings, nil)
		return nil, f.At(time.Time{}, time.Now().Add(5*time.Second))
	}
	ctx, cancel := context.WithTimeout(ctx, diagnoseWithin)
	defer cancel()
	return a.Diagnose(ctx, camera, stream)
}

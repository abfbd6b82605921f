package browser

import (
	"mime"
	"net/http"

	"rtsptunnel/internal/contract/reason"
	"rtsptunnel/internal/gateway/failure"
)

// Check returns why a request with a credential of this kind must not be served, or nil. The
// caller calls it before it acts. The error is a *failure.Failure at hop viewer: ACCESS_ORIGIN,
// ACCESS_HOST, or REQ_MEDIA_TYPE for a POST with the cookie that is not JSON.
func (p *Policy) Check(r *http.Request, kind Kind) error {
	if kind == Cookie {
		return p.checkCookie(r)
	}
	if isWebSocket(r) {
		return p.checkPage(r, true)
	}
	return nil
}

// CheckLogin returns why a request that sets or removes the cookie must not be served, or nil.
// The errors are those of Check. A client without an Origin is no page.
func (p *Policy) CheckLogin(r *http.Request) error {
	if err := p.checkHost(r); err != nil {
		return err
	}
	if err := p.checkPage(r, false); err != nil {
		return err
	}
	return checkJSON(r)
}

// checkPage judges the page that sent a request without a cookie.
func (p *Policy) checkPage(r *http.Request, others bool) error {
	from, there, ok := originOf(r)
	switch {
	case !there && !fromElsewhere(r), ok && p.own(from, r), ok && others && p.listed(from):
		return nil
	}
	return refuse(reason.AccessOrigin)
}

// checkCookie judges a request with the cookie.
func (p *Policy) checkCookie(r *http.Request) error {
	if err := p.checkHost(r); err != nil {
		return err
	}
	from, there, ok := originOf(r)
	switch {
	case there && (!ok || !p.own(from, r)), fromElsewhere(r), !there && (isWebSocket(r) || !safe(r.Method)):
		return refuse(reason.AccessOrigin)
	case r.Method == http.MethodPost:
		return checkJSON(r)
	}
	return nil
}

// checkHost refuses names of strangers for a plain loopback listener. TLS and proxies know
// their names.
func (p *Policy) checkHost(r *http.Request) error {
	host := hostname(r.Host)
	if p.plain(r) && !isLoopback(host) && (p.host == "" || host != p.host) {
		return refuse(reason.AccessHost)
	}
	return nil
}

// checkJSON refuses content that a form of HTML can send.
func checkJSON(r *http.Request) error {
	media, _, err := mime.ParseMediaType(r.Header.Get("Content-Type"))
	if err != nil || media != "application/json" {
		return refuse(reason.RequestMediaType)
	}
	return nil
}

// originOf returns the origin of the page that sent a request. there is false without the
// header, ok without a single valid one.
func originOf(r *http.Request) (o string, there, ok bool) {
	values := r.Header.Values("Origin")
	if len(values) != 1 {
		return "", len(values) > 0, false
	}
	o, ok = parseOrigin(values[0])
	return o, true, ok
}

// fromElsewhere reports whether a page of another origin sent the request, as the browser says
// by Fetch Metadata. A link that the user follows, such as one in a mail, is no such request.
func fromElsewhere(r *http.Request) bool {
	site := r.Header.Get("Sec-Fetch-Site")
	if site != "cross-site" && site != "same-site" {
		return false
	}
	return r.Header.Get("Sec-Fetch-Mode") != "navigate" || !safe(r.Method)
}

// safe reports whether a method changes nothing (RFC 9110, 9.2.1).
func safe(method string) bool {
	return method == http.MethodGet || method == http.MethodHead || method == http.MethodOptions
}

func refuse(code reason.Code) error { return failure.New(failure.Viewer, code, nil) }

package browser

import (
	"net/http"
	"net/url"
	"slices"
	"strings"
)

// Kind is where a request carries its credential.
type Kind string

// The kinds, in the order in which Token looks for them.
const (
	None     Kind = ""
	Bearer   Kind = "bearer"   // Authorization: Bearer (RFC 6750, 2.1)
	Protocol Kind = "protocol" // a subprotocol of a WebSocket: token.{token}
	Query    Kind = "query"    // ?token= or ?authorization=
	Cookie   Kind = "cookie"   // the login cookie: its value is for access.AuthenticateCookie
)

// protocolPrefix begins the subprotocol that carries a token. Browsers set no header of a
// WebSocket but this one, and proxies log it less than a URL.
const protocolPrefix = "token."

// Token returns the credential of a request and where it is. The first place that carries
// something decides, also if that is malformed: then the text is empty. A request with two
// values in one place has none, since a proxy could have judged the other one.
func (p *Policy) Token(r *http.Request) (text string, kind Kind) {
	if values := r.Header.Values("Authorization"); len(values) > 0 {
		token, ok := bearer(values)
		if ok {
			return token, Bearer
		}
	}
	if tokens := protocolTokens(r); len(tokens) > 0 {
		return only(tokens), Protocol
	}
	if tokens := queryTokens(r.URL); len(tokens) > 0 {
		return only(tokens), Query
	}
	if values := p.cookies(r); len(values) > 0 {
		return only(values), Cookie
	}
	return "", None
}

// bearer returns the token of the header's values. It returns false for another scheme, with
// which a proxy in front of the gateway may have asked for a login of its own.
func bearer(values []string) (string, bool) {
	if len(values) > 1 {
		return "", true
	}
	scheme, token, _ := strings.Cut(values[0], " ")
	return strings.TrimSpace(token), strings.EqualFold(scheme, "Bearer")
}

// protocolTokens returns the tokens among the subprotocols of a WebSocket (RFC 6455, 11.3.4).
// A malformed one is "".
func protocolTokens(r *http.Request) []string {
	if !isWebSocket(r) {
		return nil
	}
	var tokens []string
	for _, value := range r.Header.Values("Sec-WebSocket-Protocol") {
		for protocol := range strings.SplitSeq(value, ",") {
			if token, ok := strings.CutPrefix(strings.TrimSpace(protocol), protocolPrefix); ok {
				if strings.ContainsFunc(token, notInToken) {
					token = ""
				}
				tokens = append(tokens, token)
			}
		}
	}
	return tokens
}

// notInToken reports whether a character is in no token: tokens are base64url, and JWTs have
// dots between their parts (RFC 7515, 7.1).
func notInToken(c rune) bool {
	switch {
	case 'A' <= c && c <= 'Z', 'a' <= c && c <= 'z', '0' <= c && c <= '9', c == '-', c == '_', c == '.':
		return false
	}
	return true
}

// queryTokens returns the tokens of a URL.
func queryTokens(u *url.URL) []string {
	if u.RawQuery == "" {
		return nil
	}
	query := u.Query()
	return slices.Concat(query["token"], query["authorization"])
}

// only returns the only value of a list, and "" if there are several.
func only(values []string) string {
	if len(values) != 1 {
		return ""
	}
	return values[0]
}

// isWebSocket reports whether a request opens a WebSocket (RFC 6455, 4.1).
func isWebSocket(r *http.Request) bool {
	for _, value := range r.Header.Values("Upgrade") {
		for protocol := range strings.SplitSeq(value, ",") {
			if strings.EqualFold(strings.TrimSpace(protocol), "websocket") {
				return true
			}
		}
	}
	return false
}

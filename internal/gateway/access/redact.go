package access

import (
	"encoding/hex"
	"regexp"
	"slices"
	"strings"
)

// secretParameters are the query parameters whose values are secrets.
var secretParameters = []string{"token", "authorization", "p"}

// Redact returns a URL, or a part of one, as a log line may show it: without the values of the
// query parameters token, authorization and p, without a password, and without tokens, codes,
// and secrets of shares and cookies wherever they are. It takes any text and never fails. The
// rest of the text is unchanged.
func Redact(text string) string {
	text, fragment, hasFragment := strings.Cut(text, "#")
	path, query, hasQuery := strings.Cut(text, "?")
	path = redactPath(path)
	if hasQuery {
		path += "?" + redactQuery(query)
	}
	if hasFragment {
		path += "#" + redactQuery(fragment)
	}
	return redactTokens(path)
}

// redactPath cuts the password, and the whole text if a secret is in it under percent-encoding.
func redactPath(text string) string {
	if text = redactTokens(text); hidesToken(text) {
		return redacted
	}
	return redactPassword(text)
}

// redactPassword cuts the password of user:password@host (RFC 3986, 3.2.1).
func redactPassword(text string) string {
	scheme, rest, ok := strings.Cut(text, "://")
	if !ok {
		return text
	}
	authority, path, hasPath := strings.Cut(rest, "/")
	at := strings.LastIndexByte(authority, '@')
	if at < 0 {
		return text
	}
	if user, _, found := strings.Cut(authority[:at], ":"); found {
		authority = user + ":" + redacted + authority[at:]
	}
	if hasPath {
		authority += "/" + path
	}
	return scheme + "://" + authority
}

// redactQuery cuts the secret values of a query. Some servers take a semicolon for a
// separator, so it is one here.
func redactQuery(query string) string {
	var out strings.Builder
	for query != "" {
		end := strings.IndexAny(query, "&;")
		if end < 0 {
			end = len(query)
		}
		out.WriteString(redactParameter(query[:end]))
		if end < len(query) {
			out.WriteByte(query[end])
			end++
		}
		query = query[end:]
	}
	return out.String()
}

func redactParameter(parameter string) string {
	name, _, ok := strings.Cut(parameter, "=")
	switch {
	case ok && isSecret(name):
		return name + "=" + redacted
	case hidesToken(parameter):
		return redacted
	}
	return parameter
}

func isSecret(name string) bool {
	name = strings.ReplaceAll(unescape(name), "+", " ")
	return slices.Contains(secretParameters, strings.ToLower(strings.TrimSpace(name)))
}

// escaped is an octet in percent-encoding (RFC 3986, 2.1).
var escaped = regexp.MustCompile(`%[0-9A-Fa-f]{2}`)

// unescape decodes percent-encoding, and leaves what is none.
func unescape(text string) string {
	return escaped.ReplaceAllStringFunc(text, func(octet string) string {
		value, _ := hex.DecodeString(octet[1:]) // two digits
		return string(value)
	})
}

// tokens are the secrets that begin with a known text, percent-encoded or not: those of
// prefixes, JWT, and the subprotocol of a WebSocket that is token. and a token. The last two
// need a length, because names may begin so.
var tokens = regexp.MustCompile(`(rt[tsocp]_)[A-Za-z0-9_%-]+|(eyJ)[A-Za-z0-9_.%-]{16,}|(token\.)[A-Za-z0-9_.%-]{20,}`)

// redactTokens cuts what follows the beginning of a secret.
func redactTokens(text string) string { return tokens.ReplaceAllString(text, "$1$2$3"+redacted) }

// hidesToken reports whether a secret is in the text, also under percent-encoding.
func hidesToken(text string) bool { return tokens.MatchString(unescape(text)) }

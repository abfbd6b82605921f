package access

import (
	"net/url"
	"slices"
	"strings"
)

// secretParameters are the query parameters whose values are secrets.
var secretParameters = []string{"token", "authorization", "p"}

// Redact returns a URL, or a part of one, as a log line may show it: without the values of the
// query parameters token, authorization and p, without a password, and without static tokens
// wherever they are. It takes any text and never fails. The rest of the text is unchanged.
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

// redactPath cuts the password, and the whole text if a token is in it under percent-encoding.
func redactPath(text string) string {
	if strings.Contains(unescape(text), Prefix) && !strings.Contains(text, Prefix) {
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
	case strings.Contains(unescape(parameter), Prefix):
		return redacted
	}
	return parameter
}

func isSecret(name string) bool {
	return slices.Contains(secretParameters, strings.ToLower(strings.TrimSpace(unescape(name))))
}

// unescape decodes percent-encoding, and returns the text itself if that is broken.
func unescape(text string) string {
	if decoded, err := url.QueryUnescape(text); err == nil {
		return decoded
	}
	return text
}

// redactTokens cuts what follows the prefix of static tokens, percent-encoded or not.
func redactTokens(text string) string {
	var out strings.Builder
	for {
		before, after, ok := strings.Cut(text, Prefix)
		out.WriteString(before)
		if !ok {
			return out.String()
		}
		out.WriteString(Prefix + redacted)
		text = strings.TrimLeftFunc(after, func(r rune) bool { return r == '%' || !notBase64URL(r) })
	}
}

package tunnelopen_test

import (
	"encoding/json"
	"strings"

	"rtsptunnel/internal/contract/reason"
)

const goodEndpoint = "wss://gw.example.com/t/1?a=b" // good's

// badPayloads are payloads that Decode refuses, each with its target, message and reason.
var badPayloads = []struct {
	name, payload, target, message string
	reason                         reason.Code
}{
	{"empty", ``, "tunnelOpen", "Invalid request: payload", reason.RequestJSON},
	{"null", `null`, "tunnelOpen", "Invalid request: payload", reason.RequestJSON},
	{"array", `[]`, "tunnelOpen", "Invalid request: payload", reason.RequestJSON},
	{"string", `"x"`, "tunnelOpen", "Invalid request: payload", reason.RequestJSON},
	{"number", `1`, "tunnelOpen", "Invalid request: payload", reason.RequestJSON},
	{"cut off", good[:len(good)-1], "tunnelOpen", "Invalid request: payload", reason.RequestJSON},
	{"bytes after", good + "x", "tunnelOpen", "Invalid request: payload", reason.RequestJSON},
	{"not UTF-8", strings.Replace(good, "wss", "w\xffs", 1), "tunnelOpen", "Invalid request: payload", reason.RequestJSON},
	{"deep", strings.Repeat("[", 20000), "tunnelOpen", "Invalid request: payload", reason.RequestSize},
	{"nine deep", with("x", "[[[[[[[[]]]]]]]]"), "tunnelOpen", "Invalid request: payload", reason.RequestSize},
	{"too long", good + strings.Repeat(" ", 128<<10-len(good)+1), "tunnelOpen", "Invalid request: payload", reason.RequestSize},
	{"number too large for any reader", with("localPort", "1e999"), "tunnelOpen", "Invalid request: localPort", reason.RequestType},
	{"no endpoint", with("remoteEndpoint", ""), "tunnelOpen", "Invalid request: remoteEndpoint", reason.RequestField},
	{"empty endpoint", with("remoteEndpoint", `""`), "tunnelOpen", "Invalid request: remoteEndpoint", reason.RequestField},
	{"endpoint null", with("remoteEndpoint", `null`), "tunnelOpen", "Invalid request: remoteEndpoint", reason.RequestType},
	{"endpoint number", with("remoteEndpoint", `5`), "tunnelOpen", "Invalid request: remoteEndpoint", reason.RequestType},
	{"endpoint twice", strings.Replace(good, "{", `{"remoteEndpoint":"wss://other.example.com/",`, 1), "tunnelOpen", "Invalid request: remoteEndpoint", reason.RequestField},
	{"endpoint twice, once in disguise", strings.Replace(good, "{", `{"remote\u0045ndpoint":"wss://other.example.com/",`, 1), "tunnelOpen", "Invalid request: remoteEndpoint", reason.RequestField},
	{"endpoint too long", with("remoteEndpoint", `"wss://h/`+strings.Repeat("a", 8<<10-8+1)+`"`), "wss://h/" + strings.Repeat("a", 2<<10-8), "Invalid request: remoteEndpoint", reason.RequestSize},
	{"plain ws", with("remoteEndpoint", `"ws://h/x"`), "ws://h/x", "Invalid request: remoteEndpoint", reason.RequestEndpoint},
	{"https", with("remoteEndpoint", `"https://h/x"`), "https://h/x", "Invalid request: remoteEndpoint", reason.RequestEndpoint},
	{"no host", with("remoteEndpoint", `"wss:///x"`), "wss:///x", "Invalid request: remoteEndpoint", reason.RequestEndpoint},
	{"userinfo", with("remoteEndpoint", `"wss://u:p@h/x"`), "wss://h/x", "Invalid request: remoteEndpoint", reason.RequestEndpoint},
	{"userinfo in no URL", with("remoteEndpoint", `"wss://u:p@h:x/x"`), "tunnelOpen", "Invalid request: remoteEndpoint", reason.RequestEndpoint},
	{"login without slashes", with("remoteEndpoint", `"wss:u:p@h/x"`), "tunnelOpen", "Invalid request: remoteEndpoint", reason.RequestEndpoint},
	{"login without a scheme", with("remoteEndpoint", `"u@h/x"`), "tunnelOpen", "Invalid request: remoteEndpoint", reason.RequestEndpoint},
	{"fragment", with("remoteEndpoint", `"wss://h/x#y"`), "wss://h/x#y", "Invalid request: remoteEndpoint", reason.RequestEndpoint},
	{"port out of range", with("remoteEndpoint", `"wss://h:70000/"`), "wss://h:70000/", "Invalid request: remoteEndpoint", reason.RequestEndpoint},
	{"control character", with("remoteEndpoint", `"wss://h/\r\nX: y"`), "wss://h/\r\nX: y", "Invalid request: remoteEndpoint", reason.RequestEndpoint},
	{"no token", with("remoteAuthorizationToken", ""), goodEndpoint, "Invalid request: remoteAuthorizationToken", reason.RequestField},
	{"empty token", with("remoteAuthorizationToken", `""`), goodEndpoint, "Invalid request: remoteAuthorizationToken", reason.RequestToken},
	{"token twice", strings.Replace(good, "{", `{"remoteAuthorizationToken":"other",`, 1), goodEndpoint, "Invalid request: remoteAuthorizationToken", reason.RequestField},
	{"token with a line separator", with("remoteAuthorizationToken", `"a\u2028b"`), goodEndpoint, "Invalid request: remoteAuthorizationToken", reason.RequestToken},
	{"token with half a character", with("remoteAuthorizationToken", `"a\ud800b"`), goodEndpoint, "Invalid request: remoteAuthorizationToken", reason.RequestToken},
	{"token object", with("remoteAuthorizationToken", `{}`), goodEndpoint, "Invalid request: remoteAuthorizationToken", reason.RequestType},
	{"token with CRLF", with("remoteAuthorizationToken", `"a\r\nX: y"`), goodEndpoint, "Invalid request: remoteAuthorizationToken", reason.RequestToken},
	{"token with a blank", with("remoteAuthorizationToken", `"a b"`), goodEndpoint, "Invalid request: remoteAuthorizationToken", reason.RequestToken},
	{"token with DEL", with("remoteAuthorizationToken", `"a\u007f"`), goodEndpoint, "Invalid request: remoteAuthorizationToken", reason.RequestToken},
	{"endpoint longer than is echoed", with("remoteEndpoint", `"ws://h/`+strings.Repeat("é", 2000)+`"`), "ws://h/" + strings.Repeat("é", 1020), "Invalid request: remoteEndpoint", reason.RequestEndpoint},
	{"token with NUL", with("remoteAuthorizationToken", `"a\u0000"`), goodEndpoint, "Invalid request: remoteAuthorizationToken", reason.RequestToken},
	{"token too long", with("remoteAuthorizationToken", `"`+strings.Repeat("a", 16385)+`"`), goodEndpoint, "Invalid request: remoteAuthorizationToken", reason.RequestToken},
	{"no port", with("localPort", ""), "tunnelOpen", "Invalid request: localPort", reason.RequestField},
	{"port null", with("localPort", "null"), "tunnelOpen", "Invalid request: localPort", reason.RequestType},
	{"port string", with("localPort", `"554"`), "tunnelOpen", "Invalid request: localPort", reason.RequestType},
	{"port fraction", with("localPort", `554.0`), "tunnelOpen", "Invalid request: localPort", reason.RequestType},
	{"port exponent", with("localPort", `5e2`), "tunnelOpen", "Invalid request: localPort", reason.RequestType},
	{"port twice", strings.Replace(good, "}", `,"localPort":555}`, 1), "tunnelOpen", "Invalid request: localPort", reason.RequestField},
}

// with returns good with another value of a member, or without it if value is empty.
func with(member, value string) string {
	var m map[string]json.RawMessage
	if err := json.Unmarshal([]byte(good), &m); err != nil {
		panic(err)
	}
	m[member] = json.RawMessage(value)
	if value == "" {
		delete(m, member)
	}
	b, err := json.Marshal(m)
	if err != nil {
		panic(err)
	}
	return string(b)
}

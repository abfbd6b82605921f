package tunnelopen

import (
	"bytes"
	"encoding/json"
	"fmt"
	"io"
	"net/url"
	"regexp"
	"strconv"
	"strings"
	"unicode/utf8"

	"rtsptunnel/internal/reason"
)

// The members of a request's payload (the model's command tunnelOpen).
const (
	memberEndpoint = "remoteEndpoint"
	memberToken    = "remoteAuthorizationToken"
	memberPort     = "localPort"
)

const maxToken = 16 << 10 // bytes; header fields beyond that are refused by many servers

// Decode reads a request from a direct method's payload and checks all three
// members. Members it does not know are ignored. The error is always an *Error
// that Response can answer; it never holds the token.
func Decode(payload []byte) (Request, error) {
	members, err := split(payload)
	if err != nil {
		return Request{}, err
	}
	endpoint, err := text(members, memberEndpoint)
	if err != nil {
		return Request{}, err
	}
	if err := checkEndpoint(endpoint); err != nil {
		return Request{}, invalid(reason.RequestEndpoint, endpoint, memberEndpoint, err)
	}
	token, err := text(members, memberToken)
	if err != nil {
		return Request{}, err
	}
	if err := checkToken(token); err != nil {
		return Request{}, invalid(reason.RequestToken, endpoint, memberToken, err)
	}
	port, err := port(members)
	if err != nil {
		return Request{}, err
	}
	return Request{RemoteEndpoint: endpoint, Token: Token(token), LocalPort: port}, nil
}

// Encode writes r as a direct method's payload: the one place where the token
// leaves its type to travel to the edge.
func Encode(r Request) ([]byte, error) {
	return json.Marshal(map[string]any{
		memberEndpoint: r.RemoteEndpoint,
		memberToken:    string(r.Token),
		memberPort:     r.LocalPort,
	})
}

// split returns the three members of the payload's object as raw JSON. A member
// that stands there twice is refused: two readers could see two requests.
func split(payload []byte) (map[string]json.RawMessage, error) {
	notObject := func(err error) error { return invalid(reason.RequestJSON, MethodName, "payload", err) }
	if !utf8.Valid(payload) {
		return nil, notObject(fmt.Errorf("not UTF-8"))
	}
	dec := json.NewDecoder(bytes.NewReader(payload))
	if t, err := dec.Token(); err != nil || t != json.Delim('{') {
		return nil, notObject(err)
	}
	members := make(map[string]json.RawMessage, 3)
	for dec.More() {
		name, err := dec.Token()
		if err != nil {
			return nil, notObject(err)
		}
		var value json.RawMessage
		if err := dec.Decode(&value); err != nil {
			return nil, notObject(err)
		}
		member, _ := name.(string)
		if member != memberEndpoint && member != memberToken && member != memberPort {
			continue
		}
		if _, twice := members[member]; twice {
			return nil, invalid(reason.RequestField, MethodName, member, fmt.Errorf("given twice"))
		}
		members[member] = value
	}
	if _, err := dec.Token(); err != nil { // the closing brace
		return nil, notObject(err)
	}
	if _, err := dec.Token(); err != io.EOF {
		return nil, notObject(fmt.Errorf("bytes after the object"))
	}
	return members, nil
}

// text is a member that must be a string with something in it.
func text(members map[string]json.RawMessage, name string) (string, error) {
	raw, ok := members[name]
	if !ok {
		return "", invalid(reason.RequestField, MethodName, name, fmt.Errorf("missing"))
	}
	if raw[0] != '"' {
		return "", invalid(reason.RequestType, MethodName, name, fmt.Errorf("not a string"))
	}
	var s string
	if err := json.Unmarshal(raw, &s); err != nil {
		return "", invalid(reason.RequestType, MethodName, name, err)
	}
	if s == "" {
		return "", invalid(reason.RequestField, MethodName, name, fmt.Errorf("empty"))
	}
	return s, nil
}

var integer = regexp.MustCompile(`^-?[0-9]+$`)

// port is the local port: an integer literal (554.0, 5e2 and "554" are not).
// Every integer is a good request; one that cannot be a port is not available.
func port(members map[string]json.RawMessage) (int, error) {
	raw, ok := members[memberPort]
	if !ok {
		return 0, invalid(reason.RequestField, MethodName, memberPort, fmt.Errorf("missing"))
	}
	if !integer.Match(raw) {
		return 0, invalid(reason.RequestType, MethodName, memberPort, fmt.Errorf("not an integer"))
	}
	n, err := strconv.Atoi(string(raw))
	if err != nil || n < 1 || n > 65535 {
		return 0, PortUnavailable("localhost:" + string(raw[:min(len(raw), 20)]))
	}
	return n, nil
}

func checkEndpoint(endpoint string) error {
	u, err := url.Parse(endpoint)
	if err != nil {
		return fmt.Errorf("not a URL") // url.Error repeats the URL, userinfo included
	}
	switch {
	case u.Scheme != "wss":
		return fmt.Errorf("scheme is not wss")
	case u.Hostname() == "":
		return fmt.Errorf("no host")
	case u.User != nil:
		return fmt.Errorf("userinfo is not allowed")
	case strings.Contains(endpoint, "#"):
		return fmt.Errorf("a fragment is not allowed")
	}
	if p := u.Port(); p != "" {
		if n, err := strconv.Atoi(p); err != nil || n < 1 || n > 65535 {
			return fmt.Errorf("port out of range")
		}
	}
	return nil
}

// checkToken accepts what may stand in a header field, so that nobody can smuggle
// another field in through the token.
func checkToken(token string) error {
	if len(token) > maxToken {
		return fmt.Errorf("longer than %d bytes", maxToken)
	}
	for _, c := range []byte(token) {
		if c < '!' || c > '~' {
			return fmt.Errorf("holds a character outside visible ASCII")
		}
	}
	return nil
}

package tunnelopen

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"regexp"
	"strconv"
	"unicode/utf8"

	"rtsptunnel/internal/contract/reason"
)

// The members of a request's payload (the model's command tunnelOpen).
const (
	memberEndpoint = "remoteEndpoint"
	memberToken    = "remoteAuthorizationToken"
	memberPort     = "localPort"
)

// What a payload may be at most.
const (
	maxPayload = 128 << 10 // bytes; a hub passes on no more
	maxDepth   = 8         // objects and arrays within each other, the payload's own object included
	maxToken   = 16 << 10  // bytes; header fields beyond that are refused by many servers
)

// Decoder reads requests. Its zero value is the contract's.
type Decoder struct {
	Plaintext bool // take ws endpoints as well as wss: for a lab alone
}

// Decode reads a request from a direct method's payload and checks all three
// members. Members it does not know are ignored. The error is always an *Error
// that Response can answer; it never holds the token.
func (d Decoder) Decode(payload []byte) (Request, error) {
	members, err := split(payload)
	if err != nil {
		return Request{}, err
	}
	endpoint, err := members.text(MethodName, memberEndpoint)
	if err != nil {
		return Request{}, err
	}
	if err := d.checkEndpoint(endpoint); err != nil {
		return Request{}, invalid(err, endpoint, memberEndpoint)
	}
	token, err := members.text(endpoint, memberToken)
	if err != nil {
		return Request{}, err
	}
	if err := checkToken(token); err != nil {
		return Request{}, invalid(err, endpoint, memberToken)
	}
	port, err := members.port()
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

// members are the values of a payload's object by name, as raw JSON. Those of one
// name stand in their order.
type members map[string][]json.RawMessage

func split(payload []byte) (members, error) {
	if len(payload) > maxPayload {
		return nil, badPayload(reason.RequestSize, fmt.Errorf("longer than %d bytes", maxPayload))
	}
	if !utf8.Valid(payload) {
		return nil, badPayload(reason.RequestJSON, errors.New("not UTF-8"))
	}
	if deeper(payload, maxDepth) {
		return nil, badPayload(reason.RequestSize, fmt.Errorf("deeper than %d", maxDepth))
	}
	m, err := object(payload)
	if err != nil {
		return nil, badPayload(reason.RequestJSON, err)
	}
	return m, nil
}

func badPayload(code reason.Code, err error) error {
	return invalid(reason.New(code, err), MethodName, "payload")
}

// deeper tells whether objects and arrays stand more than limit deep in JSON.
func deeper(payload []byte, limit int) bool {
	depth, quoted, escaped := 0, false, false
	for _, c := range payload {
		switch {
		case escaped:
			escaped = false
		case quoted && c == '\\':
			escaped = true
		case c == '"':
			quoted = !quoted
		case quoted:
		case c == '{', c == '[':
			depth++
		case c == '}', c == ']':
			depth--
		}
		if depth > limit {
			return true
		}
	}
	return false
}

// object takes the payload apart. Only the contract's members are kept.
func object(payload []byte) (members, error) {
	dec := json.NewDecoder(bytes.NewReader(payload))
	if t, err := dec.Token(); err != nil || t != json.Delim('{') {
		return nil, errors.New("not an object")
	}
	m := make(members, 3)
	for dec.More() {
		name, err := dec.Token()
		if err != nil {
			return nil, notJSON(dec)
		}
		var value json.RawMessage
		if err := dec.Decode(&value); err != nil {
			return nil, notJSON(dec)
		}
		if name == memberEndpoint || name == memberToken || name == memberPort {
			member, _ := name.(string)
			m[member] = append(m[member], value)
		}
	}
	if _, err := dec.Token(); err != nil { // the closing brace
		return nil, notJSON(dec)
	}
	if _, err := dec.Token(); !errors.Is(err, io.EOF) {
		return nil, errors.New("bytes after the object")
	}
	return m, nil
}

// notJSON says where reading stopped; the decoder's own words quote the payload.
func notJSON(dec *json.Decoder) error {
	return fmt.Errorf("not JSON, near byte %d", dec.InputOffset())
}

// one is the member's only value. A member that stands there twice is refused: two
// readers could see two requests.
func (m members) one(target, name string) (json.RawMessage, error) {
	switch values := m[name]; len(values) {
	case 0:
		return nil, invalid(reason.New(reason.RequestField, errors.New("missing")), target, name)
	case 1:
		return values[0], nil
	default:
		return nil, invalid(reason.New(reason.RequestField, errors.New("given twice")), target, name)
	}
}

// text is a member that must be a string.
func (m members) text(target, name string) (string, error) {
	raw, err := m.one(target, name)
	if err != nil {
		return "", err
	}
	var s string
	if raw[0] != '"' || json.Unmarshal(raw, &s) != nil {
		return "", invalid(reason.New(reason.RequestType, errors.New("not a string")), target, name)
	}
	return s, nil
}

var integer = regexp.MustCompile(`^-?[0-9]+$`)

// port is the local port: an integer literal (554.0, 5e2 and "554" are not). Every
// integer is a good request, also one that no port can have; of one that is too
// large for an int the nearest stands.
func (m members) port() (int, error) {
	raw, err := m.one(MethodName, memberPort)
	if err != nil {
		return 0, err
	}
	if !integer.Match(raw) {
		return 0, invalid(reason.New(reason.RequestType, errors.New("not an integer")), MethodName, memberPort)
	}
	n, err := strconv.Atoi(string(raw))
	if err != nil && !errors.Is(err, strconv.ErrRange) { // the pattern leaves nothing else
		return 0, invalid(reason.New(reason.RequestType, errors.New("not an integer")), MethodName, memberPort)
	}
	return n, nil
}

// checkToken accepts what may stand in a header field, so that nobody can smuggle
// another field in through the token.
func checkToken(token string) error {
	unfit := func(text string) error { return reason.New(reason.RequestToken, errors.New(text)) }
	if token == "" {
		return unfit("empty")
	}
	if len(token) > maxToken {
		return unfit(fmt.Sprintf("longer than %d bytes", maxToken))
	}
	for _, c := range []byte(token) {
		if c < '!' || c > '~' {
			return unfit("holds a character outside visible ASCII")
		}
	}
	return nil
}

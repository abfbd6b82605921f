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

// The members of the payload of a request (the model's command tunnelOpen).
const (
	memberEndpoint = "remoteEndpoint"
	memberToken    = "remoteAuthorizationToken"
	memberPort     = "localPort"

	memberPayload = "payload" // for faults of the payload itself
)

// The limits of a payload.
const (
	maxPayload = 128 << 10 // bytes; a hub forwards no more
	maxDepth   = 8         // nested objects and arrays, including the payload's object
	maxToken   = 16 << 10  // bytes; many servers refuse longer header fields
)

// Decoder decodes requests. The zero value follows the contract. It is safe for concurrent
// use.
type Decoder struct {
	Plaintext bool // also accept ws endpoints: for labs only
}

// Decode decodes and checks the payload of a direct method. Unknown members are ignored.
// The error is an *Error for Response, and never holds the token.
func (d Decoder) Decode(payload []byte) (Request, error) {
	members, err := split(payload)
	if err != nil {
		return Request{}, err
	}
	endpoint, err := members.text(MethodName, memberEndpoint)
	if err != nil {
		return Request{}, err
	}
	u, err := d.parseEndpoint(endpoint)
	if err != nil {
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
	return Request{RemoteEndpoint: endpoint, URL: u, Token: Token(token), LocalPort: port}, nil
}

// Encode returns r as the payload of a direct method, token included.
func Encode(r Request) ([]byte, error) {
	return json.Marshal(map[string]any{
		memberEndpoint: r.RemoteEndpoint,
		memberToken:    string(r.Token),
		memberPort:     r.LocalPort,
	})
}

// members holds the values of the payload's object by name, as raw JSON. Duplicates keep
// their order.
type members map[string][]json.RawMessage

func split(payload []byte) (members, error) {
	if len(payload) > maxPayload {
		return nil, badPayload(reason.RequestSize, fmt.Errorf("longer than %d bytes", maxPayload))
	}
	if !utf8.Valid(payload) {
		return nil, badPayload(reason.RequestJSON, errors.New("not UTF-8"))
	}
	if exceedsDepth(payload, maxDepth) {
		return nil, badPayload(reason.RequestSize, fmt.Errorf("deeper than %d", maxDepth))
	}
	m, err := object(payload)
	if err != nil {
		return nil, badPayload(reason.RequestJSON, err)
	}
	return m, nil
}

func badPayload(code reason.Code, err error) error {
	return invalid(reason.New(code, err), MethodName, memberPayload)
}

// exceedsDepth tells whether objects and arrays are nested more than limit deep.
func exceedsDepth(payload []byte, limit int) bool {
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

// object parses the payload and keeps the contract's members.
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

// notJSON returns an error with the position only: the decoder's error quotes the payload.
func notJSON(dec *json.Decoder) error {
	return fmt.Errorf("not JSON, near byte %d", dec.InputOffset())
}

// one returns the only value of a member. A duplicate is an error: two parsers could
// otherwise see different requests.
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

// text returns the value of a member that must be a string.
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

// port returns the local port, which must be an integer literal (554.0, 5e2 and "554" are
// errors). Every integer is valid here, also one that is no port. An integer beyond the
// range of int becomes the nearest int.
func (m members) port() (int, error) {
	raw, err := m.one(MethodName, memberPort)
	if err != nil {
		return 0, err
	}
	if !integer.Match(raw) {
		return 0, invalid(reason.New(reason.RequestType, errors.New("not an integer")), MethodName, memberPort)
	}
	n, err := strconv.Atoi(string(raw))
	if err != nil && !errors.Is(err, strconv.ErrRange) { // cannot happen after the match
		return 0, invalid(reason.New(reason.RequestType, errors.New("not an integer")), MethodName, memberPort)
	}
	return n, nil
}

// checkToken accepts visible ASCII only, so that a token cannot inject another header
// field.
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

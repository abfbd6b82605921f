// Package sas parses, verifies and signs the shared access signature tokens of IoT Hub.
//
// A token has the form
//
//	SharedAccessSignature sr={resource}&sig={signature}&se={expiry}[&skn={policy}]
//
// The signature is base64(HMAC-SHA256(key, sr + "\n" + se)), with sr in the encoding that
// the token has; se is in seconds since 1970 (Microsoft, "Control access to IoT Hub by
// using shared access signatures", section "SAS token structure"). The package is pure:
// the caller passes the keys and the time.
package sas

import (
	"crypto/hmac"
	"crypto/sha256"
	"crypto/subtle"
	"encoding/base64"
	"errors"
	"fmt"
	"net/url"
	"strconv"
	"strings"
	"time"
)

const (
	scheme = "SharedAccessSignature "
	// maxToken is the length limit of a token, in bytes. It bounds the work for tokens of
	// unauthenticated clients; real tokens are below 1 KB.
	maxToken = 4096
	// maxExpiry is the last second of the year 9999. A later expiry counts as this one,
	// because a time.Time overflows far beyond it.
	maxExpiry = 253402300799
)

// Errors of tokens. Parse returns ErrMalformed, Token.Verify the others; match them with
// errors.Is.
var (
	ErrMalformed = errors.New("malformed token")
	ErrSignature = errors.New("bad signature")
	ErrAudience  = errors.New("wrong audience")
	ErrExpired   = errors.New("expired token")
)

// Token is a parsed token. Its content is untrusted until Verify returns nil.
type Token struct {
	// Resource is sr in the encoding of the token: escaped once, or twice by some
	// clients.
	Resource string
	// KeyName is skn, the policy whose key signed the token. It is empty if the key
	// belongs to a device or module.
	KeyName string
	// Expiry is se, limited to the end of the year 9999.
	Expiry time.Time

	signature []byte
	rawExpiry string
}

// Parse parses a token of at most 4 KB. It returns ErrMalformed, wrapped, for a longer
// text, for a missing scheme, and for a field that is missing, appears twice or cannot be
// decoded. The error never quotes the token.
func Parse(text string) (Token, error) {
	fields, err := split(text)
	if err != nil {
		return Token{}, err
	}
	rawSignature, err := url.PathUnescape(fields["sig"])
	if err != nil {
		return Token{}, malformed("sig is not percent-encoded text")
	}
	signature, err := base64.StdEncoding.DecodeString(rawSignature)
	if err != nil {
		return Token{}, malformed("sig is not base64")
	}
	expiry, err := strconv.ParseInt(fields["se"], 10, 64)
	if err != nil {
		return Token{}, malformed("se is not a whole number")
	}
	keyName, err := url.PathUnescape(fields["skn"])
	if err != nil {
		return Token{}, malformed("skn is not percent-encoded text")
	}
	return Token{
		Resource:  fields["sr"],
		KeyName:   keyName,
		Expiry:    time.Unix(min(expiry, maxExpiry), 0),
		signature: signature,
		rawExpiry: fields["se"],
	}, nil
}

func split(text string) (map[string]string, error) {
	if len(text) > maxToken {
		return nil, malformed("too long")
	}
	rest, ok := strings.CutPrefix(text, scheme)
	if !ok {
		return nil, malformed("does not begin with SharedAccessSignature")
	}
	fields := make(map[string]string)
	for pair := range strings.SplitSeq(rest, "&") {
		name, value, _ := strings.Cut(pair, "=")
		if _, double := fields[name]; double {
			return nil, malformed("a field appears twice")
		}
		fields[name] = value
	}
	for _, name := range []string{"sr", "sig", "se"} {
		if fields[name] == "" {
			return nil, malformed(name + " is missing")
		}
	}
	return fields, nil
}

func malformed(what string) error {
	return fmt.Errorf("%w: %s", ErrMalformed, what)
}

// Verify checks that one of keys (base64, empty ones are skipped) signed the token, that
// its resource covers expected (see Covers), and that it expires after now. It returns,
// wrapped, the first error that applies: ErrSignature, ErrAudience, ErrExpired.
func (t Token) Verify(now time.Time, expected string, keys ...string) error {
	if !t.signedBy(keys) {
		return ErrSignature
	}
	if !Covers(t.Resource, expected) {
		return fmt.Errorf("%w: token is for %q, not for %q", ErrAudience, t.Resource, expected)
	}
	if !now.Before(t.Expiry) {
		return fmt.Errorf("%w: since %s", ErrExpired, t.Expiry.UTC().Format(time.RFC3339))
	}
	return nil
}

func (t Token) signedBy(keys []string) bool {
	for _, key := range keys {
		if key == "" {
			continue
		}
		want, err := digest(key, t.Resource, t.rawExpiry)
		if err == nil && subtle.ConstantTimeCompare(want, t.signature) == 1 {
			return true
		}
	}
	return false
}

// Sign returns a token for resource (not escaped, for example
// "hub/devices/d1/modules/m1"), signed with key (base64). keyName is the policy that the
// key belongs to; it is empty for the key of a device or module. The only error is a key
// that is not base64.
func Sign(resource, keyName, key string, expiry time.Time) (string, error) {
	sr, se := url.QueryEscape(resource), strconv.FormatInt(expiry.Unix(), 10)
	signature, err := digest(key, sr, se)
	if err != nil {
		return "", fmt.Errorf("sign token for %s: %w", resource, err)
	}
	token := scheme + "sr=" + sr +
		"&sig=" + url.QueryEscape(base64.StdEncoding.EncodeToString(signature)) +
		"&se=" + se
	if keyName != "" {
		token += "&skn=" + url.QueryEscape(keyName)
	}
	return token, nil
}

func digest(key, resource, expiry string) ([]byte, error) {
	raw, err := base64.StdEncoding.DecodeString(key)
	if err != nil {
		return nil, errors.New("key is not base64")
	}
	mac := hmac.New(sha256.New, raw)
	mac.Write([]byte(resource + "\n" + expiry))
	return mac.Sum(nil), nil
}

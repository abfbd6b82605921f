// Package sas reads, verifies and makes shared access signature tokens as IoT
// Hub uses them.
//
// A token is the text
//
//	SharedAccessSignature sr={resource}&sig={signature}&se={expiry}[&skn={policy}]
//
// where the signature is base64(HMAC-SHA256(key, sr + "\n" + se)), sr taken
// exactly as it stands in the token, and se is in seconds since 1970
// (Microsoft, "Control access to IoT Hub by using shared access signatures",
// section "SAS token structure"). The package is pure: it knows no clock and
// no keys but those it is given.
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
	// maxToken bounds the work a stranger's token can cause, in bytes. Real
	// tokens are below 1 KB.
	maxToken = 4096
	// maxExpiry is the last second of the year 9999; what expires later counts
	// as expiring then. Far beyond it the clock's own numbers wrap around.
	maxExpiry = 253402300799
)

// What can be wrong with a token. Parse returns ErrMalformed, Token.Verify
// the others; match them with errors.Is.
var (
	ErrMalformed = errors.New("malformed token")
	ErrSignature = errors.New("bad signature")
	ErrAudience  = errors.New("wrong audience")
	ErrExpired   = errors.New("expired token")
)

// Token is a parsed token. Nothing in it is verified before Verify.
type Token struct {
	// Resource is sr as it stands in the token: escaped once, or twice by
	// some clients.
	Resource string
	// KeyName is skn, the policy whose key signed. Empty in tokens signed
	// with the key of a device or module.
	KeyName string
	// Expiry is se, at most the end of the year 9999.
	Expiry time.Time

	signature []byte
	rawExpiry string
}

// Parse reads a token. It returns ErrMalformed, wrapped, if the scheme is
// missing, a field is missing, double or unreadable, or the text is longer
// than 4 KB. The error never quotes the token.
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

// Verify judges the token. It must be signed with one of keys (base64, empty
// ones are passed over), be meant for expected or for something above it (see
// Covers), and expire after now. It returns ErrSignature, ErrAudience or
// ErrExpired, wrapped; the first of them that applies, in this order.
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

// Sign makes a token for resource (not escaped, for example
// "hub/devices/d1/modules/m1"), signed with key (base64). keyName is the
// policy the key belongs to, empty for the key of a device or module. An
// unreadable key is the only error.
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

package access

import (
	"crypto/rand"
	"crypto/sha256"
	"encoding/base64"
	"encoding/hex"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	"rtsptunnel/internal/gateway/name"
)

const (
	// Prefix begins each static token, so that scanners of secrets find it.
	Prefix = "rtt_"

	// The other secrets of a gateway begin alike, and content tokens as JWT do.
	sharePrefix    = "rts_"
	codePrefix     = "rto_"
	cookiePrefix   = "rtc_"
	playbackPrefix = "rtp_"

	tokenBytes = 32
	tokenChars = 43 // of 32 bytes in base64url without padding (RFC 4648, 5)

	maxName = 128 // bytes of an account name
)

// Token is one static token and the rights of its holder.
type Token struct {
	Name string // the account name, unique; log lines show it
	Role Role
	// Cameras are globs of cameras' names; see package name. A camera's streams belong to it.
	// None means all cameras for an admin and no camera for a viewer.
	Cameras []string
	Hash    Hash
	Expires time.Time // zero: never
	// MayShare lets a viewer share its cameras. An admin may always.
	MayShare bool
	// Secret is the clear token, for RTSP's Digest; empty if it is not kept. Hash is then
	// its hash.
	Secret Secret
}

// Hash is the SHA-256 of a token's text. A token is random, so a slow hash would add nothing.
type Hash [sha256.Size]byte

// String returns 64 hexadecimal digits, the form that ParseHash reads.
func (h Hash) String() string { return hex.EncodeToString(h[:]) }

// id returns a short name of the token that log lines may show.
func (h Hash) id() string {
	sum := sha256.Sum256(h[:])
	return hex.EncodeToString(sum[:8])
}

// Secret is a text that is never printed or encoded.
type Secret string

const redacted = "***"

// String returns "***".
func (Secret) String() string { return redacted }

// GoString returns "***".
func (Secret) GoString() string { return redacted }

// MarshalText returns "***".
func (Secret) MarshalText() ([]byte, error) { return []byte(redacted), nil }

// Generate returns a new token of 256 random bits and its hash.
func Generate() (token string, hash Hash) { return random(Prefix) }

// random returns a new secret of 256 bits with a prefix, and its hash.
func random(prefix string) (text string, hash Hash) {
	var bits [tokenBytes]byte
	_, _ = rand.Read(bits[:]) // never fails: see crypto/rand
	text = prefix + base64.RawURLEncoding.EncodeToString(bits[:])
	return text, sha256.Sum256([]byte(text))
}

// isRandom reports whether a text has the form of random's.
func isRandom(prefix, text string) bool {
	bits, ok := strings.CutPrefix(text, prefix)
	return ok && len(bits) == tokenChars && strings.IndexFunc(bits, notBase64URL) < 0
}

var (
	errToken = errors.New("a token is " + Prefix + " and 43 characters of base64url")
	errHash  = errors.New("a token's hash is 64 hexadecimal digits: the SHA-256 of the token's text")
)

// HashOf returns the hash of a token. The error does not hold the text.
func HashOf(token string) (Hash, error) {
	if !isRandom(Prefix, token) {
		return Hash{}, errToken
	}
	return sha256.Sum256([]byte(token)), nil
}

// ParseHash reads the text of a hash, as a file holds it: blanks around it are ignored. The
// error does not hold the text, which may be a clear token by mistake.
func ParseHash(text string) (Hash, error) {
	var h Hash
	text = strings.TrimSpace(text)
	if len(text) != hex.EncodedLen(len(h)) {
		return Hash{}, errHash
	}
	if _, err := hex.Decode(h[:], []byte(text)); err != nil {
		return Hash{}, errHash
	}
	return h, nil
}

func notBase64URL(r rune) bool {
	switch {
	case 'A' <= r && r <= 'Z', 'a' <= r && r <= 'z', '0' <= r && r <= '9', r == '-', r == '_':
		return false
	}
	return true
}

// Check returns all faults of a set of tokens: names, roles, globs, hashes. The errors hold
// names and globs, no secrets.
func Check(tokens []Token) error {
	var faults []error
	for i, t := range tokens {
		if err := t.check(); err != nil {
			faults = append(faults, fmt.Errorf("token %q: %w", t.Name, err))
		}
		same := func(o Token) bool { return o.Name == t.Name || o.Hash == t.Hash }
		if first := slices.IndexFunc(tokens, same); first < i {
			faults = append(faults, fmt.Errorf("token %q has the name or the hash of token %q", t.Name, tokens[first].Name))
		}
	}
	return errors.Join(faults...)
}

func (t Token) check() error {
	switch {
	case t.Name == "" || len(t.Name) > maxName || strings.ContainsFunc(t.Name, notInName):
		return fmt.Errorf("a name has 1 to %d letters, digits, dots, dashes and underscores", maxName)
	case t.Role != Admin && t.Role != Viewer:
		return fmt.Errorf("the role %q is neither %s nor %s", t.Role, Admin, Viewer)
	case t.Role == Viewer && len(t.Cameras) == 0:
		return errors.New(`a viewer needs cameras: names, globs such as "edge1/*", or "*"`)
	case t.Hash == Hash{}:
		return errHash
	}
	for _, glob := range t.Cameras {
		if err := name.CheckGlob(glob); err != nil {
			return fmt.Errorf("cameras: %q: %w", glob, err)
		}
	}
	if t.Secret == "" {
		return nil
	}
	if hash, err := HashOf(string(t.Secret)); err != nil || hash != t.Hash {
		return errors.New("the clear token is not the token of the hash")
	}
	return nil
}

// notInName reports characters that an account name cannot have. HTTP's Basic ends a name at
// a colon (RFC 7617, 2).
func notInName(r rune) bool { return notBase64URL(r) && r != '.' }

func (t Token) clone() Token {
	t.Cameras = slices.Clone(t.Cameras)
	if t.Role == Admin && len(t.Cameras) == 0 {
		t.Cameras = []string{all}
	}
	return t
}

func (t Token) expired() bool { return !t.Expires.IsZero() && !time.Now().Before(t.Expires) }

func (t Token) principal() Principal {
	return Principal{
		Name: t.Name, Role: t.Role, Cameras: t.Cameras, Expires: t.Expires, ID: t.Hash.id(),
		MayShare: t.Role == Admin || t.MayShare,
	}
}

// Package access decides who may do what with which camera. A viewer or an operator shows a
// token; the package returns the principal that holds it, and the principal grants actions on
// cameras.
//
// Static tokens come from the configuration. What an account may pass on comes from them, and
// ends with them: content tokens (JWT) and the playbacks that they start, logins of browsers
// (cookies and one-time codes), and shares, which mint content tokens. All but codes and shares
// are verified by the signing keys alone, and are kept nowhere.
//
// Code belongs here if it judges tokens or rights, or keeps secrets out of logged URLs. The
// package is pure: it knows neither HTTP and RTSP, nor files; a Store keeps what must survive a
// restart. No error of it holds a token.
//
// The rules for failed logins are:
//   - An address may fail 10 times a minute, an account name 30 times. Further failures are
//     answered with ACCESS_THROTTLED and the time of the next attempt. All addresses of an
//     IPv6 /64 network count as one, since a host chooses freely among them.
//   - A valid token passes always, also from a throttled address. One player with an old
//     token must not lock out the others behind the same NAT. Guessing gains nothing: a token
//     has 256 random bits. The limits bound log lines and answers, not the chance of a guess.
//   - A request without a token is no failed login: players ask for the scheme first.
package access

import (
	"crypto/sha256"
	"crypto/subtle"
	"errors"
	"net/netip"
	"slices"
	"strings"
	"sync/atomic"
	"time"

	"rtsptunnel/internal/base/peer"
	"rtsptunnel/internal/contract/reason"
	"rtsptunnel/internal/gateway/failure"
)

// Access holds the tokens in force. Its methods are safe for concurrent use.
type Access struct {
	publicURL string
	video     func(camera string) (video, guid string)

	tokens   atomic.Pointer[tokenSet]
	keys     keys
	sessions sessions
	logins   logins
	shares   shares

	addresses, accounts *failures
	failed, throttled   atomic.Uint64
}

// Options are the surroundings of an Access.
type Options struct {
	// PublicURL is the gateway's, without a slash at its end. It is the issuer of content
	// tokens.
	PublicURL string
	// Video returns the name and the UUID of a camera's video, for content tokens. It returns
	// empty texts for a camera without one. Nil: the video has the camera's name.
	Video func(camera string) (video, guid string)
	// Store keeps keys, shares and ended logins. Nil: they end with the Access.
	Store Store
}

// New returns an Access with these tokens, which has a key of its own; see Set.
func New(tokens []Token) *Access {
	a, _ := Open(Options{}) // nothing is read, so there is no warning
	a.Set(tokens)
	return a
}

// Open returns an Access without static tokens. The warnings say which files of the store could
// not be read or written, and what is lost with them. The Access can be used nevertheless.
func Open(o Options) (a *Access, warnings []error) {
	a = &Access{publicURL: o.PublicURL, video: o.Video, addresses: newFailures(addressFailures), accounts: newFailures(accountFailures)}
	if a.video == nil {
		a.video = func(camera string) (string, string) { return camera, camera }
	}
	if o.Store == nil {
		o.Store = memory{}
	}
	for _, err := range []error{a.keys.open(o.Store, time.Now()), a.sessions.open(o.Store), a.shares.open(o.Store)} {
		if err != nil {
			warnings = append(warnings, err)
		}
	}
	a.Set(nil)
	return a, warnings
}

// Tend makes the next signing key in time, and saves what could not be saved. The caller calls
// it every few seconds. The error says what is in memory alone; Tend tries again at each call.
func (a *Access) Tend() error {
	return errors.Join(a.keys.rotate(time.Now()), a.sessions.tend(), a.shares.tend())
}

// JWKS returns the public keys of content tokens (RFC 7517, section 5). The caller must not
// change it. A key is in it a day before it signs.
func (a *Access) JWKS() []byte { return a.keys.set.Load().jwks }

// tokenSet does not change.
type tokenSet struct {
	tokens []Token
	byID   map[string]int // the index of a token
}

// Set replaces all tokens at once. The tokens have passed Check. Failed logins stay counted.
func (a *Access) Set(tokens []Token) {
	set := &tokenSet{make([]Token, len(tokens)), make(map[string]int, len(tokens))}
	for i, t := range tokens {
		set.tokens[i] = t.clone()
		set.byID[t.Hash.id()] = i
	}
	a.tokens.Store(set)
}

// Authenticate returns the principal that holds a static or a content token. from is the
// client's address. The error is a *failure.Failure at hop viewer: ACCESS_LOGIN,
// ACCESS_EXPIRED, or ACCESS_THROTTLED with RetryAt. For a content token, it may also be
// ACCESS_DENIED, if its minter may not watch the camera any more.
func (a *Access) Authenticate(token string, from netip.Addr) (Principal, error) {
	return a.AuthenticateName("", token, from)
}

// AuthenticateName is Authenticate for a login with an account name, which must be the name
// of the static token. An empty name is not compared, and neither is one with a content token.
func (a *Access) AuthenticateName(name, token string, from netip.Addr) (Principal, error) {
	if token == "" {
		return Principal{}, failure.New(failure.Viewer, reason.AccessLogin, nil)
	}
	if strings.HasPrefix(token, jwtBegin) {
		return a.authenticateContent(token, from)
	}
	found, ok := a.find(token)
	if !ok || name != "" && found.Name != name {
		return Principal{}, a.fail(reason.AccessLogin, name, from)
	}
	return a.admit(found, from)
}

// DigestSecret returns the clear token of this name. It returns false for tokens that are not
// kept in clear. The caller compares a client's answer with it (RFC 7616), and then calls
// AuthenticateName: with the secret if the answer is right, with any other text if it is not.
func (a *Access) DigestSecret(name string) (string, bool) {
	for _, t := range a.tokens.Load().tokens {
		if t.Name == name && t.Secret != "" {
			return string(t.Secret), true
		}
	}
	return "", false
}

// OffersDigest reports whether a token that is kept in clear covers the camera, so that a
// client can log in by Digest at all.
func (a *Access) OffersDigest(camera string) bool {
	return slices.ContainsFunc(a.tokens.Load().tokens, func(t Token) bool {
		return t.Secret != "" && t.principal().Grant(Watch, camera) == nil
	})
}

// Counts are the failed logins since the start, without requests that had no token.
type Counts struct {
	Failed    uint64 // all of them
	Throttled uint64 // those above a limit
}

// Counts returns the counters.
func (a *Access) Counts() Counts {
	return Counts{Failed: a.failed.Load(), Throttled: a.throttled.Load()}
}

// find compares the token with all tokens, in a time that does not depend on which one it is
// or how much of one it has.
func (a *Access) find(token string) (Token, bool) {
	if !isRandom(Prefix, token) {
		return Token{}, false
	}
	hash := sha256.Sum256([]byte(token))
	tokens := a.tokens.Load().tokens
	at := -1
	for i := range tokens {
		same := subtle.ConstantTimeCompare(hash[:], tokens[i].Hash[:])
		at = subtle.ConstantTimeSelect(same, i, at)
	}
	if at < 0 {
		return Token{}, false
	}
	return tokens[at], true
}

func (a *Access) admit(t Token, from netip.Addr) (Principal, error) {
	if t.expired() {
		return Principal{}, a.fail(reason.AccessExpired, t.Name, from)
	}
	return t.principal(), nil
}

// fail counts a failed login, and returns its error.
func (a *Access) fail(code reason.Code, name string, from netip.Addr) error {
	a.failed.Add(1)
	now := time.Now()
	retryAt := a.addresses.count(peer.Network(from).String(), now)
	if name != "" {
		if at := a.accounts.count(name, now); at.After(retryAt) {
			retryAt = at
		}
	}
	if retryAt.IsZero() {
		return failure.New(failure.Viewer, code, nil)
	}
	a.throttled.Add(1)
	return failure.New(failure.Viewer, reason.AccessThrottled, nil).At(time.Time{}, retryAt)
}

// Package access decides who may do what with which camera. A viewer or an operator shows a
// token; the package returns the principal that holds it, and the principal grants actions on
// cameras.
//
// Code belongs here if it judges tokens or rights, or keeps secrets out of logged URLs. The
// package is pure: it knows neither HTTP and RTSP, nor files. No error of it holds a token.
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
	"net/netip"
	"slices"
	"sync/atomic"
	"time"

	"rtsptunnel/internal/base/peer"
	"rtsptunnel/internal/contract/reason"
	"rtsptunnel/internal/gateway/failure"
)

// Access holds the tokens in force. Its methods are safe for concurrent use.
type Access struct {
	tokens atomic.Pointer[[]Token]

	addresses, accounts *failures
	failed, throttled   atomic.Uint64
}

// New returns an Access with these tokens; see Set.
func New(tokens []Token) *Access {
	a := &Access{addresses: newFailures(addressFailures), accounts: newFailures(accountFailures)}
	a.Set(tokens)
	return a
}

// Set replaces all tokens at once. The tokens have passed Check. Failed logins stay counted.
func (a *Access) Set(tokens []Token) {
	set := make([]Token, len(tokens))
	for i, t := range tokens {
		set[i] = t.clone()
	}
	a.tokens.Store(&set)
}

// Authenticate returns the principal that holds the token. from is the client's address. The
// error is a *failure.Failure at hop viewer: ACCESS_LOGIN, ACCESS_EXPIRED, or
// ACCESS_THROTTLED with RetryAt.
func (a *Access) Authenticate(token string, from netip.Addr) (Principal, error) {
	return a.AuthenticateName("", token, from)
}

// AuthenticateName is Authenticate for a login with an account name, which must be the name
// of the token. An empty name is not compared.
func (a *Access) AuthenticateName(name, token string, from netip.Addr) (Principal, error) {
	if token == "" {
		return Principal{}, failure.New(failure.Viewer, reason.AccessLogin, nil)
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
	for _, t := range *a.tokens.Load() {
		if t.Name == name && t.Secret != "" {
			return string(t.Secret), true
		}
	}
	return "", false
}

// OffersDigest reports whether a token that is kept in clear covers the camera, so that a
// client can log in by Digest at all.
func (a *Access) OffersDigest(camera string) bool {
	return slices.ContainsFunc(*a.tokens.Load(), func(t Token) bool {
		return t.Secret != "" && t.principal().Grant(Watch, camera) == nil
	})
}

// Current returns the principal again, with the rights that its token has now. Outputs whose
// viewers stay for long call it after Set. The error is ACCESS_LOGIN if the token was removed
// or replaced, and ACCESS_EXPIRED.
func (a *Access) Current(p Principal) (Principal, error) {
	for _, t := range *a.tokens.Load() {
		if t.Name != p.Name || t.Hash.id() != p.ID {
			continue
		}
		if t.expired() {
			return Principal{}, failure.New(failure.Viewer, reason.AccessExpired, nil)
		}
		return t.principal(), nil
	}
	return Principal{}, failure.New(failure.Viewer, reason.AccessLogin, nil)
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
	if !wellFormed(token) {
		return Token{}, false
	}
	hash := sha256.Sum256([]byte(token))
	tokens := *a.tokens.Load()
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

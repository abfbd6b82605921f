package access

import (
	"crypto/sha256"
	"net/netip"
	"sync"
	"time"

	"rtsptunnel/internal/contract/reason"
	"rtsptunnel/internal/gateway/failure"
)

const (
	loginUsual = 10 * time.Minute // the lifetime of a one-time login for which none is asked
	loginMost  = 24 * time.Hour   // the longest one
	loginsMost = 100              // one-time logins at once
)

// logins are the one-time logins that no browser has used. They are in memory alone.
type logins struct {
	mu  sync.Mutex
	all map[Hash]oneTime
}

type oneTime struct {
	id      string // of the principal that made it
	expires time.Time
}

// OneTimeLogin returns a code with which a browser gets the rights of by's token once, and when
// it expires. lifetime is 10 minutes if it is zero, and is cut to 24 hours. by is an admin. Of
// more than 100 codes, the one that expires first is dropped. A restart ends all of them.
func (a *Access) OneTimeLogin(by Principal, lifetime time.Duration) (code string, expires time.Time, err error) {
	by, err = a.minter(by)
	if err == nil {
		err = by.May(Manage)
	}
	if err != nil {
		return "", time.Time{}, err
	}
	if lifetime <= 0 {
		lifetime = loginUsual
	}
	code, hash := random(codePrefix)
	expires = earliest(time.Now().Add(min(lifetime, loginMost)), by.Expires)
	a.logins.add(hash, oneTime{by.ID, expires})
	return code, expires, nil
}

func (l *logins) add(hash Hash, one oneTime) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.all == nil {
		l.all = map[Hash]oneTime{}
	}
	if len(l.all) >= loginsMost {
		var first Hash
		for h, other := range l.all {
			if kept, ok := l.all[first]; !ok || other.expires.Before(kept.expires) {
				first = h
			}
		}
		delete(l.all, first)
	}
	l.all[hash] = one
}

// take removes a login: of two that redeem a code at once, one gets it.
func (l *logins) take(hash Hash) (oneTime, bool) {
	l.mu.Lock()
	defer l.mu.Unlock()
	one, ok := l.all[hash]
	delete(l.all, hash)
	return one, ok
}

// end removes the logins that a principal has made.
func (l *logins) end(id string) {
	l.mu.Lock()
	defer l.mu.Unlock()
	for hash, one := range l.all {
		if one.id == id {
			delete(l.all, hash)
		}
	}
}

// Redeem returns the principal for which a code of OneTimeLogin was made, for a Cookie. The
// code is used up. The errors are those of Authenticate.
func (a *Access) Redeem(code string, from netip.Addr) (Principal, error) {
	one, ok := oneTime{}, false
	if isRandom(codePrefix, code) {
		one, ok = a.logins.take(sha256.Sum256([]byte(code)))
	}
	if !ok {
		return Principal{}, a.fail(reason.AccessLogin, "", from)
	}
	if !time.Now().Before(one.expires) {
		return Principal{}, a.fail(reason.AccessExpired, "", from)
	}
	root, err := a.root(one.id)
	if err != nil {
		return Principal{}, a.fail(failure.Of(err).Reason, "", from)
	}
	return root.principal(), nil
}

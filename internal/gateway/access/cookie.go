package access

import (
	"encoding/json"
	"errors"
	"maps"
	"sync"
	"time"

	"rtsptunnel/internal/contract/reason"
	"rtsptunnel/internal/gateway/failure"
)

const (
	cookieMost = 12 * time.Hour // a login of a browser
	epochsMost = 4096           // accounts that have ended their logins
)

// sessions count how often the account of a token has ended its logins. A login is valid while
// the count is the one with which it was made.
type sessions struct {
	store Store

	mu      sync.Mutex
	epochs  map[string]uint64 // by the ID of the token
	unsaved bool
}

func (s *sessions) open(store Store) error {
	s.store, s.epochs = store, map[string]uint64{}
	return load(store, cookiesFile, "logins of browsers that were ended by a logout of all are valid again for up to 12 hours", func(content []byte) error {
		var epochs map[string]uint64
		if json.Unmarshal(content, &epochs) != nil || len(epochs) > 2*epochsMost {
			return errors.New("it does not count ended logins")
		}
		if epochs != nil {
			s.epochs = epochs
		}
		return nil
	})
}

// current returns the number of the logins that are valid now. It is never zero.
func (s *sessions) current(id string) uint64 {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.epochs[id] + 1
}

// next ends the logins of a token. known tells which tokens there are: others are dropped if
// there are many.
func (s *sessions) next(id string, known func(id string) bool) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	if len(s.epochs) >= epochsMost {
		maps.DeleteFunc(s.epochs, func(id string, _ uint64) bool { return !known(id) })
	}
	s.epochs[id]++
	s.unsaved = true
	return s.save()
}

// save writes what is not saved. The caller holds mu.
func (s *sessions) save() error {
	if !s.unsaved {
		return nil
	}
	content, err := json.Marshal(s.epochs)
	if err == nil {
		err = s.store.Save(cookiesFile, content)
	}
	s.unsaved = err != nil
	return err
}

func (s *sessions) tend() error {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.save()
}

// Cookie returns the value of a cookie that logs a browser in as p, and when it ends: in 12
// hours, or when p expires. p is the holder of a static token, or a login, which does not renew
// itself; else the error is ACCESS_DENIED.
func (a *Access) Cookie(p Principal) (value string, expires time.Time, err error) {
	p, err = a.minter(p)
	if err != nil {
		return "", time.Time{}, err
	}
	now := time.Now()
	m := mark{By: p.ID, Begin: now.Unix(), End: earliest(now.Add(cookieMost), p.Expires).Unix(), Session: a.sessions.current(p.ID)}
	return a.keys.set.Load().sign(forCookie, m, now), time.Unix(m.End, 0), nil
}

// AuthenticateCookie returns the principal that a value of Cookie logs in. It has the rights
// that its token has now. The errors are ACCESS_LOGIN and ACCESS_EXPIRED. They count as no
// failed logins: a browser repeats its cookie with each request.
func (a *Access) AuthenticateCookie(value string) (Principal, error) {
	m, err := a.keys.set.Load().verify(forCookie, value, cookieMost, time.Now())
	if err != nil {
		return Principal{}, refusal(err)
	}
	return a.Current(Principal{ID: m.By, Kind: Login, Expires: time.Unix(m.End, 0), Session: m.Session})
}

// EndCookies ends all logins of browsers with p's token, the playbacks that they have started,
// and one-time logins. They have ended also if the error says that the data folder did not take
// it; a restart before Tend saves it makes them valid again.
func (a *Access) EndCookies(p Principal) error {
	a.logins.end(p.ID)
	known := func(id string) bool { _, ok := a.tokens.Load().byID[id]; return ok }
	if err := a.sessions.next(p.ID, known); err != nil {
		return failure.New(failure.Gateway, reason.DataFolder, err)
	}
	return nil
}

package access

import (
	"cmp"
	"crypto/rand"
	"crypto/sha256"
	"encoding/json"
	"errors"
	"maps"
	"net/netip"
	"slices"
	"strings"
	"sync"
	"time"
	"unicode"
	"unicode/utf8"

	"rtsptunnel/internal/contract/reason"
	"rtsptunnel/internal/gateway/failure"
)

const (
	shareMost     = 90 * 24 * time.Hour // the longest life of a share
	sharesMost    = 1000                // shares of a gateway
	sharesOfOne   = 100                 // shares of a token
	shareNoteMost = 200                 // bytes
	shareNameMost = 1024                // bytes of a camera's or a stream's name; valid ones have less
)

// Share lets a stranger watch one camera until its end. Its secret is in the link alone: the
// gateway keeps the hash.
type Share struct {
	ID      string    `json:"id"` // no secret
	Camera  string    `json:"camera"`
	Stream  string    `json:"stream,omitempty"` // the one to show; the share covers all streams
	Note    string    `json:"note,omitempty"`
	By      string    `json:"by"`   // the name of the token that made it
	ByID    string    `json:"byId"` // its ID
	Created time.Time `json:"created"`
	End     time.Time `json:"end"`
}

// storedShare is a share in the file.
type storedShare struct {
	Share
	Hash string `json:"sha256"`
}

// shares are those that have not been revoked. Expired ones are kept until others need room.
type shares struct {
	store Store

	mu      sync.Mutex
	byHash  map[Hash]Share
	byID    map[string]Hash
	unsaved bool
}

func (s *shares) open(store Store) error {
	s.store, s.byHash, s.byID = store, map[Hash]Share{}, map[string]Hash{}
	return load(store, sharesFile, "all shares have ended", s.decode)
}

func (s *shares) decode(content []byte) error {
	var stored []storedShare
	if json.Unmarshal(content, &stored) != nil || len(stored) > sharesMost {
		return errors.New("it holds no shares")
	}
	byHash, byID := map[Hash]Share{}, map[string]Hash{}
	for _, one := range stored {
		hash, err := ParseHash(one.Hash)
		if err != nil || one.ID == "" || one.ByID == "" || one.Camera == "" || one.End.Sub(one.Created) > shareMost+time.Minute {
			return errors.New("it holds an invalid share")
		}
		byHash[hash], byID[one.ID] = one.Share, hash
	}
	s.byHash, s.byID = byHash, byID
	return nil
}

// save writes all shares. The caller holds mu.
func (s *shares) save() error {
	stored := make([]storedShare, 0, len(s.byHash))
	for hash, one := range s.byHash {
		stored = append(stored, storedShare{one, hash.String()})
	}
	slices.SortFunc(stored, func(a, b storedShare) int { return strings.Compare(a.ID, b.ID) })
	content, err := json.MarshalIndent(stored, "", "\t")
	if err == nil {
		err = s.store.Save(sharesFile, content)
	}
	s.unsaved = err != nil
	return err
}

func (s *shares) tend() error {
	s.mu.Lock()
	defer s.mu.Unlock()
	if !s.unsaved {
		return nil
	}
	return s.save()
}

// end returns when a share of a token and a camera ends; false if there is none.
func (s *shares) end(id, by, camera string) (time.Time, bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	one, ok := s.byHash[s.byID[id]]
	return one.End, ok && one.ID == id && one.ByID == by && one.Camera == camera
}

// NewShare is what a share is made of.
type NewShare struct {
	Camera string // of two segments
	Stream string // empty: the main stream
	End    time.Time
	Note   string // for the list of shares: up to 200 bytes without control characters
}

// Share makes a share, and returns it with the secret of its link. by may watch the camera, is
// an admin or MayShare, and is the holder of a static token or a login. The errors are
// ACCESS_LOGIN, ACCESS_EXPIRED, ACCESS_DENIED, REQ_FIELD for an invalid end, note or name,
// LIMIT_SHARES, and DATA_FOLDER if the share cannot be saved.
func (a *Access) Share(by Principal, n NewShare) (Share, string, error) {
	by, err := a.minter(by)
	if err == nil {
		err = by.Grant(Watch, n.Camera)
	}
	if err != nil {
		return Share{}, "", err
	}
	if !by.MayShare {
		return Share{}, "", failure.New(failure.Viewer, reason.AccessDenied, nil)
	}
	now := time.Now()
	if err := n.check(now); err != nil {
		return Share{}, "", err
	}
	one := Share{
		ID: rand.Text(), Camera: withoutStream(n.Camera), Stream: n.Stream, Note: n.Note,
		By: by.Name, ByID: by.ID, Created: now.UTC().Truncate(time.Second), End: n.End.UTC().Truncate(time.Second),
	}
	secret, hash := random(sharePrefix)
	ended := func(s Share) bool { _, err := a.root(s.ByID); return err != nil }
	if err := a.shares.add(hash, one, now, ended); err != nil {
		return Share{}, "", err
	}
	return one, secret, nil
}

func (n NewShare) check(now time.Time) error {
	fault := ""
	switch {
	case !n.End.After(now.Add(time.Second)):
		fault = "the share's end is not in the future"
	case n.End.After(now.Add(shareMost)):
		fault = "a share lasts 90 days at most"
	case len(n.Note) > shareNoteMost || !utf8.ValidString(n.Note) || strings.ContainsFunc(n.Note, unicode.IsControl):
		fault = "a note has up to 200 bytes of UTF-8 without control characters"
	case len(n.Camera)+len(n.Stream) > shareNameMost || strings.Contains(n.Stream, "/"):
		fault = "the camera or the stream has no valid name"
	default:
		return nil
	}
	f := failure.New(failure.Viewer, reason.RequestField, nil)
	f.Message = fault
	return f
}

// add adds a share and saves it, or changes nothing. ended tells which shares have lost their
// token.
func (s *shares) add(hash Hash, one Share, now time.Time, ended func(Share) bool) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	if len(s.byHash) >= sharesMost || s.of(one.ByID) >= sharesOfOne {
		s.purge(func(other Share) bool { return !now.Before(other.End) || ended(other) })
	}
	if len(s.byHash) >= sharesMost || s.of(one.ByID) >= sharesOfOne {
		return failure.New(failure.Viewer, reason.LimitShares, nil)
	}
	s.byHash[hash], s.byID[one.ID] = one, hash
	if err := s.save(); err != nil {
		delete(s.byHash, hash)
		delete(s.byID, one.ID)
		return failure.New(failure.Gateway, reason.DataFolder, err)
	}
	return nil
}

// of returns the number of shares of a token. The caller holds mu.
func (s *shares) of(by string) int {
	n := 0
	for _, one := range s.byHash {
		if one.ByID == by {
			n++
		}
	}
	return n
}

// purge drops shares. The caller holds mu, and saves.
func (s *shares) purge(drop func(Share) bool) {
	for hash, one := range s.byHash {
		if drop(one) {
			delete(s.byHash, hash)
			delete(s.byID, one.ID)
		}
	}
}

// Shares returns the shares that p has made, and for an admin those of all cameras that it may
// operate, the newest first. Expired ones are among them for a while.
func (a *Access) Shares(p Principal) ([]Share, error) {
	p, err := a.minter(p)
	if err != nil {
		return nil, err
	}
	a.shares.mu.Lock()
	all := slices.Collect(maps.Values(a.shares.byHash))
	a.shares.mu.Unlock()
	all = slices.DeleteFunc(all, func(s Share) bool { return !p.mayRevoke(s) })
	slices.SortFunc(all, func(a, b Share) int {
		return cmp.Or(b.Created.Compare(a.Created), strings.Compare(a.ID, b.ID))
	})
	return all, nil
}

func (p Principal) mayRevoke(s Share) bool {
	return s.ByID == p.ID || p.Grant(Operate, s.Camera) == nil
}

// RevokeShare ends a share, the content tokens that it has minted, and their playbacks. p has
// made it, or is an admin of its camera; else the error is SHARE_UNKNOWN. The share has ended
// also if the error is DATA_FOLDER; a restart before Tend saves it makes it valid again.
func (a *Access) RevokeShare(p Principal, id string) error {
	p, err := a.minter(p)
	if err != nil {
		return err
	}
	s := &a.shares
	s.mu.Lock()
	defer s.mu.Unlock()
	hash, ok := s.byID[id]
	if !ok || !p.mayRevoke(s.byHash[hash]) {
		return failure.New(failure.Viewer, reason.ShareUnknown, nil)
	}
	delete(s.byHash, hash)
	delete(s.byID, id)
	if err := s.save(); err != nil {
		return failure.New(failure.Gateway, reason.DataFolder, err)
	}
	return nil
}

// OpenShare returns a content token for the holder of a share's secret, when it expires, and
// the share. The token lasts an hour, or until the share's end. The errors are those of
// Authenticate, and ACCESS_DENIED if the share's maker may not watch the camera any more.
func (a *Access) OpenShare(secret string, from netip.Addr) (token string, expires time.Time, share Share, err error) {
	share, ok := a.shares.find(secret)
	if !ok {
		return "", time.Time{}, Share{}, a.fail(reason.AccessLogin, "", from)
	}
	now := time.Now()
	p, err := a.Current(Principal{ID: share.ByID, Kind: Content, Camera: share.Camera, Share: share.ID, Expires: now.Add(contentUsual)})
	if err != nil {
		return "", time.Time{}, Share{}, a.fail(failure.Of(err).Reason, "", from)
	}
	token, expires, err = a.signContent(claims{Camera: share.Camera, By: share.ByID, Share: share.ID}, now, p.Expires)
	return token, expires, share, err
}

func (s *shares) find(secret string) (Share, bool) {
	if !isRandom(sharePrefix, secret) {
		return Share{}, false
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	share, ok := s.byHash[sha256.Sum256([]byte(secret))]
	return share, ok
}

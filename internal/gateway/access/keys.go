package access

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/hkdf"
	"crypto/rand"
	"crypto/sha256"
	"encoding/base64"
	"encoding/json"
	"errors"
	"slices"
	"sync"
	"sync/atomic"
	"time"
)

const (
	// keyPeriod is how long a key signs.
	keyPeriod = 30 * 24 * time.Hour
	// keyLead is how long a key is published before it signs, so that those who keep the
	// published keys for some hours know it in time.
	keyLead = 24 * time.Hour
	// keyOverlap is how long a key verifies after its successor signs: the longest life of
	// what it signed, with the leeway.
	keyOverlap = contentMost + time.Hour

	// keysMost bounds the keys of a file: rotation has three at most.
	keysMost = 8
)

// key is one P-256 key. Its fields do not change, except saved and from under keys.mu.
type key struct {
	private *ecdsa.PrivateKey
	kid     string // RFC 7638, section 3
	public  jwk
	from    time.Time // it signs from then on
	saved   bool
	macs    map[purpose][]byte
}

// purpose separates the keys of signed values: what is signed for one is invalid for another.
type purpose string

const (
	forPlayback purpose = "playback"
	forCookie   purpose = "cookie"
)

// jwk is a public key (RFC 7517; RFC 7518, section 6.2.1).
type jwk struct {
	Kty string `json:"kty"`
	Crv string `json:"crv"`
	X   string `json:"x"`
	Y   string `json:"y"`
	Kid string `json:"kid"`
	Use string `json:"use"`
	Alg string `json:"alg"`
}

func newKey(private *ecdsa.PrivateKey, from time.Time) (*key, error) {
	point, err := private.PublicKey.Bytes() // 0x04, then both coordinates (SEC 1, 2.3.3)
	if err != nil {
		return nil, err
	}
	scalar, err := private.Bytes()
	if err != nil {
		return nil, err
	}
	size := (len(point) - 1) / 2
	x, y := base64.RawURLEncoding.EncodeToString(point[1:1+size]), base64.RawURLEncoding.EncodeToString(point[1+size:])
	sum := sha256.Sum256([]byte(`{"crv":"P-256","kty":"EC","x":"` + x + `","y":"` + y + `"}`)) // RFC 7638, 3.2
	kid := base64.RawURLEncoding.EncodeToString(sum[:])
	k := &key{private: private, kid: kid, from: from, macs: map[purpose][]byte{}}
	k.public = jwk{Kty: "EC", Crv: "P-256", X: x, Y: y, Kid: kid, Use: "sig", Alg: "ES256"}
	for _, p := range []purpose{forPlayback, forCookie} {
		if k.macs[p], err = hkdf.Key(sha256.New, scalar, nil, "tunnelgateway "+string(p), sha256.Size); err != nil {
			return nil, err
		}
	}
	return k, nil
}

// keys are the signing keys, in the order in which they sign. Readers see a set that does not
// change.
type keys struct {
	store Store

	mu  sync.Mutex // of changes
	set atomic.Pointer[keySet]
}

type keySet struct {
	keys []*key
	jwks []byte
}

// open reads the keys, and makes them if there are none. The keys can be used after an error.
func (ks *keys) open(s Store, now time.Time) error {
	ks.store = s
	ks.set.Store(&keySet{})
	damaged := load(s, keysFile, "new keys are made: content tokens, playbacks and logins of browsers have ended", func(content []byte) error {
		kept, err := decodeKeys(content)
		if err == nil {
			ks.publish(kept)
		}
		return err
	})
	return errors.Join(damaged, ks.rotate(now))
}

// signing returns the key that signs now. A key that is not saved would end with the process,
// and all that it signed with it, so it signs only if there is no other.
func (s *keySet) signing(now time.Time) *key {
	var found *key
	for _, k := range s.keys {
		if found == nil || k.saved && (!k.from.After(now) || !found.saved) {
			found = k
		}
	}
	return found
}

func (s *keySet) find(kid string) *key {
	for _, k := range s.keys {
		if k.kid == kid {
			return k
		}
	}
	return nil
}

// rotate makes the next key in time, drops old keys, and saves what has changed. If saving
// fails, the keys stay in force, and the next call saves again.
func (ks *keys) rotate(now time.Time) error {
	ks.mu.Lock()
	defer ks.mu.Unlock()
	old := ks.set.Load().keys
	next, err := rotated(old, now)
	if err != nil {
		return err
	}
	if slices.EqualFunc(old, next, func(a, b *key) bool { return a == b && b.saved }) {
		return nil
	}
	content, err := encodeKeys(next)
	if err != nil {
		return err
	}
	if err = ks.store.Save(keysFile, content); err == nil {
		for i, k := range next {
			if !k.saved {
				c := *k // readers have the other one
				c.saved = true
				next[i] = &c
			}
		}
	}
	ks.publish(next)
	return err
}

// rotated returns the keys that there are to be now.
func rotated(old []*key, now time.Time) ([]*key, error) {
	next := slices.Clone(old)
	for i, k := range next {
		if from := begin(k, i == 0, now); !from.Equal(k.from) {
			c := *k // readers have the other one
			c.from, c.saved = from, false
			next[i] = &c
		}
	}
	if len(next) == 0 {
		return appendKey(next, now)
	}
	for len(next) > 1 && !next[1].from.Add(keyOverlap).After(now) {
		next = next[1:]
	}
	if last := next[len(next)-1]; !last.from.Add(keyPeriod - keyLead).After(now) {
		return appendKey(next, now.Add(keyLead))
	}
	return next, nil
}

// begin returns when a key signs. A clock that was in the future has left keys from there:
// without a correction, rotation would stop until then. A key that could not be saved in time
// signs after it is saved, and the one before it is kept from that time on.
func begin(k *key, first bool, now time.Time) time.Time {
	latest := now.Add(keyLead)
	if first {
		latest = now
	}
	switch {
	case k.from.After(latest):
		return latest
	case !first && !k.saved && k.from.Before(now):
		return now
	}
	return k.from
}

func appendKey(set []*key, from time.Time) ([]*key, error) {
	private, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		return nil, err
	}
	k, err := newKey(private, from)
	if err != nil {
		return nil, err
	}
	return append(set, k), nil
}

// publish makes a set visible.
func (ks *keys) publish(set []*key) {
	public := make([]jwk, len(set))
	for i, k := range set {
		public[i] = k.public
	}
	jwks, _ := json.Marshal(map[string][]jwk{"keys": public}) // texts: it never fails
	ks.set.Store(&keySet{set, jwks})
}

// storedKeys is the file of the keys.
type storedKeys struct {
	Version int         `json:"version"`
	Keys    []storedKey `json:"keys"`
}

type storedKey struct {
	From    time.Time `json:"from"`
	Private []byte    `json:"private"` // the scalar
}

const keysVersion = 1

func encodeKeys(set []*key) ([]byte, error) {
	f := storedKeys{Version: keysVersion}
	for _, k := range set {
		scalar, err := k.private.Bytes()
		if err != nil {
			return nil, err
		}
		f.Keys = append(f.Keys, storedKey{k.from.UTC(), scalar})
	}
	return json.Marshal(f)
}

var errKeys = errors.New("it holds no keys of this version")

// decodeKeys reads a file of keys. Its errors hold nothing of the file.
func decodeKeys(content []byte) ([]*key, error) {
	var f storedKeys
	if json.Unmarshal(content, &f) != nil || f.Version != keysVersion || len(f.Keys) == 0 || len(f.Keys) > keysMost {
		return nil, errKeys
	}
	set := make([]*key, len(f.Keys))
	for i, kept := range f.Keys {
		private, err := ecdsa.ParseRawPrivateKey(elliptic.P256(), kept.Private)
		if err != nil {
			return nil, errKeys
		}
		if set[i], err = newKey(private, kept.From); err != nil {
			return nil, errKeys
		}
		set[i].saved = true
	}
	slices.SortStableFunc(set, func(a, b *key) int { return a.from.Compare(b.from) })
	return set, nil
}

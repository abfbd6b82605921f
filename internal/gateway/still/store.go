package still

import (
	"container/list"
	"strings"
	"sync"
	"time"

	"rtsptunnel/internal/contract/reason"
	"rtsptunnel/internal/gateway/failure"
	"rtsptunnel/internal/gateway/fmp4"
	"rtsptunnel/internal/gateway/media"
)

// Picture is a finished still picture. It does not change.
type Picture struct {
	Type  string // MIME type: video/mp4, or image/jpeg of MJPEG
	Bytes []byte
	Taken time.Time // when the gateway received it
}

// newPicture makes a picture of a key frame. The error is CODEC_NOT_FOR_OUTPUT, or NO_PICTURE
// without a key frame.
func newPicture(key *media.Unit) (*Picture, error) {
	if key == nil {
		return nil, failure.New(failure.Media, reason.NoPicture, nil)
	}
	if key.Epoch.Tracks[key.Track].Codec == media.MJPEG && len(key.Payload) > 0 {
		return &Picture{"image/jpeg", key.Payload[0], key.Wall}, nil
	}
	b, err := fmp4.Still(key)
	if err != nil {
		return nil, err
	}
	return &Picture{"video/mp4", b, key.Wall}, nil
}

// DefaultStore is the size of a store in bytes: some hundred pictures of 1080p.
const DefaultStore = 64 << 20

// Store keeps the last pictures of streams, in bounded memory. When it is full, it drops those
// that were not used for the longest time. Its methods are safe for concurrent use.
type Store struct {
	limit int

	mu    sync.Mutex
	bytes int
	order *list.List // of *kept, the most recently used first
	all   map[string]*list.Element
}

// kept is the newest picture of one stream.
type kept struct {
	name    string // of the stream
	picture *Picture
}

// overhead is about what a picture costs beside its bytes, in bytes.
const overhead = 512

func (k *kept) size() int { return len(k.picture.Bytes) + len(k.name) + overhead }

// NewStore returns an empty store of at most limit bytes; 0 is DefaultStore.
func NewStore(limit int) *Store {
	if limit == 0 {
		limit = DefaultStore
	}
	return &Store{limit: limit, order: list.New(), all: map[string]*list.Element{}}
}

// Keep keeps the picture of a stream that is about to be dropped: key is its LastKey, and may be
// nil. A picture that is newer than key stays.
func (s *Store) Keep(name string, key *media.Unit) {
	if key != nil {
		_, _ = s.of(name, key) // a codec without pictures has none to keep
	}
}

// of returns the picture of a key frame. It makes it once for all that ask.
func (s *Store) of(name string, key *media.Unit) (*Picture, error) {
	if p := s.last(name); p != nil && (key == nil || !key.Wall.After(p.Taken)) {
		return p, nil
	}
	p, err := newPicture(key)
	if err == nil {
		s.put(&kept{name, p})
	}
	return p, err
}

// Taken returns when the picture was received that the store has of a stream; the zero time if
// it has none.
func (s *Store) Taken(name string) time.Time {
	s.mu.Lock()
	defer s.mu.Unlock()
	if e := s.all[name]; e != nil {
		return e.Value.(*kept).picture.Taken //nolint:forcetypeassert // the list has no other type
	}
	return time.Time{}
}

// last returns the picture of a stream, and notes that it is used; nil if there is none.
func (s *Store) last(name string) *Picture {
	s.mu.Lock()
	defer s.mu.Unlock()
	e := s.all[name]
	if e == nil {
		return nil
	}
	s.order.MoveToFront(e)
	return e.Value.(*kept).picture //nolint:forcetypeassert // the list has no other type
}

// put keeps a picture, unless it alone takes more than a quarter of the store.
func (s *Store) put(k *kept) {
	if k.size() > s.limit/4 {
		return
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	if e := s.all[k.name]; e != nil {
		if e.Value.(*kept).picture.Taken.After(k.picture.Taken) { //nolint:forcetypeassert // the list has no other type
			return // a concurrent caller had a newer one
		}
		s.remove(e)
	}
	s.all[k.name] = s.order.PushFront(k)
	s.bytes += k.size()
	for s.bytes > s.limit {
		s.remove(s.order.Back())
	}
}

// remove removes a picture. The caller holds the lock.
func (s *Store) remove(e *list.Element) {
	k := s.order.Remove(e).(*kept) //nolint:forcetypeassert // the list has no other type
	delete(s.all, k.name)
	s.bytes -= k.size()
}

// Forget drops the pictures of all streams of a camera that was removed, by its name of two
// segments: another camera may get the name.
func (s *Store) Forget(camera string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	for name, e := range s.all {
		if strings.HasPrefix(name, camera+"/") {
			s.remove(e)
		}
	}
}

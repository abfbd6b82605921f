package stream

import (
	"time"
	"unsafe"

	"rtsptunnel/internal/gateway/media"
)

// ring keeps the newest units, at positions that rise by one for each unit of the stream. It
// keeps everything from the newest key frame on, so that a reader begins with a picture, and
// at least as much as a reader may be behind. A reader that it has left is too slow. Its
// bounds win over both.
type ring struct {
	entries     []entry // the unit at position p is entries[p%len]
	first, next uint64  // the oldest unit kept, and the next one to come
	bytes       int
	zero        time.Time // entry.at counts from here
	group       uint64    // key frames so far
	newest      uint64    // the position of the newest key frame plus one; the ring may have dropped it
}

// entry is one unit of the ring.
type entry struct {
	unit  *media.Unit
	at    time.Duration // when it was published
	group uint64        // how many key frames came up to here
	size  int
	key   bool // of the main track
}

// keep is what a ring keeps.
type keep struct {
	bytes    int
	age, lag time.Duration
}

const firstEntries = 64

// fresh is how many units keep their memos: readers are seldom further behind. The others'
// are made again when a reader needs them, as one does that begins at a kept key frame.
const fresh = 32

// unitOverhead is what a unit costs beside its bytes: many tiny units must not fill the
// memory.
const unitOverhead = int(unsafe.Sizeof(media.Unit{}) + unsafe.Sizeof(entry{}))

// sliceOverhead is what each packet or NAL unit costs beside its bytes.
const sliceOverhead = int(unsafe.Sizeof([]byte(nil)))

// add appends a unit, and drops those that need not be kept.
func (r *ring) add(u *media.Unit, key bool, now time.Time, k keep) {
	if r.next-r.first == uint64(len(r.entries)) {
		r.grow()
	}
	if r.zero.IsZero() {
		r.zero = now
	}
	if key {
		r.group++
		r.newest = r.next + 1
	}
	e := r.at(r.next)
	*e = entry{
		unit: u, at: now.Sub(r.zero), group: r.group, key: key,
		size: u.Size() + unitOverhead + (len(u.Payload)+len(u.Packets))*sliceOverhead,
	}
	r.bytes += e.size
	r.next++
	if r.next-r.first > fresh {
		r.at(r.next - 1 - fresh).unit.Forget()
	}
	r.trim(k)
}

func (r *ring) grow() {
	old := *r
	r.entries = make([]entry, max(firstEntries, 2*len(old.entries)))
	for p := r.first; p < r.next; p++ {
		*r.at(p) = *old.at(p)
	}
}

// at returns the entry of a position from first to next.
func (r *ring) at(position uint64) *entry {
	return &r.entries[position%uint64(len(r.entries))]
}

// trim drops what need not be kept. It never drops the newest unit.
func (r *ring) trim(k keep) {
	last := r.at(r.next - 1).at
	for r.next-r.first > 1 {
		age := last - r.at(r.first).at
		needed := age <= k.lag || r.newest == r.first+1
		if needed && r.bytes <= k.bytes && age <= k.age {
			return
		}
		r.drop()
	}
}

func (r *ring) drop() {
	e := r.at(r.first)
	r.bytes -= e.size
	*e = entry{}
	r.first++
}

// clear drops all units. Positions go on.
func (r *ring) clear() {
	r.entries, r.bytes, r.first = nil, 0, r.next
}

// stale reports whether the newest unit is older than lag.
func (r *ring) stale(now time.Time, lag time.Duration) bool {
	return r.next > r.first && now.Sub(r.zero)-r.at(r.next-1).at > lag
}

// newestKey returns the position of the newest key frame, if the ring has it.
func (r *ring) newestKey() (uint64, bool) {
	return r.newest - 1, r.newest > r.first
}

// keyFrom returns the first key frame at position from or later.
func (r *ring) keyFrom(from uint64) (uint64, bool) {
	newest, found := r.newestKey()
	if !found || newest < from {
		return 0, false
	}
	for p := max(from, r.first); p < newest; p++ {
		if r.at(p).key {
			return p, true
		}
	}
	return newest, true
}

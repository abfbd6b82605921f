package relay

// The interfaces in this file are optional: a connection of a relay that has one of them
// is used by it. Whoever implements one asserts it at compile time.

// InPlace is a connection that sends bytes from where they were read to.
type InPlace interface {
	// Headroom is how many bytes WriteInPlace needs before those that it sends.
	Headroom() int
	// WriteInPlace is Write(buf[Headroom():]) and overwrites all of buf.
	WriteInPlace(buf []byte) (int, error)
}

// Awaiter is a connection that can wait for bytes without a buffer: a Read after an
// Await does not wait long.
type Awaiter interface{ Await() error }

// HalfCloser is a connection that can tell its peer that no more bytes come, and still
// be read. A relay closes both connections at once if one ends in order and the other is
// no HalfCloser, or its CloseWrite fails.
type HalfCloser interface{ CloseWrite() error }

// CauseCloser is a connection that tells its peer why it is closed, and hears the same
// from it. CloseCause replaces Close: err is nil for an end in order, else the error that
// ended the relay, or the cause of its context.
type CauseCloser interface{ CloseCause(err error) error }

// ReadErrorer is a connection that is read by its descriptor and has its own error for
// what a read of that returns. ReadError is not called for io.EOF.
type ReadErrorer interface{ ReadError(err error) error }

// Breakable is a connection that can tell, without being read and without waiting, why
// nothing can come from it any more but what has arrived: nil if no such thing is known.
// Its peer's end in order is none.
type Breakable interface{ Broken() error }

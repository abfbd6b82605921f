package relay

// The interfaces in this file are optional: a relay asserts them on its connections at run
// time. Packages that implement them assert them at compile time.

// InPlace is a connection that sends a buffer without copying it.
type InPlace interface {
	// Headroom is the number of bytes that WriteInPlace needs before the payload.
	Headroom() int
	// WriteInPlace is Write(buf[Headroom():]). It overwrites all of buf.
	WriteInPlace(buf []byte) (int, error)
}

// Awaiter is a connection that can wait for bytes without a buffer. After Await a Read
// returns soon.
type Awaiter interface{ Await() error }

// HalfCloser is a connection that can tell its peer that no more bytes follow, and can
// still be read. Without it, or if CloseWrite fails, the relay closes both connections as
// soon as the other side has ended in order.
type HalfCloser interface{ CloseWrite() error }

// CauseCloser is a connection that tells its peer why it is closed, and learns the same
// from its peer. CloseCause replaces Close: err is nil for an end in order, else the error
// that ended the relay, or the cause of its context.
type CauseCloser interface{ CloseCause(err error) error }

// ReadErrorer is a connection with its own errors that is read through its descriptor.
// ReadError converts an error of that read; it is not called with io.EOF.
type ReadErrorer interface{ ReadError(err error) error }

// Breakable is a connection that knows, without a Read and without blocking, whether it
// was reset or lost. Broken returns that error, nil if none is known. Bytes that have
// arrived can still be read. The peer's end in order is no such error.
type Breakable interface{ Broken() error }

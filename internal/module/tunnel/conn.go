package tunnel

// Resetter is a remote end that can be closed immediately, without sending anything, while
// its peer takes no bytes. It is reset if it is not closed within the tunnel's time to end.
type Resetter interface{ Reset() error }

// HTTPAnswer is the error of a dial that the remote end answered with an HTTP status and
// this reason phrase. Open passes both on to its caller.
type HTTPAnswer interface {
	error
	HTTPStatus() (status int, phrase string)
}

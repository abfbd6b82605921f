package tunnel

// Resetter is a remote end that can be closed at once, without a word to a peer that takes
// no bytes. A tunnel whose remote end has the method is reset when its time to end is over.
type Resetter interface{ Reset() error }

// HTTPAnswer is the error of a dial that the remote end answered with an HTTP status and
// this reason phrase. Open passes both on to its caller.
type HTTPAnswer interface {
	error
	HTTPStatus() (status int, phrase string)
}

package reason

// Class groups the codes by what the end of a tunnel means for its peer.
type Class int

// The classes. The zero value is Failure, so that a new code never reads as an orderly
// end.
const (
	// Failure: the tunnel broke, so its bytes may be incomplete. It is also the class of
	// unknown codes, and of CameraClosed and RemoteClosed: only log lines have these two,
	// since the code of an end in order is empty.
	Failure Class = iota
	// InOrder: the tunnel ended without an error. It is the class of the empty code.
	InOrder
	// GoingAway: the module shuts down. The caller may open the tunnel again later.
	GoingAway
	// PolicyEnd: the configuration no longer allows the tunnel: it is switched off, its
	// camera or endpoint changed, or it reached a limit.
	PolicyEnd
)

// Class returns the class of the code.
func (c Code) Class() Class {
	switch c {
	case "":
		return InOrder
	case ShuttingDown:
		return GoingAway
	case Disabled, PolicyRemote, CameraRemoved, CameraChanged, CameraDisabled, LimitIdle, LimitAge:
		return PolicyEnd
	default:
		return Failure
	}
}

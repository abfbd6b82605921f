package broker

// Field names of log lines.
const (
	fieldExpiry   = "expiry"
	fieldIdentity = "identity"
	fieldMessages = "messages"
	fieldRefused  = "refused"
	fieldModel    = "model"
	fieldRemote   = "remote"
	fieldStatus   = "status"
	fieldTopic    = "topic"
)

// maxShown is how much of a text that a client has chosen is logged, in bytes:
// enough for every text that is meant well.
const maxShown = 400

// shown is such a text as it is logged.
func shown(text string) string {
	if len(text) <= maxShown {
		return text
	}
	return text[:maxShown] + "..."
}

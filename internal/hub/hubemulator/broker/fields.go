package broker

// Names of log fields.
const (
	fieldExpiry   = "expiry"
	fieldIdentity = "identity"
	fieldMessages = "messages"
	fieldRefused  = "refused"
	fieldModel    = "model"
	fieldRemote   = "remote"
	fieldSent     = "sent"
	fieldStatus   = "status"
	fieldTopic    = "topic"
)

// Messages of log lines that tests wait for.
const (
	messageLoggedIn            = "client logged in"
	messageDisconnected        = "client disconnected"
	messageConnectionEnded     = "connection ended"
	messageSubscriptionRefused = "subscription refused"
	messageTooManyFiles        = "too many open files, retrying accept"
)

// maxLogged limits how much of a text from a client is logged, in bytes. All valid texts
// are shorter.
const maxLogged = 400

// truncate shortens a text from a client for the log.
func truncate(text string) string {
	if len(text) <= maxLogged {
		return text
	}
	return text[:maxLogged] + "..."
}

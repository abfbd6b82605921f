package broker

// Field names of log lines.
const (
	fieldExpiry   = "expiry"
	fieldIdentity = "identity"
	fieldMessages = "messages"
	fieldModel    = "model"
	fieldRemote   = "remote"
	fieldStatus   = "status"
	fieldTopic    = "topic"
)

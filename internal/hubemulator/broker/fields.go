package broker

// Field names of log lines.
const (
	fieldBytes    = "bytes"
	fieldExpiry   = "expiry"
	fieldIdentity = "identity"
	fieldMessages = "messages"
	fieldModel    = "model"
	fieldRemote   = "remote"
	fieldStatus   = "status"
	fieldTopic    = "topic"
)

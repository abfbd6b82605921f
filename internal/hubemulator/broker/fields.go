package broker

// Field names of log lines.
const (
	fieldBytes    = "bytes"
	fieldIdentity = "identity"
	fieldMessages = "messages"
	fieldModel    = "model"
	fieldRemote   = "remote"
	fieldStatus   = "status"
	fieldTopic    = "topic"
)

package desired

// What a test compares with the twin's schema.
var (
	HostPattern  = hostPattern.String()
	PathPattern  = pathPattern.String()
	CodecPattern = codecPattern.String()
)

const (
	HostText  = hostText
	PathText  = pathText
	CodecText = codecText
)

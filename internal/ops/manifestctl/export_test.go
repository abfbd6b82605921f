package manifestctl

// EdgeContent is for a test: the hub emulator has no configurations of other kinds.
var EdgeContent = edgeContent

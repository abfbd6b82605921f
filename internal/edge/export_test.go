package edge

// UserName is the CONNECT's user name for what the library would send.
func UserName(o Options, library string) string { return (&Client{o: o}).userName(library) }

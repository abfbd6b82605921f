package edge

// UserName is the CONNECT's user name.
func UserName(o Options) string { return (&Client{o: o}).userName() }

// Watch is what the guard says of a stream that arrives in chunks of this size.
func Watch(stream []byte, chunk int) error {
	var p packets
	for len(stream) > 0 {
		n := min(chunk, len(stream))
		if err := p.next(stream[:n]); err != nil {
			return err
		}
		stream = stream[n:]
	}
	return nil
}

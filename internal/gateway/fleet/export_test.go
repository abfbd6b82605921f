package fleet

// Want asks for a read, as Lookup of an unknown name does.
func (f *Fleet) Want() { f.want() }

// Reads returns how many reads have begun.
func (f *Fleet) Reads() uint64 {
	f.mu.Lock()
	defer f.mu.Unlock()
	return f.started
}

// Hold begins a read that runs until release is called.
func (f *Fleet) Hold() (release func()) {
	f.reading <- struct{}{}
	f.begin(f.started)
	return func() { <-f.reading }
}

// TakeWant reports whether a read is wanted, and forgets it.
func (f *Fleet) TakeWant() bool {
	select {
	case <-f.wanted:
		return true
	default:
		return false
	}
}

package stream

// broadcast wakes all that wait for the next one of something. A guard protects it.
type broadcast struct{ next chan struct{} }

// wait returns what is closed next time.
func (b *broadcast) wait() <-chan struct{} {
	if b.next == nil {
		b.next = make(chan struct{})
	}
	return b.next
}

// take returns the channel of those that wait, for wake; nil if there are none.
func (b *broadcast) take() chan struct{} {
	c := b.next
	b.next = nil
	return c
}

// wake wakes those that wait. It needs no guard, so that they do not meet a held lock.
func wake(c chan struct{}) {
	if c != nil {
		close(c)
	}
}

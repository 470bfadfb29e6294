package worker

// Classes returns how many classes have callbacks that were abandoned.
func (b *Bulkhead) Classes() int { return len(b.left) }

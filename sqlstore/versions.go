package sqlstore

import "sync"

// versionsAtOnce is how many numbers are reserved at once.
const versionsAtOnce = 1000

// versions gives out numbers that nobody else gives, and none twice. It reserves them in the database by the
// thousand: one row there says up to which number they are reserved, so that a number has one owner, and that row
// is written once in a thousand Saves. Numbers that were reserved and not given, such as by a process that died,
// are given by nobody. The zero value has none reserved.
type versions struct {
	mu        sync.Mutex
	next, end int64
}

// give returns the next number. reserve reserves versionsAtOnce more and returns the first of them.
func (v *versions) give(reserve func() (first int64, err error)) (int64, error) {
	v.mu.Lock()
	if v.next < v.end {
		defer v.mu.Unlock()
		v.next++
		return v.next - 1, nil
	}
	v.mu.Unlock()

	first, err := reserve()
	if err != nil {
		return 0, err
	}
	v.mu.Lock()
	defer v.mu.Unlock()
	if v.next >= v.end { // else another call has reserved as well
		v.next, v.end = first+1, first+versionsAtOnce
	}
	return first, nil
}

// Package times compares points in time, and mends those that a wrong clock wrote.
package times

import (
	"hash/fnv"
	"time"
)

// Later returns the later of two times.
func Later(a, b time.Time) time.Time {
	if a.After(b) {
		return a
	}
	return b
}

// Earlier returns the earlier of two times; zero means never.
func Earlier(a, b time.Time) time.Time {
	if a.IsZero() || !b.IsZero() && b.Before(a) {
		return b
	}
	return a
}

// Past returns a time of what has happened: now, if t is later than that.
func Past(t, now time.Time) time.Time {
	if t.After(now) {
		return now
	}
	return t
}

// Happened is Past for a time that is always set: now, if t is not.
func Happened(t, now time.Time) time.Time {
	if t.Unix() <= 0 {
		return now
	}
	return Past(t, now)
}

// farAhead is longer than any wait.
const farAhead = 48 * time.Hour

// Soon returns a time that is waited for; zero, which is not to wait, for one that is more than two days
// ahead.
func Soon(t, now time.Time) time.Time {
	if t.After(now.Add(farAhead)) {
		return time.Time{}
	}
	return t
}

// Backoff is how long to wait before the attempt after this one: 1, 2, 4 … 60 s.
func Backoff(attempt int) time.Duration {
	return min(time.Second<<min(max(attempt-1, 0), 6), time.Minute)
}

// Spread makes a wait up to a quarter longer, differently for each name, so that what failed together is not tried
// together again.
func Spread(wait time.Duration, name string) time.Duration {
	h := fnv.New32a()
	_, _ = h.Write([]byte(name))
	return wait + wait/4*time.Duration(h.Sum32()%1000)/1000
}

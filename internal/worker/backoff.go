package worker

import (
	"math/rand/v2"
	"time"
)

// Backoff returns how long to wait after failure number n, from 1: first, doubled with each failure, at
// the longest most. Of n below 1 it returns 0.
func Backoff(first, most time.Duration, n int) time.Duration {
	if n < 1 {
		return 0
	}
	wait := min(first, most)
	for ; n > 1 && wait < most; n-- {
		if wait > most/2 {
			return most // doubling might overflow
		}
		wait *= 2
	}
	return wait
}

// Jitter returns a random duration between d and a quarter more. Those that failed together are not
// repeated together then, and none sooner than it was meant to be.
func Jitter(d time.Duration) time.Duration {
	if d < 4 {
		return d
	}
	return d + rand.N(d/4)
}

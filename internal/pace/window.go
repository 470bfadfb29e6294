// Package pace keeps what is done from being done too often.
//
//   - [Memo] uses an answer again for a short time, and lets one caller at a time ask for a new one.
//   - [Signs] passes on the newest of signs that come one after another, each at most once in a time.
//   - [Window] gives out places in a row, so that no more than so many fall into any window of time. Its
//     state is plain data, which several processes may share.
//
// It knows nothing of what is paced.
package pace

import (
	"slices"
	"time"
)

// Window is how many places there are in each span of time.
type Window struct {
	Span  time.Duration
	Limit int           // places in each Span, at least 1
	Ahead time.Duration // how far ahead places are given
}

// Place gives the next place after those in taken, which were given before, in their order: at is its time,
// now at the earliest. It returns the places that are to be remembered. When the next place lies further
// ahead than Window.Ahead there is none: ok is false, nothing is taken, and at is when to ask again.
//
// Places further ahead than Window.Ahead were given by a clock that was wrong. They do not count.
func (w Window) Place(taken []time.Time, now time.Time) (left []time.Time, at time.Time, ok bool) {
	left = slices.DeleteFunc(slices.Clone(taken), func(t time.Time) bool { return now.Sub(t) >= w.Span || t.Sub(now) > w.Ahead })
	at = now
	if n := len(left); n >= w.Limit {
		if free := left[n-w.Limit].Add(w.Span); free.After(now) {
			at = free
		}
	}
	if at.Sub(now) > w.Ahead {
		return left, now.Add(w.Span), false
	}
	return append(left[max(0, len(left)+1-w.Limit):], at), at, true
}

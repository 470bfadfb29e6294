package pace

import (
	"context"
	"time"
)

// Memo remembers the last answer to a question for a time, an error as well. Make it with NewMemo.
type Memo[V any] struct {
	keep time.Duration
	slot chan answer[V] // holds the last answer while nobody asks: a wait for it ends with its context
}

// answer is what was answered last; its time is zero if nothing was.
type answer[V any] struct {
	value V
	err   error
	at    time.Time
}

// NewMemo returns a Memo that uses an answer again for keep.
func NewMemo[V any](keep time.Duration) Memo[V] {
	m := Memo[V]{keep: keep, slot: make(chan answer[V], 1)}
	m.slot <- answer[V]{}
	return m
}

// Get returns the last answer if it is not too old, and asks otherwise. While one caller asks the others
// wait for its answer, or for the end of their context, whose cause they get. An answer that came after the
// end of the caller's context is returned, and not used again.
func (m *Memo[V]) Get(ctx context.Context, ask func(context.Context) (V, error)) (V, error) {
	select {
	case <-ctx.Done():
		var none V
		return none, context.Cause(ctx)
	case last := <-m.slot:
		defer func() { m.slot <- last }() // also when ask panics
		if last.at.IsZero() || time.Since(last.at) >= m.keep {
			last.value, last.err = ask(ctx)
			if ctx.Err() == nil {
				last.at = time.Now()
			}
		}
		return last.value, last.err
	}
}

package claims_test

import (
	"context"
	"errors"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/crisphandover/handover/internal/claims"
)

func TestClaim(t *testing.T) {
	now := time.Unix(1e9, 0)
	var c claims.Claim
	require.True(t, c.Free())
	require.False(t, c.HeldByOther("a", now))
	c.Take("a", now)
	require.False(t, c.Free())
	require.False(t, c.HeldByOther("a", now))
	require.True(t, c.HeldByOther("b", now.Add(claims.TTL-1)))
	require.False(t, c.HeldByOther("b", now.Add(claims.TTL)), "it was not renewed")
	require.False(t, c.HeldByOther("b", now.Add(-2*claims.TTL)), "no claim is taken for so long")
	c.Release()
	require.True(t, c.Free())
}

// A record that is due and stays as it was saved says that nobody works; said once, and not where somebody does.
func TestOverdue(t *testing.T) {
	for name, c := range map[string]struct {
		stored  int64
		due     bool // as it is stored
		moves   bool // each load shows another version
		begin   bool
		nothing bool // waits
		says    []string
	}{
		"nobody works":       {stored: 1, says: []string{"a"}},
		"another works":      {stored: 2},
		"another works on":   {stored: 2, due: true, moves: true},
		"a later save":       {stored: 2, due: true, says: []string{"a"}},
		"this process works": {stored: 1, begin: true},
		"nothing waits":      {stored: 1, nothing: true},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				var said []string
				fails := true
				o := claims.Overdue{Now: time.Now, Say: func(key string) { said = append(said, key) }}
				loads, due := 0, time.Time{}
				if c.due {
					due = time.Now().Add(2 * time.Minute)
				}
				o.Load = func(context.Context, string) (int64, time.Time, error) {
					if fails {
						fails = false
						return 0, time.Time{}, errors.New("the store is down")
					}
					if loads++; c.moves {
						return c.stored + int64(loads), due, nil
					}
					return c.stored, due, nil
				}
				o.Saved("later", 1, time.Now().Add(time.Hour))
				o.Saved("a", 1, time.Now().Add(time.Minute))
				if c.nothing {
					o.Saved("a", 2, time.Time{})
				}
				if c.begin {
					defer o.Begin()()
				}
				time.Sleep(time.Hour)
				synctest.Wait()
				require.Equal(t, c.says, said)
				require.LessOrEqual(t, loads, 2)
				works, missed := o.Works()
				require.Equal(t, c.begin, works)
				require.Equal(t, c.says != nil, missed)
				o.Stop()
			})
		})
	}
}

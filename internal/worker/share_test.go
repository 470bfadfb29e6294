package worker

import (
	"testing"

	"github.com/stretchr/testify/require"
)

func TestShareOfOneClass(t *testing.T) {
	for _, row := range []struct{ most, spare int }{{1, 1}, {2, 1}, {3, 1}, {4, 1}, {8, 2}, {32, 8}, {1000, 250}, {10_000, 2500}} {
		s := newShare(row.most)
		require.Equal(t, share{row.most, row.spare}, s)
		held := 0
		for s.grants(held, held) {
			held++
		}
		require.Equal(t, row.most, held, "a class that is alone holds most")
		require.True(t, s.grants(0, held), "another one finds some free")
	}
	require.Equal(t, share{1, 1}, newShare(0))
	require.False(t, newShare(4).grants(0, 5), "nothing is free")
	require.False(t, newShare(4).grants(0, 7), "more is taken than there is")
}

// What is given back goes to the class that holds less, until both hold the same.
func TestShareEvensOut(t *testing.T) {
	s := newShare(32)
	held := [2]int{32, 0}
	for i := range 1000 {
		held[i%2] = max(0, held[i%2]-1)
		least := 0
		if held[1] < held[0] {
			least = 1
		}
		if s.grants(held[least], held[0]+held[1]) {
			held[least]++
		}
	}
	require.InDelta(t, held[0], held[1], 1)
	require.GreaterOrEqual(t, held[0]+held[1], 32, "little is left unused")
}

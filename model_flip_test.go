package handover_test

import (
	"fmt"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/crisphandover/handover"
)

// TestModelFindsAFlippedCell changes one cell of the table that the code runs, in each way that
// there is, and has the model test notice it: all cells with HANDOVER_MODEL_OPS=100000, else some
// of each kind.
func TestModelFindsAFlippedCell(t *testing.T) {
	if raced() {
		t.Skip("with -race it takes minutes, and runs nothing that TestModel does not")
	}
	step := 11
	if modelOps(t) >= allModelOps {
		step = 1
	} else if testing.Short() {
		step = 50
	}
	tried, kinds := 0, make(map[string]int)
	for _, flip := range handover.Flips() {
		if kinds[flip.Kind]++; (kinds[flip.Kind]-1)%step != 0 {
			continue
		}
		tried++
		t.Run(fmt.Sprintf("%s on %s, %s", flip.From, flip.On, flip.Kind), func(t *testing.T) {
			defer flip.Apply()()
			var sum modelSum
			for seed := range uint64(maxFlipSeeds) {
				if err := (modelRun{seed: seed, conversations: 40, rounds: 25}).run(t, &sum); err != nil {
					t.Logf("found with seed %d: %s", seed, strings.SplitN(err.Error(), "\n", 2)[0])
					return
				}
			}
			t.Fatal("the model did not notice")
		})
	}
	fmt.Printf("model: flips=%d of %v\n", tried, kinds)
	require.Len(t, kinds, 4)
}

// maxFlipSeeds is how many runs of 40 conversations a flipped cell may take to be found.
const maxFlipSeeds = 30

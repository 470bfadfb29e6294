// Package scenarios tries the whole library from outside, on the fake Crisp and in fake time, one scenario a test:
// what goes wrong with Crisp, hooks, stores and processes, and what must come of it.
package scenarios

import (
	"testing"

	"github.com/crisphandover/handover/internal/testmain"
)

// TestMain fails the run when the tests leave goroutines of this module behind.
func TestMain(m *testing.M) { testmain.Main(m) }

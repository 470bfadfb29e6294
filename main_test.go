package handover_test

import (
	"testing"

	"github.com/crisphandover/handover/internal/testmain"
)

// TestMain fails the run when the tests leave goroutines of this module behind.
func TestMain(m *testing.M) { testmain.Main(m) }

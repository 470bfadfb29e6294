// Package systemtest tries the whole library from outside, on the fake Crisp and in fake time: many
// conversations while everything goes wrong (TestChaos), random operations against a model of the
// states (TestModel), slow bots against takeovers (TestOneVoice), and the connector's page, row by
// row.
package systemtest

import (
	"testing"

	"github.com/crisphandover/handover/internal/testmain"
)

// TestMain fails the run when the tests leave goroutines of this module behind.
func TestMain(m *testing.M) { testmain.Main(m) }

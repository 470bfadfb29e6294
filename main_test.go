package handover_test

import (
	"fmt"
	"os"
	"runtime"
	"runtime/debug"
	"slices"
	"strings"
	"testing"
	"time"
)

// TestMain fails the run when the tests leave goroutines of this module behind.
func TestMain(m *testing.M) {
	code := m.Run()
	if left := leaked(); code == 0 && len(left) > 0 {
		fmt.Fprintf(os.Stderr, "%d goroutines were left behind:\n\n%s\n", len(left), strings.Join(left, "\n\n"))
		code = 1
	}
	os.Exit(code)
}

// leaked returns the stacks of the goroutines that run code of this module. Those that are about
// to end get a moment.
func leaked() (stacks []string) {
	for end := time.Now().Add(2 * time.Second); ; runtime.Gosched() {
		all := make([]byte, 1<<22)
		all = all[:runtime.Stack(all, true)]
		stacks = nil
		for _, stack := range strings.Split(string(all), "\n\n") {
			if strings.Contains(stack, "crisphandover/handover") && !strings.Contains(stack, "TestMain") {
				stacks = append(stacks, stack)
			}
		}
		if len(stacks) == 0 || time.Now().After(end) {
			return stacks
		}
	}
}

// raced reports whether the race detector watches, with which everything takes ten times as long.
func raced() bool {
	info, ok := debug.ReadBuildInfo()
	return ok && slices.Contains(info.Settings, debug.BuildSetting{Key: "-race", Value: "true"})
}

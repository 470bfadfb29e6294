package worker_test

import (
	"fmt"
	"os"
	"runtime"
	"strings"
	"testing"
	"time"
)

// TestMain fails the run when the tests leave goroutines of this package behind.
func TestMain(m *testing.M) {
	code := m.Run()
	if left := leaked(); code == 0 && len(left) > 0 {
		fmt.Fprintf(os.Stderr, "%d goroutines were left behind:\n\n%s\n", len(left), strings.Join(left, "\n\n"))
		code = 1
	}
	os.Exit(code)
}

// leaked returns the stacks of the goroutines that run code of this package. Those that are about to
// end get a moment.
func leaked() (stacks []string) {
	for end := time.Now().Add(2 * time.Second); ; runtime.Gosched() {
		all := make([]byte, 1<<22)
		all = all[:runtime.Stack(all, true)]
		stacks = nil
		for stack := range strings.SplitSeq(string(all), "\n\n") {
			if strings.Contains(stack, "internal/worker") && !strings.Contains(stack, "TestMain") {
				stacks = append(stacks, stack)
			}
		}
		if len(stacks) == 0 || time.Now().After(end) {
			return stacks
		}
	}
}

// Package testmain runs the tests of a package and fails when they leave goroutines behind.
package testmain

import (
	"flag"
	"fmt"
	"os"
	"runtime"
	"runtime/debug"
	"slices"
	"strings"
	"testing"
	"time"
)

// Main runs the tests of a package, as its TestMain, and fails when they leave goroutines of this
// module behind. Tests have the collector of garbage run less often than a process does, for a tenth of their
// time; benchmarks do not.
func Main(m *testing.M) {
	flag.Parse()
	if bench := flag.Lookup("test.bench"); bench.Value.String() == "" && os.Getenv("GOGC") == "" {
		debug.SetGCPercent(400)
	}
	code := m.Run()
	if left := left(); code == 0 && len(left) > 0 {
		fmt.Fprintf(os.Stderr, "%d goroutines were left behind:\n\n%s\n", len(left), strings.Join(left, "\n\n"))
		code = 1
	}
	os.Exit(code)
}

// left returns the stacks of the goroutines that run code of this module. Those that are about to
// end get a moment.
func left() (stacks []string) {
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

// Raced reports whether the race detector watches, with which everything takes ten times as long.
func Raced() bool {
	info, ok := debug.ReadBuildInfo()
	return ok && slices.Contains(info.Settings, debug.BuildSetting{Key: "-race", Value: "true"})
}

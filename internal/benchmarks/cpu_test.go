//go:build unix

package benchmarks

import (
	"syscall"
	"testing"
	"time"
)

// processTime is the processor time that this process has used.
func processTime() time.Duration {
	var u syscall.Rusage
	if err := syscall.Getrusage(syscall.RUSAGE_SELF, &u); err != nil {
		return 0
	}
	return time.Duration(u.Utime.Nano() + u.Stime.Nano())
}

// measured calls once b.N times and reports, besides the time and the allocations, the processor time of this
// process: other programs on the machine change it less.
func measured(b *testing.B, once func()) {
	b.ReportAllocs()
	begun := processTime()
	for b.Loop() {
		once()
	}
	b.ReportMetric(float64((processTime()-begun).Nanoseconds())/float64(b.N), "cpu-ns/op")
}

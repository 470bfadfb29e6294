package rig

import (
	"bytes"
	"log/slog"
	"strings"
	"sync"
)

// Log is a log that several goroutines write.
type Log struct {
	mu sync.Mutex
	b  bytes.Buffer
}

// Write appends to the log.
func (b *Log) Write(p []byte) (int, error) {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.b.Write(p)
}

// String is what was written.
func (b *Log) String() string {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.b.String()
}

// Logger is one that writes the log.
func (b *Log) Logger() *slog.Logger { return slog.New(slog.NewTextHandler(b, nil)) }

// Count is how often something was written.
func (b *Log) Count(text string) int { return strings.Count(b.String(), text) }

// Take returns what was written since the last call.
func (b *Log) Take() string {
	b.mu.Lock()
	defer b.mu.Unlock()
	s := b.b.String()
	b.b.Reset()
	return s
}

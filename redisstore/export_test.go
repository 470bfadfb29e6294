package redisstore

import (
	"strings"
	"time"
)

// Keys returns the keys that a store has in Redis.
func Keys(s *Store) []string { return s.keys }

// Prefix returns Options.Prefix of a store.
func Prefix(s *Store) string { return s.keys[0][1:strings.IndexByte(s.keys[0], 125)] }

// SetSilence sets after what time Watch asks whether the connection is still there.
func SetSilence(s *Store, d time.Duration) { s.silence = d }

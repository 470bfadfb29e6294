package rig

import (
	"context"
	"errors"
	"strings"
	"sync/atomic"
	"time"

	"github.com/crisphandover/handover"
)

// ErrStoreDown is what a Brittle store says while it fails.
var ErrStoreDown = errors.New("the store is down")

// ErrChannelDown is what tests have Deliver say.
var ErrChannelDown = errors.New("the channel is down")

// Brittle is a store in memory that fails on request.
type Brittle struct {
	handover.MemoryStore
	fails atomic.Bool
}

// Fails makes finding, loading and saving fail, or heals them.
func (s *Brittle) Fails(on bool) { s.fails.Store(on) }

// Find is the store's.
func (s *Brittle) Find(ctx context.Context, id string) (handover.Record, error) {
	if s.fails.Load() {
		return handover.Record{}, ErrStoreDown
	}
	return s.MemoryStore.Find(ctx, id)
}

// Load is the store's.
func (s *Brittle) Load(ctx context.Context, key string) (handover.Record, error) {
	if s.fails.Load() {
		return handover.Record{}, ErrStoreDown
	}
	return s.MemoryStore.Load(ctx, key)
}

// Save is the store's.
func (s *Brittle) Save(ctx context.Context, rec handover.Record) (int64, error) {
	if s.fails.Load() {
		return 0, ErrStoreDown
	}
	return s.MemoryStore.Save(ctx, rec)
}

// Counted is a store that counts what is asked of it about conversations.
type Counted struct {
	handover.Store
	Loads, Saves, Conflicts, Claims, Claimed atomic.Int64
}

// Load is the store's.
func (s *Counted) Load(ctx context.Context, key string) (handover.Record, error) {
	if !strings.HasPrefix(key, "website/") {
		s.Loads.Add(1)
	}
	return s.Store.Load(ctx, key)
}

// Save is the store's.
func (s *Counted) Save(ctx context.Context, r handover.Record) (int64, error) {
	v, err := s.Store.Save(ctx, r)
	switch {
	case strings.HasPrefix(r.Key, "website/"):
	case err == handover.ErrConflict:
		s.Conflicts.Add(1)
	default:
		s.Saves.Add(1)
	}
	return v, err
}

// Claim is the store's.
func (s *Counted) Claim(ctx context.Context, limit int, ttl time.Duration) ([]handover.Record, error) {
	all, err := s.Store.Claim(ctx, limit, ttl)
	s.Claims.Add(1)
	for _, r := range all {
		if !strings.HasPrefix(r.Key, "website/") {
			s.Claimed.Add(1)
		}
	}
	return all, err
}

// Watch makes it a Watcher, as the MemoryStore below it is.
func (s *Counted) Watch(ctx context.Context, changed func(key string)) error {
	return s.Store.(handover.Watcher).Watch(ctx, changed)
}

// Reset begins to count anew.
func (s *Counted) Reset() {
	for _, n := range []*atomic.Int64{&s.Loads, &s.Saves, &s.Conflicts, &s.Claims, &s.Claimed} {
		n.Store(0)
	}
}

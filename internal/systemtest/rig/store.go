package rig

import (
	"context"
	"errors"
	"sync/atomic"

	"github.com/crisphandover/handover"
)

// ErrStoreDown is what a Brittle store says while it fails.
var ErrStoreDown = errors.New("the store is down")

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

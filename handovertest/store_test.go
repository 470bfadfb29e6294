package handovertest

import (
	"context"
	"fmt"
	"runtime"
	"slices"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/crisphandover/handover"
)

// TestStoreSuite shows that the suite accepts a good store and that each of its checks can fail:
// every fault below is found by the check named with it.
func TestStoreSuite(t *testing.T) {
	TestStore(t, func(*testing.T) handover.Store { return new(handover.MemoryStore) })
	TestStore(t, func(*testing.T) handover.Store { return withClock(new(handover.MemoryStore)) })

	faulty := map[string]int{}
	for _, f := range slices.Concat(storeFaults, claimFaults, watchFaults, listFaults) {
		faulty[f.check]++
		t.Run(f.check+"/"+f.fault, func(t *testing.T) {
			i := slices.IndexFunc(storeChecks, func(c storeCheck) bool { return c.name == f.check })
			require.NotEqual(t, -1, i, "no such check")
			synctest.Test(t, func(t *testing.T) {
				failure := failureOf(t, storeChecks[i], f.store(new(handover.MemoryStore)))
				require.NotEmpty(t, failure, "the check passes a store with this fault")
				t.Log(failure)
				time.Sleep(time.Hour) // let end what the fault keeps running
			})
		})
	}
	for _, c := range storeChecks {
		require.NotZero(t, faulty[c.name], "no fault shows that the check %q can fail", c.name)
	}
}

// storeFault is a fault that stores are likely to have, with the check that finds it.
type storeFault struct {
	check, fault string
	store        func(handover.Store) handover.Store
}

// failureOf runs a check and returns what it says of the store; empty when the store passed.
func failureOf(t *testing.T, c storeCheck, s handover.Store) string {
	r := &storeRecorder{ctx: t.Context()}
	done := make(chan struct{})
	go func() {
		defer close(done)
		c.run(r, s)
	}()
	<-done
	return r.failure
}

// storeRecorder is a storeT that keeps the failure for itself.
type storeRecorder struct {
	ctx     context.Context
	failure string
}

func (r *storeRecorder) Helper()                  {}
func (r *storeRecorder) Context() context.Context { return r.ctx }
func (r *storeRecorder) Fatalf(format string, args ...any) {
	r.failure = fmt.Sprintf(format, args...)
	runtime.Goexit()
}

// faultyStore is a store of which some methods are replaced.
type faultyStore struct {
	handover.Store
	load, find func(context.Context, string) (handover.Record, error)
	save       func(context.Context, handover.Record) (int64, error)
	claim      func(context.Context, int, time.Duration) ([]handover.Record, error)
	remove     func(context.Context, string, int64) error
}

func (s faultyStore) Load(ctx context.Context, key string) (handover.Record, error) {
	if s.load != nil {
		return s.load(ctx, key)
	}
	return s.Store.Load(ctx, key)
}

func (s faultyStore) Find(ctx context.Context, crispID string) (handover.Record, error) {
	if s.find != nil {
		return s.find(ctx, crispID)
	}
	return s.Store.Find(ctx, crispID)
}

func (s faultyStore) Save(ctx context.Context, r handover.Record) (int64, error) {
	if s.save != nil {
		return s.save(ctx, r)
	}
	return s.Store.Save(ctx, r)
}

func (s faultyStore) Claim(ctx context.Context, limit int, ttl time.Duration) ([]handover.Record, error) {
	if s.claim != nil {
		return s.claim(ctx, limit, ttl)
	}
	return s.Store.Claim(ctx, limit, ttl)
}

func (s faultyStore) Delete(ctx context.Context, key string, version int64) error {
	if s.remove != nil {
		return s.remove(ctx, key, version)
	}
	return s.Store.Delete(ctx, key, version)
}

package handover

import (
	"context"
	"errors"
	"net/http"
	"time"

	"github.com/crisphandover/handover/internal/worker"
)

// What the host gave may panic: its store, and the transport of its HTTP client. Here a panic becomes
// an error, which the engine handles like any other fault of theirs.

var (
	errStorePanicked     = errors.New("handover: the store panicked: the log has the stack")
	errTransportPanicked = errors.New("handover: the transport of Config.HTTPClient panicked: the log has the stack")
)

// guardedStore is the host's store without its panics.
type guardedStore struct {
	store Store
	log   func(stack string)
}

// guardedWatcher is a guardedStore that can watch as well.
type guardedWatcher struct {
	guardedStore
	watcher Watcher
}

// guardStore returns a store that never panics. It is a Watcher if s is one.
func guardStore(s Store, log func(stack string)) Store {
	guarded := guardedStore{s, log}
	if w, ok := s.(Watcher); ok {
		return guardedWatcher{guarded, w}
	}
	return guarded
}

// withoutPanic calls f, and returns a panic as an error.
func withoutPanic[T any](log func(stack string), panicked error, f func() (T, error)) (result T, err error) {
	err = panicked
	worker.Guard(log, func() { result, err = f() })
	return result, err
}

// Load implements Store.
func (s guardedStore) Load(ctx context.Context, key string) (Record, error) {
	return withoutPanic(s.log, errStorePanicked, func() (Record, error) { return s.store.Load(ctx, key) })
}

// Find implements Store.
func (s guardedStore) Find(ctx context.Context, crispID string) (Record, error) {
	return withoutPanic(s.log, errStorePanicked, func() (Record, error) { return s.store.Find(ctx, crispID) })
}

// Save implements Store.
func (s guardedStore) Save(ctx context.Context, r Record) (int64, error) {
	return withoutPanic(s.log, errStorePanicked, func() (int64, error) { return s.store.Save(ctx, r) })
}

// Claim implements Store.
func (s guardedStore) Claim(ctx context.Context, limit int, ttl time.Duration) ([]Record, error) {
	return withoutPanic(s.log, errStorePanicked, func() ([]Record, error) { return s.store.Claim(ctx, limit, ttl) })
}

// Delete implements Store.
func (s guardedStore) Delete(ctx context.Context, key string, version int64) error {
	_, err := withoutPanic(s.log, errStorePanicked, func() (struct{}, error) { return struct{}{}, s.store.Delete(ctx, key, version) })
	return err
}

// Watch implements Watcher.
func (s guardedWatcher) Watch(ctx context.Context, changed func(key string)) error {
	_, err := withoutPanic(s.log, errStorePanicked, func() (struct{}, error) { return struct{}{}, s.watcher.Watch(ctx, changed) })
	return err
}

// guardedTransport is the host's transport without its panics.
type guardedTransport struct {
	transport http.RoundTripper
	log       func(stack string)
}

// guardClient returns a copy of an HTTP client whose transport never panics.
func guardClient(c *http.Client, log func(stack string)) *http.Client {
	if c == nil {
		c = &http.Client{}
	}
	guarded := *c
	if c.Transport == nil {
		return &guarded // Go's own
	}
	guarded.Transport = guardedTransport{c.Transport, log}
	return &guarded
}

// RoundTrip implements http.RoundTripper.
func (t guardedTransport) RoundTrip(r *http.Request) (*http.Response, error) {
	return withoutPanic(t.log, errTransportPanicked, func() (*http.Response, error) { return t.transport.RoundTrip(r) })
}

// CloseIdleConnections closes those of the host's transport, as http.Client does.
func (t guardedTransport) CloseIdleConnections() {
	if c, ok := t.transport.(interface{ CloseIdleConnections() }); ok {
		c.CloseIdleConnections()
	}
}

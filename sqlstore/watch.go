package sqlstore

import (
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"sync"
	"time"
)

// listenPatience bounds how long Watch waits to hear what it told itself.
const listenPatience = 10 * time.Second

var errDeaf = errors.New("LISTEN was done, but what was told to the channel did not come: " +
	"Options.Listen needs a connection of its own to PostgreSQL, not one of a pooler in transaction mode")

// Watch implements handover.Watcher, by Options.Listen; without that it is not supported.
//
// It tells itself something first, and fails if that is not heard, such as through a pooler.
//
// Other Stores in the same database with the same Options.Prefix, but other schemas, are heard too:
// their keys may be told.
func (s *Store) Watch(ctx context.Context, changed func(key string)) error {
	if s.listen == nil {
		return fmt.Errorf("handover: sqlstore: Watch without Options.Listen: %w", errors.ErrUnsupported)
	}
	if err := ctx.Err(); err != nil {
		return fmt.Errorf("handover: sqlstore: Watch: %w", err)
	}
	err := s.watch(ctx, changed)
	switch {
	case err == nil:
		err = errors.New("Options.Listen returned")
	case ctx.Err() != nil && !errors.Is(err, ctx.Err()):
		err = fmt.Errorf("%w: %w", ctx.Err(), err)
	}
	return fmt.Errorf("handover: sqlstore: Watch: %w", err)
}

// watch calls Options.Listen, and changed from when it has heard what it told itself.
func (s *Store) watch(ctx context.Context, changed func(key string)) error {
	ctx, stop := context.WithCancelCause(ctx)
	var try sync.WaitGroup
	defer try.Wait()
	defer stop(nil)

	word, heard := "try "+rand.Text(), make(chan struct{})
	listening, hears := false, false
	err := s.listen(ctx, s.channel, func(payload string) {
		switch {
		case hears:
			changed(payload)
		case payload == "" && !listening:
			listening = true
			try.Go(func() {
				if err := s.tryListening(ctx, word, heard); err != nil {
					stop(err)
				}
			})
		case payload == word:
			hears = true
			close(heard)
			changed("")
		}
	})
	if cause := context.Cause(ctx); cause != nil && cause != ctx.Err() {
		return cause // that ended Listen
	}
	return err
}

// tryListening tells a word to the channel, and waits until it is heard.
func (s *Store) tryListening(ctx context.Context, word string, heard <-chan struct{}) error {
	ctx, cancel := context.WithTimeoutCause(ctx, listenPatience, errDeaf)
	defer cancel()
	if _, err := s.db.ExecContext(ctx, s.tell, word); err != nil {
		return err
	}
	select {
	case <-heard:
		return nil
	case <-ctx.Done():
		return context.Cause(ctx)
	}
}

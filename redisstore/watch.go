package redisstore

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/redis/go-redis/v9"
)

// Watch implements handover.Watcher, by sharded publish and subscribe: in a cluster only the store's
// shard hears of it.
//
// It has a connection of its own. One on which nothing is heard for half a minute is asked whether it is still
// there; if it does not answer in as long again, Watch ends with an error.
func (s *Store) Watch(ctx context.Context, changed func(key string)) error {
	if err := ctx.Err(); err != nil {
		return fmt.Errorf("handover: redisstore: Watch: %w", err)
	}
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	subscription := s.client.SSubscribe(ctx, s.channel)
	heard, lost := make(chan any), make(chan error, 1)
	go func() {
		defer subscription.Close()
		lost <- receive(ctx, subscription, heard)
	}()
	context.AfterFunc(ctx, func() { _ = subscription.Close() }) // a receiver that is blocked does not heed ctx
	err := s.listen(ctx, subscription, heard, lost, changed)
	if ctx.Err() != nil && !errors.Is(err, ctx.Err()) {
		err = fmt.Errorf("%w: %w", ctx.Err(), err)
	}
	return fmt.Errorf("handover: redisstore: Watch: %w", err)
}

// receive hands on what comes, until the connection is lost: the client would make another one, and what was
// published meanwhile would be missed.
func receive(ctx context.Context, subscription *redis.PubSub, heard chan<- any) error {
	for {
		m, err := subscription.Receive(ctx)
		if err != nil {
			return err
		}
		select {
		case heard <- m:
		case <-ctx.Done():
			return ctx.Err()
		}
	}
}

// listen tells what is heard, and asks when nothing is.
func (s *Store) listen(ctx context.Context, subscription *redis.PubSub, heard <-chan any, lost <-chan error, changed func(key string)) error {
	silence := time.NewTimer(s.silence)
	defer silence.Stop()
	asked := false
	for {
		select {
		case <-ctx.Done():
			return ctx.Err()
		case err := <-lost:
			return err
		case m := <-heard:
			switch m := m.(type) {
			case *redis.Message:
				changed(m.Payload)
			case *redis.Subscription:
				if m.Kind != "ssubscribe" {
					return errors.New("the server has ended the subscription: another one has the store now")
				}
				changed("")
			}
			asked = false
			silence.Reset(s.silence)
		case <-silence.C:
			if asked {
				return errors.New("the server is silent: the connection is lost")
			}
			if err := subscription.Ping(ctx); err != nil {
				return err
			}
			asked = true
			silence.Reset(s.silence)
		}
	}
}

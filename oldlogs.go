package handover

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"slices"
	"time"

	"github.com/go-json-experiment/json"

	"github.com/crisphandover/handover/internal/crisplog"
)

// oldLogPrefix begins the keys of the records that hold the old logs of Crisp sessions.
const oldLogPrefix = "log/"

func oldLogKey(rec *record, crisp string) string { return oldLogPrefix + rec.Website + "/" + crisp }

// oldLogTidied is how often it is asked whether an old log still has its conversation.
const oldLogTidied = 24 * time.Hour

// oldLogs keeps the old logs of Crisp sessions, each in a record of its own.
type oldLogs struct {
	store  *storage
	logger *slog.Logger
}

// decode reads an old log; an empty one if there is none, or it cannot be read.
func (o *oldLogs) decode(r Record) (*crisplog.Old, error) {
	old := &crisplog.Old{V: recordVersion}
	if r.Version == 0 {
		return old, nil
	}
	err := json.Unmarshal(r.Data, old, recordJSON)
	switch {
	case err == nil && old.V > recordVersion:
		return nil, errLaterVersion
	case err != nil || slices.Contains(old.Entries, nil):
		o.logger.Error("handover: an old log cannot be read: earlier messages cannot be edited any more", "key", r.Key)
		return &crisplog.Old{V: recordVersion}, nil
	}
	return old, nil
}

// load reads the old log with this key. stored is false if there is none.
func (o *oldLogs) load(ctx context.Context, key string) (old *crisplog.Old, stored bool, err error) {
	r, err := o.store.load(ctx, key)
	if err != nil {
		return nil, false, err
	}
	old, err = o.decode(r)
	return old, r.Version != 0, err
}

// change changes the old log with this key.
func (o *oldLogs) change(ctx context.Context, key string, f func(*crisplog.Old)) error {
	return o.store.change(ctx, key, func(r *Record) error {
		old, err := o.decode(*r)
		if err != nil {
			return err
		}
		f(old)
		if r.Data, err = marshal(old); err != nil {
			return fmt.Errorf("handover: an old log cannot be written: %w", err)
		}
		r.Due = o.store.now().Add(oldLogTidied)
		return nil
	})
}

// move moves what is too much in the logs of a record's sessions to their old logs. The record, whose key
// is owner, must be saved after it: until then both have it, and what is moved again changes nothing.
func (o *oldLogs) move(ctx context.Context, owner string, rec *record) error {
	for _, s := range rec.Sessions {
		entries := s.Log.Surplus(rec.awaits)
		if len(entries) == 0 {
			continue
		}
		err := o.change(ctx, oldLogKey(rec, s.ID), func(old *crisplog.Old) {
			old.Owner = owner
			old.Put(entries)
		})
		if err != nil {
			return err
		}
		s.Log.Move(entries)
	}
	return nil
}

// addTo adds the session's old log to what was read, where that is needed to judge it. Without it
// nothing was read.
func (o *oldLogs) addTo(ctx context.Context, rec *record, n *crisplog.Reading) *crisplog.Reading {
	s := rec.Sessions.ByID(n.Of.Crisp)
	if s == nil || !n.NeedsOld(s, rec.hooksOf(s.ID, n.Of.Upto), rec.env.now) {
		return n
	}
	old, _, err := o.load(ctx, oldLogKey(rec, s.ID))
	if err != nil {
		return &crisplog.Reading{Of: n.Of, Begun: n.Begun, Err: err}
	}
	if len(old.Entries) == 0 { // it was lost
		old.Cut = s.Log.Moved
	}
	n.Old, n.Moves = old, s.Log.Moves
	return n
}

// drop deletes the old logs of sessions that a record does not have any more. What it does not reach is
// found by tidy.
func (o *oldLogs) drop(ctx context.Context, rec *record, gone crisplog.Sessions) error {
	var errs []error
	for _, s := range gone {
		if s.Log.Moved != 0 {
			_, err := o.store.remove(ctx, oldLogKey(rec, s.ID))
			errs = append(errs, err)
		}
	}
	return errors.Join(errs...)
}

// tidy deletes an old log whose conversation is gone, or has nothing to do with its session any more.
// load reads the record of a conversation.
func (o *oldLogs) tidy(ctx context.Context, key string, load func(ctx context.Context, key string) (*record, error)) error {
	old, stored, err := o.load(ctx, key)
	if err != nil || !stored {
		return err
	}
	if old.Owner != "" {
		rec, err := load(ctx, old.Owner)
		if err != nil {
			return err
		}
		if slices.ContainsFunc(rec.Sessions, func(s *crisplog.Session) bool { return oldLogKey(rec, s.ID) == key }) {
			return o.change(ctx, key, func(*crisplog.Old) {}) // due later
		}
	}
	_, err = o.store.remove(ctx, key)
	return err
}

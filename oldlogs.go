package handover

import (
	"context"
	"errors"
	"fmt"
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

// loadOld returns an old log; an empty one if there is none, or it cannot be read.
func (h *engine) loadOld(ctx context.Context, key string) (*crisplog.Old, Record, error) {
	ctx, cancel := context.WithTimeout(ctx, storeTimeout)
	defer cancel()
	r, err := h.cfg.Store.Load(ctx, key)
	if err != nil {
		return nil, r, fmt.Errorf("handover: load from the store: %w", err)
	}
	old := &crisplog.Old{V: recordVersion}
	if r.Version == 0 {
		return old, Record{Key: key}, nil
	}
	err = json.Unmarshal(r.Data, old, recordJSON)
	switch {
	case err == nil && old.V > recordVersion:
		return nil, r, errLaterVersion
	case err != nil || slices.Contains(old.Entries, nil):
		h.cfg.Logger.Error("handover: an old log cannot be read: earlier messages cannot be edited any more", "key", key)
		old = &crisplog.Old{V: recordVersion}
	}
	return old, r, nil
}

// moveOld moves what is too much in the logs of a record's sessions to their old logs. The record must be
// saved after it: until then both have it, and what is moved again changes nothing.
func (h *engine) moveOld(ctx context.Context, key string, rec *record) error {
	for _, s := range rec.Sessions {
		entries := s.Log.Surplus(rec.awaits)
		if len(entries) == 0 {
			continue
		}
		err := h.changeOld(ctx, oldLogKey(rec, s.ID), func(old *crisplog.Old) {
			old.Owner = key
			old.Put(entries)
		})
		if err != nil {
			return err
		}
		s.Log.Move(entries)
	}
	return nil
}

func (h *engine) changeOld(ctx context.Context, key string, change func(*crisplog.Old)) error {
	for {
		old, r, err := h.loadOld(ctx, key)
		if err != nil {
			return err
		}
		change(old)
		if r.Data, err = json.Marshal(old, recordJSON); err != nil {
			return fmt.Errorf("handover: an old log cannot be written: %w", shapeOf(err))
		}
		r.Due = h.clock.now().Add(oldLogTidied)
		if _, err = h.cfg.Store.Save(ctx, r); err == nil {
			return nil
		} else if !errors.Is(err, ErrConflict) {
			return fmt.Errorf("handover: save to the store: %w", err)
		}
	}
}

// withOld adds the session's old log to what was read, where that is needed to judge it. Without it
// nothing was read.
func (h *engine) withOld(ctx context.Context, rec *record, n *reading) *reading {
	s := rec.Sessions.ByID(n.of.crisp)
	if s == nil || !rec.oldWanted(s, n) {
		return n
	}
	old, _, err := h.loadOld(ctx, oldLogKey(rec, s.ID))
	if err != nil {
		h.cfg.Logger.Warn("handover: the store failed", "why", "old log")
		return &reading{of: n.of, begun: n.begun, err: err}
	}
	if len(old.Entries) == 0 { // it was lost
		old.Cut = s.Log.Moved
	}
	n.old = old
	return n
}

// dropOld deletes the old logs of sessions that a record does not have any more. What it does not reach
// is found by tidyOld.
func (h *engine) dropOld(ctx context.Context, rec *record, gone crisplog.Sessions) error {
	var errs []error
	for _, s := range gone {
		if s.Log.Moved != 0 {
			errs = append(errs, h.deleteOld(ctx, oldLogKey(rec, s.ID)))
		}
	}
	return errors.Join(errs...)
}

func (h *engine) deleteOld(ctx context.Context, key string) error {
	for {
		r, err := h.cfg.Store.Load(ctx, key)
		if err != nil {
			return fmt.Errorf("handover: load from the store: %w", err)
		}
		if err = h.cfg.Store.Delete(ctx, key, r.Version); err == nil {
			return nil
		} else if !errors.Is(err, ErrConflict) {
			return fmt.Errorf("handover: delete from the store: %w", err)
		}
	}
}

// tidyOld deletes an old log whose conversation is gone, or has nothing to do with its session any more.
func (h *engine) tidyOld(ctx context.Context, key string) error {
	old, r, err := h.loadOld(ctx, key)
	if err != nil || r.Version == 0 {
		return err
	}
	if old.Owner == "" {
		return h.deleteOld(ctx, key)
	}
	rec, err := h.load(ctx, old.Owner, Conversation{})
	if err != nil {
		return err
	}
	for _, s := range rec.Sessions {
		if oldLogKey(rec, s.ID) == key {
			return h.changeOld(ctx, key, func(*crisplog.Old) {}) // due later
		}
	}
	return h.deleteOld(ctx, key)
}

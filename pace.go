package handover

import (
	"context"
	"errors"
	"fmt"
	"net/url"
	"slices"
	"time"

	"github.com/go-json-experiment/json"
	"github.com/go-json-experiment/json/jsontext"
)

// websiteData is what a whole website shares, over all replicas: the Data of its own record.
type websiteData struct {
	V       int            `json:"v"`
	Creates []time.Time    `json:"creates,omitempty"` // of conversations, within the last minute
	Unknown jsontext.Value `json:",embed"`
}

// pace takes a place among the conversations made in a minute, or says how long to wait for one.
func (h *Handover) pace(ctx context.Context) (wait time.Duration, err error) {
	limit := h.cfg.Limits.CreatesPerMinute
	if limit < 0 {
		return 0, nil
	}
	err = h.updateWebsite(ctx, func(w *websiteData, now time.Time) error {
		w.Creates = slices.DeleteFunc(w.Creates, func(t time.Time) bool { return now.Sub(t) >= time.Minute })
		if wait = 0; len(w.Creates) >= limit {
			wait = w.Creates[0].Add(time.Minute).Sub(now)
			return errKeep
		}
		w.Creates = append(w.Creates, now)
		return nil
	})
	return wait, err
}

// updateWebsite applies change to the website's record, as update does to a conversation's.
func (h *Handover) updateWebsite(ctx context.Context, change func(*websiteData, time.Time) error) error {
	key := "website/" + url.PathEscape(h.cfg.WebsiteID)
	for {
		r, err := h.cfg.Store.Load(ctx, key)
		if err != nil {
			return fmt.Errorf("handover: load from the store: %w", err)
		}
		w := websiteData{V: recordVersion}
		if r.Version != 0 {
			if err := json.Unmarshal(r.Data, &w, recordJSON); err != nil {
				return fmt.Errorf("handover: the website's record cannot be read: %w", shapeOf(err))
			}
		}
		if err := change(&w, time.Now()); errors.Is(err, errKeep) {
			return nil
		} else if err != nil {
			return err
		}
		body, err := json.Marshal(w, recordJSON)
		if err != nil {
			return fmt.Errorf("handover: the website's record cannot be written: %w", shapeOf(err))
		}
		switch _, err = h.cfg.Store.Save(ctx, Record{Key: key, Version: r.Version, Data: body}); {
		case err == nil:
			return nil
		case !errors.Is(err, ErrConflict):
			return fmt.Errorf("handover: save to the store: %w", err)
		}
	}
}

package channel_test

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/crisphandover/handover"
	"github.com/crisphandover/handover/channel"
)

func TestTake(t *testing.T) {
	say := func(user, id string) handover.Incoming {
		return handover.Incoming{Conversation: handover.Conversation{Source: "x", ID: user}, ID: id, Text: id, At: time.Now()}
	}
	old, timeless := say("ann", "a0"), say("ann", "a")
	old.At, timeless.At = time.Now().Add(-time.Hour), time.Time{}
	file := say("ann", "a1")
	file.Files = []handover.File{{URL: "https://a.invalid/1"}}
	for name, c := range map[string]struct {
		all    []handover.Incoming
		errs   map[string]error // by id
		taken  []string
		failed bool
	}{
		"all well":             {all: []handover.Incoming{say("ann", "a1"), say("bob", "b1"), say("ann", "a2")}, taken: []string{"a1", "b1", "a2"}},
		"not now":              {[]handover.Incoming{say("ann", "a1"), say("bob", "b1"), say("ann", "a2")}, map[string]error{"a1": errors.New("the store is down")}, []string{"a1", "b1"}, true},
		"a damaged record":     {[]handover.Incoming{say("ann", "a1"), say("ann", "a2"), say("bob", "b1")}, map[string]error{"a1": handover.ErrRecord}, []string{"a1", "b1"}, true},
		"a flood":              {[]handover.Incoming{say("ann", "a1")}, map[string]error{"a1": handover.ErrCrowded}, []string{"a1"}, true},
		"an old one":           {[]handover.Incoming{old}, map[string]error{"a0": handover.ErrCrowded}, []string{"a0"}, true},
		"without a time":       {[]handover.Incoming{timeless}, map[string]error{"a": handover.ErrCrowded}, []string{"a"}, true},
		"a store that is down": {[]handover.Incoming{old}, map[string]error{"a0": errors.New("the store is down")}, []string{"a0"}, true},
		"shutting down":        {[]handover.Incoming{say("ann", "a1")}, map[string]error{"a1": handover.ErrShutdown}, []string{"a1"}, true},
		"never":                {[]handover.Incoming{say("ann", "a1"), say("ann", "a2")}, map[string]error{"a1": handover.ErrBadMessage}, []string{"a1", "a2"}, false},
		"id of another":        {[]handover.Incoming{say("ann", "a1"), say("ann", "a2")}, map[string]error{"a1": handover.ErrIDReused}, []string{"a1", "a2"}, false},
		"refused":              {[]handover.Incoming{say("ann", "a1")}, map[string]error{"a1": handover.ErrRefused}, []string{"a1"}, false},
		"a bad file":           {[]handover.Incoming{file}, map[string]error{"a1": fmt.Errorf("%w: file", handover.ErrBadMessage)}, []string{"a1", "a1 words: a1\n(a file that cannot be passed on)"}, false},
		"a bad file, not now": {[]handover.Incoming{file}, map[string]error{"a1": handover.ErrBadMessage, "a1 words": handover.ErrCrowded},
			[]string{"a1", "a1 words: a1\n(a file that cannot be passed on)"}, true},
	} {
		t.Run(name, func(t *testing.T) {
			var taken []string
			err := channel.Take(t.Context(), slog.New(slog.DiscardHandler), &channel.Refusals{}, c.all, func(_ context.Context, m handover.Incoming) error {
				line := m.ID
				if m.Text != m.ID {
					line += ": " + m.Text
				}
				taken = append(taken, line)
				return c.errs[m.ID]
			})
			require.Equal(t, c.taken, taken)
			require.Equal(t, c.failed, err != nil)
		})
	}
}

// TestTakeForAQuarterOfAnHour has a platform repeat two messages of a conversation that refuses them for ever.
func TestTakeForAQuarterOfAnHour(t *testing.T) {
	for _, refuses := range []error{handover.ErrCrowded, handover.ErrRecord} {
		synctest.Test(t, func(t *testing.T) {
			var refusals channel.Refusals
			var taken []string
			take := func() error {
				conv := handover.Conversation{Source: "x", ID: "ann"}
				return channel.Take(t.Context(), slog.New(slog.DiscardHandler), &refusals, []handover.Incoming{{Conversation: conv, ID: "1"}, {Conversation: conv, ID: "2"}}, func(_ context.Context, m handover.Incoming) error {
					taken = append(taken, m.ID)
					return fmt.Errorf("so it is: %w", refuses)
				})
			}
			require.ErrorIs(t, take(), refuses)
			time.Sleep(14 * time.Minute)
			require.ErrorIs(t, take(), refuses)
			time.Sleep(2 * time.Minute)
			require.NoError(t, take(), "both are given up at once")
			require.Equal(t, []string{"1", "1", "1", "2"}, taken)
			require.ErrorIs(t, take(), refuses, "what was given up is counted anew")
		})
	}
}

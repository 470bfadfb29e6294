package channel_test

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"testing"
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
		"the same, later":      {[]handover.Incoming{old, say("ann", "a2")}, map[string]error{"a0": handover.ErrRecord}, []string{"a0", "a2"}, false},
		"a flood":              {[]handover.Incoming{say("ann", "a1")}, map[string]error{"a1": handover.ErrCrowded}, []string{"a1"}, true},
		"a flood, later":       {[]handover.Incoming{old}, map[string]error{"a0": handover.ErrCrowded}, []string{"a0"}, false},
		"without a time":       {[]handover.Incoming{timeless}, map[string]error{"a": handover.ErrCrowded}, []string{"a"}, false},
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
			err := channel.Take(t.Context(), slog.New(slog.DiscardHandler), c.all, func(_ context.Context, m handover.Incoming) error {
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

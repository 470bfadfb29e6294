package scenarios

import (
	"context"
	"errors"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/crisphandover/handover"
	"github.com/crisphandover/handover/internal/systemtest/rig"
)

// lively is a store that notes Live at each save of a conversation.
type lively struct {
	handover.Store
	mu    sync.Mutex
	saves []bool
}

func (s *lively) Save(ctx context.Context, r handover.Record) (int64, error) {
	version, err := s.Store.Save(ctx, r)
	if err == nil && !strings.HasPrefix(r.Key, "website/") && !strings.HasPrefix(r.Key, "log/") {
		s.mu.Lock()
		defer s.mu.Unlock()
		s.saves = append(s.saves, r.Live)
	}
	return version, err
}

// changes returns what Live was since the last call, without repeats.
func (s *lively) changes() []bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	saves := s.saves
	s.saves = nil
	return slices.Compact(saves)
}

func liveBubble(t *testing.T, test func(r *rig.Rig, b *rig.Brain, s *lively)) {
	s := new(lively)
	rig.Managed(t, rig.Options{Config: func(r *rig.Rig, c *handover.Config) {
		s.Store = c.Store
		c.Store = s
	}}, func(r *rig.Rig, b *rig.Brain) { test(r, b, s) })
}

// A store writes an index when Live changes: that is seldom in a handover, and never while the bot talks.
func TestLiveChangesSeldom(t *testing.T) {
	liveBubble(t, func(r *rig.Rig, _ *rig.Brain, s *lively) {
		for _, text := range []string{"hello", "how are you?"} {
			r.Handles(text)
			r.Saw()
		}
		r.Says("by Receive and Reply")
		r.Saw()
		require.Equal(t, []bool{false}, s.changes())

		r.Handles("I want a human")
		r.Saw()
		ann := r.Crisp.Last().Operator("Ann")
		for range 3 {
			r.Handles("a question")
			ann.Say("an answer")
			r.Saw()
		}
		require.Equal(t, []bool{false, true}, s.changes(), "the message is stored before the bot asks")
		ann.Resolve()
		r.After(time.Minute)
		changes := s.changes()
		require.LessOrEqual(t, len(changes), 4, "a hook may come after the end, and is read")
		require.False(t, changes[len(changes)-1])
	})
}

// What waits in a conversation of the bot's makes it live.
func TestLiveWhileSomethingWaits(t *testing.T) {
	for name, tt := range map[string]struct {
		begin, end func(r *rig.Rig, b *rig.Brain)
	}{
		"the bot fails": {
			func(r *rig.Rig, b *rig.Brain) {
				b.Think = func(context.Context, handover.Turn, handover.Incoming) (*handover.Request, error) {
					return nil, errors.New("no model")
				}
				r.Handles("hello")
			},
			func(r *rig.Rig, b *rig.Brain) {
				b.Thinks(nil)
			},
		},
		"the agent's last words cannot be shown": {
			func(r *rig.Rig, _ *rig.Brain) {
				_, ann := r.Greeted()
				r.Fails(func(handover.Message) error { return rig.ErrChannelDown })
				ann.Say("Goodbye")
				r.Crisp.Settle()
				require.NoError(r.T, r.H.End(context.Background(), r.Conv, handover.EndOptions{}))
			},
			func(r *rig.Rig, _ *rig.Brain) { r.Fails(nil) },
		},
		"muted": {
			func(r *rig.Rig, _ *rig.Brain) { require.NoError(r.T, r.H.Mute(context.Background(), r.Says("hello"))) },
			func(r *rig.Rig, _ *rig.Brain) {
				require.NoError(r.T, r.H.End(context.Background(), r.Conv, handover.EndOptions{}))
			},
		},
	} {
		t.Run(name, func(t *testing.T) {
			liveBubble(t, func(r *rig.Rig, b *rig.Brain, s *lively) {
				tt.begin(r, b)
				r.After(time.Second)
				saves := s.changes()
				require.True(t, saves[len(saves)-1])
				tt.end(r, b)
				r.After(10 * time.Minute)
				saves = s.changes()
				require.False(t, saves[len(saves)-1])
			})
		})
	}
}

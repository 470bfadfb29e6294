package scenarios

import (
	"context"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/crisphandover/handover"
	"github.com/crisphandover/handover/handovertest"
	"github.com/crisphandover/handover/internal/systemtest/rig"
)

// steered is the store of one process. A test can disturb its accesses to conversations, each once.
type steered struct {
	handover.Store
	late  atomic.Int64 // how long the first load after the next save takes, in ns
	doubt atomic.Bool  // the next save is stored, and is said to have failed
	pause atomic.Int64 // how long the next load takes, in ns
}

func (s *steered) Load(ctx context.Context, key string) (handover.Record, error) {
	if !strings.HasPrefix(key, "website/") {
		time.Sleep(time.Duration(s.pause.Swap(0)))
	}
	return s.Store.Load(ctx, key)
}

func (s *steered) Save(ctx context.Context, r handover.Record) (int64, error) {
	version, err := s.Store.Save(ctx, r)
	if err != nil || strings.HasPrefix(r.Key, "website/") {
		return version, err
	}
	s.pause.Store(s.late.Swap(0))
	if s.doubt.Swap(false) {
		return 0, rig.ErrStoreDown
	}
	return version, nil
}

// lateAfter has the answer that the next save leads to begin later.
func (s *steered) lateAfter(d time.Duration) { s.late.Store(int64(d)) }

// A process has the claim, since it resolves a conversation in Crisp, while another one has the bot answer a
// message. When the bot asks for a human, nobody waits for a claim to end by itself.
func TestHandleUnderTheClaimOfAnotherProcess(t *testing.T) {
	const (
		resolves = 3 * time.Second // what the claim is needed for
		answers  = 5 * time.Second
		before   = resolves - time.Millisecond // the claim could be given up
	)
	elsewhere := handover.Conversation{Source: "webchat", ID: "elsewhere"}
	for name, during := range map[string]func(r *rig.Rig, holder, other *steered){
		"the bot answers when the work ends": func(*rig.Rig, *steered, *steered) {},
		"both want to have the bot answer when the work ends": func(_ *rig.Rig, holder, other *steered) {
			time.AfterFunc(before, func() { holder.lateAfter(2 * time.Second) })
			other.lateAfter(resolves + time.Second)
		},
		"the last save seems to fail": func(_ *rig.Rig, holder, other *steered) {
			time.AfterFunc(before, func() { holder.doubt.Store(true) })
			other.lateAfter(resolves + 2*time.Second)
		},
		"the answers of the first process hang": func(r *rig.Rig, _, other *steered) {
			require.NoError(r.T, r.H.Handle(context.Background(), handover.Incoming{Conversation: elsewhere, ID: "1", Text: "hello"}))
			other.lateAfter(resolves + time.Second)
		},
		"the first process shuts down": func(r *rig.Rig, _, other *steered) {
			go func() { _ = r.H.Shutdown(context.Background()) }()
			other.lateAfter(resolves + time.Second)
		},
	} {
		t.Run(name, func(t *testing.T) {
			var stores []*steered
			var o rig.Options
			rig.Managed(t, rig.Options{Config: func(_ *rig.Rig, c *handover.Config) {
				answer := c.Answer
				o.Config = func(_ *rig.Rig, c *handover.Config) {
					s := &steered{Store: c.Store}
					stores = append(stores, s)
					c.Store, c.Answer, c.Limits.Answers = s, answer, 1
				}
				o.Config(nil, c)
			}}, func(r *rig.Rig, b *rig.Brain) {
				b.Think = func(ctx context.Context, turn handover.Turn, m handover.Incoming) (*handover.Request, error) {
					if turn.Conversation.ID == elsewhere.ID {
						return rig.Takes(time.Minute)(ctx, turn, m)
					}
					return rig.Takes(answers)(ctx, turn, m)
				}
				r.Crisp.SetChooser(func(handovertest.HookInfo, int) int { return 0 }) // hooks go to the first
				r.Greeted()
				other := r.Replica(o)
				r.After(time.Minute)
				r.Crisp.Fail(1, handovertest.Fault{Route: handovertest.RoutePatchState, DelayAnswer: resolves})
				require.NoError(t, r.H.End(context.Background(), r.Conv, handover.EndOptions{Resolve: true}))
				r.Crisp.Settle()
				require.Equal(t, 30*time.Second, time.Until(r.Record().Due), "it is claimed")
				r.Forget()
				during(r, stores[0], stores[1])
				require.NoError(t, other.Handle(context.Background(), handover.Incoming{Conversation: r.Conv, ID: "m", Text: "a human, please"}))
				r.After(2 * time.Minute)
				var asked, opened time.Time
				for _, a := range r.Activities() {
					switch {
					case a.Kind == handover.ActivityAsked:
						asked = a.At
					case a.Kind == handover.ActivityState && a.To == handover.StateWaiting && opened.IsZero():
						opened = a.At
					}
				}
				require.False(t, asked.IsZero())
				require.False(t, opened.IsZero())
				require.LessOrEqual(t, opened.Sub(asked), 5*time.Second)
				require.Equal(t, 1, strings.Count(strings.Join(b.Attempts(), "\n"), "m #"), b.Attempts())
			})
		})
	}
}

package handover_test

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/crisphandover/handover"
	"github.com/crisphandover/handover/handovertest"
	"github.com/crisphandover/handover/internal/systemtest/rig"
)

// listed returns what Conversations lists, in its order.
func listed(t *testing.T, h *handover.Handover, f handover.ConversationFilter) (all []handover.ConversationStatus) {
	t.Helper()
	for s, err := range h.Conversations(context.Background(), f) {
		require.NoError(t, err)
		all = append(all, s)
	}
	return all
}

// idsOf are the ids of conversations, each with its state.
func idsOf(all []handover.ConversationStatus) []string {
	ids := []string{}
	for _, s := range all {
		ids = append(ids, fmt.Sprintf("%s/%s %s", s.Conversation.Source, s.Conversation.ID, s.State))
	}
	return ids
}

// status is what the library says of the user's conversation.
func status(r *rig.Rig) handover.ConversationStatus {
	r.T.Helper()
	s, err := r.H.Status(context.Background(), r.Conv)
	require.NoError(r.T, err)
	return s
}

// in goes on in another conversation.
func in(r *rig.Rig, source, id string) { r.Conv = handover.Conversation{Source: source, ID: id} }

// What no store can look for does not reach it.
func TestConversationsRefusesAFilter(t *testing.T) {
	rig.Bubble(t, rig.Options{}, func(r *rig.Rig) {
		for _, odd := range []string{"\xff", "a\x00b"} {
			for _, f := range []handover.ConversationFilter{{After: odd}, {WebsiteID: odd}} {
				count := 0
				for _, err := range r.H.Conversations(context.Background(), f) {
					count++
					require.ErrorIs(t, err, handover.ErrBadMessage)
				}
				require.Equal(t, 1, count)
			}
		}
	})
}

func TestConversations(t *testing.T) {
	rig.Bubble(t, rig.Options{}, func(r *rig.Rig) {
		in(r, "webchat", "idle")
		r.Says("hello")
		in(r, "webchat", "waiting")
		r.Opened()
		r.After(time.Minute)
		in(r, "telegram", "50% of_\\ é/x")
		r.Greeted()
		in(r, "telegram", "muted")
		require.NoError(t, r.H.Mute(context.Background(), r.Says("hello")))
		r.After(30 * time.Second)

		all := []string{"telegram/50% of_\\ é/x active", "telegram/muted muted", "webchat/waiting waiting"}
		require.Equal(t, all, idsOf(listed(t, r.H, handover.ConversationFilter{})))
		for name, tt := range map[string]struct {
			filter handover.ConversationFilter
			want   []string
		}{
			"idle as well":          {handover.ConversationFilter{Idle: true}, []string{all[0], all[1], "webchat/idle bot", all[2]}},
			"idle, by state":        {handover.ConversationFilter{Idle: true, States: []handover.State{handover.StateBot}}, []string{"webchat/idle bot"}},
			"by states":             {handover.ConversationFilter{States: []handover.State{handover.StateMuted, handover.StateActive}}, all[:2]},
			"by source":             {handover.ConversationFilter{Source: "webchat"}, all[2:]},
			"by website":            {handover.ConversationFilter{WebsiteID: r.Crisp.WebsiteID()}, all},
			"by both":               {handover.ConversationFilter{WebsiteID: r.Crisp.WebsiteID(), Source: "telegram"}, all[:2]},
			"of another website":    {handover.ConversationFilter{WebsiteID: "another"}, []string{}},
			"of a source's first":   {handover.ConversationFilter{WebsiteID: r.Crisp.WebsiteID(), Source: "tele"}, []string{}},
			"older":                 {handover.ConversationFilter{OlderThan: time.Minute}, all[2:]},
			"younger":               {handover.ConversationFilter{YoungerThan: time.Minute}, all[:2]},
			"troubled: none of all": {handover.ConversationFilter{Troubled: true, Idle: true}, []string{}},
		} {
			require.Equal(t, tt.want, idsOf(listed(t, r.H, tt.filter)), name)
		}

		var paged []string
		for after, n := "", 0; n < 4; n++ {
			for s, err := range r.H.Conversations(context.Background(), handover.ConversationFilter{After: after}) {
				require.NoError(t, err)
				paged, after = append(paged, idsOf([]handover.ConversationStatus{s})...), s.Cursor
				break
			}
		}
		require.Equal(t, all, paged)
	})
}

// Beside conversations a store holds records of websites and old logs. They are passed over at no great cost.
func TestConversationsAmongOtherRecords(t *testing.T) {
	rig.Bubble(t, rig.Options{}, func(r *rig.Rig) {
		for i := range 250 {
			_, err := r.Store.Save(context.Background(), handover.Record{Key: fmt.Sprintf("log/%d/x", i), Data: []byte("{}")})
			require.NoError(t, err)
		}
		website := r.Crisp.WebsiteID()
		for i := range 130 {
			in(r, "webchat", fmt.Sprintf("user %03d", i))
			r.Says("hello")
		}
		_, err := r.Store.Save(context.Background(), handover.Record{Key: website + "/webchat/user%20050a", Live: true, Data: []byte("{damaged")})
		require.NoError(t, err)
		_, err = r.Store.Save(context.Background(), handover.Record{Key: "zzz", Live: true, Data: []byte("{}")})
		require.NoError(t, err)
		all := listed(t, r.H, handover.ConversationFilter{Idle: true})
		require.Len(t, all, 132)
		require.Equal(t, "user 050a", all[51].Conversation.ID)
		troubled := listed(t, r.H, handover.ConversationFilter{Troubled: true})
		require.Len(t, troubled, 2)
		for _, damaged := range troubled {
			require.Equal(t, handover.ConditionBroken, damaged.Condition)
			require.Equal(t, "unreadable", damaged.Fault)
			require.True(t, damaged.Troubled())
		}
		s, err := r.H.Status(context.Background(), handover.Conversation{Source: "webchat", ID: "user 050a"})
		require.NoError(t, err)
		require.Equal(t, handover.ConditionBroken, s.Condition)
		require.Error(t, r.H.Retry(context.Background(), s.Conversation))
	})
}

// bare is a store that can do no more than it must.
type bare struct{ handover.Store }

func TestConversationsWithoutALister(t *testing.T) {
	for name, store := range map[string]handover.Store{
		"no Lister": bare{new(handover.MemoryStore)}, "not as it is set up": handovertest.NewBrittleStore(bare{new(handover.MemoryStore)}),
	} {
		rig.Bubble(t, rig.Options{Config: func(_ *rig.Rig, c *handover.Config) { c.Store = store }}, func(r *rig.Rig) {
			n := 0
			for _, err := range r.H.Conversations(context.Background(), handover.ConversationFilter{}) {
				n++
				require.ErrorIs(t, err, errors.ErrUnsupported, name)
			}
			require.Equal(t, 1, n)
			require.False(t, r.H.Health().Store.Failing)
			require.Equal(t, handover.StateBot, status(r).State)
		})
	}
}

func TestConversationsWhileTheStoreFails(t *testing.T) {
	store := handovertest.NewBrittleStore(nil)
	rig.Bubble(t, rig.Options{Config: func(_ *rig.Rig, c *handover.Config) { c.Store = store }}, func(r *rig.Rig) {
		r.Opened()
		store.Break()
		faults := 0
		for _, err := range r.H.Conversations(context.Background(), handover.ConversationFilter{}) {
			require.ErrorIs(t, err, handovertest.ErrStoreDown)
			faults++
		}
		require.Equal(t, 1, faults)
		_, err := r.H.Status(context.Background(), r.Conv)
		require.ErrorIs(t, err, handovertest.ErrStoreDown)
		require.ErrorIs(t, r.H.Retry(context.Background(), r.Conv), handovertest.ErrStoreDown)
		store.Mend()
	})
	faults := 0
	for s, err := range new(handover.Handover).Conversations(context.Background(), handover.ConversationFilter{}) {
		require.Error(t, err)
		require.Zero(t, s)
		faults++
	}
	require.Equal(t, 1, faults)
}

// A conversation in which something cannot be delivered is not well, and says what, and why.
func TestStatusOfWhatCannotBeDelivered(t *testing.T) {
	for name, tt := range map[string]struct {
		err       error
		condition handover.Condition
		fault     string
	}{
		"failing": {errors.New("secret words"), handover.ConditionFailing, "error"},
		"busy":    {handover.RetryAfter(time.Hour, errors.New("flood")), handover.ConditionWaiting, "later"},
		"away":    {handover.ErrUserAway, handover.ConditionWaiting, "away"},
	} {
		t.Run(name, func(t *testing.T) {
			rig.Active(t, rig.Options{}, func(r *rig.Rig, _ *handovertest.Conversation, ann *handovertest.Operator) {
				require.Equal(t, handover.ConditionWell, status(r).Condition)
				r.Fails(func(handover.Message) error { return tt.err })
				begun := time.Now()
				ann.Say("secret words")
				r.After(time.Second)
				s := status(r)
				require.Equal(t, tt.condition, s.Condition)
				require.Equal(t, tt.fault, s.Fault)
				require.Equal(t, tt.condition == handover.ConditionFailing, s.Troubled())
				require.WithinDuration(t, begun, s.WaitsSince, time.Second)
				waits := s.Waits[0]
				require.Equal(t, []string{"to_user", "deliver", tt.fault}, []string{waits.Direction, waits.Kind, waits.Fault})
				require.NotEmpty(t, waits.MessageID)
				if name != "away" {
					require.Positive(t, waits.Attempt)
					require.True(t, waits.Next.After(time.Now()))
				}
				text, err := json.Marshal(s)
				require.NoError(t, err)
				require.NotContains(t, string(text), "secret")

				r.Fails(nil)
				require.NoError(t, r.H.Retry(context.Background(), r.Conv))
				r.Crisp.Settle()
				if name == "busy" { // the channel's word counts
					require.Equal(t, handover.ConditionWaiting, status(r).Condition)
					r.After(time.Hour)
				}
				require.Equal(t, handover.ConditionWell, status(r).Condition)
				require.Equal(t, "secret words", r.Last().Content.Text)
			})
		})
	}
}

func TestStatusOfABotThatFails(t *testing.T) {
	rig.Managed(t, rig.Options{}, func(r *rig.Rig, b *rig.Brain) {
		var fails atomic.Bool
		fails.Store(true)
		b.Think = func(context.Context, handover.Turn, handover.Incoming) (*handover.Request, error) {
			if fails.Load() {
				return nil, errors.New("secret words")
			}
			return nil, nil
		}
		r.Handles("hello")
		r.After(time.Minute)
		s := status(r)
		require.Equal(t, handover.StateBot, s.State)
		require.Equal(t, handover.ConditionFailing, s.Condition)
		require.Equal(t, "error", s.Fault)
		require.Len(t, s.Waits, 1)
		require.Equal(t, []string{"to_bot", "bot", "m1"}, []string{s.Waits[0].Direction, s.Waits[0].Kind, s.Waits[0].MessageID})
		require.Equal(t, s.Cursor, listed(t, r.H, handover.ConversationFilter{Troubled: true})[0].Cursor)

		attempts := len(b.Attempts())
		require.NoError(t, r.H.Retry(context.Background(), r.Conv))
		r.Crisp.Settle()
		require.Len(t, b.Attempts(), attempts+1, "once")
		fails.Store(false)
		require.NoError(t, r.H.Retry(context.Background(), r.Conv))
		require.Equal(t, []string{"bot: You said: hello"}, r.Saw())
		require.Equal(t, handover.ConditionWell, status(r).Condition)
		require.Empty(t, listed(t, r.H, handover.ConversationFilter{}))
		require.NoError(t, r.H.Retry(context.Background(), r.Conv), "nothing waits")
	})
}

// Retry calls Crisp where it may be called, and only there.
func TestRetryOfWhatCrispRefuses(t *testing.T) {
	rig.Managed(t, rig.Options{}, func(r *rig.Rig, _ *rig.Brain) {
		r.Greeted()
		var calls atomic.Int64
		r.Crisp.SetFaults(func(handovertest.CallInfo) handovertest.Fault {
			calls.Add(1)
			return handovertest.Fault{Status: http.StatusServiceUnavailable}
		})
		require.NoError(t, r.TryHandle(handover.Incoming{ID: "x", Text: "secret words"}))
		r.After(10 * time.Second)
		s := status(r)
		require.Equal(t, handover.ConditionFailing, s.Condition)
		require.Contains(t, []string{"HTTP 503", "held"}, s.Fault)
		require.Equal(t, []string{"to_crisp", "post", "x"}, []string{s.Waits[0].Direction, s.Waits[0].Kind, s.Waits[0].MessageID})

		before := calls.Load()
		for range 20 {
			require.NoError(t, r.H.Retry(context.Background(), r.Conv))
			r.Crisp.Settle()
		}
		require.LessOrEqual(t, calls.Load()-before, int64(2), "the breaker holds the calls back")
		r.Crisp.SetFaults(nil)
		r.After(20 * time.Second)
		require.NoError(t, r.H.Retry(context.Background(), r.Conv))
		r.Crisp.Settle()
		require.Equal(t, handover.ConditionWell, status(r).Condition)
		require.Equal(t, 1, strings.Count(fmt.Sprint(r.Crisp.Last().Messages()), "secret words"))
	})
}

// What is due and not worked on shows, though nothing has failed.
func TestStatusWhereNobodyRuns(t *testing.T) {
	rig.Bubble(t, rig.Options{Still: true}, func(r *rig.Rig) {
		r.Opened()
		require.Equal(t, handover.ConditionWell, status(r).Condition)
		r.After(30 * time.Minute) // nobody came, and nobody notices
		s := status(r)
		require.Equal(t, handover.ConditionFailing, s.Condition)
		require.Equal(t, "overdue", s.Fault)
	})
}

func TestStatusTellsWhatHappenedAndWhatWill(t *testing.T) {
	what := func(s handover.ConversationStatus) (all []string) {
		for i, m := range s.Milestones {
			require.False(t, m.At.IsZero())
			require.True(t, i == 0 || !m.At.Before(s.Milestones[i-1].At))
			all = append(all, m.What)
		}
		return all
	}
	rig.Bubble(t, rig.Options{}, func(r *rig.Rig) {
		require.Zero(t, status(r).Cursor)
		conv := r.Opened()
		require.Equal(t, []string{"known", "asked", "opened", "state", "remind", "claim_timeout", "max_age"}, what(status(r)))
		r.After(time.Minute)
		ann := conv.Operator("Ann")
		ann.Say("Hello")
		r.After(time.Minute)
		s := status(r)
		require.Equal(t, []string{"known", "asked", "opened", "claimed", "first_reply", "last_word", "state", "quiet", "max_age"}, what(s))
		require.Equal(t, handover.StateActive, s.Milestones[6].State)
		ann.Resolve()
		r.After(time.Minute)
		s = status(r)
		require.Equal(t, []string{"known", "asked", "opened", "claimed", "first_reply", "last_word", "ended", "state", "forgotten"}, what(s))
		require.Equal(t, handover.EndResolved, s.Milestones[6].Reason)
		require.Equal(t, s.HandoverID, s.Milestones[6].HandoverID)
	})
}

// BenchmarkConversations lists a thousand conversations in which something goes on, in memory.
func BenchmarkConversations(b *testing.B) {
	const n = 1000
	crisp := handovertest.New(handovertest.Options{})
	defer crisp.Close()
	h, err := handover.New(quiet(configFor(crisp)))
	require.NoError(b, err)
	for i := range n {
		s, err := h.Session(b.Context(), handover.Conversation{Source: "webchat", ID: fmt.Sprint("user-", i)})
		require.NoError(b, err)
		require.NoError(b, h.Mute(b.Context(), s.Turn()))
	}
	b.ReportAllocs()
	for b.Loop() {
		listed := 0
		for _, err := range h.Conversations(context.Background(), handover.ConversationFilter{}) {
			require.NoError(b, err)
			listed++
		}
		require.Equal(b, n, listed)
	}
	b.ReportMetric(float64(b.Elapsed().Nanoseconds())/float64(b.N)/n, "ns/conversation")
}

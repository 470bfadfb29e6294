package handover_test

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"net/http"
	"net/http/httptest"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/crisphandover/handover"
	"github.com/crisphandover/handover/handovertest"
	"github.com/crisphandover/handover/internal/systemtest/rig"
)

// kindsOf are the activities of these kinds, with what they say, in order.
func kindsOf(r *rig.Rig, kinds ...handover.ActivityKind) (all []string) {
	for _, a := range r.Activities() {
		for _, k := range kinds {
			if a.Kind == k {
				all = append(all, strings.Join(strings.Fields(fmt.Sprint(a.Kind, " ", a.From, " ", a.To, " ", a.Reason, " ", a.Outcome, " ", a.Why)), " "))
			}
		}
	}
	return all
}

// TestFaultsOfTheHistoryPage are the host's own errors: nobody else hears of them.
func TestFaultsOfTheHistoryPage(t *testing.T) {
	down, odd := errors.New("the database is down"), errors.New("no such user")
	rig.Bubble(t, rig.Options{Config: func(_ *rig.Rig, c *handover.Config) {
		c.History = handover.History{URL: "https://bot.invalid/history", SigningKey: handover.NewSecret(strings.Repeat("k", 32))}
		c.Transcript = func(context.Context, handover.Conversation) ([]handover.Message, error) { return nil, down }
		c.HistoryHead = func(context.Context, handover.Conversation) ([]handover.HistoryField, error) { return nil, odd }
	}}, func(r *rig.Rig) {
		link, err := r.H.HistoryLink(r.Conv)
		require.NoError(t, err)
		visit := func() int {
			w := httptest.NewRecorder()
			r.H.HistoryHandler().ServeHTTP(w, httptest.NewRequest(http.MethodGet, link, nil))
			return w.Code
		}
		require.Equal(t, http.StatusServiceUnavailable, visit())
		down = nil
		require.Equal(t, http.StatusOK, visit())
		all := r.Activities()
		require.Len(t, all, 2)
		require.Equal(t, handover.Activity{Kind: handover.ActivityFault, Conversation: all[0].Conversation, Effect: "transcript", Err: all[0].Err, At: time.Now()}, all[0])
		require.EqualError(t, all[0].Err, "the database is down")
		require.Equal(t, r.Conv.ID, all[0].Conversation.ID)
		require.Equal(t, "history head", all[1].Effect)
		require.ErrorIs(t, all[1].Err, odd)
	})
}

func TestActivitiesOfAHandover(t *testing.T) {
	rig.Bubble(t, rig.Options{}, func(r *rig.Rig) {
		conv := r.Opened()
		r.Says("hello")
		ann := conv.Operator("Ann")
		ann.Note("private")
		conv.Bot("Hugo").Say("beep")
		ann.Say("hi")
		r.Crisp.Settle()
		ann.Resolve()
		r.Crisp.Settle()
		conv.Rate(4, "thanks")
		r.Crisp.Settle()
		require.Equal(t, []string{
			"state bot opening", "asked opened", "state opening waiting", "withheld private", "other_bot",
			"state waiting active", "state active bot resolved", "ended resolved", "rated",
		}, fixAsked(kindsOf(r, handover.ActivityState, handover.ActivityAsked, handover.ActivityWithheld, handover.ActivityOtherBot,
			handover.ActivityEnded, handover.ActivityRated)))
		require.Equal(t, 1, r.Count(handover.ActivityRelayed))
		require.Equal(t, 1, r.Count(handover.ActivityDelivered)-r.SystemDelivered())
		require.Zero(t, r.Count(handover.ActivityFault))
		for _, a := range r.Activities() {
			require.False(t, a.At.IsZero())
			require.True(t, a.Kind == handover.ActivityCall || a.Conversation == r.Conv, a.Kind)
		}
		all := r.Activities()
		require.Equal(t, 4, all[len(all)-1].Stars)
	})
}

// fixAsked lets Start's own activity say what it came to, whenever that is told.
func fixAsked(all []string) []string {
	for i, s := range all {
		if strings.HasPrefix(s, "asked ") {
			all[i] = "asked opened"
		}
	}
	return all
}

func TestActivitiesOfFaults(t *testing.T) {
	o := rig.Options{Config: func(_ *rig.Rig, c *handover.Config) { c.Timeouts.Deliver = 5 * time.Minute }}
	rig.Active(t, o, func(r *rig.Rig, conv *handovertest.Conversation, ann *handovertest.Operator) {
		r.Crisp.Fail(2, handovertest.Fault{Route: handovertest.RouteSend, Status: 503, Reason: "down"})
		r.Says("hello")
		var api *handover.APIError
		faults := 0
		for _, a := range r.Activities() {
			if a.Kind == handover.ActivityFault {
				require.ErrorAs(t, a.Err, &api)
				require.Equal(t, 503, api.StatusCode)
				require.NotEmpty(t, a.Effect)
				require.NotEmpty(t, a.MessageID)
				require.Greater(t, a.Attempt, faults)
				faults++
			}
		}
		require.Equal(t, 2, faults)

		r.Fails(func(handover.Message) error { return rig.ErrChannelDown })
		ann.Say("never shown")
		r.After(10 * time.Minute)
		require.Equal(t, 1, r.Count(handover.ActivityGivenUp))
		require.Equal(t, 1, countWhere(r, func(a handover.Activity) bool {
			return a.Kind == handover.ActivityGivenUp && errors.Is(a.Err, rig.ErrChannelDown) && a.Attempt > 8 && a.Why == "failed" && a.CrispID == conv.ID()
		}))
	})
}

func countWhere(r *rig.Rig, match func(handover.Activity) bool) (n int) {
	for _, a := range r.Activities() {
		if match(a) {
			n++
		}
	}
	return n
}

func TestActivitiesTellHowLongThingsTook(t *testing.T) {
	rig.Bubble(t, rig.Options{}, func(r *rig.Rig) {
		conv := r.Opened()
		r.After(90 * time.Second)
		conv.Operator("Ann").Say("sorry for the wait")
		r.Crisp.Settle()
		require.Equal(t, 1, countWhere(r, func(a handover.Activity) bool {
			return a.Kind == handover.ActivityState && a.To == handover.StateActive && a.Took == 90*time.Second
		}), "the time that the user waited")
		r.Crisp.Fail(1, handovertest.Fault{Route: handovertest.RouteSend, Delay: 3 * time.Second})
		r.Says("hello")
		r.Crisp.Settle()
		require.Equal(t, 1, countWhere(r, func(a handover.Activity) bool {
			return a.Kind == handover.ActivityRelayed && a.Took == 3*time.Second
		}))
	})
}

func TestActivitiesAreToldAfterTheyAreStored(t *testing.T) {
	var r *rig.Rig
	o := rig.Options{Config: func(rr *rig.Rig, c *handover.Config) {
		r = rr
		c.Observe = func(ctx context.Context, a handover.Activity) {
			if a.Kind == handover.ActivityState {
				s, err := r.H.Session(ctx, a.Conversation)
				require.NoError(r.T, err)
				if a.To == handover.StateActive {
					require.Equal(r.T, handover.StateActive, s.State)
				}
			}
			rr.Observe(ctx, a)
		}
	}}
	rig.Active(t, o, func(r *rig.Rig, _ *handovertest.Conversation, ann *handovertest.Operator) {
		ann.Resolve()
		r.Crisp.Settle()
		require.Equal(t, 4, r.Count(handover.ActivityState))
	})
}

func TestActivitiesBearTheirOwnHandover(t *testing.T) {
	rig.Bubble(t, rig.Options{}, func(r *rig.Rig) {
		for range 2 {
			r.Forget()
			conv := r.Opened()
			id := r.Session().HandoverID
			conv.Operator("Ann").Say("hi")
			conv.Operator("Ann").Resolve()
			r.After(time.Minute)
			all := slices.DeleteFunc(r.Activities(), func(a handover.Activity) bool { return a.Kind == handover.ActivityCall })
			require.NotEmpty(t, all)
			for _, a := range all {
				require.Equal(t, id, a.HandoverID, "%+v", a)
			}
		}
	})
}

// Two changes of a conversation may tell their activities in any order; N has the order of the
// record, over all replicas.
func TestActivitiesAreNumberedInTheOrderOfTheRecord(t *testing.T) {
	rig.Bubble(t, rig.Options{}, func(r *rig.Rig) {
		r.Replica(rig.Options{})
		conv := r.Opened()
		ann := conv.Operator("Ann")
		for i := range 10 {
			ann.Say(fmt.Sprint("message ", i))
			r.Says(fmt.Sprint("answer ", i))
		}
		ann.Resolve()
		r.After(time.Minute)
		all := slices.DeleteFunc(r.Activities(), func(a handover.Activity) bool { return a.Kind == handover.ActivityCall })
		slices.SortFunc(all, func(a, b handover.Activity) int { return cmp.Compare(a.N, b.N) })
		var states []handover.State
		for i, a := range all {
			require.Positive(t, a.N)
			require.True(t, i == 0 || a.N > all[i-1].N, "each number is given once")
			require.True(t, i == 0 || !a.At.Before(all[i-1].At))
			if a.Kind == handover.ActivityState {
				states = append(states, a.To)
			}
		}
		require.Equal(t, []handover.State{handover.StateOpening, handover.StateWaiting, handover.StateActive, handover.StateBot}, states)
	})
}

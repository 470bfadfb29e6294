package scenarios

import (
	"context"
	"encoding/json"
	"fmt"
	"net/http"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/crisphandover/handover"
	"github.com/crisphandover/handover/handovertest"
	"github.com/crisphandover/handover/internal/systemtest/rig"
)

// crowd has many users ask for a human, one after another, and returns the outcomes.
type crowd struct {
	r   *rig.Rig
	all sync.WaitGroup

	mu       sync.Mutex
	outcomes map[handover.Outcome]int
}

func newCrowd(r *rig.Rig) *crowd { return &crowd{r: r, outcomes: map[handover.Outcome]int{}} }

// asks has one more user ask.
func (c *crowd) asks(i int) {
	c.all.Go(func() {
		conv := handover.Conversation{Source: "webchat", ID: fmt.Sprint("user ", i)}
		s, err := c.r.H.Session(context.Background(), conv)
		require.NoError(c.r.T, err)
		outcome, err := c.r.H.Start(context.Background(), s.Turn(), handover.Request{})
		require.NoError(c.r.T, err)
		c.mu.Lock()
		defer c.mu.Unlock()
		c.outcomes[outcome]++
	})
}

// patient is a bot whose users wait for as long as it takes.
var patient = rig.Options{Config: func(_ *rig.Rig, c *handover.Config) {
	c.Limits.CreatesPerMinute = -1
	c.Timeouts.Claim, c.Timeouts.Remind = -1, -1
	c.Timeouts.Max = 30 * 24 * time.Hour
}}

// What cannot be read for a person's reason costs little, and the deadlines pass on the messages alone.
func TestCallsWhenTheStateCannotBeRead(t *testing.T) {
	for name, fault := range map[string]handovertest.Fault{
		"403":           {Status: 403, Reason: "not_allowed"},
		"no scope":      {Status: 403, Reason: "token_scope_forbidden"},
		"HTML":          {Status: 200, Body: handovertest.BodyHTML},
		"another shape": {Status: 200, Body: handovertest.BodyList},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			o := rig.Options{Config: func(_ *rig.Rig, c *handover.Config) { c.Timeouts.Claim, c.Timeouts.Remind = 21*time.Hour, 2*time.Hour }}
			rig.Bubble(t, o, func(r *rig.Rig) {
				fault.Route = handovertest.RouteConversation
				r.Crisp.Fail(handovertest.Always, fault)
				conv := r.Opened()
				conv.Operator("Ann").Note("one for the team") // a hook that asks for a look
				tally := r.Crisp.Tally()
				r.After(20 * time.Hour)
				own := tally.Count("") - tally.Count(handovertest.RouteList)
				t.Logf("calls in 20 h of one waiting conversation whose state cannot be read: %d, and %d of catch-up", own, tally.Count(handovertest.RouteList))
				require.LessOrEqual(t, own, 200)
				require.Len(t, r.Saw(), 1+10, "it waits, and is told so")
				r.After(90 * time.Minute)
				require.Equal(t, handover.EndClaimTimeout, r.Ends()[0].Reason)
			})
		})
	}
}

// A log that Crisp does not find, or refuses for good, costs little as well, though the conversation is there. What hooks
// bring is shown.
func TestCallsWhenALogCannotBeRead(t *testing.T) {
	for _, status := range []int{400, 402, 404, 409, 410, 413} {
		t.Run(fmt.Sprint(status), func(t *testing.T) {
			t.Parallel()
			rig.Active(t, rig.Options{}, func(r *rig.Rig, conv *handovertest.Conversation, ann *handovertest.Operator) {
				r.Crisp.Fail(handovertest.Always, handovertest.Fault{Route: handovertest.RouteMessages, Status: status})
				ann.Say("in hand")
				r.After(2 * time.Minute)
				require.Equal(r.T, []string{"agent Ann: in hand"}, r.Saw())
				conv.Operator("Ann").Note("one for the team")
				tally := r.Crisp.Tally()
				r.After(20 * time.Hour)
				require.LessOrEqual(r.T, tally.Count("")-tally.Count(handovertest.RouteList), 200)
				r.Crisp.Heal()
				ann.Say("and on")
				r.After(2 * time.Minute)
				require.Equal(r.T, []string{"agent Ann: and on"}, rig.AgentsIn(r.Saw()))
			})
		})
	}
}

func TestCallsWhenEverythingIsRefused(t *testing.T) {
	for name, fault := range map[string]handovertest.Fault{
		"429":             {Status: http.StatusTooManyRequests},
		"423":             {Status: http.StatusLocked},
		"503":             {Status: http.StatusServiceUnavailable},
		"401":             {Status: http.StatusUnauthorized},
		"429, in an hour": {Status: http.StatusTooManyRequests, RetryAfter: time.Hour, RetryDate: true},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			rig.Bubble(t, patient, func(r *rig.Rig) {
				r.Replica(patient)
				all := newCrowd(r)
				for i := range 200 {
					all.asks(i)
				}
				all.all.Wait()
				require.Equal(t, map[handover.Outcome]int{handover.OutcomeOpened: 200}, all.outcomes)
				r.After(time.Minute)
				r.Crisp.Fail(handovertest.Always, fault)
				for _, c := range r.Crisp.Conversations() {
					c.Operator("Ann").Note("for the team")
				}
				tally := r.Crisp.Tally()
				r.After(6 * time.Hour)
				t.Logf("calls a day of 200 waiting conversations on two replicas while everything is answered %s: %.0f", name, tally.PerDay(""))
				require.LessOrEqual(t, tally.PerDay(""), 2000.)
			})
		})
	}
}

// Waiting for our own pace is no failure.
func TestManyUsersAtOnce(t *testing.T) {
	rig.Bubble(t, rig.Options{}, func(r *rig.Rig) {
		all := newCrowd(r)
		n := 0
		for range 40 {
			all.asks(n)
			n++
			time.Sleep(time.Second / 40)
		}
		for range 300 {
			time.Sleep(2 * time.Second)
			all.asks(n)
			n++
		}
		all.all.Wait()
		r.After(time.Second)
		t.Logf("openings refused of %d, 40 users in one second and 30 a minute for 10 minutes: %d", n, n-all.outcomes[handover.OutcomeOpened])
		require.Equal(t, map[handover.Outcome]int{handover.OutcomeOpened: n}, all.outcomes)
		queued := 0
		for _, l := range r.Lines() {
			if strings.Contains(l, "Many people are asking right now.") {
				queued++
			}
		}
		require.Greater(t, queued, 10, "who waits for long hears why")
	})
}

// Max still bounds the wait for a place.
func TestWaitForAPlaceHasAnEnd(t *testing.T) {
	o := rig.Options{Config: func(_ *rig.Rig, c *handover.Config) {
		c.Limits.CreatesPerMinute, c.Timeouts.Max = 1, 3*time.Minute
	}}
	rig.Bubble(t, o, func(r *rig.Rig) {
		all := newCrowd(r)
		for i := range 10 {
			all.asks(i)
		}
		all.all.Wait()
		r.After(time.Second)
		require.Equal(t, 10, all.outcomes[handover.OutcomeOpened]+all.outcomes[handover.OutcomeOpenFailed])
		require.GreaterOrEqual(t, all.outcomes[handover.OutcomeOpened], 3)
		require.Len(t, r.Ends(), 10)
		for _, end := range r.Ends() {
			require.Equal(t, handover.EndMaxAge, end.Reason)
		}
	})
}

// A message in hand is shown within two minutes, whatever reads do, and in the order of the hooks.
func TestMessagesInHandWhileReadsAreRefused(t *testing.T) {
	for _, date := range []bool{false, true} {
		t.Run(fmt.Sprintf("Retry-After as a date: %t", date), func(t *testing.T) {
			rig.Active(t, rig.Options{}, func(r *rig.Rig, _ *handovertest.Conversation, ann *handovertest.Operator) {
				r.After(time.Minute)
				r.Saw()
				r.Crisp.Fail(handovertest.Always, handovertest.Fault{Route: "GET", Status: 429, RetryAfter: time.Hour, RetryDate: date, For: time.Hour})
				var longest time.Duration
				said := 0
				for range 10 {
					begun := time.Now()
					for range 3 {
						said++
						ann.Say(fmt.Sprint("message ", said))
						time.Sleep(7 * time.Second)
					}
					for len(r.AgentLines()) < said {
						r.After(time.Second)
						require.Less(t, time.Since(begun), 5*time.Minute)
					}
					longest = max(longest, time.Since(begun))
				}
				t.Logf("the longest wait for a message in hand while reads are refused for an hour: %v", longest)
				require.LessOrEqual(t, longest, 2*time.Minute)
				for i, l := range r.AgentLines() {
					require.Equal(t, fmt.Sprint("agent Ann: message ", i+1), l)
				}
			})
		})
	}
}

// A follow-up whose reads fail for good expires, and is forgotten.
func TestFollowUpThatCannotBeRead(t *testing.T) {
	o := rig.Options{Crisp: handovertest.Options{Away: true}, Config: func(_ *rig.Rig, c *handover.Config) {
		c.Timeouts.FollowUp, c.Timeouts.Late = 20*time.Hour, 24*time.Hour
	}}
	rig.Bubble(t, o, func(r *rig.Rig) {
		r.Asks(handover.Request{User: handover.UserData{Email: "a@example.com"}})
		r.Says("Contact me back via email")
		r.After(time.Minute)
		require.True(t, r.Session().FollowUp)
		conv := r.Crisp.Last()
		r.Crisp.Fail(handovertest.Always, handovertest.Fault{Route: "GET", Status: 403, Reason: "not_allowed"})
		conv.Operator("Ann").Note("a look is wanted")
		tally := r.Crisp.Tally()
		r.After(20 * time.Hour)
		require.False(t, r.Session().FollowUp)
		r.After(30 * time.Hour)
		t.Logf("calls in 2 days about a follow-up whose reads fail: %v", tally.Routes())
		require.LessOrEqual(t, tally.About(conv, ""), 200)
		rec, err := r.Store.Load(r.T.Context(), r.Crisp.WebsiteID()+"/webchat/user-1")
		require.NoError(t, err)
		require.Zero(t, rec.Version, "it is forgotten")
	})
}

// OnEnd that fails for good is called until the late window has passed.
func TestOnEndThatFailsForGood(t *testing.T) {
	for name, words := range map[string]int{"a short talk": 3, "a long talk": 60} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			calls, whole := 0, 0
			o := rig.Options{Config: func(_ *rig.Rig, c *handover.Config) {
				c.Timeouts.Late = 12 * time.Hour
				c.OnEnd = func(_ context.Context, _ handover.Session, s handover.Summary) error {
					calls++
					if !s.Unread {
						whole++
						s.Messages[0].Content.Text = "altered"
					}
					return rig.ErrChannelDown
				}
			}}
			rig.Active(t, o, func(r *rig.Rig, conv *handovertest.Conversation, ann *handovertest.Operator) {
				for range words {
					ann.Say(strings.Repeat("word ", 390))
					r.After(time.Second)
				}
				ann.Resolve()
				r.After(time.Second)
				tally := r.Crisp.Tally()
				r.After(18 * time.Hour)
				t.Logf("OnEnd was called %d times, %d of them with the human part; Crisp's log was read %d times", calls, whole, tally.About(conv, handovertest.RouteMessages))
				require.LessOrEqual(t, calls, 16+13)
				require.GreaterOrEqual(t, whole, 3)
				require.LessOrEqual(t, tally.About(conv, handovertest.RouteMessages), 24)
				require.Equal(t, 1, r.Count(handover.ActivityGivenUp), "said once")
			})
		})
	}
}

// Replicas share what they know of a website.
func TestReplicasShareThatCrispWantsToBeLeftAlone(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := rig.New(t, rig.Options{})
		others := []*handover.Handover{r.Replica(rig.Options{}), r.Replica(rig.Options{})}
		r.Opened()
		for _, h := range others {
			_, err := h.Available(r.T.Context(), r.Conv)
			require.NoError(t, err)
		}
		r.After(20 * time.Second)
		r.Crisp.Fail(handovertest.Always, handovertest.Fault{Status: 429, RetryAfter: time.Hour})
		_, err := r.H.Available(r.T.Context(), r.Conv)
		require.Error(t, err)
		r.After(2 * time.Minute)
		tally := r.Crisp.Tally()
		for _, h := range others {
			_, err := h.Available(r.T.Context(), r.Conv)
			require.Error(t, err)
		}
		require.Zero(t, tally.Count(handovertest.RouteAvailability), "they know it without asking")
		r.After(50 * time.Minute)
		require.Zero(t, tally.Early())
	})
}

// aheadStore is a store whose clock is ahead of this process's.
type aheadStore struct{ handover.Store }

const ahead = 30 * time.Minute

func (s aheadStore) Load(ctx context.Context, key string) (handover.Record, error) {
	r, err := s.Store.Load(ctx, key)
	r.Now = time.Now().Add(ahead)
	return r, err
}

// What a process learnt of Crisp is stored by the store's clock: that of the process may be wrong.
func TestPausesAreSharedByTheStoresClock(t *testing.T) {
	o := rig.Options{Config: func(_ *rig.Rig, c *handover.Config) { c.Store = aheadStore{c.Store} }}
	rig.Bubble(t, o, func(r *rig.Rig) {
		r.Crisp.Fail(handovertest.Always, handovertest.Fault{Status: 429, RetryAfter: time.Hour})
		_, _ = r.H.Available(r.T.Context(), r.Conv)
		r.After(2 * time.Minute)
		rec, err := r.Store.Load(r.T.Context(), "website/"+r.Crisp.WebsiteID())
		require.NoError(r.T, err)
		var w struct {
			Crisp struct {
				Until time.Time `json:"until"`
			} `json:"crisp"`
		}
		require.NoError(r.T, json.Unmarshal(rec.Data, &w))
		require.WithinDuration(r.T, time.Now().Add(ahead+58*time.Minute), w.Crisp.Until, 3*time.Minute)
		calls := len(r.Crisp.Calls())
		r.After(30 * time.Minute)
		require.Len(r.T, r.Crisp.Calls(), calls)
	})
}

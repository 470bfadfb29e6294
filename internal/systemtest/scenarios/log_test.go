package scenarios

import (
	"fmt"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/crisphandover/handover"
	"github.com/crisphandover/handover/handovertest"
	"github.com/crisphandover/handover/internal/systemtest/rig"
)

func TestHooksDoubledSwappedAndLate(t *testing.T) {
	rig.Active(t, rig.Options{}, func(r *rig.Rig, conv *handovertest.Conversation, ann *handovertest.Operator) {
		r.Crisp.SetHookFaults(func(i handovertest.HookInfo) handovertest.HookFault {
			return handovertest.HookFault{Twice: true, Swap: true, Delay: time.Duration(i.Ordinal%5) * time.Second}
		})
		var want []string
		for i := range 30 {
			text := fmt.Sprint("message ", i)
			ann.Say(text)
			want = append(want, "agent Ann: "+text)
			if i%7 == 0 {
				r.After(time.Second)
			}
		}
		r.After(time.Minute)
		require.Equal(t, want, r.Saw(), "each once, in the log's order")
	})
}

func TestLogThatLagsBehindItsHook(t *testing.T) {
	rig.Active(t, rig.Options{}, func(r *rig.Rig, conv *handovertest.Conversation, ann *handovertest.Operator) {
		r.Crisp.Fail(1, handovertest.Fault{Route: handovertest.RouteMessages, Stale: 5 * time.Second})
		ann.Say("one")
		ann.Say("two")
		r.After(20 * time.Second)
		require.Equal(t, []string{"agent Ann: one", "agent Ann: two"}, r.Saw())
		require.False(t, r.Last().Late)
	})
}

func TestLogThatCannotBeRead(t *testing.T) {
	rig.Active(t, rig.Options{}, func(r *rig.Rig, conv *handovertest.Conversation, ann *handovertest.Operator) {
		r.Crisp.Fail(1000, handovertest.Fault{Route: handovertest.RouteMessages, Status: 503})
		ann.Say("one")
		ann.Say("two")
		r.After(45 * time.Second)
		require.Empty(t, r.Saw(), "the log's order counts")
		r.After(time.Minute)
		require.Equal(t, []string{"agent Ann: one", "agent Ann: two"}, r.Saw(), "from the hooks")
		r.Crisp.Heal()
		ann.Say("three")
		r.After(5 * time.Minute)
		require.Equal(t, []string{"agent Ann: three"}, r.Saw())
	})
}

func TestLongLogIsReadPageByPage(t *testing.T) {
	o := rig.Options{Crisp: handovertest.Options{PageSize: 20}}
	rig.Active(t, o, func(r *rig.Rig, conv *handovertest.Conversation, ann *handovertest.Operator) {
		r.Crisp.SetHookFaults(func(i handovertest.HookInfo) handovertest.HookFault {
			return handovertest.HookFault{Drop: i.Event == "message:received" && i.Ordinal < 150}
		})
		var want []string
		for i := range 160 {
			ann.Say(fmt.Sprint(i))
			want = append(want, fmt.Sprint("agent Ann: ", i))
		}
		r.After(time.Minute)
		require.Equal(t, want, r.Saw())
	})
}

// What a signed hook brought is shown within two minutes, in order, whatever reads do.
func TestMessagesInHandAreShownWhateverReadsDo(t *testing.T) {
	for name, fault := range map[string]handovertest.Fault{
		"429":                     {Status: 429},
		"429 for hours":           {Status: 429, RetryAfter: 10 * time.Hour},
		"423":                     {Status: 423},
		"401":                     {Status: 401},
		"403":                     {Status: 403, Reason: "not_allowed"},
		"404":                     {Status: 404},
		"500":                     {Status: 500},
		"refused":                 {Refuse: true},
		"hanging":                 {Delay: time.Hour},
		"hanging at the answer":   {DelayAnswer: time.Hour},
		"slow":                    {Delay: 9 * time.Second},
		"HTML":                    {Status: 200, Body: handovertest.BodyHTML},
		"no data":                 {Status: 200, Body: handovertest.BodyNull},
		"an empty list":           {Status: 200, Body: handovertest.BodyList},
		"data of another shape":   {Status: 200, Body: handovertest.BodyOther},
		"an error with 200":       {Status: 200, Body: handovertest.BodyError},
		"a log that stands still": {Stale: 24 * time.Hour},
	} {
		t.Run(name, func(t *testing.T) {
			rig.Active(t, rig.Options{}, func(r *rig.Rig, conv *handovertest.Conversation, ann *handovertest.Operator) {
				r.After(20 * time.Second)
				r.Saw()
				for _, route := range []string{handovertest.RouteMessages, handovertest.RouteConversation, handovertest.RouteMessage} {
					f := fault
					f.Route = route
					r.Crisp.Fail(handovertest.Always, f)
				}
				begun := time.Now()
				var want []string
				for i := range 5 {
					ann.Say(fmt.Sprint("message ", i))
					want = append(want, fmt.Sprint("message ", i))
					r.Crisp.Settle()
					time.Sleep(7 * time.Second)
				}
				time.Sleep(2*time.Minute - time.Since(begun))
				var got []string
				for _, l := range r.AgentLines() {
					_, text, _ := strings.Cut(l, ": ")
					got = append(got, text)
				}
				require.GreaterOrEqual(t, len(got), 1, "the first one, after two minutes")
				time.Sleep(35 * time.Second)
				got = nil
				for _, l := range r.AgentLines() {
					_, text, _ := strings.Cut(l, ": ")
					got = append(got, text)
				}
				require.Equal(t, want, got)
				if fault.Status != http.StatusNotFound && fault.Stale == 0 { // those say that it is removed
					require.Equal(t, handover.StateActive, r.Session().State)
				}
			})
		})
	}
}

// An end tells whether its messages are all there.
func TestALongTalkIsReadWholeOrSaidToBeCut(t *testing.T) {
	for n, whole := range map[int]bool{200: true, 700: false} { // a read has 100 pages
		t.Run(fmt.Sprint(n, " messages"), func(t *testing.T) {
			o := rig.Options{Crisp: handovertest.Options{PageSize: 5}}
			rig.Active(t, o, func(r *rig.Rig, conv *handovertest.Conversation, ann *handovertest.Operator) {
				r.Crisp.SetHookFaults(func(i handovertest.HookInfo) handovertest.HookFault {
					return handovertest.HookFault{Drop: i.Event == "message:received" && i.Ordinal%100 != 0}
				})
				for i := range n {
					ann.Say(fmt.Sprint("message ", i))
					if i%100 == 99 {
						r.After(time.Second)
					}
				}
				r.After(5 * time.Minute)
				require.Len(t, r.AgentLines(), n)
				ann.Resolve()
				r.After(time.Minute)
				end := r.Ends()[0]
				require.Equal(t, !whole, end.Unread)
				require.Equal(t, whole, len(end.Messages) == n+1)
			})
		})
	}
}

// A hook that is too large to be kept whole: the log shows its message, or the agents are told.
func TestAHookTooLargeToBeKept(t *testing.T) {
	long := strings.Repeat("a", 70_000)
	for name, tt := range map[string]struct {
		lag   time.Duration
		shown time.Duration
	}{
		"at once":         {0, time.Second},
		"a log that lags": {2 * time.Second, 5 * time.Second},
		"for long":        {7 * time.Second, 11 * time.Second},
		"for very long":   {40 * time.Second, 75 * time.Second},
	} {
		t.Run(name, func(t *testing.T) {
			rig.Active(t, rig.Options{Crisp: handovertest.Options{LogLag: tt.lag}}, func(r *rig.Rig, conv *handovertest.Conversation, ann *handovertest.Operator) {
				r.After(20 * time.Second)
				r.Saw()
				ann.Say(long)
				r.After(tt.shown)
				require.NotEmpty(t, r.AgentLines())
				require.Len(t, strings.ReplaceAll(strings.Join(r.AgentLines(), ""), "agent Ann: ", ""), len(long))
			})
		})
	}
	rig.Active(t, rig.Options{Crisp: handovertest.Options{LogLag: time.Hour}}, func(r *rig.Rig, conv *handovertest.Conversation, ann *handovertest.Operator) {
		r.After(20 * time.Second)
		r.Saw()
		ann.Say(long)
		r.After(2 * time.Minute)
		require.Empty(t, r.AgentLines())
		require.Equal(t, 1, r.Count(handover.ActivityNotShown), "it is not lost without a word")
		require.Equal(t, notShown, rig.Kinds(conv)[len(rig.Kinds(conv))-1])
	})
}

// Messages that cannot be used are told of once each, however many there are and however often they are
// read, and do not grow the record.
func TestMessagesThatCannotBeUsedAreToldOfOnce(t *testing.T) {
	var g rogue
	rig.Active(t, rig.Options{Config: g.config}, func(r *rig.Rig, conv *handovertest.Conversation, ann *handovertest.Operator) {
		r.After(20 * time.Second)
		var odd []string
		for i := range 60 {
			odd = append(odd, badMessage(time.Now(), map[string]string{"fingerprint": "0", "content": fmt.Sprintf(`"odd %d"`, i)}))
			odd = append(odd, badMessage(time.Now(), map[string]string{"timestamp": "0", "fingerprint": fmt.Sprint(700_000_000_000_000 + i)}))
		}
		odd = append(odd, badMessage(time.Now(), map[string]string{"type": `"note"`, "fingerprint": "0"}), badMessage(time.Now(), map[string]string{"from": `"user"`, "timestamp": "0"}))
		g.extra.Store(strings.Join(odd, ","))
		for i := range 10 {
			ann.Say(fmt.Sprint("message ", i))
			r.After(20 * time.Second)
		}
		require.Equal(t, 120, r.Count(handover.ActivityNotShown))
		notes := 0
		for _, m := range conv.Messages() {
			if m.Type == "note" {
				notes++
			}
		}
		require.Equal(t, 1, notes, "one note tells of all that one read found")
		require.Len(t, r.AgentLines(), 10)

		before := stored(r)
		for n := range 20 {
			odd = odd[:0]
			for i := range 60 {
				odd = append(odd, badMessage(time.Now(), map[string]string{"fingerprint": "0", "content": fmt.Sprintf(`"odd %d %d"`, n, i)}))
			}
			g.extra.Store(strings.Join(odd, ","))
			ann.Say("and on")
			r.After(20 * time.Second)
		}
		require.Less(t, stored(r)-before, 16_000)
	})
}

// A note whose answer was lost is known by the log that shows it. What the same read finds besides has a note of
// its own: the one in Crisp was written before.
func TestANoteThatWasWrittenTellsOfNothingLater(t *testing.T) {
	var g rogue
	rig.Active(t, rig.Options{Config: g.config}, func(r *rig.Rig, conv *handovertest.Conversation, ann *handovertest.Operator) {
		r.After(20 * time.Second)
		odd := func(text string) string {
			return badMessage(time.Now(), map[string]string{"fingerprint": "0", "content": fmt.Sprintf("%q", text)})
		}
		first := odd("first")
		g.extra.Store(first)
		r.Crisp.Fail(1, handovertest.Fault{Route: handovertest.RouteSend, CutAfter: true})
		r.Crisp.SetHookFaults(func(i handovertest.HookInfo) handovertest.HookFault {
			return handovertest.HookFault{Drop: i.Type == "note"} // so that the read is the first to show it
		})
		ann.Say("one")
		r.After(500 * time.Millisecond)
		require.Len(t, rig.Notes(conv), 1)
		g.extra.Store(first + "," + odd("second"))
		ann.Say("two")
		r.After(time.Minute)
		require.Equal(t, 2, r.Count(handover.ActivityNotShown))
		require.Len(t, rig.Notes(conv), 2)
	})
}

// stored is the size of the conversation's record.
func stored(r *rig.Rig) int {
	rec, err := r.Store.Load(r.T.Context(), r.Crisp.WebsiteID()+"/webchat/user-1")
	require.NoError(r.T, err)
	return len(rec.Data)
}

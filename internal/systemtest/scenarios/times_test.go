package scenarios

import (
	"bytes"
	"fmt"
	"regexp"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/crisphandover/handover"
	"github.com/crisphandover/handover/handovertest"
	"github.com/crisphandover/handover/internal/systemtest/rig"
)

// A state whose hook has no time of its own, one in seconds, or a wrong one, is looked at once.
func TestStatesWithoutAnUsableTime(t *testing.T) {
	for name, rewrite := range map[string]func([]byte) []byte{
		"without a time":  handovertest.WithoutTime,
		"in seconds":      handovertest.TimeInSeconds,
		"null":            stamped("null"),
		"in words":        stamped(`"946684810000"`),
		"negative":        stamped("-946684810000"),
		"beyond numbers":  stamped("1e400"),
		"a year before":   stamped("915148810000"),
		"a minute before": stamped("946684750000"),
		"a year ahead":    stamped("978307210000"),
	} {
		for reason, act := range map[handover.EndReason]func(*handovertest.Conversation, *handovertest.Operator){
			handover.EndResolved: func(_ *handovertest.Conversation, ann *handovertest.Operator) { ann.Resolve() },
			handover.EndBlocked:  func(c *handovertest.Conversation, _ *handovertest.Operator) { c.Block(true) },
		} {
			t.Run(fmt.Sprint(name, " ", reason), func(t *testing.T) {
				rig.Active(t, rig.Options{}, func(r *rig.Rig, conv *handovertest.Conversation, ann *handovertest.Operator) {
					r.After(10 * time.Second)
					r.Crisp.SetHookFaults(func(handovertest.HookInfo) handovertest.HookFault { return handovertest.HookFault{Rewrite: rewrite} })
					act(conv, ann)
					r.After(2 * time.Second)
					require.Equal(t, handover.StateBot, r.Session().State)
					require.Equal(t, reason, r.Ends()[0].Reason)
					r.After(10 * time.Second)
					if reason == handover.EndResolved {
						ann.Say("Good bye")
						r.After(20 * time.Second)
						require.Equal(t, handover.StateBot, r.Session().State, "as long as it is resolved nobody takes over")
						ann.Reopen()
						ann.Say("One more thing")
						r.After(20 * time.Second)
						require.Equal(t, handover.StateActive, r.Session().State)
					}
				})
			})
		}
	}
}

// A state whose time is in seconds came after what was written before it in that second: the last word is not late,
// and nobody takes over with it when a message of the user's opens the conversation again.
func TestAStateInSecondsComesAfterTheLastWord(t *testing.T) {
	rig.Active(t, rig.Options{}, func(r *rig.Rig, conv *handovertest.Conversation, ann *handovertest.Operator) {
		r.After(10*time.Second + 600*time.Millisecond)
		r.Saw()
		r.Crisp.SetHookFaults(func(handovertest.HookInfo) handovertest.HookFault {
			return handovertest.HookFault{Rewrite: handovertest.TimeInSeconds}
		})
		held := conv.HoldHooks()
		ann.Say("see you")
		ann.Resolve()
		conv.User().Say("bye")
		held.Release()
		r.After(time.Minute)
		require.Equal(t, []string{"agent Ann: see you", "system: This conversation was closed. You are talking with the bot again."}, r.Saw())
		require.Equal(t, handover.StateBot, r.Session().State)
	})
}

// A message dated wrongly is shown, and moves nothing: what comes after it is neither lost nor late.
func TestMessagesDatedWrongly(t *testing.T) {
	for name, off := range map[string]time.Duration{"a year ahead": 365 * 24 * time.Hour, "two days ahead": 48 * time.Hour, "an hour ahead": time.Hour, "ten years ago": -10 * 365 * 24 * time.Hour} {
		for _, skew := range []time.Duration{0, time.Hour, -time.Hour} {
			t.Run(fmt.Sprint(name, " with Crisp's clock ahead by ", skew), func(t *testing.T) {
				var g rogue
				o := rig.Options{Config: g.config, Crisp: handovertest.Options{Skew: skew}}
				rig.Active(t, o, func(r *rig.Rig, conv *handovertest.Conversation, ann *handovertest.Operator) {
					r.After(5 * time.Second)
					g.extra.Store(badMessage(time.Now().Add(skew+off), map[string]string{"content": `"dated wrongly"`}))
					r.Crisp.SetHookFaults(func(i handovertest.HookInfo) handovertest.HookFault {
						return handovertest.HookFault{Drop: i.Event == "message:received" && i.Ordinal%2 == 1}
					})
					var want []string
					for i := range 40 {
						ann.Say(fmt.Sprint("message ", i))
						want = append(want, fmt.Sprint("agent Ann: message ", i))
						time.Sleep(time.Second)
					}
					r.Crisp.SetHookFaults(nil)
					ann.Say("the last")
					r.After(time.Minute)
					var got []string
					odd := 0
					for _, l := range rig.AgentsIn(r.Saw()) {
						if strings.HasSuffix(l, ": dated wrongly") {
							odd++
							continue
						}
						got = append(got, l)
					}
					require.Equal(t, append(want, "agent Ann: the last"), got)
					require.Equal(t, 1, odd, "shown, once")
					ann.Resolve()
					r.After(2 * time.Second)
					require.Equal(t, handover.StateBot, r.Session().State)
					ann.Reopen()
					ann.Say("One more thing")
					r.After(2 * time.Second)
					require.Equal(t, handover.StateActive, r.Session().State)
				})
			})
		}
	}
}

// More messages of one millisecond than a page holds: those whose hooks come are shown all the same.
func TestABurstInOneMillisecond(t *testing.T) {
	o := rig.Options{Crisp: handovertest.Options{PageSize: 5, Ties: true}}
	rig.Active(t, o, func(r *rig.Rig, conv *handovertest.Conversation, ann *handovertest.Operator) {
		r.After(5 * time.Second)
		want := map[string]bool{}
		for i := range 25 {
			ann.Say(fmt.Sprint("message ", i))
			want[fmt.Sprint("message ", i)] = true
		}
		r.After(time.Minute)
		got := map[string]bool{}
		for _, l := range r.AgentLines() {
			_, text, _ := strings.Cut(l, ": ")
			require.False(t, got[text], "twice: %s", text)
			got[text] = true
		}
		delete(got, "Hello")
		require.Equal(t, want, got)
		require.LessOrEqual(t, r.Count(handover.ActivityNotShown), 1, "a cut is said once")
		ann.Say("and on")
		r.After(20 * time.Second)
		require.Contains(t, r.Saw(), "agent Ann: and on")
	})
}

// What no hook tells of is found whatever clock Crisp has.
func TestCatchUpWithAClockThatIsFarOff(t *testing.T) {
	for _, skew := range []time.Duration{0, 23 * time.Hour, 25 * time.Hour, 47 * time.Hour, -25 * time.Hour, -100 * 24 * time.Hour} {
		t.Run(skew.String(), func(t *testing.T) {
			rig.Bubble(t, rig.Options{Crisp: handovertest.Options{Skew: skew}}, func(r *rig.Rig) {
				r.Crisp.SetHookFaults(rig.DropHooks)
				conv := r.Opened()
				ann := conv.Operator("Ann")
				var want []string
				for i := range 3 {
					ann.Say(fmt.Sprint("message ", i))
					r.After(5 * time.Minute)
					want = append(want, fmt.Sprint("agent Ann: message ", i))
					require.Equal(t, want, r.AgentLines())
				}
			})
		})
	}
}

// A channel may tell any time of a message: it is taken.
func TestMessagesOfTheUserAreTakenWhateverTheirTime(t *testing.T) {
	for _, at := range []time.Time{{}, time.Unix(-1, 0), time.Unix(1<<55, 0), time.Date(33658, 1, 1, 0, 0, 0, 0, time.UTC), time.Date(-5, 1, 1, 0, 0, 0, 0, time.UTC), time.Now().AddDate(100, 0, 0)} {
		rig.Bubble(t, rig.Options{}, func(r *rig.Rig) {
			turn, err := r.Receive(handover.Incoming{Text: "hello", At: at})
			require.NoError(t, err, at)
			require.True(t, turn.Bot)
			conv := r.Opened()
			_, err = r.Receive(handover.Incoming{Text: "and on", At: at})
			require.NoError(t, err, at)
			require.Contains(t, rig.UserTexts(conv), "and on")
		})
	}
}

// stamped is a hook's body with another time of the event.
func stamped(stamp string) func([]byte) []byte {
	return func(body []byte) []byte {
		return regexp.MustCompile(`"timestamp":\d+,"website_id":"[^"]+"}$`).ReplaceAllFunc(body, func(end []byte) []byte {
			return append([]byte(`"timestamp":`+stamp), end[bytes.IndexByte(end, ','):]...)
		})
	}
}

// TestAListOfTheSameMoment loses the hook of an agent's message, and has the list of conversations tell of it
// at once, while the log is still answered from a cache.
func TestAListOfTheSameMoment(t *testing.T) {
	for name, resolves := range map[string]bool{"the handover goes on": false, "it is the last word": true} {
		t.Run(name, func(t *testing.T) {
			rig.Active(t, rig.Options{}, func(r *rig.Rig, conv *handovertest.Conversation, ann *handovertest.Operator) {
				r.Crisp.SetHookFaults(func(i handovertest.HookInfo) handovertest.HookFault {
					return handovertest.HookFault{Drop: i.Event == "message:received"}
				})
				r.Saw()
				var listed []time.Time
				for len(listed) < 2 {
					before := r.Crisp.CountCalls(handovertest.RouteList)
					r.After(100 * time.Millisecond)
					if r.Crisp.CountCalls(handovertest.RouteList) > before {
						listed = append(listed, time.Now())
					}
				}
				r.After(listed[1].Sub(listed[0]) - time.Second)
				r.Crisp.Fail(handovertest.Always, handovertest.Fault{Route: handovertest.RouteMessages, Stale: 5 * time.Second, For: 5 * time.Second})
				require.False(r.T, r.Says("it works now").Bot)
				if !resolves {
					r.After(10 * time.Millisecond)
				}
				ann.Say("glad to hear it")
				if resolves {
					ann.Resolve()
				}
				r.After(time.Minute)
				require.Len(r.T, rig.AgentsIn(r.Saw()), 1)
			})
		})
	}
}

package scenarios

import (
	"bytes"
	"context"
	"fmt"
	"net/http"
	"regexp"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/crisphandover/handover"
	"github.com/crisphandover/handover/handovertest"
	"github.com/crisphandover/handover/internal/systemtest/rig"
	"github.com/crisphandover/handover/internal/testmain"
)

// keyed is a hook that is not signed, as anybody sends it who knows the key of its URL.
func keyed(r *rig.Rig, event, session string, at time.Time, members map[string]any) *http.Request {
	data := map[string]any{"website_id": r.Crisp.WebsiteID(), "session_id": session}
	for name, v := range members {
		data[name] = v
	}
	body := handovertest.HookBody(r.Crisp.WebsiteID(), event, at, data)
	return handovertest.Hook("/crisp/hooks?key="+r.Crisp.HookKey(), "", at, body)
}

// bothHooks takes signed hooks and those of a key.
var bothHooks = rig.Options{Config: func(r *rig.Rig, c *handover.Config) { c.Webhook.URLKeys = r.HookKeys() }}

// Whoever knows the key can make the library read, some times a minute, and nothing else.
func TestForgedHooksOnlyAskForBoundedReads(t *testing.T) {
	if testmain.Raced() {
		t.Skip("it runs tens of thousands of hooks or records, without goroutines that other tests lack: too slow with the race detector")
	}
	word := func(at time.Time, i int) map[string]any {
		return map[string]any{"type": "text", "from": "operator", "origin": "chat", "content": "forged", "fingerprint": 500_000_000_000_000 + i,
			"timestamp": at.UnixMilli(), "user": map[string]any{"nickname": "Mallory"}}
	}
	for name, forge := range map[string]func(at time.Time, i int) (string, time.Time, map[string]any){
		"messages": func(at time.Time, i int) (string, time.Time, map[string]any) {
			return "message:received", at, word(at, i)
		},
		"messages of the user": func(at time.Time, i int) (string, time.Time, map[string]any) {
			m := word(at, i)
			m["from"] = "user"
			return "message:send", at, m
		},
		"messages a year ahead": func(at time.Time, i int) (string, time.Time, map[string]any) {
			at = at.AddDate(1, 0, 0)
			return "message:received", at, word(at, i)
		},
		"messages of long ago": func(at time.Time, i int) (string, time.Time, map[string]any) {
			at = at.AddDate(-1, 0, 0)
			return "message:received", at, word(at, i)
		},
		"messages of all times": func(at time.Time, i int) (string, time.Time, map[string]any) {
			at = at.Add(time.Duration(i%3-1) * time.Hour)
			return "message:received", at, word(at, i)
		},
		"edits": func(at time.Time, i int) (string, time.Time, map[string]any) {
			return "message:updated", at, map[string]any{"fingerprint": 500_000_000_000_000 + i, "content": "forged"}
		},
		"removals": func(at time.Time, i int) (string, time.Time, map[string]any) {
			return "message:removed", at, map[string]any{"fingerprint": 500_000_000_000_000 + i}
		},
		"resolved": func(at time.Time, i int) (string, time.Time, map[string]any) {
			return "session:set_state", at, map[string]any{"state": "resolved"}
		},
		"resolved in a year": func(at time.Time, i int) (string, time.Time, map[string]any) {
			return "session:set_state", at.AddDate(1, 0, 0), map[string]any{"state": "resolved"}
		},
		"blocked": func(at time.Time, i int) (string, time.Time, map[string]any) {
			return "session:set_block", at, map[string]any{"is_blocked": true}
		},
		"removed": func(at time.Time, i int) (string, time.Time, map[string]any) { return "session:removed", at, nil },
		"assigned": func(at time.Time, i int) (string, time.Time, map[string]any) {
			return "session:set_routing", at, map[string]any{"routing_id": "a4c32c68-0000-4e29-8a05-000000000001"}
		},
		"ratings": func(at time.Time, i int) (string, time.Time, map[string]any) {
			return "session:sync:rating", at, map[string]any{"rating": map[string]any{"stars": 1 + i%5}}
		},
		"typing": func(at time.Time, i int) (string, time.Time, map[string]any) {
			return "message:compose:receive", at, map[string]any{"type": "start", "user": map[string]any{"nickname": "Mallory"}}
		},
	} {
		t.Run(name, func(t *testing.T) {
			var typed atomic.Int64
			o := rig.Options{Config: func(r *rig.Rig, c *handover.Config) {
				bothHooks.Config(r, c)
				c.Policy.ClaimOnAssign = true
				c.AgentTyping = func(_ context.Context, _ handover.Session, _ handover.AgentTyping) { typed.Add(1) }
			}}
			rig.Bubble(t, o, func(r *rig.Rig) {
				conv := r.Opened()
				r.After(20 * time.Second)
				r.Saw()
				calls := conv.CountCalls("")
				before, _ := r.Logged()
				require.NotEmpty(t, before)
				for i := range 300 {
					event, at, members := forge(time.Now(), i)
					require.Equal(t, 200, r.Hooked(keyed(r, event, conv.ID(), at, members)).Code)
					time.Sleep(200 * time.Millisecond)
				}
				spent := conv.CountCalls("") - calls
				t.Logf("300 forged hooks in a minute cost %d calls", spent)
				require.LessOrEqual(t, spent, 60)
				r.After(15 * time.Second)
				require.Empty(t, r.Saw())
				require.Equal(t, handover.StateWaiting, r.Session().State)
				require.LessOrEqual(t, r.Count(handover.ActivityRated), 1)
				require.Zero(t, typed.Load())
				after, _ := r.Logged()
				require.LessOrEqual(t, len(after)-len(before), 20)

				conv.Operator("Ann").Say("I am here")
				r.After(40 * time.Second)
				require.Equal(t, []string{"agent Ann: I am here"}, rig.AgentsIn(r.Saw()))
				conv.Operator("Ann").Resolve()
				r.After(40 * time.Second)
				require.Equal(t, handover.StateBot, r.Session().State)
				conv.Operator("Ann").Reopen()
				conv.Operator("Ann").Say("One more thing")
				r.After(40 * time.Second)
				require.Equal(t, handover.StateActive, r.Session().State, "takeovers live")
			})
		})
	}
}

// Forged hooks put off no deadline.
func TestForgedHooksPutOffNoDeadline(t *testing.T) {
	o := rig.Options{Config: func(r *rig.Rig, c *handover.Config) {
		bothHooks.Config(r, c)
		c.Timeouts.Claim, c.Timeouts.Remind = 2*time.Minute, -1
	}}
	rig.Bubble(t, o, func(r *rig.Rig) {
		conv := r.Opened()
		for i := range 400 {
			r.Hooked(keyed(r, "message:received", conv.ID(), time.Now(), map[string]any{"type": "text", "from": "operator", "origin": "chat", "content": "forged",
				"fingerprint": 500_000_000_000_000 + i, "timestamp": time.Now().UnixMilli()}))
			time.Sleep(500 * time.Millisecond)
		}
		require.Equal(t, handover.StateBot, r.Session().State)
		require.Equal(t, handover.EndClaimTimeout, r.Ends()[0].Reason)
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

// stamped is a hook's body with another time of the event.
func stamped(stamp string) func([]byte) []byte {
	return func(body []byte) []byte {
		return regexp.MustCompile(`"timestamp":\d+,"website_id":"[^"]+"}$`).ReplaceAllFunc(body, func(end []byte) []byte {
			return append([]byte(`"timestamp":`+stamp), end[bytes.IndexByte(end, ','):]...)
		})
	}
}

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

// Twenty conversations get a thousand hooks a second together, while calls take their time and the log
// lags. All that was answered 200 is shown, in order.
func TestManyHooksASecond(t *testing.T) {
	if testmain.Raced() {
		t.Skip("it runs tens of thousands of hooks or records, without goroutines that other tests lack: too slow with the race detector")
	}
	for rate, seconds := range map[int]int{500: 1, 1000: 2} {
		t.Run(fmt.Sprint(rate), func(t *testing.T) {
			const users = 20
			var mu sync.Mutex
			var worst time.Duration
			shown := map[string][]string{}
			said := map[string]time.Time{}
			o := rig.Options{Crisp: handovertest.Options{LogLag: 3 * time.Second, PageSize: 50}, Config: func(r *rig.Rig, c *handover.Config) {
				c.Deliver = func(_ context.Context, s handover.Session, m handover.Message) (string, error) {
					time.Sleep(5 * time.Millisecond)
					mu.Lock()
					defer mu.Unlock()
					if m.From == handover.FromAgent {
						shown[s.Conversation.ID] = append(shown[s.Conversation.ID], m.Content.Text)
						if at := said[s.Conversation.ID+m.Content.Text]; !at.IsZero() {
							worst = max(worst, time.Since(at))
						}
					}
					return "", nil
				}
			}}
			rig.Bubble(t, o, func(r *rig.Rig) {
				r.Opened()
				convs := append([]*handovertest.Conversation{r.Crisp.Last()}, r.Crowd(users-1)...)
				r.After(5 * time.Second)
				r.Crisp.SetFaults(func(i handovertest.CallInfo) handovertest.Fault {
					return handovertest.Fault{Delay: 50 * time.Millisecond}
				})
				ids := []string{"user-1"}
				for _, c := range convs {
					c.Operator("Ann").Say("first")
				}
				r.After(10 * time.Second)
				mu.Lock()
				require.Len(t, shown, users)
				ids = ids[:0]
				for id := range shown {
					ids = append(ids, id)
				}
				clear(shown)
				mu.Unlock()
				n := rate * seconds / users
				begun := time.Now()
				var want []string
				for i := range n {
					text := fmt.Sprint("message ", i)
					want = append(want, text)
					for _, id := range ids {
						mu.Lock()
						said[id+text] = time.Now()
						mu.Unlock()
					}
					for _, c := range convs {
						c.Operator("Ann").Say(text)
						time.Sleep(time.Second / time.Duration(rate))
					}
				}
				took := time.Since(begun)
				time.Sleep(30 * time.Second)
				mu.Lock()
				defer mu.Unlock()
				total, order := 0, 0
				for _, id := range ids {
					total += len(shown[id])
					for i, text := range shown[id] {
						if i < len(want) && text != want[i] {
							order++
						}
					}
				}
				t.Logf("%d hooks a second: %d of %d shown, %d out of order, in %v; slowest after %v", rate, total, n*users, order, took, worst)
				for _, id := range ids {
					require.Equal(t, want, shown[id], id)
				}
			})
		})
	}
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

// A long conversation that is adopted costs a page a look until our opening message is found, wherever it
// is by then; none of what is older is shown, and all of what is newer.
func TestALongAdoptedConversation(t *testing.T) {
	for name, newer := range map[string]int{"nothing newer": 0, "a page that is newer": 20, "pages that are newer": 70} {
		t.Run(name, func(t *testing.T) {
			rig.Bubble(t, rig.Options{}, func(r *rig.Rig) {
				conv := r.Opened()
				r.Crisp.SetHookFaults(rig.DropHooks)
				ann := conv.Operator("Ann")
				for i := range 2100 {
					ann.Say(fmt.Sprint("old ", i))
				}
				r.Crisp.Settle()
				require.NoError(t, r.H.Forget(r.T.Context(), r.Conv))
				r.Conv.ID = "user-2"
				r.Saw()
				require.Equal(t, handover.OutcomeOpened, r.Asks(handover.Request{CrispID: conv.ID()}))
				want := []string{}
				for i := range newer {
					ann.Say(fmt.Sprint("new ", i))
					want = append(want, fmt.Sprint("agent Ann: new ", i))
				}
				r.Crisp.Settle()
				calls := conv.CountCalls("GET")
				r.Crisp.SetHookFaults(func(i handovertest.HookInfo) handovertest.HookFault {
					return handovertest.HookFault{Drop: i.Event == "message:send"}
				})
				ann.Say("the last")
				r.After(20 * time.Second)
				require.Equal(t, append(want, "agent Ann: the last"), r.AgentLines())
				require.LessOrEqual(t, conv.CountCalls("GET")-calls, 5+newer/20)
				require.Equal(t, handover.StateActive, r.Session().State)
			})
		})
	}
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

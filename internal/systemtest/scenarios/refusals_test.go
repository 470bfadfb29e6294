package scenarios

import (
	"fmt"
	"log/slog"
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

// givenUp are the effects that the host was told are given up.
func givenUp(r *rig.Rig) (effects []string) {
	for _, a := range r.Activities() {
		if a.Kind == handover.ActivityGivenUp {
			effects = append(effects, a.Effect)
		}
	}
	return effects
}

// An opening goes on without the steps that Crisp refuses, and says so.
func TestOptionalStepsOfAnOpeningAreLeftOut(t *testing.T) {
	steps := map[string]string{handovertest.RoutePatchMeta: "metas", handovertest.RoutePatchInbox: "inbox", handovertest.RoutePatchRouting: "assign"}
	for name, fault := range map[string]handovertest.Fault{
		"404":           {Status: 404},
		"no scope":      {Status: 403, Reason: "token_scope_forbidden"},
		"not allowed":   {Status: 403, Reason: "not_allowed"},
		"503":           {Status: 503},
		"400":           {Status: 400, Reason: "invalid_data"},
		"HTML":          {Status: 200, Body: handovertest.BodyHTML},
		"seems to work": {Status: 200, Body: handovertest.BodyError},
		"cut":           {CutBefore: true},
	} {
		t.Run(name, func(t *testing.T) {
			rig.Bubble(t, rig.Options{}, func(r *rig.Rig) {
				for route := range steps {
					fault := fault
					fault.Route = route
					r.Crisp.Fail(handovertest.Always, fault)
				}
				begun := time.Now()
				require.Equal(t, handover.OutcomeOpened, r.Asks(handover.Request{
					User: handover.UserData{Email: "a@example.com"}, Segments: []string{"Customer"},
					Inbox: "0123-4567", Operator: "89ab-cdef",
				}))
				require.LessOrEqual(t, time.Since(begun), 20*time.Second)
				if name != "400" { // of metas the fields are left out one by one
					require.ElementsMatch(t, []string{"metas", "inbox", "assign"}, givenUp(r))
				}
				require.Len(t, rig.UserTexts(r.Crisp.Last()), 1)
			})
		})
	}
}

// What is refused for a moment only is not left out.
func TestOptionalStepsOfAnOpeningAreTriedAgain(t *testing.T) {
	rig.Bubble(t, rig.Options{}, func(r *rig.Rig) {
		r.Crisp.Fail(3, handovertest.Fault{Route: handovertest.RoutePatchMeta, Status: 404})
		r.Crisp.Fail(2, handovertest.Fault{Route: handovertest.RoutePatchRouting, Status: 503})
		ann := r.Crisp.Open("somebody else").Operator("Ann").ID()
		require.Equal(t, handover.OutcomeOpened, r.Asks(handover.Request{Segments: []string{"Customer"}, Operator: ann}))
		require.Equal(t, []string{"Customer"}, r.Crisp.Last().Segments())
		require.Empty(t, givenUp(r))
	})
}

// Odd metas of a conversation that is opened again are no reason to leave the user alone.
func TestOddMetasWhenOpeningAgain(t *testing.T) {
	for _, body := range []string{handovertest.BodyList, handovertest.BodyNull, handovertest.BodyOther, handovertest.BodyHTML, handovertest.BodyEmpty, handovertest.BodyError} {
		rig.Bubble(t, rig.Options{}, func(r *rig.Rig) {
			r.Opened()
			require.NoError(t, r.H.End(r.T.Context(), r.Conv, handover.EndOptions{}))
			r.Crisp.Fail(handovertest.Always, handovertest.Fault{Route: handovertest.RouteMeta, Status: 200, Body: body})
			require.Equal(t, handover.OutcomeOpened, r.Asks(handover.Request{Segments: []string{"Customer"}}), body)
			require.Len(t, r.Crisp.Conversations(), 1)
		})
	}
}

func TestFollowUpsGoOnWithoutOptionalSteps(t *testing.T) {
	rig.Bubble(t, rig.Options{Crisp: handovertest.Options{Away: true}}, func(r *rig.Rig) {
		for _, route := range []string{handovertest.RoutePatchMeta, handovertest.RoutePatchRouting} {
			r.Crisp.Fail(handovertest.Always, handovertest.Fault{Route: route, Status: 404})
		}
		r.Asks(handover.Request{User: handover.UserData{Email: "a@example.com"}, Operator: "89ab-cdef"})
		r.Says("Contact me back via email")
		r.After(time.Minute)
		require.True(t, r.Session().FollowUp)
		require.Contains(t, strings.Join(r.Saw(), "\n"), "We will answer by email.")
		require.ElementsMatch(t, []string{"metas", "assign"}, givenUp(r))
		require.Equal(t, []string{"a@example.com"}, rig.Notes(r.Crisp.Last()), "else nobody could answer")
	})
}

// A Crisp conversation that takes nothing more ends its handover, and is not used again.
func TestConversationThatTakesNothingMore(t *testing.T) {
	for name, tt := range map[string]struct {
		fault handovertest.Fault
		until int // messages that are refused until it ends
	}{
		"full":    {handovertest.Fault{Status: 409, Reason: "too_many_messages"}, 1},
		"refuses": {handovertest.Fault{Status: 400, Reason: "invalid_data"}, 3},
	} {
		t.Run(name, func(t *testing.T) {
			rig.Active(t, rig.Options{}, func(r *rig.Rig, conv *handovertest.Conversation, ann *handovertest.Operator) {
				tt.fault.Route, tt.fault.Conversation = handovertest.RouteSend, conv
				r.Crisp.Fail(handovertest.Always, tt.fault)
				for i := range tt.until {
					require.Equal(t, handover.StateActive, r.Session().State, i)
					turn, err := r.TrySay(fmt.Sprint("message ", i))
					if name == "full" {
						require.NoError(t, err)
						require.True(t, turn.Bot, "the message is the bot's")
					} else {
						require.ErrorIs(t, err, handover.ErrRefused)
					}
				}
				r.Crisp.Settle()
				require.Equal(t, handover.StateBot, r.Session().State)
				require.Len(t, r.Ends(), 1)
				require.Equal(t, handover.EndRelayFailed, r.Ends()[0].Reason)
				ann.Say("are you there?")
				r.Crisp.Settle()
				require.Equal(t, handover.StateBot, r.Session().State, "an answer could not be passed on")
				require.Equal(t, handover.OutcomeOpened, r.Asks(handover.Request{}))
				require.Len(t, r.Crisp.Conversations(), 2)
			})
		})
	}
}

// A conversation that refuses the opening message is not used at the next Start.
func TestConversationThatRefusesTheOpening(t *testing.T) {
	for name, fault := range map[string]handovertest.Fault{
		"full":        {Status: 409, Reason: "too_many_messages"},
		"refused":     {Status: 400, Reason: "invalid_data"},
		"not allowed": {Status: 403, Reason: "not_allowed"},
	} {
		t.Run(name, func(t *testing.T) {
			rig.Bubble(t, rig.Options{}, func(r *rig.Rig) {
				first := r.Opened()
				require.NoError(t, r.H.End(r.T.Context(), r.Conv, handover.EndOptions{}))
				r.Crisp.Settle()
				fault.Route, fault.Conversation = handovertest.RouteSend, first
				r.Crisp.Fail(handovertest.Always, fault)
				require.Equal(t, handover.OutcomeOpenFailed, r.Asks(handover.Request{}))
				require.Equal(t, handover.OutcomeOpened, r.Asks(handover.Request{}))
				require.Len(t, r.Crisp.Conversations(), 2)
			})
		})
	}
}

// A conversation in which nothing can be posted, without Crisp saying that this is for good, is given up after two
// handovers that failed in it.
func TestConversationThatFailsAgainAndAgain(t *testing.T) {
	for name, fault := range map[string]handovertest.Fault{
		"not found": {Status: 404}, "server": {Status: 500}, "quota": {Status: 429}, "HTML": {Status: 200, Body: handovertest.BodyHTML}, "hangs": {Delay: time.Hour},
	} {
		t.Run(name, func(t *testing.T) {
			rig.Active(t, rig.Options{}, func(r *rig.Rig, conv *handovertest.Conversation, _ *handovertest.Operator) {
				fault.Route, fault.Conversation = handovertest.RouteSend, conv
				r.Crisp.Fail(handovertest.Always, fault)
				turn, err := r.TrySay("hello?")
				require.NoError(t, err)
				require.True(t, turn.Bot)
				r.After(time.Minute)
				require.Equal(t, handover.EndRelayFailed, r.Ends()[0].Reason)
				require.Equal(t, handover.OutcomeOpenFailed, r.Asks(handover.Request{}))
				r.After(time.Minute)
				require.Equal(t, handover.OutcomeOpened, r.Asks(handover.Request{}))
				require.Len(t, r.Crisp.Conversations(), 2)
			})
		})
	}
}

// A user who was blocked gets another conversation, whatever Crisp does with messages of the blocked.
func TestBlockedUserWhoAsksAgain(t *testing.T) {
	for _, blocked := range []handovertest.Blocked{handovertest.BlockedStored, handovertest.BlockedRefused, handovertest.BlockedDropped} {
		rig.Bubble(t, rig.Options{Crisp: handovertest.Options{Blocked: blocked}}, func(r *rig.Rig) {
			conv := r.Opened()
			conv.Block(true)
			r.After(time.Minute)
			require.Equal(t, handover.EndBlocked, r.Ends()[0].Reason)
			require.Equal(t, handover.OutcomeOpened, r.Asks(handover.Request{}))
			require.NotEqual(t, conv.ID(), r.Crisp.Last().ID())
			r.After(5 * time.Minute)
			require.Equal(t, handover.StateWaiting, r.Session().State, "it is not ended by the old block")
		})
	}
}

// A hook that tells once more of a block from which the user was let in again blocks nobody.
func TestRepeatedBlock(t *testing.T) {
	rig.Bubble(t, rig.Options{}, func(r *rig.Rig) {
		conv := r.Opened()
		conv.Block(true)
		blocked := r.Hook("session:set_block", conv.ID(), map[string]any{"is_blocked": true})
		r.After(time.Second)
		conv.Block(false)
		r.After(time.Minute)
		require.Equal(t, http.StatusOK, r.Hooked(blocked).Code)
		r.After(time.Minute)
		require.Equal(t, handover.OutcomeOpened, r.Asks(handover.Request{}))
		require.Equal(t, conv.ID(), r.Crisp.Last().ID(), "it is used again: nobody is blocked")
	})
}

// A refusal for a person's reason drops no note, and is told once an hour for the whole website.
func TestNotesThatATokenMayNotWrite(t *testing.T) {
	for _, reason := range []string{"not_allowed", "token_scope_forbidden"} {
		t.Run(reason, func(t *testing.T) {
			rig.Bubble(t, rig.Options{}, func(r *rig.Rig) {
				mend := r.Crisp.Fail(handovertest.Always, handovertest.Fault{
					Route: handovertest.RouteSend, Status: 403, Reason: reason,
					Match: func(i handovertest.CallInfo) bool { return i.Type == "note" },
				})
				tally := r.Crisp.Tally()
				for i := range 20 {
					r.Conv.ID = fmt.Sprint("user-", i)
					require.Equal(t, handover.OutcomeOpened, r.Asks(handover.Request{Note: "why"}))
					_, err := r.TrySay("what the user writes is passed on all the same")
					require.NoError(t, err)
				}
				r.After(50 * time.Minute)
				var told []error
				for _, a := range r.Activities() {
					if a.Kind == handover.ActivityFault && a.Effect == "note" {
						told = append(told, a.Err)
					}
				}
				require.Len(t, told, 1, "once an hour for the website")
				var api *handover.APIError
				require.ErrorAs(t, told[0], &api)
				require.ErrorContains(t, api, "website:conversation:messages (write)", "it says what to do")
				t.Logf("calls for 20 notes that are refused with %s, in 50 minutes: %d", reason, tally.Status(403))
				require.LessOrEqual(t, tally.Status(403), 100)
				mend()
				r.After(2 * time.Hour)
				for _, c := range r.Crisp.Conversations() {
					require.Contains(t, rig.Notes(c), "why", "once it is mended")
				}
			})
		})
	}
}

// Marks are not worth waiting for a person: they are left out, and the host is told once.
func TestMarksThatATokenMaySet(t *testing.T) {
	for name, fault := range map[string]handovertest.Fault{
		"revoked": {Status: 401}, "no scope": {Status: 403, Reason: "token_scope_forbidden"}, "not allowed": {Status: 403, Reason: "not_allowed"},
	} {
		for _, route := range []string{handovertest.RouteDelivered, handovertest.RouteRead} {
			t.Run(name+", "+route, func(t *testing.T) {
				rig.Active(t, rig.Options{}, func(r *rig.Rig, conv *handovertest.Conversation, ann *handovertest.Operator) {
					r.After(time.Minute)
					fault.Route = route
					r.Crisp.Fail(handovertest.Always, fault)
					for range 3 {
						ann.Say("hello?")
						r.After(time.Minute)
						require.False(t, strings.Contains(string(r.Record().Data), `"kind":"mark"`))
					}
					require.Equal(t, 1, kindsOfFault(r, "person"))
					require.Empty(t, givenUp(r))
				})
			})
		}
	}
}

// Crisp only seems to take what it is given: nothing counts as done that is not.
func TestDoneIsTheDocumentedAnswer(t *testing.T) {
	for name, body := range map[string]string{"error": handovertest.BodyError, "empty": handovertest.BodyEmpty, "HTML": handovertest.BodyHTML} {
		t.Run(name, func(t *testing.T) {
			rig.Active(t, rig.Options{}, func(r *rig.Rig, conv *handovertest.Conversation, _ *handovertest.Operator) {
				r.Crisp.Fail(handovertest.Always, handovertest.Fault{Route: handovertest.RouteSend, Status: 200, Body: body, For: 20 * time.Second})
				begun := time.Now()
				turn := r.Says("My parcel is lost")
				require.False(t, turn.Bot)
				require.GreaterOrEqual(t, time.Since(begun), 20*time.Second, "nil means that Crisp has it")
				require.Contains(t, rig.UserTexts(conv), "My parcel is lost")

				r.Crisp.Fail(handovertest.Always, handovertest.Fault{Route: handovertest.RoutePatchState, Status: 200, Body: body, For: 20 * time.Second})
				require.NoError(t, r.H.End(r.T.Context(), r.Conv, handover.EndOptions{Resolve: true}))
				r.After(10 * time.Second)
				require.NotEqual(t, "resolved", conv.State())
				r.After(time.Minute)
				require.Equal(t, "resolved", conv.State())
				require.Len(t, rig.UserTexts(conv), 2, "nothing was posted twice")
			})
		})
	}
}

// A message is posted when Crisp names its fingerprint. Any other answer says nothing of it: it is looked up,
// and neither lost nor posted twice.
func TestPostedMeansAFingerprint(t *testing.T) {
	for name, body := range map[string]string{
		"null": handovertest.BodyNull, "a list": handovertest.BodyList, "other data": handovertest.BodyOther,
		"no data": `{"error":false,"reason":"dispatched"}`, "empty": `{"error":false,"reason":"dispatched","data":{}}`,
		"no number": `{"error":false,"reason":"dispatched","data":{"fingerprint":"1"}}`,
	} {
		for _, commit := range []bool{false, true} {
			t.Run(fmt.Sprintf("%s, posted: %t", name, commit), func(t *testing.T) {
				rig.Bubble(t, rig.Options{}, func(r *rig.Rig) {
					once := handovertest.Fault{Route: handovertest.RouteSend, Status: 200, Body: body, Commit: commit}
					r.Crisp.Fail(2, once) // the opening message, and what is tried next
					require.Equal(t, handover.OutcomeOpened, r.Asks(handover.Request{}))
					conv := r.Crisp.Last()
					conv.Operator("Ann").Say("hello")
					r.After(time.Minute)
					r.Crisp.Fail(1, once)
					require.False(t, r.Says("My parcel is lost").Bot)
					require.Equal(t, []string{"Hi, this user need your help.", "My parcel is lost"}, rig.UserTexts(conv))
					r.After(time.Minute)
					once.Match = func(i handovertest.CallInfo) bool { return i.Type == "note" }
					r.Crisp.Fail(1, once)
					require.NoError(t, r.H.End(r.T.Context(), r.Conv, handover.EndOptions{Note: "bye"}))
					r.After(time.Minute)
					require.Equal(t, []string{"bye"}, rig.Notes(conv))
				})
			})
		}
	}
}

// Notes and openings that are too long go in parts, also where answers get lost.
func TestLongOpeningsAndNotes(t *testing.T) {
	long := func(n int) string { return strings.Repeat("word ", n/5) }
	words := func(parts []string) int { return len(strings.Fields(strings.Join(parts, " "))) }
	o := rig.Options{Config: func(_ *rig.Rig, c *handover.Config) {
		c.Texts = func(handover.Session) handover.Texts {
			texts := handover.DefaultTexts()
			texts.Opening, texts.NoteNobodyCame = long(5000), long(3000)
			return texts
		}
	}}
	for name, fault := range map[string]handovertest.Fault{
		"":                 {},
		"answers cut":      {Route: handovertest.RouteSend, CutAfter: true},
		"never arrived":    {Route: handovertest.RouteSend, CutBefore: true},
		"echo comes first": {Route: handovertest.RouteSend, EchoFirst: true},
	} {
		t.Run(name, func(t *testing.T) {
			rig.Bubble(t, o, func(r *rig.Rig) {
				if fault.Route != "" {
					r.Crisp.Fail(2, fault)
				}
				require.Equal(t, handover.OutcomeOpened, r.Asks(handover.Request{Note: long(4500)}))
				conv := r.Crisp.Last()
				require.Equal(t, 1000, words(rig.UserTexts(conv)))
				require.Len(t, rig.UserTexts(conv), 3)
				r.Says("and now?")
				r.After(time.Minute)
				require.Equal(t, "and now?", rig.UserTexts(conv)[3])
				require.Equal(t, 900, words(rig.Notes(conv)))
				require.NoError(t, r.H.End(r.T.Context(), r.Conv, handover.EndOptions{Note: long(2500)}))
				r.After(time.Minute)
				require.Equal(t, 900+500, words(rig.Notes(conv)))
				require.Len(t, rig.UserTexts(conv), 4)
			})
		})
	}
}

// A part of a note that is not there any more, since the host's text has become shorter, was not sent: nothing is
// waited for in Crisp's log.
func TestAPartOfANoteThatIsNotThere(t *testing.T) {
	var shorter atomic.Bool
	o := rig.Options{Config: func(_ *rig.Rig, c *handover.Config) {
		c.Timeouts.Claim = time.Minute
		c.Texts = func(handover.Session) handover.Texts {
			texts := handover.DefaultTexts()
			texts.NoteNobodyCame = strings.Repeat("word ", 600)
			if shorter.Load() {
				texts.NoteNobodyCame = "nobody came"
			}
			return texts
		}
	}}
	rig.Bubble(t, o, func(r *rig.Rig) {
		conv := r.Opened()
		r.Crisp.SetFaults(func(i handovertest.CallInfo) (f handovertest.Fault) {
			if i.Type == "note" {
				shorter.Store(true)
			}
			return f
		})
		r.After(2 * time.Minute)
		require.Len(t, rig.Notes(conv), 1)
		requireSent(r, conv)
	})
}

// A note that the plan does not have was not sent either.
func TestANoteThatThePlanDoesNotHaveIsNotSent(t *testing.T) {
	var log rig.Log
	o := rig.Options{Crisp: handovertest.Options{FreePlan: true}, Config: func(_ *rig.Rig, c *handover.Config) { c.Logger = slog.New(slog.NewTextHandler(&log, nil)) }}
	rig.Bubble(t, o, func(r *rig.Rig) {
		conv := r.Opened()
		require.NoError(t, r.H.End(r.T.Context(), r.Conv, handover.EndOptions{Note: "bye"}))
		r.After(time.Minute)
		require.Equal(t, 1, strings.Count(log.Take(), "set Policy.NoteFallback to NoteInData"), "whoever runs the bot is told")
		require.Empty(t, rig.Notes(conv))
		requireSent(r, conv)
	})
}

// requireSent requires that what counts as sent is in Crisp, and nothing else.
func requireSent(r *rig.Rig, conv *handovertest.Conversation) {
	r.T.Helper()
	var inCrisp []int64
	for _, m := range conv.Messages() {
		inCrisp = append(inCrisp, m.Fingerprint)
	}
	_, sent := r.Logged()
	require.NotEmpty(r.T, inCrisp)
	require.ElementsMatch(r.T, inCrisp, sent)
}

// A note that is given up is told of.
func TestNoteThatIsGivenUp(t *testing.T) {
	rig.Bubble(t, rig.Options{}, func(r *rig.Rig) {
		r.Crisp.Fail(handovertest.Always, handovertest.Fault{Route: handovertest.RouteSend, Status: 400, Match: func(i handovertest.CallInfo) bool { return i.Type == "note" }})
		require.Equal(t, handover.OutcomeOpened, r.Asks(handover.Request{Note: "why"}))
		r.After(time.Minute)
		require.Equal(t, []string{"note"}, givenUp(r))
	})
}

// Calls that were not made use up no attempt: a note waits until Crisp may be called again.
func TestAttemptsThatWereNotMade(t *testing.T) {
	rig.Bubble(t, rig.Options{}, func(r *rig.Rig) {
		r.Opened()
		r.Crisp.Fail(handovertest.Always, handovertest.Fault{Status: 429, RetryAfter: time.Hour, For: 3 * time.Hour})
		require.NoError(t, r.H.End(r.T.Context(), r.Conv, handover.EndOptions{Note: "bye"}))
		r.After(5 * time.Hour)
		require.Equal(t, []string{"bye"}, rig.Notes(r.Crisp.Last()))
		require.Empty(t, givenUp(r))
	})
}

// 404 of an inbox says that the inbox is not there, though a read that is older than the conversation says
// the same of the conversation.
func TestAnInboxThatIsNotThereEndsNothing(t *testing.T) {
	rig.Bubble(t, rig.Options{}, func(r *rig.Rig) {
		r.Crisp.Fail(handovertest.Always, handovertest.Fault{Route: handovertest.RoutePatchInbox, Status: 404, Reason: "not_found"})
		r.Crisp.Fail(1, handovertest.Fault{Route: handovertest.RouteConversation, Stale: time.Hour})
		require.Equal(t, handover.OutcomeOpened, r.Asks(handover.Request{Inbox: "0b7c3f6e-5a7e-4f0e-8a55-000000000001"}))
		require.Equal(t, handover.StateWaiting, r.Session().State)
	})
}

// A token that was wrong is mended by a restart: what the process before knew keeps the new one from nothing.
func TestATokenIsMendedByARestart(t *testing.T) {
	wrong := true
	o := rig.Options{Config: func(_ *rig.Rig, c *handover.Config) {
		if wrong {
			c.Token.Key = handover.NewSecret("a key that is not right")
		}
	}}
	rig.Bubble(t, o, func(r *rig.Rig) {
		require.NotEqual(t, handover.OutcomeOpened, r.Asks(handover.Request{}))
		r.After(time.Second)
		require.NoError(t, r.H.Shutdown(r.T.Context()))
		wrong = false
		r.H = r.Replica(o)
		r.Conv.ID = "user-2"
		r.Saw()
		begun := time.Now()
		require.Equal(t, handover.OutcomeOpened, r.Asks(handover.Request{}))
		require.Less(t, time.Since(begun), 5*time.Second)
		r.After(time.Second)
		require.Equal(t, []string{"system: A person will be with you soon. You can already describe your question. [Back to the bot]"}, r.Saw())
	})
}

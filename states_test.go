package handover_test

import (
	"context"
	"flag"
	"fmt"
	"os"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/crisphandover/handover"
	"github.com/crisphandover/handover/handovertest"
	"github.com/crisphandover/handover/internal/systemtest/rig"
)

// update rewrites documents that are made from the code: go test -run TestStatesDocument -update .
var update = flag.Bool("update", false, "rewrite the documents that are made from the code")

const statesDocument = "docs/states.md"

// TestStatesDocument keeps the table and the diagram of docs/states.md those of the table that the
// code runs.
func TestStatesDocument(t *testing.T) {
	have, err := os.ReadFile(statesDocument)
	require.NoError(t, err)
	want := replaceBlock(t, string(have), "diagram", diagram())
	want = replaceBlock(t, want, "table", statesTable())
	if *update {
		require.NoError(t, os.WriteFile(statesDocument, []byte(want), 0o644))
		return
	}
	require.Equal(t, want, string(have), "run go test -run TestStatesDocument -update .")
}

// replaceBlock replaces what stands between a document's markers.
func replaceBlock(t *testing.T, document, name, block string) string {
	t.Helper()
	begin, end := "<!-- "+name+": made from states.go -->\n", "<!-- end of "+name+" -->"
	before, rest, ok := strings.Cut(document, begin)
	require.True(t, ok, "%s lacks the marker %s", statesDocument, begin)
	_, after, ok := strings.Cut(rest, end)
	require.True(t, ok, "%s lacks the marker %s", statesDocument, end)
	return before + begin + block + end + after
}

// diagram draws the transitions, one arrow for all triggers between two states.
func diagram() string {
	var b strings.Builder
	b.WriteString("```mermaid\nstateDiagram-v2\n    [*] --> bot\n")
	for _, from := range handover.States {
		for _, to := range handover.States {
			var labels []string
			for _, on := range handover.Triggers {
				c := handover.CellOf(from, on)
				if from == to || c.To != to {
					continue
				}
				label := on
				if c.Ends != "" {
					label += " (" + string(c.Ends) + ")"
				}
				labels = append(labels, label)
			}
			if len(labels) > 0 {
				fmt.Fprintf(&b, "    %s --> %s: %s\n", from, to, strings.Join(labels, "<br/>"))
			}
		}
	}
	b.WriteString("```\n")
	return b.String()
}

// statesTable says of every trigger what it does in every state.
func statesTable() string {
	var b strings.Builder
	b.WriteString("| on |")
	for _, s := range handover.States {
		fmt.Fprintf(&b, " %s |", s)
	}
	b.WriteString("\n|---" + strings.Repeat("|---", len(handover.States)) + "|\n")
	for _, on := range handover.Triggers {
		fmt.Fprintf(&b, "| %s |", on)
		for _, from := range handover.States {
			fmt.Fprintf(&b, " %s |", cellText(from, handover.CellOf(from, on)))
		}
		b.WriteString("\n")
	}
	return b.String()
}

func cellText(from handover.State, c handover.Cell) string {
	text := "stays"
	if c.To != from {
		text = "**→ " + string(c.To) + "**"
	}
	if c.Ends != "" {
		text += ", end `" + string(c.Ends) + "`"
	}
	if c.What != "" {
		text += ": " + c.What
	}
	return text
}

// TestStatesTable holds the table against what docs/states.md says of all states: a handover lasts as
// long as the conversation is opening, waiting or active, and ends once.
func TestStatesTable(t *testing.T) {
	require.Empty(t, handover.UnknownTriggers())
	handedOver := func(s handover.State) bool { return s != handover.StateBot && s != handover.StateMuted }
	listed := 0
	for _, from := range handover.States {
		for _, on := range handover.Triggers {
			c, where := handover.CellOf(from, on), fmt.Sprintf("%s on %q", from, on)
			leaves := handedOver(from) && !handedOver(c.To)
			require.Equal(t, leaves, c.Ends != "", "%s: an end has a reason, and nothing else has one", where)
			if c.To == handover.StateMuted && from != c.To {
				require.Equal(t, handover.StateBot, from, "%s: only the bot is muted, by the host", where)
			}
			if c.Listed {
				require.NotEmpty(t, c.What, "%s: say what happens", where)
				listed++
			}
		}
	}
	t.Logf("states: cells=%d listed=%d", len(handover.States)*len(handover.Triggers), listed)
}

// wayToEnd is a way in which a handover ends, and what OnEnd must hear of it.
type wayToEnd struct {
	end     func(r *rig.Rig, conv *handovertest.Conversation)
	answers bool // Ann answers before it
	saw     []string
	unsent  []string
	unread  bool
	silent  bool // no Crisp conversation comes to be
}

// sends makes Crisp refuse the user's messages for long.
func sends(r *rig.Rig) {
	r.Crisp.Fail(1000, handovertest.Fault{Route: handovertest.RouteSend, Status: 503})
}

const noAgent = "system: It seems that nobody is available right now  [Contact me back via email] [Continue with the bot]"

var endings = map[handover.EndReason]wayToEnd{
	handover.EndResolved: {
		end:     func(_ *rig.Rig, conv *handovertest.Conversation) { conv.Operator("Ann").Resolve() },
		answers: true, saw: []string{"system: This conversation was closed. You are talking with the bot again."},
	},
	handover.EndHostEnded: {
		end: func(r *rig.Rig, _ *handovertest.Conversation) {
			require.NoError(r.T, r.H.End(r.T.Context(), r.Conv, handover.EndOptions{}))
		},
		answers: true, saw: []string{"system: You are talking with the bot again."},
	},
	handover.EndUserLeft: {
		end: func(r *rig.Rig, _ *handovertest.Conversation) { r.Says("Back to the bot") },
		saw: []string{"system: You are talking with the bot again."},
	},
	handover.EndClaimTimeout: {
		end: func(r *rig.Rig, _ *handovertest.Conversation) { r.After(10 * time.Minute) },
		saw: []string{"system: I am sorry, nobody could answer in time.", noAgent},
	},
	handover.EndIdle: {
		end:     func(r *rig.Rig, _ *handovertest.Conversation) { r.After(3 * time.Hour) },
		answers: true, saw: []string{
			"system: Are you still there? [Back to the bot]", "system: It has been quiet for a while. You are talking with the bot again.",
		},
	},
	handover.EndOpenFailed: {
		silent: true, saw: []string{"system: I am sorry, I could not reach anybody. You are talking with the bot again."},
	},
	handover.EndRelayFailed: {
		end: func(r *rig.Rig, _ *handovertest.Conversation) {
			sends(r)
			_, err := receiveFor(r, time.Second, handover.Incoming{ID: "lost", Text: "anybody?"})
			require.Error(r.T, err)
			r.After(5 * time.Minute)
		},
		answers: true, unsent: []string{"lost"}, saw: []string{
			"system: I am sorry, your last message could not be sent. Please send it again.",
			"system: I am sorry, the connection to our team is lost. You are talking with the bot again.",
		},
	},
	handover.EndRemoved: {
		end:     func(_ *rig.Rig, conv *handovertest.Conversation) { conv.Remove() },
		answers: true, unread: true, saw: []string{"system: This conversation has ended. You are talking with the bot again."},
	},
	handover.EndBlocked: {
		end:     func(_ *rig.Rig, conv *handovertest.Conversation) { conv.Block(true) },
		answers: true, saw: []string{"system: This conversation has ended. You are talking with the bot again."},
	},
	handover.EndMaxAge: {
		end: func(r *rig.Rig, conv *handovertest.Conversation) {
			for range 24 {
				conv.Operator("Ann").Say("still here")
				r.After(time.Hour)
			}
		},
		answers: true, saw: []string{"system: This conversation has ended. You are talking with the bot again."},
	},
}

// TestTheBotAnswersAfterEveryEnd ends handovers in every way that the table of states knows, with
// three replicas. Each has one OnEnd with what happened, the user is told once, and the bot answers.
func TestTheBotAnswersAfterEveryEnd(t *testing.T) {
	t.Parallel()
	for _, from := range handover.States {
		for _, on := range handover.Triggers {
			if reason := handover.CellOf(from, on).Ends; reason != "" {
				require.Contains(t, endings, reason)
			}
		}
	}
	for reason, e := range endings {
		t.Run(string(reason), func(t *testing.T) {
			rig.Bubble(t, rig.Options{}, func(r *rig.Rig) {
				r.Replica(rig.Options{})
				r.Replica(rig.Options{})
				e.run(r, reason)
			})
		})
	}
}

func (e wayToEnd) run(r *rig.Rig, reason handover.EndReason) {
	t := r.T
	if e.silent {
		r.Crisp.Fail(1, handovertest.Fault{Route: handovertest.RouteCreate, Status: 402, Reason: "subscription_upgrade_required"})
	}
	asked := time.Now()
	r.Asks(handover.Request{Resume: "step 7", Locale: "en"})
	var conv *handovertest.Conversation
	id := r.Session().HandoverID
	if !e.silent {
		conv = r.Crisp.Last()
		r.After(time.Minute)
		require.False(t, r.Says("my parcel is late").Bot)
		if e.answers {
			conv.Operator("Ann").Say("I look for it")
		}
		r.Saw()
		e.end(r, conv)
	}
	r.After(time.Minute)
	saw := r.Saw()
	require.Subset(t, saw, e.saw)
	require.Equal(t, e.saw[len(e.saw)-1], saw[len(saw)-1], "the user knows whom they talk with")
	r.After(time.Hour)
	require.Empty(t, r.Saw(), "said once, by one of three replicas")

	require.Len(t, r.Ends(), 1)
	end := r.Ends()[0]
	require.Equal(t, reason, end.Reason)
	require.Equal(t, id, end.HandoverID)
	require.Equal(t, "step 7", end.Resume)
	require.Equal(t, e.answers, end.HumanReplied)
	require.Equal(t, e.unsent, end.Unsent)
	require.Equal(t, e.unread, end.Unread)
	e.checkTimes(r, end, asked)
	if e.answers {
		require.Len(t, end.Agents, 1)
		require.Equal(t, "Ann", end.Agents[0].Name)
	}
	if !e.silent && !e.unread {
		require.NotEmpty(t, end.Messages)
		require.Equal(t, "my parcel is late", end.Messages[0].Content.Text)
	}
	require.True(t, r.Says("and now?").Bot)
	require.Contains(t, r.Saw(), "bot: You said: and now?")
}

func (e wayToEnd) checkTimes(r *rig.Rig, end handover.Summary, asked time.Time) {
	t := r.T
	require.WithinDuration(t, asked, end.Asked, 0)
	require.True(t, end.Ended.After(asked) || e.silent)
	require.Equal(t, e.silent, end.Opened.IsZero())
	require.Equal(t, e.answers, !end.Claimed.IsZero())
	require.Equal(t, end.Claimed, end.FirstReply, "who writes has claimed it")
	if e.answers {
		require.Equal(t, time.Minute, end.Claimed.Sub(end.Opened), "how long the user waited")
		require.False(t, end.Ended.Before(end.Claimed))
	}
}

// receiveFor is Receive by a channel that waits no longer than that.
func receiveFor(r *rig.Rig, d time.Duration, m handover.Incoming) (handover.Turn, error) {
	m.Conversation = r.Conv
	ctx, cancel := context.WithTimeout(r.T.Context(), d)
	defer cancel()
	return r.H.Receive(ctx, m)
}

// Being assigned may claim a handover: the first reply is another moment then.
func TestClaimedByAssignmentIsNoReplyYet(t *testing.T) {
	o := rig.Options{Config: func(_ *rig.Rig, c *handover.Config) { c.Policy.ClaimOnAssign = true }}
	rig.Bubble(t, o, func(r *rig.Rig) {
		conv := r.Opened()
		r.Saw()
		r.After(time.Minute)
		conv.Operator("Ann").Assign()
		r.After(20 * time.Minute)
		require.Empty(t, r.Saw(), "claimed: no reminders, and no timeout")
		require.Equal(t, handover.StateActive, r.Session().State)
		require.NoError(t, r.H.End(r.T.Context(), r.Conv, handover.EndOptions{}))
		r.Crisp.Settle()
		end := r.Ends()[0]
		require.Equal(t, time.Minute, end.Claimed.Sub(end.Opened).Round(time.Second))
		require.True(t, end.FirstReply.IsZero())
		require.False(t, end.HumanReplied)
		require.Empty(t, end.Agents)
	})
}

// Several Crisp conversations of one user are remembered: what comes late in the older one arrives, and
// an edit of what was shown there.
func TestTheOlderConversationStaysKnown(t *testing.T) {
	rig.Active(t, rig.Options{}, func(r *rig.Rig, older *handovertest.Conversation, ann *handovertest.Operator) {
		said := ann.Say("It costs 100")
		ann.Resolve()
		r.After(2 * time.Hour)
		newer := r.Opened()
		require.NotEqual(t, older.ID(), newer.ID())
		bob := newer.Operator("Bob")
		bob.Say("Hello")
		r.Saw()

		ann.Edit(said, "It costs 10")
		ann.Say("I was wrong")
		r.After(time.Minute)
		require.ElementsMatch(t, []string{"agent Ann: It costs 10", "agent Ann: I was wrong"}, r.Saw(), "delivered while another one runs")
		require.Equal(t, newer.ID(), r.Session().CrispID, "who has the user stays")
		require.False(t, r.Says("thanks").Bot)
		require.Equal(t, "thanks", rig.UserTexts(newer)[1])

		bob.Resolve()
		r.After(time.Minute)
		r.Saw()
		ann.Reopen()
		ann.Say("One more thing")
		require.Equal(t, []string{"system: Ann joined the conversation.", "agent Ann: One more thing"}, r.Saw(), "a takeover in the older one")
		require.Equal(t, older.ID(), r.Session().CrispID)
		require.False(t, r.Says("yes?").Bot)
		require.Equal(t, "yes?", rig.UserTexts(older)[1])

		ann.Resolve()
		r.After(time.Minute)
		r.Opened()
		require.Equal(t, older.ID(), r.Session().CrispID, "the one that ended last is used again")
	})
}

func TestALateResolvedDoesNotEndTheNextHandover(t *testing.T) {
	rig.Bubble(t, rig.Options{}, func(r *rig.Rig) {
		conv := r.Opened()
		r.Crisp.SetHookFaults(func(i handovertest.HookInfo) handovertest.HookFault {
			if i.Event == "session:set_state" {
				return handovertest.HookFault{Delay: 5 * time.Second, Twice: true}
			}
			return handovertest.HookFault{}
		})
		conv.Operator("Ann").Resolve()
		require.NoError(t, r.H.End(context.Background(), r.Conv, handover.EndOptions{}))
		require.Equal(t, handover.OutcomeOpened, r.Asks(handover.Request{}))
		r.After(time.Minute)
		require.Equal(t, handover.StateWaiting, r.Session().State)
		require.Len(t, r.Ends(), 1)
	})
}

// An agent may open the conversation again that the host ended: the echo of the resolve that the host
// asked for must not end that, however late it comes.
func TestOurOwnResolveDoesNotEndATakeover(t *testing.T) {
	rig.Bubble(t, rig.Options{}, func(r *rig.Rig) {
		conv := r.Opened()
		ann := conv.Operator("Ann")
		r.After(time.Minute)
		r.Crisp.SetHookFaults(func(i handovertest.HookInfo) handovertest.HookFault {
			return handovertest.HookFault{Delay: 2 * time.Second, Twice: i.Event == "session:set_state"}
		})
		require.NoError(t, r.H.End(context.Background(), r.Conv, handover.EndOptions{Resolve: true}))
		r.After(time.Second)
		ann.Reopen()
		ann.Say("I am here")
		r.After(time.Minute)
		require.Equal(t, handover.StateActive, r.Session().State)
		require.Len(t, r.Ends(), 1)
		r.Says("good")
		ann.Resolve()
		r.After(time.Minute)
		require.Equal(t, handover.StateBot, r.Session().State)
		require.Equal(t, handover.EndResolved, r.Ends()[1].Reason)
	})
}

// A resolve of ours may have no echo, where the conversation was resolved already.
func TestAnAgentsResolveSoonAfterOurs(t *testing.T) {
	rig.Bubble(t, rig.Options{}, func(r *rig.Rig) {
		conv := r.Opened()
		ann := conv.Operator("Ann")
		ann.Resolve()
		r.After(time.Second)
		ann.Reopen()
		ann.Say("one more thing")
		r.After(time.Second)
		require.NoError(t, r.H.End(context.Background(), r.Conv, handover.EndOptions{Resolve: true}))
		r.After(time.Second)
		ann.Reopen()
		ann.Say("and another")
		r.After(time.Second)
		r.Says("tell me")
		ann.Resolve()
		r.After(time.Second)
		require.Equal(t, handover.StateBot, r.Session().State)
		require.Len(t, r.Ends(), 3)
	})
}

package scenarios

import (
	"context"
	"errors"
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

func TestDeliverShowsTheAgent(t *testing.T) {
	rig.Active(t, rig.Options{}, func(r *rig.Rig, conv *handovertest.Conversation, ann *handovertest.Operator) {
		m := r.Last()
		require.Equal(t, handover.FromAgent, m.From)
		require.Equal(t, "Ann", m.Agent.Name)
		require.Equal(t, ann.ID(), m.Agent.ID)
		require.Equal(t, 1, m.Attempt)
		require.False(t, m.Late)
		conv.Operator("Bob").Say("I take over")
		require.Equal(t, []string{"system: Bob continues the conversation.", "agent Bob: I take over"}, r.Saw())
		require.Equal(t, "Bob", r.Session().Agent.Name)
		ann.Resolve()
		r.Crisp.Settle()
		require.Len(t, r.Ends()[0].Agents, 2)
	})
}

func TestDeliverEveryTypeForTheUser(t *testing.T) {
	rig.Active(t, rig.Options{}, func(r *rig.Rig, conv *handovertest.Conversation, ann *handovertest.Operator) {
		ann.Say("text")
		ann.File("invoice.pdf", "https://example.com/x.pdf", "application/pdf")
		ann.File("cat.png", "https://example.com/x.png", "image/png")
		ann.Audio("https://example.com/x.m4a", "audio/mp4", 12)
		ann.Picker("Topic?", "Sales", "Help")
		ann.Field("Order number?", "Type it here")
		r.Crisp.Settle()
		var kinds []string
		for _, m := range r.Shown()[len(r.Shown())-6:] {
			kind := "text"
			if m.Content.Attachment != nil {
				kind = m.Content.Attachment.Type
			}
			kinds = append(kinds, kind)
		}
		require.Equal(t, []string{"text", "file", "image", "audio", "text", "text"}, kinds)
		require.Equal(t, "invoice.pdf", r.Shown()[len(r.Shown())-5].File.Name)
	})
}

func TestNeverShown(t *testing.T) {
	rig.Active(t, rig.Options{}, func(r *rig.Rig, conv *handovertest.Conversation, ann *handovertest.Operator) {
		note := ann.Note("he is difficult")
		ann.Send("event", map[string]any{"namespace": "state:resolved"})
		conv.Bot("Hugo").Say("I am a bot")
		conv.UserByEmail("an answer by mail")
		r.Crisp.Settle()
		ann.Edit(note, "very difficult")
		ann.Remove(note)
		require.Empty(t, r.Saw())
		require.Equal(t, 1, r.Count(handover.ActivityOtherBot))
		for _, m := range conv.Messages() {
			require.NotContains(t, m.Content, "could not be shown", "nothing is reported as not shown")
		}
	})
}

func TestUnknownTypeIsReportedToTheAgents(t *testing.T) {
	rig.Active(t, rig.Options{}, func(r *rig.Rig, conv *handovertest.Conversation, ann *handovertest.Operator) {
		ann.Send("hologram", map[string]any{"x": 1})
		require.Empty(t, r.Saw())
		last := conv.Messages()[len(conv.Messages())-1]
		require.Equal(t, "note", last.Type)
		require.Equal(t, "A message could not be shown to the user. Please send it as plain text.", last.Content)
	})
}

func TestUserByEmailIsDeliveredOnRequest(t *testing.T) {
	o := rig.Options{Config: func(_ *rig.Rig, c *handover.Config) { c.Policy.DeliverUser = true }}
	rig.Active(t, o, func(r *rig.Rig, conv *handovertest.Conversation, _ *handovertest.Operator) {
		r.Says("from the channel")
		conv.UserByEmail("by mail")
		require.Equal(t, []string{"user: by mail"}, r.Saw(), "and no echo of what the channel brought")
	})
}

func TestEditsAndRemovals(t *testing.T) {
	var revised []handover.Revision
	revise := func(r *rig.Rig, c *handover.Config) {
		revised = nil
		c.Revise = func(_ context.Context, _ handover.Session, v handover.Revision) error {
			revised = append(revised, v)
			return nil
		}
	}
	t.Run("without Revise an edit is a correction", func(t *testing.T) {
		rig.Active(t, rig.Options{}, func(r *rig.Rig, conv *handovertest.Conversation, ann *handovertest.Operator) {
			fp := ann.Say("at five")
			r.Saw()
			first := r.Last()
			ann.Edit(fp, "at six")
			require.Equal(t, []string{"agent Ann: at six"}, r.Saw())
			second := r.Last()
			require.Equal(t, first.ID, second.Corrects)
			require.NotEqual(t, first.ID, second.ID)
			require.NotEmpty(t, second.ChannelID)
			ann.Remove(fp)
			require.Empty(t, r.Saw())
		})
	})
	t.Run("with Revise", func(t *testing.T) {
		rig.Active(t, rig.Options{Config: revise}, func(r *rig.Rig, conv *handovertest.Conversation, ann *handovertest.Operator) {
			fp := ann.Say("at five")
			r.Crisp.Settle()
			first := r.Last()
			ann.Edit(fp, "at six")
			r.Crisp.Settle()
			ann.Remove(fp)
			r.Crisp.Settle()
			require.Len(t, revised, 2)
			require.Equal(t, "at six", revised[0].Message.Content.Text)
			require.Equal(t, first.ID, revised[0].Message.Corrects)
			require.Equal(t, fmt.Sprintf("channel-%d", len(r.Shown())), revised[0].Message.ChannelID)
			require.True(t, revised[1].Removed)
			require.Equal(t, revised[0].Message.ChannelID, revised[1].Message.ChannelID)
		})
	})
	t.Run("removed before it was seen", func(t *testing.T) {
		rig.Active(t, rig.Options{}, func(r *rig.Rig, conv *handovertest.Conversation, ann *handovertest.Operator) {
			r.Crisp.SetHookFaults(func(i handovertest.HookInfo) handovertest.HookFault {
				if i.Event == "message:received" {
					return handovertest.HookFault{Delay: 3 * time.Second}
				}
				return handovertest.HookFault{}
			})
			ann.Remove(ann.Say("oops"))
			r.After(time.Minute)
			require.Empty(t, r.Saw())
		})
	})
	t.Run("edited before it was delivered", func(t *testing.T) {
		rig.Active(t, rig.Options{}, func(r *rig.Rig, conv *handovertest.Conversation, ann *handovertest.Operator) {
			r.Fails(func(handover.Message) error { return rig.ErrChannelDown })
			ann.Say("blocks the queue")
			r.Crisp.Settle()
			fp := ann.Say("at five")
			r.Crisp.Settle()
			ann.Edit(fp, "at six")
			r.Crisp.Settle()
			r.Fails(nil)
			r.After(time.Minute)
			require.Equal(t, []string{"agent Ann: blocks the queue", "agent Ann: at six"}, r.Saw())
		})
	})
	t.Run("a stale read is no edit back", func(t *testing.T) {
		rig.Active(t, rig.Options{}, func(r *rig.Rig, conv *handovertest.Conversation, ann *handovertest.Operator) {
			fp := ann.Say("at five")
			r.After(3 * time.Second)
			ann.Edit(fp, "at six")
			require.Equal(t, []string{"agent Ann: at five", "agent Ann: at six"}, r.Saw())
			r.Crisp.Fail(1, handovertest.Fault{Route: handovertest.RouteMessages, Stale: 2 * time.Second})
			r.After(time.Second)
			ann.Note("hm")
			require.Empty(t, r.Saw())
			ann.Edit(fp, "at five")
			require.Equal(t, []string{"agent Ann: at five"}, r.Saw(), "a real one is")
		})
	})
	t.Run("an edit whose message's hook never came", func(t *testing.T) {
		rig.Active(t, rig.Options{}, func(r *rig.Rig, conv *handovertest.Conversation, ann *handovertest.Operator) {
			r.Crisp.SetHookFaults(func(i handovertest.HookInfo) handovertest.HookFault {
				return handovertest.HookFault{Drop: i.Event == "message:received"}
			})
			fp := ann.Say("at five")
			note := ann.Note("hm")
			ann.Edit(fp, "at six")
			ann.Edit(note, "hm hm")
			r.After(time.Minute)
			require.Equal(t, []string{"agent Ann: at six"}, r.Saw())
		})
	})
}

func TestDeliverIsRepeatedWithTheSameID(t *testing.T) {
	rig.Active(t, rig.Options{}, func(r *rig.Rig, conv *handovertest.Conversation, ann *handovertest.Operator) {
		var tries []handover.Message
		r.Fails(func(m handover.Message) error {
			if tries = append(tries, m); len(tries) < 4 {
				return rig.ErrChannelDown
			}
			return nil
		})
		ann.Say("one")
		ann.Say("two")
		r.After(time.Minute)
		require.Equal(t, []string{"agent Ann: one", "agent Ann: two"}, r.Saw())
		for i, m := range tries[:4] {
			require.Equal(t, tries[0].ID, m.ID)
			require.Equal(t, i+1, m.Attempt)
		}
	})
}

func TestDeliverIsGivenUpOnceAndSaid(t *testing.T) {
	rig.Active(t, rig.Options{}, func(r *rig.Rig, conv *handovertest.Conversation, ann *handovertest.Operator) {
		tries := 0
		r.Fails(func(m handover.Message) error {
			if m.Content.Text == "cursed" {
				tries++
				return rig.ErrChannelDown
			}
			return nil
		})
		ann.Say("cursed")
		ann.Say("fine")
		r.After(10 * time.Minute)
		require.Equal(t, []string{"agent Ann: fine"}, r.Saw())
		require.Zero(t, r.Count(handover.ActivityGivenUp))
		r.After(6 * time.Hour)
		require.Greater(t, tries, 100)
		require.Equal(t, 1, r.Count(handover.ActivityGivenUp))
		last := conv.Messages()[len(conv.Messages())-1]
		require.Equal(t, "note", last.Type)
	})
}

// A page shows what was said long ago as well: what could not be shown then is not reported again.
func TestWhatCannotBeShownIsSaidOnce(t *testing.T) {
	o := rig.Options{Config: func(_ *rig.Rig, c *handover.Config) { c.Timeouts.Deliver = 10 * time.Minute }}
	rig.Active(t, o, func(r *rig.Rig, conv *handovertest.Conversation, ann *handovertest.Operator) {
		r.Fails(func(m handover.Message) error {
			if m.Content.Text == "cursed" {
				return rig.ErrChannelDown
			}
			return nil
		})
		ann.Send("hologram", map[string]any{"x": 1})
		ann.Say("cursed")
		for range 4 {
			r.After(15 * time.Minute)
			ann.Say("and another thing")
		}
		r.Fails(nil)
		r.After(15 * time.Minute)
		require.NotContains(t, strings.Join(r.Saw(), "\n"), "cursed")
		notes := 0
		for _, m := range conv.Messages() {
			if m.Type == "note" {
				notes++
			}
		}
		require.Equal(t, 2, notes)
	})
}

func TestDeliverPanics(t *testing.T) {
	var log rig.Log
	o := rig.Options{Config: func(_ *rig.Rig, c *handover.Config) { c.Logger = log.Logger() }}
	rig.Active(t, o, func(r *rig.Rig, conv *handovertest.Conversation, ann *handovertest.Operator) {
		tries := 0
		r.Fails(func(m handover.Message) error {
			if tries++; tries == 1 {
				panic("a bug of the host's")
			}
			return nil
		})
		ann.Say("hello?")
		r.After(time.Minute)
		require.Equal(t, []string{"agent Ann: hello?"}, r.Saw())
		require.Contains(t, log.String(), "a callback panicked\" callback=Deliver ")
	})
}

func TestDeliverUnsupportedFallsBackToText(t *testing.T) {
	rig.Active(t, rig.Options{}, func(r *rig.Rig, conv *handovertest.Conversation, ann *handovertest.Operator) {
		r.Fails(func(m handover.Message) error {
			if m.Content.Attachment != nil {
				return fmt.Errorf("sms: %w", errors.ErrUnsupported)
			}
			return nil
		})
		ann.File("cat.png", "https://example.com/x.png", "image/png")
		saw := r.Saw()
		require.Len(t, saw, 1)
		require.Contains(t, saw[0], "https://example.com/x.png")
		r.Fails(func(handover.Message) error { return errors.ErrUnsupported })
		ann.File("dog.png", "https://example.com/y.png", "image/png")
		r.After(time.Minute)
		require.Equal(t, "note", conv.Messages()[len(conv.Messages())-1].Type, "the agents are told")
	})
}

func TestShownMessagesAreMarked(t *testing.T) {
	rig.Active(t, rig.Options{}, func(r *rig.Rig, conv *handovertest.Conversation, ann *handovertest.Operator) {
		fp := ann.Say("seen?")
		note := ann.Note("private")
		r.Crisp.Settle()
		m, _ := conv.Message(fp)
		require.Equal(t, "chat", m.Read)
		require.Equal(t, "chat", m.Delivered)
		m, _ = conv.Message(note)
		require.Empty(t, m.Read)
	})
}

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

func TestResolvedBeforeTheLastMessage(t *testing.T) {
	rig.Active(t, rig.Options{}, func(r *rig.Rig, conv *handovertest.Conversation, ann *handovertest.Operator) {
		r.Crisp.SetHookFaults(func(i handovertest.HookInfo) handovertest.HookFault {
			if i.Event == "message:received" {
				return handovertest.HookFault{Delay: 3 * time.Second}
			}
			return handovertest.HookFault{}
		})
		ann.Say("bye")
		ann.Resolve()
		r.After(time.Minute)
		require.Equal(t, []string{"agent Ann: bye", "system: This conversation was closed. You are talking with the bot again."}, r.Saw())
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

func TestLateMessageAfterTheEnd(t *testing.T) {
	rig.Active(t, rig.Options{}, func(r *rig.Rig, conv *handovertest.Conversation, ann *handovertest.Operator) {
		ann.Say("nearly done")
		ann.Resolve()
		r.Crisp.Settle()
		r.Saw()
		ann.SayLate("what I wrote just before", 5*time.Second)
		require.Equal(t, []string{"agent Ann (late): what I wrote just before"}, r.Saw())
		require.Equal(t, handover.StateBot, r.Session().State, "older than the end: no takeover")
		r.After(time.Minute)
		ann.Reopen()
		ann.Say("one more thing")
		require.Equal(t, []string{"system: Ann joined the conversation.", "agent Ann: one more thing"}, r.Saw())
		require.Equal(t, handover.StateActive, r.Session().State, "newer than the end: takeover")
		require.False(t, r.Says("yes?").Bot)
	})
}

func TestTakeoverCanBeOff(t *testing.T) {
	o := rig.Options{Config: func(_ *rig.Rig, c *handover.Config) { c.Policy.NoTakeover = true }}
	rig.Active(t, o, func(r *rig.Rig, conv *handovertest.Conversation, ann *handovertest.Operator) {
		ann.Resolve()
		r.Crisp.Settle()
		r.Saw()
		ann.Say("one more thing")
		require.Equal(t, []string{"agent Ann: one more thing"}, r.Saw())
		require.Equal(t, handover.StateBot, r.Session().State)
	})
}

func TestReopenedNeverMutes(t *testing.T) {
	rig.Active(t, rig.Options{}, func(r *rig.Rig, conv *handovertest.Conversation, ann *handovertest.Operator) {
		ann.Resolve()
		r.Crisp.Settle()
		ann.Reopen()
		conv.UserByEmail("an answer by mail")
		r.After(time.Minute)
		require.Equal(t, handover.StateBot, r.Session().State)
	})
}

func TestRemovedAndBlocked(t *testing.T) {
	for reason, act := range map[handover.EndReason]func(*handovertest.Conversation){
		handover.EndRemoved: func(c *handovertest.Conversation) { c.Remove() },
		handover.EndBlocked: func(c *handovertest.Conversation) { c.Block(true) },
	} {
		rig.Active(t, rig.Options{}, func(r *rig.Rig, conv *handovertest.Conversation, ann *handovertest.Operator) {
			act(conv)
			r.After(time.Minute)
			require.Equal(t, handover.StateBot, r.Session().State)
			require.Equal(t, reason, r.Ends()[0].Reason)
			require.True(t, r.Says("hello").Bot)
			require.Equal(t, handover.OutcomeOpened, r.Asks(handover.Request{}))
		})
	}
}

// What an agent wrote before the conversation was removed is shown, from its hook, though the log is
// gone. Nobody takes over there.
func TestRemovedBeforeTheMessageWasRead(t *testing.T) {
	for _, name := range []string{"read"} {
		t.Run(name, func(t *testing.T) {
			rig.Bubble(t, rig.Options{}, func(r *rig.Rig) {
				conv := r.Opened()
				require.NoError(t, r.H.End(context.Background(), r.Conv, handover.EndOptions{}))
				r.Saw()
				r.Crisp.SetFaults(func(i handovertest.CallInfo) handovertest.Fault {
					return handovertest.Fault{Refuse: i.Route == handovertest.RouteSend}
				})
				turn, err := r.Receive(handover.Incoming{Text: "help"})
				require.NoError(t, err)
				go func() {
					_, _ = r.H.Start(context.Background(), turn, handover.Request{})
				}()
				r.After(time.Second)
				conv.Operator("Ann").Say("I am here")
				conv.Remove()
				r.After(time.Minute)
				require.Equal(t, handover.StateBot, r.Session().State)
				require.Equal(t, []string{"system: I am sorry, I could not reach anybody. You are talking with the bot again.", "agent Ann (late): I am here"}, r.Saw())
				require.Len(t, r.Ends(), 2)
			})
		})
	}
}

// TestConversationThatReadsDoNotFind has reads that say that the conversation is not there, as those
// do that are older than it. One alone ends nothing; they count when they go on for a minute.
func TestConversationThatReadsDoNotFind(t *testing.T) {
	missing := func(r *rig.Rig, n int) {
		for _, route := range []string{handovertest.RouteMessages, handovertest.RouteConversation} {
			r.Crisp.Fail(n, handovertest.Fault{Route: route, Status: http.StatusNotFound})
		}
	}
	t.Run("once", func(t *testing.T) {
		rig.Active(t, rig.Options{}, func(r *rig.Rig, _ *handovertest.Conversation, ann *handovertest.Operator) {
			note := ann.Note("to myself")
			r.Crisp.Settle()
			missing(r, 1)
			ann.Edit(note, "to myself, edited")
			r.Crisp.Settle()
			ann.Say("still there")
			r.After(5 * time.Second)
			require.Equal(t, handover.StateActive, r.Session().State)
			require.Equal(t, []string{"agent Ann: still there"}, r.Saw())
		})
	})
	t.Run("for good", func(t *testing.T) {
		rig.Active(t, rig.Options{}, func(r *rig.Rig, _ *handovertest.Conversation, ann *handovertest.Operator) {
			note := ann.Note("to myself")
			r.Crisp.Settle()
			missing(r, 1000)
			ann.Edit(note, "to myself, edited")
			r.After(50 * time.Second)
			require.Equal(t, handover.StateActive, r.Session().State)
			r.After(time.Minute)
			require.Equal(t, handover.EndRemoved, r.Ends()[0].Reason)
		})
	})
	t.Run("while a post is looked up", func(t *testing.T) {
		rig.Active(t, rig.Options{}, func(r *rig.Rig, conv *handovertest.Conversation, ann *handovertest.Operator) {
			r.Crisp.Fail(1, handovertest.Fault{Route: handovertest.RouteSend, CutBefore: true})
			missing(r, 1)
			require.False(t, r.Says("are you there?").Bot)
			require.Equal(t, handover.StateActive, r.Session().State)
			require.Equal(t, "are you there?", conv.Messages()[len(conv.Messages())-1].Text())
		})
	})
}

func TestClaimOnAssign(t *testing.T) {
	for _, on := range []bool{false, true} {
		rig.Bubble(t, rig.Options{Config: func(_ *rig.Rig, c *handover.Config) { c.Policy.ClaimOnAssign = on }}, func(r *rig.Rig) {
			conv := r.Opened()
			conv.Operator("Ann").Assign()
			r.Crisp.Settle()
			require.Equal(t, on, r.Session().State == handover.StateActive)
		})
	}
}

func TestAdoptedConversation(t *testing.T) {
	rig.Bubble(t, rig.Options{}, func(r *rig.Rig) {
		conv := r.Opened()
		conv.Operator("Ann").Say("old words")
		r.Crisp.Settle()
		crispID := r.Session().CrispID
		require.NoError(t, r.H.Forget(context.Background(), r.Conv))
		r.Conv.ID = "user-2"
		r.Saw()
		require.Equal(t, handover.OutcomeOpened, r.Asks(handover.Request{CrispID: crispID}))
		conv.Operator("Ann").Say("new words")
		require.Equal(t, []string{"system: A person will be with you soon. You can already describe your question. [Back to the bot]",
			"system: Ann joined the conversation.", "agent Ann: new words"}, r.Saw())
	})
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

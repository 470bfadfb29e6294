package handover_test

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/crisphandover/handover"
	"github.com/crisphandover/handover/handovertest"
)

// active is a rig with an agent talking; what came before is not in saw.
func active(t *testing.T, o options, test func(r *rig, conv *handovertest.Conversation, ann *handovertest.Operator)) {
	bubble(t, o, func(r *rig) {
		conv := r.opened()
		ann := conv.Operator("Ann")
		ann.Say("Hello")
		r.saw()
		test(r, conv, ann)
	})
}

func TestDeliverShowsTheAgent(t *testing.T) {
	active(t, options{}, func(r *rig, conv *handovertest.Conversation, ann *handovertest.Operator) {
		m := r.last()
		require.Equal(t, handover.FromAgent, m.From)
		require.Equal(t, "Ann", m.Agent.Name)
		require.Equal(t, ann.ID(), m.Agent.ID)
		require.Equal(t, 1, m.Attempt)
		require.False(t, m.Late)
		conv.Operator("Bob").Say("I take over")
		require.Equal(t, []string{"system: Bob continues the conversation.", "agent Bob: I take over"}, r.saw())
		require.Equal(t, "Bob", r.session().Agent.Name)
		ann.Resolve()
		r.crisp.Settle()
		require.Len(t, r.allEnds()[0].Agents, 2)
	})
}

func TestDeliverEveryTypeForTheUser(t *testing.T) {
	active(t, options{}, func(r *rig, conv *handovertest.Conversation, ann *handovertest.Operator) {
		ann.Say("text")
		ann.File("invoice.pdf", "https://example.com/x.pdf", "application/pdf")
		ann.File("cat.png", "https://example.com/x.png", "image/png")
		ann.Audio("https://example.com/x.m4a", "audio/mp4", 12)
		ann.Picker("Topic?", "Sales", "Help")
		ann.Field("Order number?", "Type it here")
		r.crisp.Settle()
		var kinds []string
		for _, m := range r.shown[len(r.shown)-6:] {
			kind := "text"
			if m.Content.Attachment != nil {
				kind = m.Content.Attachment.Type
			}
			kinds = append(kinds, kind)
		}
		require.Equal(t, []string{"text", "file", "image", "audio", "text", "text"}, kinds)
		require.Equal(t, "invoice.pdf", r.shown[len(r.shown)-5].File.Name)
	})
}

func TestNeverShown(t *testing.T) {
	active(t, options{}, func(r *rig, conv *handovertest.Conversation, ann *handovertest.Operator) {
		note := ann.Note("he is difficult")
		ann.Send("event", map[string]any{"namespace": "state:resolved"})
		conv.Bot("Hugo").Say("I am a bot")
		conv.UserByEmail("an answer by mail")
		r.crisp.Settle()
		ann.Edit(note, "very difficult")
		ann.Remove(note)
		require.Empty(t, r.saw())
		require.Equal(t, 1, r.count(handover.ActivityOtherBot))
		for _, m := range conv.Messages() {
			require.NotContains(t, m.Content, "could not be shown", "nothing is reported as not shown")
		}
	})
}

func TestUnknownTypeIsReportedToTheAgents(t *testing.T) {
	active(t, options{}, func(r *rig, conv *handovertest.Conversation, ann *handovertest.Operator) {
		ann.Send("hologram", map[string]any{"x": 1})
		require.Empty(t, r.saw())
		last := conv.Messages()[len(conv.Messages())-1]
		require.Equal(t, "note", last.Type)
		require.Equal(t, "A message could not be shown to the user. Please send it as plain text.", last.Content)
	})
}

func TestUserByEmailIsDeliveredOnRequest(t *testing.T) {
	o := options{config: func(_ *rig, c *handover.Config) { c.Policy.DeliverUser = true }}
	active(t, o, func(r *rig, conv *handovertest.Conversation, _ *handovertest.Operator) {
		r.says("from the channel")
		conv.UserByEmail("by mail")
		require.Equal(t, []string{"user: by mail"}, r.saw(), "and no echo of what the channel brought")
	})
}

func TestEditsAndRemovals(t *testing.T) {
	var revised []handover.Revision
	revise := func(r *rig, c *handover.Config) {
		revised = nil
		c.Revise = func(_ context.Context, _ handover.Session, v handover.Revision) error {
			revised = append(revised, v)
			return nil
		}
	}
	t.Run("without Revise an edit is a correction", func(t *testing.T) {
		active(t, options{}, func(r *rig, conv *handovertest.Conversation, ann *handovertest.Operator) {
			fp := ann.Say("at five")
			r.saw()
			first := r.last()
			ann.Edit(fp, "at six")
			require.Equal(t, []string{"agent Ann: at six"}, r.saw())
			second := r.last()
			require.Equal(t, first.ID, second.Corrects)
			require.NotEqual(t, first.ID, second.ID)
			require.NotEmpty(t, second.ChannelID)
			ann.Remove(fp)
			require.Empty(t, r.saw())
		})
	})
	t.Run("with Revise", func(t *testing.T) {
		active(t, options{config: revise}, func(r *rig, conv *handovertest.Conversation, ann *handovertest.Operator) {
			fp := ann.Say("at five")
			r.crisp.Settle()
			first := r.last()
			ann.Edit(fp, "at six")
			r.crisp.Settle()
			ann.Remove(fp)
			r.crisp.Settle()
			require.Len(t, revised, 2)
			require.Equal(t, "at six", revised[0].Message.Content.Text)
			require.Equal(t, first.ID, revised[0].Message.Corrects)
			require.Equal(t, fmt.Sprintf("channel-%d", len(r.shown)), revised[0].Message.ChannelID)
			require.True(t, revised[1].Removed)
			require.Equal(t, revised[0].Message.ChannelID, revised[1].Message.ChannelID)
		})
	})
	t.Run("removed before it was seen", func(t *testing.T) {
		active(t, options{}, func(r *rig, conv *handovertest.Conversation, ann *handovertest.Operator) {
			r.crisp.SetHookFaults(func(i handovertest.HookInfo) handovertest.HookFault {
				if i.Event == "message:received" {
					return handovertest.HookFault{Delay: 3 * time.Second}
				}
				return handovertest.HookFault{}
			})
			ann.Remove(ann.Say("oops"))
			r.after(time.Minute)
			require.Empty(t, r.saw())
		})
	})
	t.Run("edited before it was delivered", func(t *testing.T) {
		active(t, options{}, func(r *rig, conv *handovertest.Conversation, ann *handovertest.Operator) {
			r.fails(func(handover.Message) error { return errChannelDown })
			ann.Say("blocks the queue")
			r.crisp.Settle()
			fp := ann.Say("at five")
			r.crisp.Settle()
			ann.Edit(fp, "at six")
			r.crisp.Settle()
			r.fails(nil)
			r.after(time.Minute)
			require.Equal(t, []string{"agent Ann: blocks the queue", "agent Ann: at six"}, r.saw())
		})
	})
	t.Run("a stale read is no edit back", func(t *testing.T) {
		active(t, options{}, func(r *rig, conv *handovertest.Conversation, ann *handovertest.Operator) {
			fp := ann.Say("at five")
			r.after(3 * time.Second)
			ann.Edit(fp, "at six")
			require.Equal(t, []string{"agent Ann: at five", "agent Ann: at six"}, r.saw())
			r.crisp.Fail(1, handovertest.Fault{Route: handovertest.RouteMessages, Stale: 2 * time.Second})
			r.after(time.Second)
			ann.Note("hm")
			require.Empty(t, r.saw())
			ann.Edit(fp, "at five")
			require.Equal(t, []string{"agent Ann: at five"}, r.saw(), "a real one is")
		})
	})
	t.Run("an edit whose message's hook never came", func(t *testing.T) {
		active(t, options{}, func(r *rig, conv *handovertest.Conversation, ann *handovertest.Operator) {
			r.crisp.SetHookFaults(func(i handovertest.HookInfo) handovertest.HookFault {
				return handovertest.HookFault{Drop: i.Event == "message:received"}
			})
			fp := ann.Say("at five")
			note := ann.Note("hm")
			ann.Edit(fp, "at six")
			ann.Edit(note, "hm hm")
			r.after(time.Minute)
			require.Equal(t, []string{"agent Ann: at six"}, r.saw())
		})
	})
}

func TestDeliverIsRepeatedWithTheSameID(t *testing.T) {
	active(t, options{}, func(r *rig, conv *handovertest.Conversation, ann *handovertest.Operator) {
		var tries []handover.Message
		r.fails(func(m handover.Message) error {
			if tries = append(tries, m); len(tries) < 4 {
				return errChannelDown
			}
			return nil
		})
		ann.Say("one")
		ann.Say("two")
		r.after(time.Minute)
		require.Equal(t, []string{"agent Ann: one", "agent Ann: two"}, r.saw())
		for i, m := range tries[:4] {
			require.Equal(t, tries[0].ID, m.ID)
			require.Equal(t, i+1, m.Attempt)
		}
	})
}

func TestDeliverIsGivenUpOnceAndSaid(t *testing.T) {
	active(t, options{}, func(r *rig, conv *handovertest.Conversation, ann *handovertest.Operator) {
		tries := 0
		r.fails(func(m handover.Message) error {
			if m.Content.Text == "cursed" {
				tries++
				return errChannelDown
			}
			return nil
		})
		ann.Say("cursed")
		ann.Say("fine")
		r.after(10 * time.Minute)
		require.Equal(t, []string{"agent Ann: fine"}, r.saw())
		require.Zero(t, r.count(handover.ActivityGivenUp))
		r.after(6 * time.Hour)
		require.Greater(t, tries, 100)
		require.Equal(t, 1, r.count(handover.ActivityGivenUp))
		last := conv.Messages()[len(conv.Messages())-1]
		require.Equal(t, "note", last.Type)
	})
}

// A page shows what was said long ago as well: what could not be shown then is not reported again.
func TestWhatCannotBeShownIsSaidOnce(t *testing.T) {
	active(t, options{}, func(r *rig, conv *handovertest.Conversation, ann *handovertest.Operator) {
		r.fails(func(m handover.Message) error {
			if m.Content.Text == "cursed" {
				return errChannelDown
			}
			return nil
		})
		ann.Send("hologram", map[string]any{"x": 1})
		ann.Say("cursed")
		for range 4 {
			r.after(15 * time.Minute)
			ann.Say("and another thing")
		}
		r.fails(nil)
		r.after(15 * time.Minute)
		require.NotContains(t, r.saw(), "agent Ann (late): cursed")
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
	active(t, options{}, func(r *rig, conv *handovertest.Conversation, ann *handovertest.Operator) {
		tries := 0
		r.fails(func(m handover.Message) error {
			if tries++; tries == 1 {
				panic("a bug of the host's")
			}
			return nil
		})
		ann.Say("hello?")
		r.after(time.Minute)
		require.Equal(t, []string{"agent Ann: hello?"}, r.saw())
	})
}

func TestDeliverUnsupportedFallsBackToText(t *testing.T) {
	active(t, options{}, func(r *rig, conv *handovertest.Conversation, ann *handovertest.Operator) {
		r.fails(func(m handover.Message) error {
			if m.Content.Attachment != nil {
				return fmt.Errorf("sms: %w", errors.ErrUnsupported)
			}
			return nil
		})
		ann.File("cat.png", "https://example.com/x.png", "image/png")
		saw := r.saw()
		require.Len(t, saw, 1)
		require.Contains(t, saw[0], "https://example.com/x.png")
		r.fails(func(handover.Message) error { return errors.ErrUnsupported })
		ann.File("dog.png", "https://example.com/y.png", "image/png")
		r.after(time.Minute)
		require.Equal(t, "note", conv.Messages()[len(conv.Messages())-1].Type, "the agents are told")
	})
}

func TestShownMessagesAreMarked(t *testing.T) {
	active(t, options{}, func(r *rig, conv *handovertest.Conversation, ann *handovertest.Operator) {
		fp := ann.Say("seen?")
		note := ann.Note("private")
		r.crisp.Settle()
		m, _ := conv.Message(fp)
		require.Equal(t, "chat", m.Read)
		require.Equal(t, "chat", m.Delivered)
		m, _ = conv.Message(note)
		require.Empty(t, m.Read)
	})
}

func TestHooksDoubledSwappedAndLate(t *testing.T) {
	active(t, options{}, func(r *rig, conv *handovertest.Conversation, ann *handovertest.Operator) {
		r.crisp.SetHookFaults(func(i handovertest.HookInfo) handovertest.HookFault {
			return handovertest.HookFault{Twice: true, Swap: true, Delay: time.Duration(i.Ordinal%5) * time.Second}
		})
		var want []string
		for i := range 30 {
			text := fmt.Sprint("message ", i)
			ann.Say(text)
			want = append(want, "agent Ann: "+text)
			if i%7 == 0 {
				r.after(time.Second)
			}
		}
		r.after(time.Minute)
		require.Equal(t, want, r.saw(), "each once, in the log's order")
	})
}

func TestResolvedBeforeTheLastMessage(t *testing.T) {
	active(t, options{}, func(r *rig, conv *handovertest.Conversation, ann *handovertest.Operator) {
		r.crisp.SetHookFaults(func(i handovertest.HookInfo) handovertest.HookFault {
			if i.Event == "message:received" {
				return handovertest.HookFault{Delay: 3 * time.Second}
			}
			return handovertest.HookFault{}
		})
		ann.Say("bye")
		ann.Resolve()
		r.after(time.Minute)
		require.Equal(t, []string{"agent Ann: bye", "system: This conversation was closed. You are talking with the bot again."}, r.saw())
	})
}

func TestLogThatLagsBehindItsHook(t *testing.T) {
	active(t, options{}, func(r *rig, conv *handovertest.Conversation, ann *handovertest.Operator) {
		r.crisp.Fail(1, handovertest.Fault{Route: handovertest.RouteMessages, Stale: 5 * time.Second})
		ann.Say("one")
		ann.Say("two")
		r.after(20 * time.Second)
		require.Equal(t, []string{"agent Ann: one", "agent Ann: two"}, r.saw())
		require.False(t, r.last().Late)
	})
}

func TestLogThatCannotBeRead(t *testing.T) {
	active(t, options{}, func(r *rig, conv *handovertest.Conversation, ann *handovertest.Operator) {
		r.crisp.Fail(1000, handovertest.Fault{Route: handovertest.RouteMessages, Status: 503})
		ann.Say("one")
		ann.Say("two")
		r.after(45 * time.Second)
		require.Empty(t, r.saw(), "the log's order counts")
		r.after(time.Minute)
		require.Equal(t, []string{"agent Ann: one", "agent Ann: two"}, r.saw(), "from the hooks")
		r.crisp.Heal()
		ann.Say("three")
		r.after(5 * time.Minute)
		require.Equal(t, []string{"agent Ann: three"}, r.saw())
	})
}

func TestLongLogIsReadPageByPage(t *testing.T) {
	o := options{crisp: handovertest.Options{PageSize: 20}}
	active(t, o, func(r *rig, conv *handovertest.Conversation, ann *handovertest.Operator) {
		r.crisp.SetHookFaults(func(i handovertest.HookInfo) handovertest.HookFault {
			return handovertest.HookFault{Drop: i.Event == "message:received" && i.Ordinal < 150}
		})
		var want []string
		for i := range 160 {
			ann.Say(fmt.Sprint(i))
			want = append(want, fmt.Sprint("agent Ann: ", i))
		}
		r.after(time.Minute)
		require.Equal(t, want, r.saw())
	})
}

func TestLateMessageAfterTheEnd(t *testing.T) {
	active(t, options{}, func(r *rig, conv *handovertest.Conversation, ann *handovertest.Operator) {
		ann.Say("nearly done")
		ann.Resolve()
		r.crisp.Settle()
		r.saw()
		ann.SayLate("what I wrote just before", 5*time.Second)
		require.Equal(t, []string{"agent Ann (late): what I wrote just before"}, r.saw())
		require.Equal(t, handover.StateBot, r.session().State, "older than the end: no takeover")
		r.after(time.Minute)
		ann.Reopen()
		ann.Say("one more thing")
		require.Equal(t, []string{"system: Ann joined the conversation.", "agent Ann: one more thing"}, r.saw())
		require.Equal(t, handover.StateActive, r.session().State, "newer than the end: takeover")
		require.False(t, r.says("yes?").Bot)
	})
}

func TestTakeoverCanBeOff(t *testing.T) {
	o := options{config: func(_ *rig, c *handover.Config) { c.Policy.NoTakeover = true }}
	active(t, o, func(r *rig, conv *handovertest.Conversation, ann *handovertest.Operator) {
		ann.Resolve()
		r.crisp.Settle()
		r.saw()
		ann.Say("one more thing")
		require.Equal(t, []string{"agent Ann: one more thing"}, r.saw())
		require.Equal(t, handover.StateBot, r.session().State)
	})
}

func TestReopenedNeverMutes(t *testing.T) {
	active(t, options{}, func(r *rig, conv *handovertest.Conversation, ann *handovertest.Operator) {
		ann.Resolve()
		r.crisp.Settle()
		ann.Reopen()
		conv.UserByEmail("an answer by mail")
		r.after(time.Minute)
		require.Equal(t, handover.StateBot, r.session().State)
	})
}

func TestRemovedAndBlocked(t *testing.T) {
	for reason, act := range map[handover.EndReason]func(*handovertest.Conversation){
		handover.EndRemoved: func(c *handovertest.Conversation) { c.Remove() },
		handover.EndBlocked: func(c *handovertest.Conversation) { c.Block(true) },
	} {
		active(t, options{}, func(r *rig, conv *handovertest.Conversation, ann *handovertest.Operator) {
			act(conv)
			r.after(time.Minute)
			require.Equal(t, handover.StateBot, r.session().State)
			require.Equal(t, reason, r.allEnds()[0].Reason)
			require.True(t, r.says("hello").Bot)
			require.Equal(t, handover.Opened, r.asks(handover.Request{}))
		})
	}
}

// What an agent wrote before the conversation was removed is shown, from its hook, though the log is
// gone. Nobody takes over there.
func TestRemovedBeforeTheMessageWasRead(t *testing.T) {
	for _, name := range []string{"read"} {
		t.Run(name, func(t *testing.T) {
			bubble(t, options{}, func(r *rig) {
				conv := r.opened()
				require.NoError(t, r.h.End(context.Background(), r.conv, handover.EndOptions{}))
				r.saw()
				r.crisp.SetFaults(func(i handovertest.CallInfo) handovertest.Fault {
					return handovertest.Fault{Refuse: i.Route == handovertest.RouteSend}
				})
				turn, err := r.receive(handover.Incoming{Text: "help"})
				require.NoError(t, err)
				go func() {
					_, _ = r.h.Start(context.Background(), turn, handover.Request{})
				}()
				r.after(time.Second)
				conv.Operator("Ann").Say("I am here")
				conv.Remove()
				r.after(time.Minute)
				require.Equal(t, handover.StateBot, r.session().State)
				require.Equal(t, []string{"system: I am sorry, I could not reach anybody. You are talking with the bot again.", "agent Ann (late): I am here"}, r.saw())
				require.Len(t, r.allEnds(), 2)
			})
		})
	}
}

// TestConversationThatReadsDoNotFind has reads that say that the conversation is not there, as those
// do that are older than it. One alone ends nothing; they count when they go on for a minute.
func TestConversationThatReadsDoNotFind(t *testing.T) {
	missing := func(r *rig, n int) {
		for _, route := range []string{handovertest.RouteMessages, handovertest.RouteConversation} {
			r.crisp.Fail(n, handovertest.Fault{Route: route, Status: http.StatusNotFound})
		}
	}
	t.Run("once", func(t *testing.T) {
		active(t, options{}, func(r *rig, _ *handovertest.Conversation, ann *handovertest.Operator) {
			note := ann.Note("to myself")
			r.crisp.Settle()
			missing(r, 1)
			ann.Edit(note, "to myself, edited")
			r.crisp.Settle()
			ann.Say("still there")
			r.after(5 * time.Second)
			require.Equal(t, handover.StateActive, r.session().State)
			require.Equal(t, []string{"agent Ann: still there"}, r.saw())
		})
	})
	t.Run("for good", func(t *testing.T) {
		active(t, options{}, func(r *rig, _ *handovertest.Conversation, ann *handovertest.Operator) {
			note := ann.Note("to myself")
			r.crisp.Settle()
			missing(r, 1000)
			ann.Edit(note, "to myself, edited")
			r.after(50 * time.Second)
			require.Equal(t, handover.StateActive, r.session().State)
			r.after(time.Minute)
			require.Equal(t, handover.EndRemoved, r.allEnds()[0].Reason)
		})
	})
	t.Run("while a post is looked up", func(t *testing.T) {
		active(t, options{}, func(r *rig, conv *handovertest.Conversation, ann *handovertest.Operator) {
			r.crisp.Fail(1, handovertest.Fault{Route: handovertest.RouteSend, CutBefore: true})
			missing(r, 1)
			require.False(t, r.says("are you there?").Bot)
			require.Equal(t, handover.StateActive, r.session().State)
			require.Equal(t, "are you there?", conv.Messages()[len(conv.Messages())-1].Text())
		})
	})
}

func TestClaimOnAssign(t *testing.T) {
	for _, on := range []bool{false, true} {
		bubble(t, options{config: func(_ *rig, c *handover.Config) { c.Policy.ClaimOnAssign = on }}, func(r *rig) {
			conv := r.opened()
			conv.Operator("Ann").Assign()
			r.crisp.Settle()
			require.Equal(t, on, r.session().State == handover.StateActive)
		})
	}
}

func TestAdoptedConversation(t *testing.T) {
	bubble(t, options{}, func(r *rig) {
		conv := r.opened()
		conv.Operator("Ann").Say("old words")
		r.crisp.Settle()
		crispID := r.session().CrispID
		require.NoError(t, r.h.Forget(context.Background(), r.conv))
		r.conv.ID = "user-2"
		r.saw()
		require.Equal(t, handover.Opened, r.asks(handover.Request{CrispID: crispID}))
		conv.Operator("Ann").Say("new words")
		require.Equal(t, []string{"system: A person will be with you soon. You can already describe your question. [Back to the bot]",
			"system: Ann joined the conversation.", "agent Ann: new words"}, r.saw())
	})
}

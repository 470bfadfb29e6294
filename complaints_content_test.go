package handover_test

import (
	"context"
	"fmt"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/crisphandover/handover"
	"github.com/crisphandover/handover/handovertest"
)

// Context, content, ending and plumbing: complaints_test.go has the threads.

func TestTheHumanPartIsWholeWithItsFiles(t *testing.T) {
	active(t, options{crisp: handovertest.Options{PageSize: 20}}, func(r *rig, conv *handovertest.Conversation, ann *handovertest.Operator) {
		want := []string{"agent: Hello"}
		for i := range 30 { // several pages of Crisp's log
			r.says(fmt.Sprint("question ", i))
			ann.Say(fmt.Sprint("answer ", i))
			want = append(want, fmt.Sprint("user: question ", i), fmt.Sprint("agent: answer ", i))
			r.crisp.Settle()
		}
		_, err := r.receive(handover.Incoming{Files: []handover.File{{URL: "https://example.com/broken.jpg", MIMEType: "image/jpeg"}}})
		require.NoError(t, err)
		ann.Note("a difficult one")
		ann.File("label.png", "https://example.com/label.png", "image/png")
		ann.Resolve()
		r.after(time.Minute)
		var got []string
		for _, m := range r.allEnds()[0].Messages {
			text := m.Content.Text
			if m.File != nil {
				text = m.File.Name
				require.Equal(t, "image", m.Content.Attachment.Type)
			}
			got = append(got, fmt.Sprint(m.From, ": ", text))
		}
		require.Equal(t, append(want, "user: broken.jpg", "agent: label.png"), got)
	})
}

func TestAgentsNameIsKnownWhenTheUserIsToldWhoJoined(t *testing.T) {
	for name, joined := range map[string]string{
		"Ann": "system: Ann joined the conversation.",
		"":    "system: An agent joined the conversation.",
	} {
		t.Run(name, func(t *testing.T) {
			bubble(t, options{}, func(r *rig) {
				conv := r.opened()
				r.saw()
				conv.Operator(name).Assign() // by a rule: nobody has said anything
				require.Empty(t, r.saw())
				conv.Operator(name).Say("hi")
				require.Equal(t, []string{joined, "agent " + name + ": hi"}, r.saw(), "who it is comes first")
				require.Equal(t, name, r.session().Agent.Name)
				require.NotEmpty(t, r.session().Agent.ID)
			})
		})
	}
}

func TestOurOwnNotesAreNeverShown(t *testing.T) {
	for name, own := range map[string]bool{"with our fingerprints": false, "with fingerprints of Crisp's own": true} {
		t.Run(name, func(t *testing.T) {
			bubble(t, options{crisp: handovertest.Options{OwnFingerprints: own}}, func(r *rig) {
				require.Equal(t, handover.Opened, r.asks(handover.Request{Note: "asked twice, was angry"}))
				conv := r.crisp.Last()
				r.crisp.SetHookFaults(func(handovertest.HookInfo) handovertest.HookFault { return handovertest.HookFault{Twice: true} })
				require.NoError(t, r.h.End(r.t.Context(), r.conv, handover.EndOptions{Note: "closed the app"}))
				r.after(time.Minute)
				require.Equal(t, []string{"note: asked twice, was angry", "note: closed the app"}, kinds(conv)[1:])
				require.Equal(t, []string{
					"system: A person will be with you soon. You can already describe your question. [Back to the bot]",
					"system: You are talking with the bot again.",
				}, r.saw())
				require.Equal(t, handover.StateBot, r.session().State, "and are no takeover")
			})
		})
	}
}

func TestNobodyTypesForEver(t *testing.T) {
	var seen []string
	o := options{config: func(_ *rig, c *handover.Config) {
		seen = nil
		c.Typing = func(_ context.Context, _ handover.Session, ty handover.Typing) {
			seen = append(seen, fmt.Sprint(ty.Agent.Name, " ", ty.On))
		}
	}}
	active(t, o, func(r *rig, conv *handovertest.Conversation, ann *handovertest.Operator) {
		ann.Type(true)
		conv.Bot("Hugo").Type(true) // another bot's, which says nothing to the user
		ann.Type(false)
		ann.Resolve()
		r.crisp.Settle()
		ann.Type(true) // to themselves: the bot has the user
		r.after(time.Minute)
		require.Equal(t, []string{"Ann true", "Ann false"}, seen)
	})
}

func TestAgentsAreToldThatTheUserLeftOnEveryPlan(t *testing.T) {
	for name, fallback := range map[string]handover.NoteFallback{"dropped": handover.NoteDropped, "in data": handover.NoteInData} {
		t.Run(name, func(t *testing.T) {
			o := freePlan(false, func(c *handover.Config) { c.Policy.NoteFallback = fallback })
			bubble(t, o, func(r *rig) {
				conv := r.opened()
				conv.Operator("Ann").Say("hello")
				r.saw()
				require.False(t, r.says("Back to the bot").Bot)
				r.after(time.Minute)
				require.Equal(t, handover.EndUserLeft, r.allEnds()[0].Reason)
				told := conv.Meta().Data["handover_note"]
				if fallback == handover.NoteDropped {
					require.Nil(t, told)
				} else {
					require.Equal(t, "The user is talking with the bot again.", told, "beside the conversation, where the plan has no notes")
				}
				require.Equal(t, []string{"system: You are talking with the bot again."}, r.saw(), "the note never holds up the rest")
			})
		})
	}
}

func TestNoMailForWhatTheUserHasSeen(t *testing.T) {
	bubble(t, options{}, func(r *rig) {
		require.Equal(t, handover.Opened, r.asks(handover.Request{User: handover.UserData{Email: "anakin@example.com"}}))
		ann := r.crisp.Last().Operator("Ann")
		ann.Say("seen at once")
		r.after(time.Hour)
		require.Empty(t, r.crisp.Mails())
		r.fails(func(handover.Message) error { return handover.ErrUserAway })
		ann.Say("said to nobody")
		r.after(time.Hour)
		require.Len(t, r.crisp.Mails(), 1)
		require.Equal(t, "said to nobody", r.crisp.Mails()[0].Text)
	})
}

func TestAgentsMessagesOpenNoConversations(t *testing.T) {
	active(t, options{}, func(r *rig, conv *handovertest.Conversation, ann *handovertest.Operator) {
		for range 3 {
			ann.Say("during the handover")
			r.says("thanks")
			ann.Resolve()
			r.after(3 * time.Hour)
			ann.Say("hours later")
			r.after(time.Minute)
			require.Equal(t, r.conv, r.session().Conversation)
			require.Equal(t, conv.ID(), r.session().CrispID)
		}
		require.Len(t, r.crisp.Conversations(), 1)
		require.Len(t, agentsIn(r.saw()), 6)
	})
}

package scenarios

import (
	"errors"
	"fmt"
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

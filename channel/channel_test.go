package channel_test

import (
	"context"
	"errors"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/crisphandover/handover"
	"github.com/crisphandover/handover/channel"
)

// stub is a channel that notes its calls.
type stub struct {
	source string
	calls  []string
}

func (c *stub) Source() string                     { return c.source }
func (c *stub) Capabilities() channel.Capabilities { return channel.Capabilities{} }
func (c *stub) Deliver(context.Context, handover.Session, handover.Message) (string, error) {
	c.calls = append(c.calls, "deliver")
	return "id", nil
}
func (c *stub) Revise(context.Context, handover.Session, handover.Revision) error {
	c.calls = append(c.calls, "revise")
	return nil
}
func (c *stub) Typing(context.Context, handover.Session, handover.AgentTyping) {
	c.calls = append(c.calls, "typing")
}
func (c *stub) Send(_ context.Context, id string, _ handover.RichMessage) error {
	c.calls = append(c.calls, "send "+id)
	return nil
}

func TestAttach(t *testing.T) {
	a, b, own := &stub{source: "a"}, &stub{source: "b"}, &stub{source: "own"}
	config := handover.Config{Deliver: own.Deliver, Revise: own.Revise, AgentTyping: own.Typing}
	chats, err := channel.Attach(&config, a, b)
	require.NoError(t, err)
	for _, source := range []string{"a", "b", "other"} {
		s := handover.Session{Conversation: handover.Conversation{Source: source, ID: "1"}}
		id, err := config.Deliver(t.Context(), s, handover.Message{})
		require.NoError(t, err)
		require.Equal(t, "id", id)
		require.NoError(t, config.Revise(t.Context(), s, handover.Revision{}))
		config.AgentTyping(t.Context(), s, handover.AgentTyping{})
	}
	require.NoError(t, chats.Send(t.Context(), handover.Conversation{Source: "b", ID: "7"}, handover.TextMessage("Hi")))
	require.ErrorIs(t, chats.Send(t.Context(), handover.Conversation{Source: "other"}, handover.TextMessage("Hi")), errors.ErrUnsupported)
	require.Equal(t, []string{"deliver", "revise", "typing"}, a.calls)
	require.Equal(t, []string{"deliver", "revise", "typing", "send 7"}, b.calls)
	require.Equal(t, []string{"deliver", "revise", "typing"}, own.calls)
}

// logged is a channel that keeps what was said, and is told of what happens.
type logged struct{ stub }

func (c *logged) Transcript(context.Context, handover.Conversation) ([]handover.Message, error) {
	c.calls = append(c.calls, "transcript")
	return []handover.Message{{ID: c.source}}, nil
}
func (c *logged) Observe(context.Context, handover.Activity) { c.calls = append(c.calls, "observe") }

func TestAttachTranscriptAndObserve(t *testing.T) {
	transcript := func(config handover.Config, source string) []handover.Message {
		all, err := config.Transcript(t.Context(), handover.Conversation{Source: source})
		require.NoError(t, err)
		return all
	}
	a, b, own := &logged{stub{source: "a"}}, &stub{source: "b"}, &logged{stub{source: "own"}}
	config := handover.Config{Transcript: own.Transcript, Observe: own.Observe}
	_, err := channel.Attach(&config, a, b)
	require.NoError(t, err)
	require.Equal(t, "a", transcript(config, "a")[0].ID)
	require.Equal(t, "own", transcript(config, "b")[0].ID)
	config.Observe(t.Context(), handover.Activity{})
	require.Equal(t, []string{"transcript", "observe"}, a.calls)
	require.Equal(t, []string{"transcript", "observe"}, own.calls)

	config = handover.Config{} // the host has none
	_, err = channel.Attach(&config, a, b)
	require.NoError(t, err)
	require.Empty(t, transcript(config, "b"))
	config.Observe(t.Context(), handover.Activity{})
	require.Equal(t, []string{"transcript", "observe", "observe"}, a.calls)

	config = handover.Config{} // nor has the channel
	_, err = channel.Attach(&config, b)
	require.NoError(t, err)
	require.Nil(t, config.Transcript)
	require.Nil(t, config.Observe)
}

func TestAttachWithoutTheHostsOwn(t *testing.T) {
	config := handover.Config{}
	_, err := channel.Attach(&config, &stub{source: "a"})
	require.NoError(t, err)
	_, err = config.Deliver(t.Context(), handover.Session{}, handover.Message{})
	require.ErrorIs(t, err, errors.ErrUnsupported)
	require.ErrorIs(t, config.Revise(t.Context(), handover.Session{}, handover.Revision{}), errors.ErrUnsupported)
	config.AgentTyping(t.Context(), handover.Session{}, handover.AgentTyping{})
}

func TestAttachRefuses(t *testing.T) {
	for _, channels := range [][]channel.Channel{{nil}, {&stub{}}, {&stub{source: "a"}, &stub{source: "a"}}} {
		config := handover.Config{}
		_, err := channel.Attach(&config, channels...)
		require.Error(t, err)
		require.Nil(t, config.Deliver)
	}
}

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

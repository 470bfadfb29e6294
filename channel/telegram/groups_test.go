package telegram

import (
	"context"
	"encoding/json"
	"errors"
	"log/slog"
	"net/http"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/crisphandover/handover"
	"github.com/crisphandover/handover/channel"
)

const moves = `{"update_id":2,"message":{"message_id":1,"date":1700000100,"from":{"id":5},"chat":{"id":-1007,"type":"supergroup"},"migrate_from_chat_id":-7}}`

// TestIDsOfAGroupThatMoved: a supergroup numbers its messages anew, from 1. Two messages of a conversation do not have
// the same id, and an edit names the one that was edited.
func TestIDsOfAGroupThatMoved(t *testing.T) {
	c, err := New(Config{Token: handover.NewSecret("1:x"), Groups: true, Logger: slog.New(slog.DiscardHandler)})
	require.NoError(t, err)
	read := func(raw string) handover.Incoming {
		in, _, err := c.Incoming(t.Context(), []byte(raw))
		require.NoError(t, err)
		return in
	}
	edit := func(chat string) string {
		return `{"update_id":9,"edited_message":{"message_id":2,"date":1700000000,"from":{"id":5},"chat":{"id":` + chat + `},"text":"my order is very late"}}`
	}
	old := read(`{"update_id":1,"message":{"message_id":2,"date":1700000000,"from":{"id":5},"chat":{"id":-7,"type":"group"},"text":"my order is late"}}`)
	require.Equal(t, "2", old.ID)
	read(moves)
	now := read(`{"update_id":3,"message":{"message_id":2,"date":1700000200,"from":{"id":5},"chat":{"id":-1007,"type":"supergroup"},"text":"hello?"}}`)
	require.Equal(t, old.Conversation, now.Conversation)
	require.Equal(t, "-1007/2", now.ID)
	require.Equal(t, old.ID, read(edit(`-7,"type":"group"`)).Edits)
	require.Equal(t, now.ID, read(edit(`-1007,"type":"supergroup"`)).Edits)
}

// TestRevisionInAGroupThatMoved: an agent changes or removes what was shown. In the supergroup another message has the
// number of one that was shown before; what was shown since is changed as ever.
func TestRevisionInAGroupThatMoved(t *testing.T) {
	for name, told := range map[string]bool{"a call tells": false, "an update tells": true} {
		t.Run(name, func(t *testing.T) {
			moved := false
			var done []string
			c, err := New(Config{Token: handover.NewSecret("1:x"), Groups: true, Logger: slog.New(slog.DiscardHandler), Client: &http.Client{Transport: answering(func(r *http.Request) string {
				var in struct {
					Chat string          `json:"chat_id"`
					ID   json.RawMessage `json:"message_id"`
				}
				require.NoError(t, json.NewDecoder(r.Body).Decode(&in))
				if moved && in.Chat == "-7" {
					return `{"ok":false,"error_code":400,"parameters":{"migrate_to_chat_id":-1007}}`
				}
				if in.ID != nil {
					done = append(done, in.Chat+" "+string(in.ID))
				}
				return `{"ok":true,"result":{"message_id":9}}`
			})}})
			require.NoError(t, err)
			s := handover.Session{Conversation: handover.Conversation{Source: c.Source(), ID: "-7"}}
			deliver := func(id string) handover.Message {
				m := handover.Message{ID: id, From: handover.FromAgent, Content: handover.TextMessage("It comes on Monday.")}
				m.ChannelID, err = c.Deliver(t.Context(), s, m)
				require.NoError(t, err)
				return m
			}
			old := deliver("m1")
			require.NoError(t, c.Revise(t.Context(), s, handover.Revision{Message: old}))
			require.Equal(t, []string{"-7 9"}, done)
			moved, done = true, nil
			if told {
				_, _, err = c.Incoming(t.Context(), []byte(moves))
				require.NoError(t, err)
			}
			require.ErrorIs(t, c.Revise(t.Context(), s, handover.Revision{Message: old}), errors.ErrUnsupported)
			require.ErrorIs(t, c.Revise(t.Context(), s, handover.Revision{Message: old, Removed: true}), errors.ErrUnsupported)
			require.Empty(t, done)
			now := deliver("m2")
			require.Equal(t, "-1007/9", now.ChannelID)
			require.NoError(t, c.Revise(t.Context(), s, handover.Revision{Message: now}))
			require.NoError(t, c.Revise(t.Context(), s, handover.Revision{Message: now, Removed: true}))
			require.Equal(t, []string{"-1007 9", "-1007 9"}, done)
		})
	}
}

// flaky is a Sent whose database is away now and then.
type flaky struct {
	channel.Memory
	away bool
}

var errAway = errors.New("the database is away")

func (s *flaky) Recall(ctx context.Context, key string) (string, bool, error) {
	if s.away {
		return "", false, errAway
	}
	return s.Memory.Recall(ctx, key)
}

func (s *flaky) Keep(ctx context.Context, key, value string) error {
	if s.away {
		return errAway
	}
	return s.Memory.Keep(ctx, key, value)
}

// TestSentIsAway: where it is not known whether a group moved, or what was chosen, an update is to come again. It becomes no
// other conversation, and no message without its payload.
func TestSentIsAway(t *testing.T) {
	group := `"date":1700000000,"from":{"id":5},"chat":{"id":-1007,"type":"supergroup"}`
	for name, update := range map[string]string{
		"a group that moves":          moves,
		"a message in a group":        `{"update_id":3,"message":{"message_id":2,` + group + `,"text":"hello"}}`,
		"an edit in a group":          `{"update_id":3,"edited_message":{"message_id":2,` + group + `,"text":"hello"}}`,
		"a text that may be a choice": `{"update_id":3,"message":{` + from + `,"text":"1"}}`,
		"a press with a long payload": `{"update_id":4,"callback_query":{"id":"77","from":{"id":7},"data":"~abc","message":{` + from + `}}}`,
	} {
		t.Run(name, func(t *testing.T) {
			sent := &flaky{away: true}
			c, err := New(Config{Token: handover.NewSecret("1:x"), Groups: true, Sent: sent, Logger: slog.New(slog.DiscardHandler)})
			require.NoError(t, err)
			_, ok, err := c.Incoming(t.Context(), []byte(update))
			require.ErrorIs(t, err, errAway)
			require.False(t, ok)
			u, err := parse([]byte(update))
			require.NoError(t, err)
			err = c.take(t.Context(), u, true, func(context.Context, handover.Incoming) error { panic("it was taken") })
			require.ErrorIs(t, err, errAway, "Webhook answers 503, and Poll asks again")
		})
	}
}

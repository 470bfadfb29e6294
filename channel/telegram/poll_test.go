package telegram

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"slices"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/crisphandover/handover"
	"github.com/crisphandover/handover/channel/channeltest"
)

func TestPoll(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		fake := channeltest.NewTelegram()
		c := newOn(t, fake, nil)
		c.config.Logger = slog.New(slog.DiscardHandler)
		var took []string
		fails := 3
		handle := func(_ context.Context, m handover.Incoming) error {
			switch {
			case m.Text == "bad":
				return handover.ErrBadMessage
			case m.Text == "b" && fails > 0:
				fails--
				return errors.New("the store is away")
			}
			require.Zero(t, m.Seq)
			took = append(took, m.Text)
			return nil
		}
		ctx, cancel := context.WithCancel(t.Context())
		done := make(chan error)
		go func() { done <- c.Poll(ctx, handle) }()
		fake.Write("a")
		fake.Write("bad")
		fake.Write("b")
		fake.Write("c")
		time.Sleep(8 * time.Second) // after 1, 2 and 4
		synctest.Wait()
		require.Equal(t, []string{"a", "b", "c"}, took, "in order, each once")
		require.NoError(t, c.Send(ctx, "7", handover.RichMessage{Text: "?", QuickReplies: []handover.QuickReply{{Title: "Yes", Payload: "y"}}}))
		fake.Press("Yes")
		time.Sleep(2 * time.Minute)
		synctest.Wait()
		require.Equal(t, []string{"a", "b", "c", "Yes"}, took)
		require.Equal(t, 1, fake.Calls("answerCallbackQuery"))
		require.Less(t, fake.Calls("getUpdates"), 20, "it waits for updates")
		cancel()
		require.NoError(t, <-done)
	})
}

// TestTwoPoll has a second process poll with the same token.
func TestTwoPoll(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		fake := channeltest.NewTelegram()
		var log bytes.Buffer
		logger := slog.New(slog.NewTextHandler(&log, nil))
		var took []string
		for range 2 {
			c := newOn(t, fake, nil)
			c.config.Logger = logger
			go func() {
				_ = c.Poll(t.Context(), func(_ context.Context, m handover.Incoming) error {
					took = append(took, m.Text)
					return nil
				})
			}()
			synctest.Wait()
		}
		require.Contains(t, log.String(), "poll in one process and call deleteWebhook, or use Webhook in all")
		fake.Write("hello")
		synctest.Wait()
		require.Equal(t, []string{"hello"}, took)
	})
}

// answers are answers to getUpdates, the last one again and again.
type answers struct {
	bodies []string
	calls  int
}

func (a *answers) RoundTrip(r *http.Request) (*http.Response, error) {
	a.calls++
	body := a.bodies[0]
	if len(a.bodies) > 1 {
		a.bodies = a.bodies[1:]
	}
	w := httptest.NewRecorder()
	_, _ = w.WriteString(body)
	return w.Result(), nil
}

func TestPollThroughFaults(t *testing.T) {
	update := `{"ok":true,"result":[{"update_id":3,"message":[]},{"update_id":4,"message":{` + from + `,"text":"hello"}}]}`
	for name, tt := range map[string]struct {
		bodies []string
		took   int
		calls  int // in a minute, at the most
		ends   bool
	}{
		"an update that is odd": {[]string{update, `{"ok":false,"error_code":401}`}, 1, 2, true},
		"a wrong token":         {[]string{`{"ok":false,"error_code":401,"description":"Unauthorized"}`}, 0, 1, true},
		"another process polls": {[]string{`{"ok":false,"error_code":409,"description":"Conflict"}`}, 0, 7, false},
		"a flood":               {[]string{`{"ok":false,"error_code":429,"parameters":{"retry_after":40}}`}, 0, 2, false},
		"no answer in JSON":     {[]string{"<html>"}, 0, 7, false},
		"a list of nonsense":    {[]string{`{"ok":true,"result":[7]}`}, 0, 7, false},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				a := &answers{bodies: tt.bodies}
				c, err := New(Config{Token: handover.NewSecret("1:x"), Client: &http.Client{Transport: a}, Logger: slog.New(slog.DiscardHandler)})
				require.NoError(t, err)
				ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
				defer cancel()
				took := 0
				err = c.Poll(ctx, func(context.Context, handover.Incoming) error { took++; return nil })
				require.Equal(t, tt.ends, err != nil, err)
				require.Equal(t, tt.took, took)
				require.LessOrEqual(t, a.calls, tt.calls)
			})
		})
	}
}

// TestPollOfManyChats has one chat held up, and no other.
func TestPollOfManyChats(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		update := func(id, chat int, text string) string {
			return fmt.Sprintf(`{"update_id":%d,"message":{"message_id":%[1]d,"date":946684800,"from":{"id":%d},"chat":{"id":%[2]d,"type":"private"},"text":%q}}`, id, chat, text)
		}
		all := []string{update(3, 7, "a1"), update(5, 8, "b1"), update(6, 7, "a2"), `{"update_id":9,"poll":{}}`, update(10, 8, "b2")} // with gaps
		var offsets []string
		c, err := New(Config{Token: handover.NewSecret("1:x"), Logger: slog.New(slog.DiscardHandler), Client: &http.Client{Transport: answering(func(r *http.Request) string {
			var in struct{ Offset int }
			require.NoError(t, json.NewDecoder(r.Body).Decode(&in))
			offsets = append(offsets, fmt.Sprint(in.Offset))
			if in.Offset > 10 {
				time.Sleep(time.Hour)
				return `{"ok":true,"result":[]}`
			}
			return `{"ok":true,"result":[` + strings.Join(all, ",") + `]}`
		})}})
		require.NoError(t, err)
		ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
		defer cancel()
		fails := 3
		var took []string
		require.NoError(t, c.Poll(ctx, func(_ context.Context, m handover.Incoming) error {
			if m.Conversation.ID == "7" && fails > 0 {
				fails--
				return handover.ErrCrowded
			}
			took = append(took, m.Text)
			return nil
		}))
		require.Equal(t, []string{"b1", "b2", "a1", "a2"}, took, "each once, in the order of its chat")
		require.Equal(t, []string{"0", "0", "0", "0", "11"}, offsets)
	})
}

// TestPollAfterAQuietWeek has Telegram begin its numbers anew, with a lower one.
func TestPollAfterAQuietWeek(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		ids, calls := []int{100, 0, 7}, 0
		c, err := New(Config{Token: handover.NewSecret("1:x"), Logger: slog.New(slog.DiscardHandler), Client: &http.Client{Transport: answering(func(r *http.Request) string {
			var in struct{ Offset int }
			require.NoError(t, json.NewDecoder(r.Body).Decode(&in))
			if calls == len(ids) {
				time.Sleep(time.Hour)
				return `{"ok":true,"result":[]}`
			}
			id := ids[calls]
			calls++
			if id == 0 || id < in.Offset {
				return `{"ok":true,"result":[]}`
			}
			return fmt.Sprintf(`{"ok":true,"result":[{"update_id":%d,"message":{"message_id":%[1]d,"from":{"id":7},"chat":{"id":7,"type":"private"},"text":"hello"}}]}`, id)
		})}})
		require.NoError(t, err)
		ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
		defer cancel()
		var took []string
		require.NoError(t, c.Poll(ctx, func(_ context.Context, m handover.Incoming) error {
			took = append(took, m.ID)
			return nil
		}))
		require.Equal(t, []string{"100", "7"}, took)
	})
}

// TestPollOfHungHandle bounds how long an update may take, so that others are taken.
func TestPollOfHungHandle(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c, err := New(Config{Token: handover.NewSecret("1:x"), Logger: slog.New(slog.DiscardHandler)})
		require.NoError(t, err)
		ctx, cancel := context.WithTimeout(t.Context(), time.Hour)
		defer cancel()
		var all []json.RawMessage
		for n := 1; n <= 2; n++ {
			all = append(all, fmt.Appendf(nil, `{"update_id":%d,"message":{"message_id":1,"from":{"id":%[1]d},"chat":{"id":%[1]d,"type":"private"},"text":"Hello"}}`, n))
		}
		took := 0
		_, some, err := c.takeAll(ctx, all, &window{done: map[int64]bool{}}, func(ctx context.Context, m handover.Incoming) error {
			if m.Conversation.ID == "1" {
				<-ctx.Done()
				return ctx.Err()
			}
			took++
			return nil
		})
		require.ErrorIs(t, err, context.DeadlineExceeded)
		require.True(t, some)
		require.Equal(t, 1, took)
	})
}

// TestPollPassesOver has chats that are refused for ever, and others behind 100 updates.
func TestPollPassesOver(t *testing.T) {
	down := errors.New("the store is down")
	for name, tt := range map[string]struct {
		chats  int           // of which the first ones are refused
		each   int           // updates of each of those
		err    error         // for those; for all others as well once down
		down   bool          // the others are refused, too
		within time.Duration // the others are taken; 0: nothing is lost
	}{
		"a damaged record":         {chats: 1, each: 1, err: handover.ErrRecord, within: time.Minute},
		"two damaged records":      {chats: 2, each: 1, err: handover.ErrRecord, within: time.Minute},
		"a flood":                  {chats: 1, each: 300, err: handover.ErrCrowded, within: time.Minute},
		"two floods":               {chats: 2, each: 150, err: handover.ErrCrowded, within: time.Minute},
		"one that nobody knows":    {chats: 1, each: 1, err: down, within: time.Hour},
		"many, which nobody knows": {chats: 2, each: 1, err: down},
		"a store that is down":     {chats: 1, each: 1, err: down, down: true},
		"a flood meanwhile":        {chats: 1, each: 300, err: down},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				fake := channeltest.NewTelegram()
				c := newOn(t, fake, nil)
				for range tt.each {
					for chat := range tt.chats {
						fake.User(by(chat+1, "refused"))
					}
				}
				for i := range 150 {
					fake.User(by(1000+i, "taken"))
				}
				took := map[string]bool{}
				ctx, cancel := context.WithTimeout(t.Context(), 2*time.Hour)
				defer cancel()
				var last time.Duration
				begun := time.Now()
				require.NoError(t, c.Poll(ctx, func(_ context.Context, m handover.Incoming) error {
					if m.Text == "refused" || tt.down {
						return tt.err
					}
					took[m.Conversation.ID], last = true, time.Since(begun)
					return nil
				}))
				if tt.within == 0 {
					require.Zero(t, c.Lost())
					return
				}
				require.Len(t, took, 150)
				require.LessOrEqual(t, last, tt.within)
				require.Equal(t, tt.each*tt.chats, int(c.Lost()))
			})
		})
	}
}

// by are the members of a message in another chat.
func by(chat int, text string) map[string]any {
	return map[string]any{"text": text, "from": map[string]any{"id": chat}, "chat": map[string]any{"id": chat, "type": "private"}}
}

// TestPollWhereAllAreRefused has a full window of chats that are refused, as by a process that reads no record: none is to blame.
func TestPollWhereAllAreRefused(t *testing.T) {
	for name, tt := range map[string]struct {
		chats int   // in the window
		err   error // for all
		lost  int   // in ten rounds
	}{
		"no record is read":           {chats: most, err: handover.ErrRecord},
		"few users, and none is read": {chats: 4, err: handover.ErrRecord},
		"many wait":                   {chats: most, err: handover.ErrCrowded},
		"one user alone":              {chats: 1, err: handover.ErrRecord, lost: most},
		"each of few floods":          {chats: 4, err: handover.ErrCrowded, lost: most / 4},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				c := newOn(t, channeltest.NewTelegram(), nil)
				c.config.Logger = slog.New(slog.DiscardHandler)
				var all []json.RawMessage
				for i := range most {
					all = append(all, fmt.Appendf(nil, `{"update_id":%d,"message":{"message_id":%[1]d,"date":1,"from":{"id":%d},"chat":{"id":%[2]d,"type":"private"},"text":"hello"}}`, i+1, i%tt.chats+100))
				}
				w := window{done: map[int64]bool{}}
				for range 10 {
					next, _, _ := c.takeAll(t.Context(), all, &w, func(context.Context, handover.Incoming) error { return tt.err })
					all = slices.DeleteFunc(all, func(raw json.RawMessage) bool {
						u, err := parse(raw)
						require.NoError(t, err)
						return u.ID < next
					})
					time.Sleep(time.Second)
				}
				require.Equal(t, tt.lost, int(c.Lost()))
			})
		})
	}
}

// TestPollOfAFloodThatFits has one user whose messages wait for each other: all are given up after a quarter of an hour.
func TestPollOfAFloodThatFits(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		fake := channeltest.NewTelegram()
		c := newOn(t, fake, nil)
		c.config.Logger = slog.New(slog.DiscardHandler)
		for range 50 {
			fake.User(by(1, "refused"))
		}
		ctx, cancel := context.WithTimeout(t.Context(), 2*time.Hour)
		defer cancel()
		begun := time.Now()
		var first, last time.Duration
		require.NoError(t, c.Poll(ctx, func(_ context.Context, m handover.Incoming) error {
			if last = time.Since(begun); m.ID == "1" {
				first = last
			}
			return handover.ErrCrowded
		}))
		require.Greater(t, first, 15*time.Minute)
		require.Less(t, last, 20*time.Minute)
	})
}

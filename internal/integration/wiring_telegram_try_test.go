package integration

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"path"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"
)

// fakeTelegram is the Bot API with one user.
type fakeTelegram struct {
	mu      sync.Mutex
	updates []map[string]any
	arrived chan struct{} // closed at the next update
	chat    []string      // what the user sees, and writes
	seen    int           // lines of it
	blocked bool
	flood   time.Time // until then the bot writes too much
	refused int
}

// RoundTrip implements http.RoundTripper.
func (f *fakeTelegram) RoundTrip(r *http.Request) (*http.Response, error) {
	var in struct {
		Offset    int64       `json:"offset"`
		Timeout   int64       `json:"timeout"`
		Text      string      `json:"text"`
		MessageID json.Number `json:"message_id"`
		Markup    tgKeyboard  `json:"reply_markup"`
	}
	if err := json.NewDecoder(r.Body).Decode(&in); err != nil {
		return nil, err
	}
	var answer any
	switch path.Base(r.URL.Path) {
	case "getUpdates":
		answer = f.next(r.Context(), in.Offset, time.Duration(in.Timeout)*time.Second)
	case "sendMessage":
		line := in.Text
		for _, row := range in.Markup.Rows {
			for _, b := range row {
				line += " [" + b.Text + "]"
			}
		}
		answer = f.shows(line)
	case "editMessageText":
		answer = f.edits(in.MessageID, in.Text+" (edited)")
	case "deleteMessage":
		f.edits(in.MessageID, "(deleted)")
		answer = true
	default:
		answer = true
	}
	body := map[string]any{"ok": true, "result": answer}
	if refused, ok := answer.(tgRefusal); ok {
		body = refused
	}
	raw, err := json.Marshal(body)
	return &http.Response{StatusCode: http.StatusOK, Header: http.Header{}, Body: io.NopCloser(bytes.NewReader(raw)), Request: r}, err
}

type tgRefusal map[string]any

// next returns the updates from offset on; if there are none, once one comes.
func (f *fakeTelegram) next(ctx context.Context, offset int64, wait time.Duration) []map[string]any {
	for end := time.After(wait); ; {
		f.mu.Lock()
		if n := int64(len(f.updates)); n >= max(offset, 1) {
			all := f.updates[max(offset, 1)-1:]
			f.mu.Unlock()
			return all
		}
		f.arrived = make(chan struct{})
		arrived := f.arrived
		f.mu.Unlock()
		select {
		case <-arrived:
		case <-end:
			return nil
		case <-ctx.Done():
			return nil
		}
	}
}

// shows shows the user a message, unless it is refused.
func (f *fakeTelegram) shows(line string) any {
	f.mu.Lock()
	defer f.mu.Unlock()
	if f.blocked {
		f.refused++
		return tgRefusal{"ok": false, "error_code": 403, "description": "Forbidden: bot was blocked by the user"}
	}
	if left := time.Until(f.flood); left > 0 {
		f.refused++
		return tgRefusal{"ok": false, "error_code": 429, "parameters": map[string]any{"retry_after": int(left.Seconds())}}
	}
	f.chat = append(f.chat, line)
	return map[string]any{"message_id": len(f.chat) - 1}
}

func (f *fakeTelegram) edits(id json.Number, line string) any {
	f.mu.Lock()
	defer f.mu.Unlock()
	n, err := id.Int64()
	if err != nil || n >= int64(len(f.chat)) {
		return tgRefusal{"ok": false, "error_code": 400}
	}
	f.chat[n] = line
	return map[string]any{"message_id": n}
}

// writes is a message of the user; presses is a button.
func (f *fakeTelegram) writes(text string) { f.update("message", map[string]any{"text": text}, text) }

func (f *fakeTelegram) presses(data string) {
	f.update("callback_query", map[string]any{"id": "c", "data": data, "message": map[string]any{"message_id": 1, "chat": tgChat{7}}}, "["+data+"]")
}

func (f *fakeTelegram) update(kind string, content map[string]any, line string) {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.chat = append(f.chat, "> "+line)
	if kind == "message" {
		content["message_id"], content["date"], content["chat"] = len(f.chat)-1, time.Now().Unix(), tgChat{7}
	}
	f.updates = append(f.updates, map[string]any{"update_id": len(f.updates) + 1, kind: content})
	if f.arrived != nil {
		close(f.arrived)
		f.arrived = nil
	}
}

// tgRig is the bot on a fake Telegram and a fake Crisp.
type tgRig struct {
	wired
	*fakeTelegram
	bot *telegram
}

// onTelegram runs a test in fake time, with the bot polling by itself unless dispatch does so.
func onTelegram(t *testing.T, dispatch func(b *telegram) func(context.Context, tgUpdate) error, test func(t *testing.T, r *tgRig)) {
	synctest.Test(t, func(t *testing.T) {
		r := &tgRig{wired: newWired(t), fakeTelegram: new(fakeTelegram)}
		r.bot = &telegram{client: &http.Client{Transport: r.fakeTelegram}, token: "1:secret", think: r.brain.think}
		require.NoError(t, r.bot.handsOver(r.config))
		r.crisp.Run(r.bot.handover)
		handle := r.bot.handle
		if dispatch != nil {
			handle = dispatch(r.bot)
		}
		polled := make(chan struct{})
		ctx, cancel := context.WithCancel(t.Context())
		go func() {
			defer close(polled)
			r.bot.poll(ctx, handle)
		}()
		test(t, r)
		cancel()
		<-polled
	})
}

// saw is what stands in the chat since the last time, once a second has passed.
func (r *tgRig) saw(want ...string) {
	r.t.Helper()
	r.passes(time.Second)
	r.fakeTelegram.mu.Lock()
	defer r.fakeTelegram.mu.Unlock()
	require.Equal(r.t, want, r.chat[r.fakeTelegram.seen:])
	r.fakeTelegram.seen = len(r.chat)
}

func TestWiringTelegram(t *testing.T) {
	fmt.Printf("wiring: Telegram: handing over adds %d lines; by hand it took 374\n", addedLines(t, "wiring_telegram_test.go"))
	t.Run("the bot before", func(t *testing.T) {
		plain := func(b *telegram) func(context.Context, tgUpdate) error { return b.plain }
		onTelegram(t, plain, func(t *testing.T, r *tgRig) {
			r.writes("hello")
			r.saw("> hello", "You said hello")
		})
	})
	t.Run("a whole handover", func(t *testing.T) {
		onTelegram(t, nil, func(t *testing.T, r *tgRig) {
			r.writes("hello")
			r.saw("> hello", "You said hello")
			r.writes("a human!")
			r.saw("> a human!", "I ask for one.", somebodyComes)
			r.writes("my parcel is lost")
			ann := r.agent()
			ann.Picker("Which one?", "the red one", "the blue one")
			r.saw("> my parcel is lost", "Ann joined the conversation.", "Ann: Which one? [the red one] [the blue one]")
			r.presses("the red one")
			fingerprint := ann.Say("I lok for it")
			r.saw("> [the red one]", "Ann: I lok for it")
			ann.Edit(fingerprint, "I look for it")
			r.passes(time.Second)
			require.Contains(t, r.chat, "Ann: I look for it (edited)")
			fingerprint = ann.Say("Dear Jim")
			r.saw("Ann: Dear Jim")
			ann.Remove(fingerprint)
			r.passes(time.Second)
			require.Equal(t, "(deleted)", r.chat[len(r.chat)-1])
			ann.Resolve()
			r.saw("This conversation was closed. You are talking with the bot again.")
			r.writes("thanks")
			r.saw("> thanks", "You said thanks")
			require.Contains(t, r.crisp.Last().Transcript(), "user: my parcel is lost")
		})
	})
	t.Run("a repeat during a slow answer", func(t *testing.T) {
		var fails atomic.Bool
		fails.Store(true)
		again := func(b *telegram) func(context.Context, tgUpdate) error {
			return func(ctx context.Context, u tgUpdate) error {
				err := b.handle(ctx, u)
				if fails.Load() { // nobody heard that it was taken
					return errors.New("the process restarts")
				}
				return err
			}
		}
		onTelegram(t, again, func(t *testing.T, r *tgRig) {
			r.brain.thinks = 30 * time.Second
			r.writes("hello")
			r.passes(20 * time.Second)
			fails.Store(false)
			r.passes(time.Minute)
			r.saw("> hello", "You said hello")
		})
	})
	t.Run("a crash between the answer and the asking", func(t *testing.T) {
		for name, breaks := range breaks {
			t.Run(name, func(t *testing.T) {
				onTelegram(t, nil, func(t *testing.T, r *tgRig) {
					r.writes("hello")
					r.saw("> hello", "You said hello")
					r.brain.asks = func() { breaks(r.crisp.Store(), 1); time.AfterFunc(20*time.Second, r.crisp.Store().Mend) }
					r.writes("a human!")
					r.passes(2 * time.Minute)
					require.Len(t, r.crisp.Conversations(), 1, "asked once")
					r.agent().Say("Hello")
					r.passes(time.Second)
					require.Contains(t, strings.Join(r.chat, "\n"), somebodyComes)
					require.Contains(t, r.chat, "Ann: Hello")
				})
			})
		}
	})
	t.Run("a goroutine for each update", func(t *testing.T) {
		goroutines := func(b *telegram) func(context.Context, tgUpdate) error {
			return func(ctx context.Context, u tgUpdate) error { // as SDKs do, which have acknowledged it by then
				go func() {
					for b.handle(ctx, u) != nil && ctx.Err() == nil {
						time.Sleep(time.Second)
					}
				}()
				return nil
			}
		}
		onTelegram(t, goroutines, func(t *testing.T, r *tgRig) {
			r.writes("a human!")
			r.saw("> a human!", "I ask for one.", somebodyComes)
			want := []string{"Hi, this user need your help."}
			for i := range 100 {
				r.writes(fmt.Sprint("message ", i))
				want = append(want, fmt.Sprint("message ", i))
			}
			r.passes(time.Minute)
			require.Equal(t, want, userTexts(r.crisp.Last()))
		})
	})
	t.Run("a flood wait of three minutes", func(t *testing.T) {
		onTelegram(t, nil, func(t *testing.T, r *tgRig) {
			r.opened()
			r.flood = time.Now().Add(3 * time.Minute)
			ann := r.agent()
			ann.Say("Hello")
			ann.Say("Are you there?")
			r.passes(2 * time.Minute)
			require.Less(t, r.refused, 3, "it is left alone")
			r.passes(2 * time.Minute)
			r.saw("Ann joined the conversation.", "Ann: Hello", "Ann: Are you there?")
			require.NotContains(t, strings.Join(r.crisp.Last().Transcript(), "\n"), "(note): A message", "no agent is told that it failed")
		})
	})
	t.Run("a user who blocked the bot", func(t *testing.T) {
		onTelegram(t, nil, func(t *testing.T, r *tgRig) {
			r.opened()
			r.blocked = true
			r.agent().Say("Are you there?")
			r.passes(time.Hour)
			require.Less(t, r.refused, 5)
			r.blocked = false
			r.writes("I am")
			r.passes(time.Second)
			require.Contains(t, r.chat, "Ann: Are you there?")
			require.Contains(t, userTexts(r.crisp.Last()), "I am")
		})
	})
}

const somebodyComes = "A person will be with you soon. You can already describe your question. [Back to the bot]"

// opened asks for a human.
func (r *tgRig) opened() {
	r.writes("a human!")
	r.saw("> a human!", "I ask for one.", somebodyComes)
}

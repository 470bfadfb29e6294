package integration

import (
	"bytes"
	"crypto/hmac"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"slices"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"
)

// fakeWhatsApp is the Cloud API with one user.
type fakeWhatsApp struct {
	t     *testing.T
	hooks http.Handler

	mu      sync.Mutex
	chat    []string // what the user sees, and writes
	seen    int
	refuses int // the code of the error that each message gets; 0: none
	refused int
}

// RoundTrip implements http.RoundTripper.
func (f *fakeWhatsApp) RoundTrip(r *http.Request) (*http.Response, error) {
	var in struct {
		To          string
		Type        string
		Text        struct{ Body string }
		Image       struct{ Link, Caption string }
		Interactive struct {
			Body   struct{ Text string }
			Action struct {
				Buttons []struct{ Reply struct{ ID, Title string } }
			}
		}
	}
	if err := json.NewDecoder(r.Body).Decode(&in); err != nil {
		return nil, err
	}
	line := in.Text.Body + in.Image.Caption + in.Interactive.Body.Text
	for _, b := range in.Interactive.Action.Buttons {
		line += " [" + b.Reply.Title + "]"
	}
	f.mu.Lock()
	defer f.mu.Unlock()
	status, body := http.StatusOK, fmt.Sprintf(`{"messages":[{"id":"wamid.%d"}]}`, len(f.chat))
	switch {
	case r.Header.Get("Authorization") != "Bearer token" || r.URL.Path != "/v23.0/1555/messages" || in.To != "4915112345678":
		status, body = http.StatusUnauthorized, `{"error":{"code":190}}`
		f.t.Errorf("unexpected call of %s", r.URL.Path)
	case f.refuses != 0:
		f.refused++
		status, body = http.StatusBadRequest, fmt.Sprintf(`{"error":{"code":%d}}`, f.refuses)
	default:
		f.chat = append(f.chat, line)
	}
	return &http.Response{StatusCode: status, Header: http.Header{}, Body: io.NopCloser(strings.NewReader(body)), Request: r}, nil
}

// refuse has each message refused with this code; 0 for no more.
func (f *fakeWhatsApp) refuse(code int) {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.refuses = code
}

// refusals is how many messages were refused.
func (f *fakeWhatsApp) refusals() int {
	f.mu.Lock()
	defer f.mu.Unlock()
	return f.refused
}

// shown is the chat as the user sees it.
func (f *fakeWhatsApp) shown() []string {
	f.mu.Lock()
	defer f.mu.Unlock()
	return slices.Clone(f.chat)
}

// waSent is a hook of a message of the user.
func (f *fakeWhatsApp) waSent(id, kind string, content map[string]any) []byte {
	message := map[string]any{"from": "4915112345678", "id": id, "timestamp": fmt.Sprint(time.Now().Unix()), "type": kind}
	for name, value := range content {
		message[name] = value
	}
	body, err := json.Marshal(map[string]any{"object": "whatsapp_business_account", "entry": []any{map[string]any{"changes": []any{map[string]any{
		"field": "messages", "value": map[string]any{
			"contacts": []any{map[string]any{"wa_id": "4915112345678", "profile": map[string]any{"name": "Joe"}}}, "messages": []any{message},
		},
	}}}}})
	require.NoError(f.t, err)
	return body
}

// posts sends a hook, and returns the status of the answer.
func (f *fakeWhatsApp) posts(body []byte, secret string) int {
	mac := hmac.New(sha256.New, []byte(secret))
	mac.Write(body)
	r := httptest.NewRequest(http.MethodPost, "/whatsapp", bytes.NewReader(body))
	r.Header.Set("X-Hub-Signature-256", "sha256="+hex.EncodeToString(mac.Sum(nil)))
	w := httptest.NewRecorder()
	f.hooks.ServeHTTP(w, r)
	return w.Code
}

// writes is a message of the user, whose hook is repeated until it is taken.
func (f *fakeWhatsApp) writes(text string) {
	f.mu.Lock()
	f.chat = append(f.chat, "> "+text)
	id := fmt.Sprint("wamid.u", len(f.chat))
	f.mu.Unlock()
	f.until(f.waSent(id, "text", map[string]any{"text": map[string]any{"body": text}}))
}

func (f *fakeWhatsApp) presses(id, title string) {
	f.until(f.waSent("wamid.press"+id, "interactive", map[string]any{"interactive": map[string]any{"type": "button_reply", "button_reply": map[string]any{"id": id, "title": title}}}))
}

func (f *fakeWhatsApp) until(body []byte) {
	for f.posts(body, "app secret") != http.StatusOK {
		time.Sleep(5 * time.Second)
	}
}

type waRig struct {
	wired
	*fakeWhatsApp
	bot *whatsapp
}

func onWhatsApp(t *testing.T, test func(t *testing.T, r *waRig)) {
	synctest.Test(t, func(t *testing.T) {
		r := &waRig{wired: newWired(t), fakeWhatsApp: &fakeWhatsApp{t: t}}
		r.bot = &whatsapp{
			client: &http.Client{Transport: r.fakeWhatsApp}, think: r.brain.think,
			url: "https://graph.invalid/v23.0/", phone: "1555", token: "token", secret: "app secret",
		}
		require.NoError(t, r.bot.handsOver(r.config))
		mux := http.NewServeMux()
		mux.Handle("POST /whatsapp", r.bot.hook(r.bot.handle))
		mux.Handle("POST /crisp/hooks", r.bot.handover)
		r.hooks = mux
		r.crisp.Attach(mux)
		r.crisp.Run(r.bot.handover)
		test(t, r)
	})
}

func (r *waRig) saw(want ...string) {
	r.wired.t.Helper()
	r.crisp.Settle()
	r.mu.Lock()
	defer r.mu.Unlock()
	require.Equal(r.wired.t, want, r.chat[r.seen:])
	r.seen = len(r.chat)
}

func (r *waRig) opened() {
	r.writes("a human!")
	r.saw("> a human!", "I ask for one.", somebodyComes)
}

func TestWiringWhatsApp(t *testing.T) {
	fmt.Printf("wiring: WhatsApp: handing over adds %d lines; by hand it took 278\n", addedLines(t, "wiring_whatsapp_test.go"))
	t.Run("the bot before", func(t *testing.T) {
		onWhatsApp(t, func(t *testing.T, r *waRig) {
			r.hooks = r.bot.hook(r.bot.plain)
			r.writes("hello")
			r.saw("> hello", "You said hello")
		})
	})
	t.Run("a whole handover", func(t *testing.T) {
		onWhatsApp(t, func(t *testing.T, r *waRig) {
			r.writes("hello")
			r.saw("> hello", "You said hello")
			r.opened()
			require.Equal(t, "+4915112345678", r.crisp.Last().Meta().Phone)
			r.writes("my parcel is lost")
			ann := r.agent()
			ann.Picker("Which one?", "the red one", "the blue one")
			r.saw("> my parcel is lost", "Ann joined the conversation.", "Ann: Which one? [the red one] [the blue one]")
			r.presses("the red one", "the red one")
			ann.Picker("When?", "1", "2", "3", "4")
			ann.File("map.png", "https://example.com/map.png", "image/png")
			r.saw("Ann: When?\n\n1. 1\n2. 2\n3. 3\n4. 4", "Ann: map.png")
			ann.Resolve()
			r.saw("This conversation was closed. You are talking with the bot again.")
			r.writes("thanks")
			r.saw("> thanks", "You said thanks")
			require.Contains(t, r.crisp.Last().Transcript(), "user: my parcel is lost")
		})
	})
	t.Run("a hook that is not Meta's", func(t *testing.T) {
		onWhatsApp(t, func(t *testing.T, r *waRig) {
			require.Equal(t, http.StatusForbidden, r.posts(r.waSent("1", "text", nil), "another secret"))
			r.until(r.waSent("2", "reaction", nil)) // nothing that can be answered
			require.Empty(t, r.shown())
		})
	})
	t.Run("a repeat during a slow answer", func(t *testing.T) {
		onWhatsApp(t, func(t *testing.T, r *waRig) {
			r.brain.thinks = 30 * time.Second
			hook := r.waSent("1", "text", map[string]any{"text": map[string]any{"body": "hello"}})
			for range 10 {
				require.Equal(t, http.StatusOK, r.posts(hook, "app secret"))
				r.passes(5 * time.Second)
			}
			r.saw("You said hello")
		})
	})
	t.Run("a crash between the answer and the asking", func(t *testing.T) {
		for name, breaks := range breaks {
			t.Run(name, func(t *testing.T) {
				onWhatsApp(t, func(t *testing.T, r *waRig) {
					r.brain.asks = func() {
						breaks(r.crisp.Store(), 1)
						time.AfterFunc(20*time.Second, r.crisp.Store().Mend)
					}
					r.writes("a human!")
					r.passes(2 * time.Minute)
					require.Len(t, r.crisp.Conversations(), 1, "asked once")
					require.Contains(t, r.shown(), somebodyComes)
					r.agent().Say("Hello")
					r.passes(time.Second)
					require.Contains(t, r.shown(), "Ann: Hello")
				})
			})
		}
	})
	t.Run("a store that is down when the hook comes", func(t *testing.T) {
		onWhatsApp(t, func(t *testing.T, r *waRig) {
			r.crisp.Store().Break()
			time.AfterFunc(time.Minute, r.crisp.Store().Mend)
			r.writes("hello") // Meta repeats it
			r.saw("> hello", "You said hello")
		})
	})
	t.Run("too much at once", func(t *testing.T) {
		onWhatsApp(t, func(t *testing.T, r *waRig) {
			r.opened()
			r.refuse(131056)
			r.agent().Say("Hello")
			r.passes(2 * time.Minute)
			require.Less(t, r.refusals(), 3, "it is left alone")
			r.refuse(0)
			r.passes(5 * time.Minute)
			require.Equal(t, "Ann: Hello", r.shown()[len(r.shown())-1])
		})
	})
	t.Run("24 hours since the user's last message", func(t *testing.T) {
		onWhatsApp(t, func(t *testing.T, r *waRig) {
			r.opened()
			r.refuse(131047)
			r.agent().Say("Are you there?")
			r.passes(time.Hour)
			require.Less(t, r.refusals(), 5)
			r.refuse(0)
			r.writes("I am")
			r.passes(time.Second)
			require.Contains(t, r.shown(), "Ann: Are you there?")
			require.Contains(t, userTexts(r.crisp.Last()), "I am")
		})
	})
}

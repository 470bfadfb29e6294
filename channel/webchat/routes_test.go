package webchat

import (
	"context"
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/crisphandover/handover"
	"github.com/crisphandover/handover/handovertest"
)

// TestHandover is a whole handover: the bot, an agent with an edit, a picture and a choice, and the bot again.
func TestHandover(t *testing.T) {
	r := newRig(t)
	say := func(id, text string) {
		require.Equal(t, 204, r.posts("/messages", fmt.Sprintf(`{"id":%q,"text":%q}`, id, text)))
		r.crisp.Settle()
	}
	stream := r.streams("") // the page is open
	defer stream.Body.Close()
	say("1", "Hello")
	say("2", "a human!")
	say("3", "It is late")
	ann := r.crisp.Last().Operator("Ann")
	ann.Say("I **look** for it")
	r.crisp.Settle()
	for _, m := range r.crisp.Last().Messages() {
		if m.From == "operator" {
			ann.Edit(m.Fingerprint, "I looked for it")
		}
	}
	ann.Picker("When?", "Today", "Tomorrow")
	r.crisp.Settle()
	ann.Resolve()
	r.crisp.Settle()
	say("4", "Thanks")
	require.Equal(t, []string{
		"user: Hello", "bot: You said Hello", "user: a human!",
		"system: A person will be with you soon. You can already describe your question.",
		"user: It is late", "system: Ann joined the conversation.", "agent: I looked for it", "agent: When?",
		"system: This conversation was closed. You are talking with the bot again.", "user: Thanks", "bot: You said Thanks",
	}, sorted(t, r.reads("")))
	require.Contains(t, r.crisp.Last().Transcript(), "user: It is late")
}

// TestHuman presses the buttons: the agents know who it is.
func TestHuman(t *testing.T) {
	r := newRig(t, func(c *Config) {
		c.Welcome = func(v Visitor) handover.RichMessage { return handover.TextMessage("Hello " + v.User.FirstName) }
	})
	token, err := r.chat.Token(Login{UserID: "42", User: handover.UserData{FirstName: "Ann", Email: "ann@example.com"}, Locale: "fr"})
	require.NoError(t, err)
	b := r.opens(fmt.Sprintf(`{"session":%q}`, token))
	require.Contains(t, fmt.Sprint(b.reads("")), "Hello Ann")
	require.Equal(t, 204, b.posts("/human", `{}`))
	r.crisp.Settle()
	require.Equal(t, "ann@example.com", r.crisp.Last().Meta().Email)
	s, err := r.h.Session(t.Context(), r.chat.Conversation("42"))
	require.NoError(t, err)
	require.Equal(t, handover.StateWaiting, s.State)
	require.Equal(t, "fr", s.Locale)
	require.Equal(t, "bot: Hello Ann", b.log()[0], "the greeting stays")
	require.Equal(t, 204, b.posts("/leave", `{}`))
	r.crisp.Settle()
	s, err = r.h.Session(t.Context(), r.chat.Conversation("42"))
	require.NoError(t, err)
	require.Equal(t, handover.StateBot, s.State)

	r = newRig(t, func(c *Config) { c.NoHumanButton = true })
	require.Equal(t, 404, r.posts("/human", `{}`))
	require.False(t, r.begun.HumanButton)
}

// TestSuggestions shows them at the start, and notes which one was chosen.
func TestSuggestions(t *testing.T) {
	r := newRig(t, func(c *Config) {
		c.Welcome = func(Visitor) handover.RichMessage { return choices("What is it?", "My order", "Something else") }
	})
	require.Equal(t, "welcome", r.reads("")[0].Name)
	require.Empty(t, r.log(), "nothing was said")
	require.Equal(t, 204, r.posts("/messages", `{"id":"1","text":"My order","payload":"My order"}`))
	r.crisp.Settle()
	events := r.reads("")
	lines, _ := messages(t, events)
	require.Equal(t, []string{"bot: What is it?", "user: My order", "bot: You said My order"}, lines)
	require.Contains(t, events[0].Data, `"chosen":"My order"`)
	require.NotContains(t, fmt.Sprint(events), "welcome")
	all, err := r.chat.Transcript(t.Context(), r.conversationOf(r.browser))
	require.NoError(t, err)
	require.Len(t, all, 3, "agents see it as well")
}

// TestMessageAgain posts a message twice, as a page does whose answer was lost.
func TestMessageAgain(t *testing.T) {
	r := newRig(t)
	for range 2 { // while the bot answers it, and later
		for range 2 {
			require.Equal(t, 204, r.posts("/messages", `{"id":"1","text":"Hello"}`))
		}
		r.crisp.Settle()
	}
	require.Equal(t, []string{"user: Hello", "bot: You said Hello"}, r.log())
	require.Equal(t, 422, r.posts("/messages", `{"id":"1","text":"Other words"}`), "its id was used")
}

// TestRefused has Crisp refuse a message for good: the user is told.
func TestRefused(t *testing.T) {
	r := newRig(t)
	require.Equal(t, 204, r.posts("/human", `{}`))
	r.crisp.Fail(1, handovertest.Fault{Route: handovertest.RouteSend, Status: 400})
	require.Equal(t, 204, r.posts("/messages", `{"id":"1","text":"My question"}`))
	r.crisp.Settle()
	got := r.log()
	require.Contains(t, got[len(got)-1], "your last message could not be sent")
}

// TestStoreFails has the library's store fail: the page sends its message again, and it is shown once.
func TestStoreFails(t *testing.T) {
	r := newRig(t)
	r.crisp.Store().Break()
	require.Equal(t, 503, r.posts("/messages", `{"id":"1","text":"Hello"}`))
	r.crisp.Store().Mend()
	require.Equal(t, 204, r.posts("/messages", `{"id":"1","text":"Hello"}`))
	r.crisp.Settle()
	require.Equal(t, []string{"user: Hello", "bot: You said Hello"}, r.log())
}

// choices is a text with quick replies.
func choices(text string, titles ...string) handover.RichMessage {
	m := handover.TextMessage(text)
	for _, t := range titles {
		m.QuickReplies = append(m.QuickReplies, handover.QuickReply{ContentType: "text", Title: t, Payload: t})
	}
	return m
}

// TestChoice is taken once, however many pages a user has open.
func TestChoice(t *testing.T) {
	r := newRig(t)
	require.NoError(t, r.chat.SendOnce(t.Context(), r.conversationOf(r.browser).ID, "0", choices("Which?", "Opening hours", "Hello")))
	place := 0
	for _, e := range r.reads("") {
		if e.Name == "message" {
			_, err := fmt.Sscanf(e.Data, `{"place":%d`, &place)
			require.NoError(t, err)
		}
	}
	choose := func(id, title string) int {
		return r.posts("/messages", fmt.Sprintf(`{"id":%q,"text":%q,"payload":%q,"place":%d}`, id, title, title, place))
	}
	require.Equal(t, 409, choose("0", "Something else"), "not one of them")
	require.Equal(t, 204, choose("1", "Opening hours"))
	require.Equal(t, 409, choose("2", "Hello"))
	require.Equal(t, 409, choose("3", "Opening hours"))
	require.Equal(t, 204, choose("1", "Opening hours"), "the same message again")
	require.Equal(t, 409, r.posts("/messages", `{"id":"4","text":"Hello","place":99999}`))
	require.Contains(t, fmt.Sprint(r.reads("")), `"chosen":"Opening hours"`)
}

// forgetful is a MemoryStore that fails once to keep a message of the user.
type forgetful struct {
	MemoryStore
	fails atomic.Bool
}

func (s *forgetful) Save(ctx context.Context, conversation string, e Entry) (Entry, error) {
	if e.From == handover.FromUser && s.fails.Swap(false) {
		return Entry{}, errors.New("the store is away")
	}
	return s.MemoryStore.Save(ctx, conversation, e)
}

// TestChoiceWhoseMessageIsNotKept has the page post its choice again: it is that message that chose.
func TestChoiceWhoseMessageIsNotKept(t *testing.T) {
	store := &forgetful{}
	r := newRig(t, func(c *Config) { c.Store = store })
	conversation := r.conversationOf(r.browser).ID
	require.NoError(t, r.chat.SendOnce(t.Context(), conversation, "0", choices("Which?", "Opening hours", "Hello")))
	asked, ok, err := store.Entry(t.Context(), conversation, shownKey("bot 0"))
	require.NoError(t, err)
	require.True(t, ok)
	choose := func(id string) int {
		return r.posts("/messages", fmt.Sprintf(`{"id":%q,"text":"Hello","payload":"Hello","place":%d}`, id, asked.Place))
	}
	store.fails.Store(true)
	require.Equal(t, 503, choose("1"))
	require.Equal(t, 409, choose("2"), "another page")
	require.Equal(t, 204, choose("1"))
	r.crisp.Settle()
	require.Equal(t, []string{"bot: Which?", "user: Hello", "bot: You said Hello"}, r.log())
}

// refusing is a library that takes nothing.
type refusing struct {
	nobody
	err error
}

func (h refusing) Handle(context.Context, handover.Incoming) error { return h.err }

// TestMessageOfADamagedRecord is tried again for a quarter of an hour: then the page shows that it failed.
func TestMessageOfADamagedRecord(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		chat := newChat(t)
		h := chat.Handler(refusing{err: handover.ErrRecord})
		_, cookie := begins(t, h, `{"session":null}`, nil)
		post := func() int {
			r := httptest.NewRequest(http.MethodPost, "/chat/messages", strings.NewReader(`{"id":"1","text":"Hello"}`))
			r.AddCookie(cookie)
			w := httptest.NewRecorder()
			h.ServeHTTP(w, r)
			return w.Code
		}
		require.Equal(t, 503, post())
		time.Sleep(14 * time.Minute)
		require.Equal(t, 503, post())
		time.Sleep(2 * time.Minute)
		require.Equal(t, 422, post())
		asked := &http.Request{Header: http.Header{}}
		asked.AddCookie(cookie)
		who, ok := chat.sessionOf(asked)
		require.True(t, ok)
		e, _, err := chat.cfg.Store.Entry(t.Context(), who.id, userKey("1"))
		require.NoError(t, err)
		require.True(t, e.Failed)
	})
}

// countingStore counts how often an entry is read.
type countingStore struct {
	MemoryStore
	entries atomic.Int64
}

func (s *countingStore) Entry(ctx context.Context, conversation, key string) (Entry, bool, error) {
	s.entries.Add(1)
	return s.MemoryStore.Entry(ctx, conversation, key)
}

// TestMessageReadsOnce looks for the entry of a text before it writes it, and not again when the text was taken.
func TestMessageReadsOnce(t *testing.T) {
	store := &countingStore{}
	chat := newChat(t, func(cfg *Config) { cfg.Store = store })
	r := serve(t, chat, refusing{})
	r.browser = r.opens(`{"session":null}`)
	before := store.entries.Load()
	require.Equal(t, 204, r.posts("/messages", `{"id":"1","text":"Hello"}`))
	require.Equal(t, before+1, store.entries.Load())
}

// picky is a Store as databases are: it takes no NUL.
type picky struct{ MemoryStore }

func (s *picky) Entry(ctx context.Context, conversation, key string) (Entry, bool, error) {
	if strings.Contains(conversation+key, "\x00") {
		return Entry{}, false, errors.New("invalid byte sequence")
	}
	return s.MemoryStore.Entry(ctx, conversation, key)
}

func (s *picky) Save(ctx context.Context, conversation string, e Entry) (Entry, error) {
	data, err := json.Marshal(e)
	if err != nil || strings.Contains(conversation+e.Key+string(data), `\u0000`) {
		return Entry{}, errors.New("invalid byte sequence")
	}
	return s.MemoryStore.Save(ctx, conversation, e)
}

// pickyFiles are Files as databases are.
type pickyFiles struct{ MemoryFiles }

func (s *pickyFiles) Open(ctx context.Context, id string) (Upload, error) {
	if strings.Contains(id, "\x00") {
		return Upload{}, errors.New("invalid byte sequence")
	}
	return s.MemoryFiles.Open(ctx, id)
}

// TestWhatNoStoreTakes is refused or left out: a page that is told to try again would do so for ever.
func TestWhatNoStoreTakes(t *testing.T) {
	r := newRig(t, func(c *Config) { c.Store, c.Files = &picky{}, &pickyFiles{} })
	require.Equal(t, 422, r.posts("/messages", `{"id":"a\u0000","text":"x"}`))
	require.Equal(t, 422, r.posts("/messages", `{"id":"1","text":"\u0000"}`))
	require.Equal(t, 422, r.posts("/messages", `{"id":"2","file":"a\u0000"}`))
	require.Equal(t, 204, r.posts("/messages", `{"id":"3","text":"He\u0000llo","payload":"a\u0000b"}`))
	require.Equal(t, 200, r.begins(`{"session":null,"locale":"\u0000"}`))
	r.crisp.Settle()
	require.Equal(t, []string{"user: Hello", "bot: You said Hello"}, r.log())
	response := r.does(http.MethodGet, "/files/a%00/b", nil)
	response.Body.Close()
	require.Equal(t, 404, response.StatusCode)
	odd := choices("Which?", "\x00Red")
	odd.QuickReplies[0].Payload = "r\x00d"
	require.NoError(t, r.chat.Send(t.Context(), r.conversationOf(r.browser).ID, odd))
	_, err := r.chat.Token(Login{UserID: "a\x00"})
	require.Error(t, err)
}

// TestBadPosts refuses what the page does not post.
func TestBadPosts(t *testing.T) {
	r := newRig(t)
	for name, c := range map[string]struct {
		body   string
		status int
	}{
		"not JSON":      {`{`, 422},
		"wrong types":   {`{"id":1}`, 422},
		"no id":         {`{"text":"x"}`, 422},
		"a long id":     {`{"id":"` + strings.Repeat("x", 65) + `","text":"x"}`, 422},
		"empty":         {`{"id":"1","text":" \n"}`, 422},
		"unknown file":  {`{"id":"1","file":"x"}`, 422},
		"NUL in the id": {`{"id":"\u0000","text":"x"}`, 422},
		"an odd id":     {`{"id":"a b","text":"x"}`, 422},
		"too long":      {`{"id":"1","text":"` + strings.Repeat("x", 100_001) + `"}`, 422},
		"far too long":  {`{"id":"1","text":"` + strings.Repeat("x", maxPosted) + `"}`, 422},
	} {
		t.Run(name, func(t *testing.T) { require.Equal(t, c.status, r.posts("/messages", c.body)) })
	}
	e, ok, err := r.chat.cfg.Store.Entry(t.Context(), r.conversationOf(r.browser).ID, userKey("1"))
	require.NoError(t, err)
	require.True(t, ok && e.Failed, "the text that is too long is in the log")
	for _, path := range []string{"/session", "/messages", "/human", "/leave", "/typing", "/files"} {
		body := `{"id":"2","text":"x"}`
		require.Equal(t, 403, r.posts(path, body, "Sec-Fetch-Site", "cross-site"), "another site's page: %s", path)
		require.Equal(t, 403, r.posts(path, body, "Sec-Fetch-Site", "same-site"), "a neighbour's: %s", path)
		require.Equal(t, 403, r.posts(path, body, "Origin", "https://evil.example"), "%s", path)
		stranger := &browser{t: t, base: r.base}
		if path != "/session" {
			require.Equal(t, 401, stranger.posts(path, body), "without a cookie: %s", path)
		}
	}
	require.Equal(t, 204, r.posts("/messages", `{"id":"3","text":"x"}`, "Origin", "https://shop.example"), "a proxy gives another Host")
	response := (&browser{t: t, base: r.base}).streams("")
	response.Body.Close()
	require.Equal(t, 401, response.StatusCode)
}

// TestCookieStaysHere looks for it where agents could find it, who could then write as the user.
func TestCookieStaysHere(t *testing.T) {
	crisp := handovertest.NewCrisp(t, handovertest.Options{})
	chat, err := New(Config{URL: testURL, Key: handover.NewSecret(testKey)})
	require.NoError(t, err)
	config := crisp.Config()
	config.History = handover.History{URL: "https://shop.example/history", SigningKey: handover.NewSecret(testKey)}
	require.NoError(t, chat.Attach(&config))
	h, err := handover.New(config)
	require.NoError(t, err)
	link, err := h.HistoryLink(chat.conversation("guest-1"))
	require.NoError(t, err)
	_, token, found := strings.Cut(link, "?t=")
	require.True(t, found)
	fields, err := base64.RawURLEncoding.DecodeString(token)
	require.NoError(t, err)
	require.Contains(t, string(fields), "guest-1")
	for _, value := range []string{"guest-1", token} { // what agents have is no session, though signed with the same key
		r := &http.Request{Header: http.Header{}}
		r.AddCookie(&http.Cookie{Name: cookieName, Value: value})
		_, ok := chat.sessionOf(r)
		require.False(t, ok)
	}
}

// TestOthers sees nothing of another user's.
func TestOthers(t *testing.T) {
	r := newRig(t)
	r.says("a", "secret")
	require.NotEmpty(t, r.log())
	require.Empty(t, r.opens(`{"session":null}`).log())
}

// sorted is the log by place.
func sorted(t *testing.T, events []event) (lines []string) {
	t.Helper()
	byPlace := map[int]string{}
	for _, e := range events {
		if e.Name != "message" {
			continue
		}
		place := 0
		_, err := fmt.Sscanf(e.Data, `{"place":%d`, &place)
		require.NoError(t, err)
		one, _ := messages(t, []event{e})
		byPlace[place] = one[0]
	}
	for place := range 1000 {
		if line, ok := byPlace[place]; ok {
			lines = append(lines, line)
		}
	}
	require.Len(t, lines, len(byPlace))
	return lines
}

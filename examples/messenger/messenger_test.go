package main

import (
	"bytes"
	"context"
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

// rig is the example between two fakes: Meta on one side, Crisp on the other.
type rig struct {
	t     *testing.T
	graph *fakeGraph
	crisp *handovertest.Crisp
	store *brokenStore
	hook  http.Handler
	sent  int
}

// bubble runs a test in fake time.
func bubble(t *testing.T, o handovertest.Options, test func(r *rig)) {
	t.Helper()
	synctest.Test(t, func(t *testing.T) {
		r := &rig{t: t, graph: &fakeGraph{t: t}, crisp: handovertest.NewCrisp(t, o), store: new(brokenStore)}
		id, key := r.crisp.Token()
		b, err := newBot(handover.Config{
			WebsiteID: r.crisp.WebsiteID(), Token: handover.Token{Tier: handover.TierPlugin, Identifier: handover.NewSecret(id), Key: handover.NewSecret(key)},
			Webhook: handover.Webhook{Secrets: handover.NewSecrets(r.crisp.Secret())}, BaseURL: r.crisp.URL(), HTTPClient: r.crisp.Client(), Store: r.store,
		}, &channel{graph: newGraph(r.graph.client(), graphURL, pageToken)})
		require.NoError(t, err)
		r.hook = webhook{secret: appSecret, verify: verifyToken, hear: b.Handle}
		r.crisp.Attach(b)
		ctx, cancel := context.WithCancel(t.Context())
		go b.Run(ctx)
		t.Cleanup(func() {
			cancel()
			require.NoError(t, b.Shutdown(context.Background()))
		})
		test(r)
	})
}

// posts has Meta post events, and returns what it is answered.
func (r *rig) posts(events ...string) int {
	r.t.Helper()
	w := httptest.NewRecorder()
	r.hook.ServeHTTP(w, hookRequest(appSecret, hookBody(events...)))
	return w.Code
}

// says has the user write, or choose if there is a payload.
func (r *rig) says(text string, payload ...string) {
	r.t.Helper()
	r.sent++
	more := ""
	if len(payload) > 0 {
		more = fmt.Sprintf(`,"quick_reply":{"payload":%q}`, payload[0])
	}
	require.Equal(r.t, 200, r.posts(hookEventOf(fmt.Sprintf(`"message":{"mid":"m%d","text":%q%s}`, r.sent, text, more))))
	r.crisp.Settle()
}

// sees requires what the user has seen since the last call.
func (r *rig) sees(want ...string) {
	r.t.Helper()
	r.crisp.Settle()
	require.Equal(r.t, want, r.graph.saw())
}

// opened has the user get a human, who says hello.
func (r *rig) opened() *handovertest.Conversation {
	r.t.Helper()
	r.says("A human, please")
	r.sees("- Ok, I will check if an agent is available right now.",
		"- A person will be with you soon. You can already describe your question. [Back to the bot]")
	return r.crisp.Last()
}

// TestHandover is a whole handover over both fakes.
func TestHandover(t *testing.T) {
	bubble(t, handovertest.Options{Away: true}, func(r *rig) {
		r.says("Hi")
		r.sees("- Hello, I am a bot. Ask me when we open, or for a human. [When do you open?] [Talk to a human]")
		require.Equal(t, []string{"typing_on"}, r.graph.typing)

		r.says("Talk to a human", "Talk to a human")
		r.sees("- Ok, I will check if an agent is available right now.",
			"- It seems that nobody is available right now \n\n1. Contact me back via email\n2. Continue with the bot"+
				" [1. Contact me back…] [2. Continue with th…]")
		r.says("2. Continue with th…")
		r.sees("- All right, I am listening.")
	})
	bubble(t, handovertest.Options{}, func(r *rig) {
		c := r.opened()
		require.Equal(t, "Anakin Skywalker", c.Meta().Nickname)
		require.Equal(t, []string{"Messenger"}, c.Segments())
		require.Equal(t, 200, r.posts(hookEventOf(`"message":{"mid":"files","text":"Two pictures","attachments":[
			{"type":"image","payload":{"url":"https://cdn.invalid/a.png"}},{"type":"image","payload":{"url":"https://cdn.invalid/b.png"}}]}`)))
		r.crisp.Settle()
		require.Equal(t, []string{"user: Two pictures", "user (file): a.png", "user (file): b.png"}, c.Transcript()[1:])

		ann := c.Operator("Ann")
		ann.Type(true)
		r.crisp.Settle()
		require.Equal(t, "typing_on", r.graph.typing[len(r.graph.typing)-1])
		ann.Say("Hello!")
		ann.Note("Nobody sees this.")
		ann.File("bike.png", "https://cdn.invalid/bike.png", "image/png")
		ann.Carousel("", handovertest.Slide{Title: "One", Description: "Light", Links: []handovertest.Link{{Label: "See it", URL: "https://bikes.invalid/1"}}})
		ann.Picker("Which one?", "Red", "Blue")
		r.sees("- Ann joined the conversation.", "Ann: Hello!",
			`Ann: <image {"url":"https://cdn.invalid/bike.png"}>`,
			`Ann: <template {"template_type":"generic","elements":[{"title":"One","subtitle":"Light","buttons":[{"type":"web_url","url":"https://bikes.invalid/1","title":"See it"}]}]}>`,
			"Ann: Which one? [Red] [Blue]")
		require.Equal(t, []string{"Ann"}, r.graph.personas, "one persona for all that Ann says")

		r.says("Blue")
		m, _ := c.Message(c.Messages()[8].Fingerprint)
		require.Contains(t, fmt.Sprint(m.Content), "label:Blue selected:true")
		ann.Picker("*And* now?", "Contact me back via email", "Contact me back via phone")
		r.sees("Ann: And now?\n\n1. Contact me back via email\n2. Contact me back via phone [1. Contact me back…] [2. Contact me back…]")
		r.says("2. Contact me back…")
		m, _ = c.Message(c.Messages()[9].Fingerprint)
		require.Contains(t, fmt.Sprint(m.Content), "label:Contact me back via phone selected:true")
		r.says("Thank you")
		require.Equal(t, "user: Thank you", c.Transcript()[len(c.Transcript())-1])

		hello := c.Messages()[4]
		require.Equal(t, "Hello!", hello.Text())
		require.Equal(t, "chat", hello.Read, "what was shown is marked")
		ann.Edit(hello.Fingerprint, "Hello, Anakin!")
		r.sees("- Ann (correction): Hello, Anakin!")

		ann.Resolve()
		r.sees("- This conversation was closed. You are talking with the bot again.")
		r.says("When do you open?")
		r.sees("- We are open from 9 to 18, every day but Sunday.")
	})
}

// TestDuplicates has Meta post the same message again: while it is answered, and later.
func TestDuplicates(t *testing.T) {
	bubble(t, handovertest.Options{}, func(r *rig) {
		event := hookEventOf(`"message":{"mid":"m98","text":"When do you open?"}`)
		r.graph.set(func(g *fakeGraph) { g.slow = time.Second })
		require.Equal(t, 200, r.posts(event))
		r.crisp.Settle()
		require.Equal(t, 200, r.posts(event), "the bot is at it")
		time.Sleep(time.Minute)
		r.graph.set(func(g *fakeGraph) { g.slow = 0 })
		require.Equal(t, 200, r.posts(event, event))
		r.sees("- We are open from 9 to 18, every day but Sunday.")

		c := r.opened()
		event = hookEventOf(`"message":{"mid":"m99","text":"My question"}`)
		for range 3 {
			require.Equal(t, 200, r.posts(event))
		}
		r.crisp.Settle()
		require.Equal(t, []string{"user: My question"}, c.Transcript()[1:])
	})
}

// TestNothingIsLost has the store fail, so that Meta is to send the message again, then Crisp.
func TestNothingIsLost(t *testing.T) {
	bubble(t, handovertest.Options{}, func(r *rig) {
		c := r.opened()
		event := hookEventOf(`"message":{"mid":"m99","text":"My question"}`)
		r.store.broken.Store(true)
		require.Equal(t, 503, r.posts(event))
		r.store.broken.Store(false)
		r.crisp.SetFaults(func(call handovertest.CallInfo) (f handovertest.Fault) {
			f.Status = map[bool]int{true: 503}[call.Method == http.MethodPost]
			return f
		})
		require.Equal(t, 200, r.posts(event))
		r.crisp.Settle()
		require.Len(t, c.Transcript(), 1)
		r.crisp.SetFaults(nil)
		time.Sleep(time.Minute)
		require.Equal(t, []string{"user: My question"}, c.Transcript()[1:])
	})
}

// TestOutsideWindow keeps what an agent says after Meta's 24 hours until the user is there again.
func TestOutsideWindow(t *testing.T) {
	bubble(t, handovertest.Options{}, func(r *rig) {
		c := r.opened()
		c.Operator("Ann").Say("Hello!")
		r.sees("- Ann joined the conversation.", "Ann: Hello!")
		r.graph.set(func(g *fakeGraph) { g.outside = true })
		fp := c.Operator("Ann").Say("Are you still there?")
		r.sees()
		m, _ := c.Message(fp)
		require.Empty(t, m.Read, "not shown, so not marked")
		r.graph.set(func(g *fakeGraph) { g.outside = false })
		r.says("Yes")
		r.sees("Ann: Are you still there?")
		m, _ = c.Message(fp)
		require.Equal(t, "chat", m.Read)
	})
}

// TestPersonas shows an agent's name in the text where there can be no persona.
func TestPersonas(t *testing.T) {
	bare := []string{"- Ann: Two", "- Ann:", `- <image {"url":"https://cdn.invalid/a.png"}>`}
	for name, c := range map[string]struct {
		before, after func(g *fakeGraph)
		first         string
		then          []string
		refused       int
	}{
		"as it should be":    {first: "Ann: One", then: []string{"Ann: Two", `Ann: <image {"url":"https://cdn.invalid/a.png"}>`}},
		"none for this page": {before: func(g *fakeGraph) { g.none = true }, first: "- Ann: One", then: bare, refused: 1},
		"deleted":            {after: func(g *fakeGraph) { g.personas = nil }, first: "Ann: One", then: bare, refused: 1},
	} {
		t.Run(name, func(t *testing.T) {
			bubble(t, handovertest.Options{}, func(r *rig) {
				ann := r.opened().Operator("Ann")
				r.graph.set(c.before)
				ann.Say("One")
				r.sees("- Ann joined the conversation.", c.first)
				r.graph.set(c.after)
				ann.Say("Two")
				ann.File("a.png", "https://cdn.invalid/a.png", "image/png")
				r.sees(c.then...)
				require.Equal(t, c.refused, r.graph.refused, "what Meta refuses is not tried again and again")
			})
		})
	}
}

// TestLongText has a text that leaves no room for the name.
func TestLongText(t *testing.T) {
	bubble(t, handovertest.Options{}, func(r *rig) {
		c := r.opened()
		r.graph.set(func(g *fakeGraph) { g.none = true })
		long := strings.Repeat("x", 2000)
		c.Operator("Ann").Say(long)
		r.sees("- Ann joined the conversation.", "- Ann:", "- "+long)
	})
}

// TestNameOnce has a file fail that follows the agent's name: the name does not come again with it.
func TestNameOnce(t *testing.T) {
	bubble(t, handovertest.Options{}, func(r *rig) {
		ann := r.opened().Operator("Ann")
		r.graph.set(func(g *fakeGraph) { g.none, g.noFiles = true, 3 })
		ann.File("a.png", "https://cdn.invalid/a.png", "image/png")
		r.sees("- Ann joined the conversation.", "- Ann:")
		time.Sleep(time.Minute)
		r.sees(`- <image {"url":"https://cdn.invalid/a.png"}>`)
	})
}

// TestFileRefused keeps an agent's persona when it was the file that Meta did not take.
func TestFileRefused(t *testing.T) {
	bubble(t, handovertest.Options{}, func(r *rig) {
		ann := r.opened().Operator("Ann")
		ann.Say("One")
		r.sees("- Ann joined the conversation.", "Ann: One")
		r.graph.set(func(g *fakeGraph) { g.badFiles = 2 })
		ann.File("a.png", "https://cdn.invalid/a.png", "image/png")
		r.sees("- Ann:", "Ann: https://cdn.invalid/a.png")
		ann.Say("Two")
		r.sees("Ann: Two")
	})
}

// TestBotCannotSend tries again what the bot says, but not to a user who cannot be reached.
func TestBotCannotSend(t *testing.T) {
	bubble(t, handovertest.Options{}, func(r *rig) {
		r.graph.set(func(g *fakeGraph) { g.down = true })
		r.says("When do you open?")
		r.sees()
		r.graph.set(func(g *fakeGraph) { g.down = false })
		time.Sleep(time.Minute)
		r.sees("- We are open from 9 to 18, every day but Sunday.")

		r.graph.set(func(g *fakeGraph) { g.outside = true })
		r.says("A human, please")
		time.Sleep(time.Hour)
		require.Equal(t, 1, r.graph.refused)
		require.Empty(t, r.crisp.Conversations())
	})
}

// brokenStore is a store that fails while it is told to.
type brokenStore struct {
	handover.MemoryStore
	broken atomic.Bool
}

func (s *brokenStore) Save(ctx context.Context, r handover.Record) (int64, error) {
	if s.broken.Load() {
		return 0, errors.New("the database is down")
	}
	return s.MemoryStore.Save(ctx, r)
}

// TestStoreDown has the store fail once the bot has said that it asks for a human: it is asked for later.
func TestStoreDown(t *testing.T) {
	bubble(t, handovertest.Options{}, func(r *rig) {
		r.graph.set(func(g *fakeGraph) {
			g.asked = func() {
				r.store.broken.Store(true)
				time.AfterFunc(5*time.Second, func() { r.store.broken.Store(false) })
			}
		})
		r.says("A human, please")
		r.sees("- Ok, I will check if an agent is available right now.")
		time.Sleep(time.Minute)
		r.sees("- A person will be with you soon. You can already describe your question. [Back to the bot]")
	})
}

// TestGraphDown retries until Meta is there again, and doubles nothing.
func TestGraphDown(t *testing.T) {
	bubble(t, handovertest.Options{}, func(r *rig) {
		c := r.opened()
		r.graph.set(func(g *fakeGraph) { g.down = true })
		c.Operator("Ann").Say("One")
		c.Operator("Ann").Say("Two")
		r.sees()
		r.graph.set(func(g *fakeGraph) { g.down = false })
		require.Eventually(t, func() bool { r.graph.mu.Lock(); defer r.graph.mu.Unlock(); return len(r.graph.lines) == 3 }, 60e9, 1e9)
		r.sees("- Ann joined the conversation.", "Ann: One", "Ann: Two")
	})
}

// TestDeliverTwice is a message whose sending succeeded, while our note of it was lost.
func TestDeliverTwice(t *testing.T) {
	g := &fakeGraph{t: t}
	c := &channel{graph: newGraph(g.client(), graphURL, pageToken)}
	s := handover.Session{Conversation: handover.Conversation{Source: "messenger", ID: "user-1"}}
	m := handover.Message{ID: "1", From: handover.FromSystem, Content: handover.TextMessage("Hello"), Attempt: 1}
	first, err := c.deliver(t.Context(), s, m)
	require.NoError(t, err)
	m.Attempt = 2
	second, err := c.deliver(t.Context(), s, m)
	require.NoError(t, err)
	require.Equal(t, first, second)
	require.Equal(t, []string{"- Hello"}, g.saw())
}

func TestGraphErrors(t *testing.T) {
	for name, c := range map[string]struct {
		code, subcode     int
		away, unsupported bool
	}{
		"24 hours are over":        {10, 2018278, true, false},
		"24 hours, as once said":   {10, 2018065, true, false},
		"no permission":            {10, 0, false, false},
		"user blocked the page":    {551, 1545041, true, false},
		"message as it may not be": {100, 2018034, false, true},
		"token expired":            {190, 0, false, false},
		"too fast":                 {613, 0, false, false},
	} {
		t.Run(name, func(t *testing.T) {
			err := fmt.Errorf("wrapped: %w", &graphError{Status: 400, Code: c.code, Subcode: c.subcode})
			require.Equal(t, c.away, errors.Is(err, handover.ErrUserAway))
			require.Equal(t, c.unsupported, errors.Is(err, errors.ErrUnsupported))
			require.ErrorContains(t, err, fmt.Sprintf("code %d, subcode %d", c.code, c.subcode))
		})
	}
}

// TestToken shows that no error holds the page's token.
func TestToken(t *testing.T) {
	_, err := newGraph(http.DefaultClient, "http://127.0.0.1:1/", "secret-token").send(t.Context(), "user-1", handover.TextMessage("words of a user"), "")
	require.Error(t, err)
	require.NotContains(t, err.Error(), "secret-token")
	require.NotContains(t, err.Error(), "words of a user")
}

// TestRun starts without any setting, says what is missing, and stops cleanly.
func TestRun(t *testing.T) {
	for name, c := range map[string]struct {
		env  map[string]string
		want []string
		err  string
	}{
		"nothing set": {nil, []string{"/messenger\n", "missing: MESSENGER_PAGE_TOKEN, MESSENGER_APP_SECRET, MESSENGER_VERIFY_TOKEN", "fake Crisp"}, ""},
		"all of Meta's": {map[string]string{"MESSENGER_PAGE_TOKEN": "a", "MESSENGER_APP_SECRET": "b", "MESSENGER_VERIFY_TOKEN": "c"},
			[]string{"fake Crisp"}, ""},
		"a part of Crisp's": {map[string]string{"CRISP_KEY": "a"}, nil, "WebsiteID must be"},
	} {
		t.Run(name, func(t *testing.T) {
			ctx, cancel := context.WithCancel(t.Context())
			cancel()
			var out bytes.Buffer
			err := run(ctx, func(key string) string {
				if key == "LISTEN" {
					return "127.0.0.1:0"
				}
				return c.env[key]
			}, &out)
			if c.err != "" {
				require.ErrorContains(t, err, c.err)
				return
			}
			require.NoError(t, err)
			for _, w := range c.want {
				require.Contains(t, out.String(), w)
			}
		})
	}
}

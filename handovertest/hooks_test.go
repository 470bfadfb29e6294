package handovertest_test

import (
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"slices"
	"strconv"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/crisp-im/go-crisp-api/crisp/v3"
	"github.com/stretchr/testify/require"

	"github.com/crisphandover/handover/handovertest"
)

// inbox is a handler that keeps the hooks it gets.
type inbox struct {
	mu     sync.Mutex
	got    []received
	answer func(received) int // nil: 200
}

// received is a hook as it came.
type received struct {
	path      string
	header    http.Header
	body      []byte
	at        time.Time
	WebsiteID string `json:"website_id"`
	Event     string
	Timestamp int64
	Data      map[string]any
}

func (i *inbox) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	body, _ := io.ReadAll(r.Body)
	h := received{path: r.URL.RequestURI(), header: r.Header, body: body, at: time.Now()}
	_ = json.Unmarshal(body, &h)
	i.mu.Lock()
	i.got = append(i.got, h)
	i.mu.Unlock()
	if i.answer != nil {
		w.WriteHeader(i.answer(h))
	}
}

// hooks returns the hooks that came, and forgets them.
func (i *inbox) hooks() []received {
	i.mu.Lock()
	defer i.mu.Unlock()
	out := i.got
	i.got = nil
	return out
}

// texts returns the contents of the messages that came.
func (i *inbox) texts() []string {
	out := []string{}
	for _, h := range i.hooks() {
		if text, ok := h.Data["content"].(string); ok {
			out = append(out, text)
		}
	}
	return out
}

// verifier returns Crisp's own client, which verifies hooks once it listens.
func verifier(t *testing.T) *crisp.EventsService {
	client := crisp.New()
	require.NoError(t, client.Events.Listen(crisp.EventsModeWebHooks, []string{"message:send"}, func(*crisp.EventsRegister) {}, nil, nil))
	return client.Events
}

func TestPluginHooksAreSignedAsTheOfficialClientDemands(t *testing.T) {
	events := verifier(t)
	for _, seconds := range []bool{false, true} {
		c := handovertest.NewCrisp(t, handovertest.Options{HeaderSeconds: seconds})
		bot := &inbox{}
		c.Attach(bot)
		call := newCaller(t, c)
		_, path := call.open()
		call.userSays(path, "a < b & c")
		c.Settle()
		got := bot.hooks()
		require.Len(t, got, 1)
		h := got[0]
		stamp := h.header.Get("X-Crisp-Request-Timestamp")
		require.True(t, events.VerifyHook(c.Secret(), &h.body, stamp, h.header.Get("X-Crisp-Signature")))
		require.False(t, events.VerifyHook(c.HookKey(), &h.body, stamp, h.header.Get("X-Crisp-Signature")))
		require.Equal(t, c.Sign(stamp, h.body), h.header.Get("X-Crisp-Signature"))
		require.Equal(t, "/crisp/hooks", h.path)
		require.Equal(t, "1", h.header.Get("X-Delivery-Attempt-Count"))
		require.Equal(t, "5", h.header.Get("X-Delivery-Attempt-Limit"))
		require.Equal(t, "application/json", h.header.Get("Content-Type"))
		require.Contains(t, string(h.body), "a < b & c")
		n, err := strconv.ParseInt(stamp, 10, 64)
		require.NoError(t, err)
		require.Equal(t, seconds, n < 1e12)
	}
}

func TestSignMatchesAKnownAnswer(t *testing.T) {
	// printf '[1700000000000;{"a":1}]' | openssl dgst -sha256 -hmac secret
	require.Equal(t, "7b7bfdb5a9df5424618180ba60cff553fd421c78ddf26a90af2224ac0078ea5a", handovertest.Sign("secret", "1700000000000", []byte(`{"a":1}`)))
	r := handovertest.Hook("https://bot.invalid/hooks?key=k", "secret", time.UnixMilli(1700000000000), []byte(`{"a":1}`))
	require.Equal(t, "7b7bfdb5a9df5424618180ba60cff553fd421c78ddf26a90af2224ac0078ea5a", r.Header.Get("X-Crisp-Signature"))
	require.Equal(t, "k", r.URL.Query().Get("key"))
	require.Empty(t, handovertest.Hook("/hooks", "", time.Now(), nil).Header.Get("X-Crisp-Signature"))
}

func TestEachPostComesBackAsAHook(t *testing.T) {
	c := handovertest.NewCrisp(t, handovertest.Options{})
	bot := &inbox{}
	c.Attach(bot)
	call := newCaller(t, c)
	v, path := call.open()
	call.ok("PATCH", path+"/meta", `{"nickname":"Joe"}`)
	call.ok("POST", path+"/message", `{"type":"text","from":"user","origin":"urn:acme:bot:0","content":"hi","fingerprint":163240180126629}`)
	call.ok("POST", path+"/message", `{"type":"note","from":"operator","origin":"urn:acme:bot:0","content":"for you","automated":true}`)
	c.Settle()
	got := bot.hooks()
	require.Equal(t, []string{"session:set_nickname", "message:send", "message:received"}, eventsOf(got))
	m := v.Messages()[0]
	require.Equal(t, c.WebsiteID(), got[1].WebsiteID)
	require.Equal(t, m.Timestamp, got[1].Timestamp)
	require.Equal(t, map[string]any{
		"website_id": c.WebsiteID(), "session_id": v.ID(), "inbox_id": nil,
		"type": "text", "content": "hi", "from": "user", "origin": "urn:acme:bot:0", "stamped": true,
		"timestamp": float64(m.Timestamp), "fingerprint": 163240180126629.0, "mentions": []any{},
		"user": map[string]any{"nickname": "Joe", "user_id": v.ID()},
	}, got[1].Data)
	require.Equal(t, "note", got[2].Data["type"])
	require.Equal(t, true, got[2].Data["automated"])
	require.Equal(t, "urn:acme:bot:0", got[2].Data["origin"])
}

func eventsOf(hooks []received) []string {
	out := []string{}
	for _, h := range hooks {
		out = append(out, h.Event)
	}
	return out
}

func TestWhatPeopleDoIsHooked(t *testing.T) {
	c := handovertest.NewCrisp(t, handovertest.Options{})
	bot := &inbox{}
	c.Attach(bot)
	v, _ := newCaller(t, c).open()
	ann := v.Operator("Ann")
	rows := []struct {
		name   string
		do     func()
		events []string
		data   map[string]any // of the first hook: some of its members
	}{
		{"say", func() { ann.Say("hello") }, []string{"message:received", "session:set_state"}, map[string]any{"content": "hello", "origin": "chat", "from": "operator", "type": "text"}},
		{"note", func() { ann.Note("secret") }, []string{"message:received"}, map[string]any{"type": "note"}},
		{"picker", func() { ann.Picker("Which?", "A", "B") }, []string{"message:received"}, map[string]any{"content": map[string]any{"id": "picker", "text": "Which?", "choices": []any{
			map[string]any{"value": "A", "label": "A", "selected": false}, map[string]any{"value": "B", "label": "B", "selected": false}}}}},
		{"field", func() { ann.Field("Number?", "digits") }, []string{"message:received"}, map[string]any{"type": "field"}},
		{"file", func() { ann.File("a.pdf", "https://x/a.pdf", "application/pdf") }, []string{"message:received"}, map[string]any{"content": map[string]any{"name": "a.pdf", "url": "https://x/a.pdf", "type": "application/pdf"}}},
		{"audio", func() { ann.Audio("https://x/a.m4a", "", 0) }, []string{"message:received"}, map[string]any{"content": map[string]any{"url": "https://x/a.m4a"}}},
		{"animation", func() { ann.Animation("https://x/a.gif", "image/gif") }, []string{"message:received"}, map[string]any{"type": "animation"}},
		{"carousel", func() {
			ann.Carousel("Pick", handovertest.Slide{Title: "A", Description: "d", Links: []handovertest.Link{{Label: "Open", URL: "https://x"}}})
		}, []string{"message:received"}, map[string]any{"content": map[string]any{"text": "Pick", "targets": []any{map[string]any{
			"title": "A", "description": "d", "actions": []any{map[string]any{"label": "Open", "url": "https://x"}}}}}}},
		{"odd", func() { ann.Send("hologram", 7) }, []string{"message:received"}, map[string]any{"type": "hologram", "content": 7.0}},
		{"slack", func() { ann.From("urn:crisp.im:slack:0").Say("x") }, []string{"message:received"}, map[string]any{"origin": "urn:crisp.im:slack:0"}},
		{"bot", func() { v.Bot("Hugo").Say("x") }, []string{"message:received"}, map[string]any{"origin": "urn:crisp.im:bot:0", "automated": true}},
		{"type", func() { ann.Type(true) }, []string{"message:compose:receive"}, map[string]any{"type": "start"}},
		{"assign", ann.Assign, []string{"session:set_routing"}, map[string]any{"routing_id": ann.ID(), "previous_routing_id": nil}},
		{"assign again", ann.Assign, []string{}, nil},
		{"unassign", ann.Unassign, []string{"session:set_routing"}, map[string]any{"routing_id": nil, "previous_routing_id": ann.ID()}},
		{"read", ann.Read, []string{"message:acknowledge:read:send"}, map[string]any{"origin": "chat"}},
		{"resolve", ann.Resolve, []string{"session:set_state"}, map[string]any{"state": "resolved"}},
		{"resolve again", ann.Resolve, []string{}, nil},
		{"mail", func() { v.UserByEmail("re:") }, []string{"message:send", "session:set_state"}, map[string]any{"origin": "email"}},
		{"reopen", ann.Reopen, []string{"session:set_state"}, map[string]any{"state": "unresolved"}},
		{"block", func() { v.Block(true) }, []string{"session:set_block"}, map[string]any{"is_blocked": true}},
		{"rate", func() { v.Rate(5, "ok") }, []string{"session:sync:rating"}, map[string]any{"rating": map[string]any{"stars": 5.0, "comment": "ok"}}},
		{"inbox", func() { v.SetInbox("x") }, []string{"session:set_inbox"}, map[string]any{"inbox_id": "x", "previous_inbox_id": nil}},
		{"away", c.Away, []string{"website:users:available"}, map[string]any{"available": false}},
		{"edit", func() { ann.Edit(v.Messages()[0].Fingerprint, "hello!") }, []string{"message:updated"}, map[string]any{"content": "hello!", "from": nil, "type": nil}},
		{"remove message", func() { ann.Remove(v.Messages()[0].Fingerprint) }, []string{"message:removed"}, nil},
		{"remove", v.Remove, []string{"session:removed"}, nil},
	}
	for _, row := range rows {
		t.Run(row.name, func(t *testing.T) {
			row.do()
			c.Settle()
			got := bot.hooks()
			require.Equal(t, row.events, eventsOf(got))
			for name, value := range row.data {
				require.Equal(t, value, got[0].Data[name], name)
			}
		})
	}
}

func TestWebsiteHooksAreFewerAndUnsigned(t *testing.T) {
	rows := []struct {
		name    string
		options handovertest.Options
		want    []string
	}{
		{"website", handovertest.Options{Hooks: handovertest.WebsiteHooks}, []string{
			"message:received", "session:set_state", "message:updated", "message:removed", "session:set_state", "session:removed"}},
		{"four ticked", handovertest.Options{Hooks: handovertest.WebsiteHooks, Events: []string{"message:send", "message:updated", "message:received", "session:set_state"}}, []string{
			"message:received", "session:set_state", "message:updated", "session:set_state"}},
	}
	for _, row := range rows {
		t.Run(row.name, func(t *testing.T) {
			c := handovertest.NewCrisp(t, row.options)
			bot := &inbox{}
			c.Attach(bot)
			v, _ := newCaller(t, c).open()
			ann := v.Operator("Ann")
			ann.Assign()
			ann.Type(true)
			fingerprint := ann.Say("hello")
			ann.Edit(fingerprint, "hello!")
			ann.Remove(fingerprint)
			ann.Resolve()
			v.Block(true)
			v.Remove()
			c.Settle()
			got := bot.hooks()
			require.Equal(t, row.want, eventsOf(got))
			require.Empty(t, got[0].header.Get("X-Crisp-Signature"))
			require.Equal(t, "/crisp/hooks?key="+c.HookKey(), got[0].path)
		})
	}
}

func TestHooksAreTriedAgain(t *testing.T) {
	for _, kept := range []bool{false, true} {
		t.Run(fmt.Sprintf("signature kept %t", kept), func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				c := handovertest.NewCrisp(t, handovertest.Options{KeepSignature: kept, HookAttempts: 4})
				bot := &inbox{answer: func(h received) int {
					if h.Data["content"] == "never" || h.header.Get("X-Delivery-Attempt-Count") != "3" {
						return 503
					}
					return 200
				}}
				c.Attach(bot)
				v, _ := newCaller(t, c).open()
				start := time.Now()
				v.Bot("Hugo").Note("third")
				v.Bot("Hugo").Note("never")
				c.Settle()
				require.Equal(t, []string{"third", "never"}, bot.texts()) // the second did not wait
				require.False(t, c.Idle())
				time.Sleep(time.Minute)
				got := bot.hooks()
				require.Len(t, got, 5)
				require.True(t, c.Idle())
				require.Equal(t, 7*time.Second, got[4].at.Sub(start))
				stamps := map[string]bool{}
				for _, h := range got {
					stamp := h.header.Get("X-Crisp-Request-Timestamp")
					require.Equal(t, c.Sign(stamp, h.body), h.header.Get("X-Crisp-Signature"))
					stamps[stamp] = true
				}
				require.Equal(t, kept, len(stamps) == 1)
				require.Equal(t, 1, c.CountHooks("message:received"))
				require.Len(t, c.Hooks(), 7)
			})
		})
	}
}

func TestReceiversThatFail(t *testing.T) {
	rows := []struct {
		name     string
		handler  http.HandlerFunc
		attempts int
		violated bool
		told     string // in the record
	}{
		{"refuses", func(w http.ResponseWriter, _ *http.Request) { w.WriteHeader(403) }, 1, false, "answered HTTP 403, attempt 1"},
		{"is elsewhere", http.NotFound, 1, false, "answered HTTP 404, attempt 1"},
		{"is busy", func(w http.ResponseWriter, _ *http.Request) { w.WriteHeader(429) }, 5, false, "answered HTTP 429, attempt 5"},
		{"cuts", func(http.ResponseWriter, *http.Request) { panic(http.ErrAbortHandler) }, 5, false, "not answered, attempt 5"},
		{"panics", func(http.ResponseWriter, *http.Request) { panic("a bug") }, 5, true, "not answered, attempt 5"},
		{"hangs", func(_ http.ResponseWriter, r *http.Request) { <-r.Context().Done() }, 5, false, "not answered, attempt 5"},
		{"ignores its context", func(http.ResponseWriter, *http.Request) { time.Sleep(time.Hour) }, 5, false, "not answered, attempt 5"},
	}
	for _, row := range rows {
		t.Run(row.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				c := handovertest.NewCrisp(t, handovertest.Options{AllowViolations: true})
				c.Attach(row.handler)
				v, _ := newCaller(t, c).open()
				v.Bot("Hugo").Note("x")
				time.Sleep(2 * time.Hour)
				require.True(t, c.Idle())
				require.Len(t, c.Hooks(), row.attempts)
				require.Equal(t, row.violated, len(c.Violations()) > 0)
				require.Equal(t, "conversation 0: hook message:received is lost: "+row.told, c.Record()[len(c.Record())-1])
			})
		})
	}
}

func TestReplicasShareTheHooks(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c := handovertest.NewCrisp(t, handovertest.Options{})
		a, b := &inbox{}, &inbox{}
		detach := c.Attach(a)
		c.Attach(b)
		v, _ := newCaller(t, c).open()
		for i := range 4 {
			v.Bot("Hugo").Say(strconv.Itoa(i))
		}
		c.Settle()
		require.Equal(t, []string{"0", "2"}, a.texts())
		require.Equal(t, []string{"1", "3"}, b.texts())
		c.SetChooser(func(handovertest.HookInfo, int) int { return 1 })
		v.Bot("Hugo").Say("4")
		c.Settle()
		require.Equal(t, []string{"4"}, b.texts())
		detach()
		v.Bot("Hugo").Say("5")
		c.Settle()
		require.Empty(t, a.texts())
		require.Equal(t, []string{"5"}, b.texts())
	})
}

func TestHookFaults(t *testing.T) {
	only := func(text string, f handovertest.HookFault) func(handovertest.HookInfo) handovertest.HookFault {
		return func(h handovertest.HookInfo) handovertest.HookFault {
			if strconv.Itoa(h.Ordinal) == text {
				return f
			}
			return handovertest.HookFault{}
		}
	}
	rows := []struct {
		name   string
		fault  handovertest.HookFault
		first  []string // in the same moment
		second []string // within a minute
		kind   string
	}{
		{"dropped", handovertest.HookFault{Drop: true}, []string{"0", "2"}, []string{}, "hook dropped"},
		{"twice", handovertest.HookFault{Twice: true}, []string{"0", "1", "1", "2"}, []string{}, "hook twice"},
		{"delayed", handovertest.HookFault{Delay: 5 * time.Second}, []string{"0", "2"}, []string{"1"}, "hook delayed"},
		{"swapped", handovertest.HookFault{Swap: true}, []string{"0", "2", "1"}, []string{}, "hook swapped"},
		{"swapped and twice", handovertest.HookFault{Swap: true, Twice: true}, []string{"0", "2", "1", "1"}, []string{}, "hook twice"},
	}
	for _, row := range rows {
		t.Run(row.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				c := handovertest.NewCrisp(t, handovertest.Options{})
				bot := &inbox{}
				c.Attach(bot)
				c.SetHookFaults(only("1", row.fault))
				v, _ := newCaller(t, c).open()
				for i := range 3 {
					v.Bot("Hugo").Say(strconv.Itoa(i))
				}
				c.Settle()
				require.Equal(t, row.first, bot.texts())
				time.Sleep(time.Minute)
				require.Equal(t, row.second, bot.texts())
				require.Equal(t, 1, c.FaultCounts()[row.kind])
				require.True(t, c.Idle())
			})
		})
	}
}

func TestASwappedHookIsNotLost(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c := handovertest.NewCrisp(t, handovertest.Options{})
		bot := &inbox{}
		c.Attach(bot)
		c.SetHookFaults(func(handovertest.HookInfo) handovertest.HookFault { return handovertest.HookFault{Swap: true} })
		v, _ := newCaller(t, c).open()
		for i := range 3 {
			v.Bot("Hugo").Say(strconv.Itoa(i))
		}
		time.Sleep(time.Minute)
		got := bot.texts()
		slices.Sort(got)
		require.Equal(t, []string{"0", "1", "2"}, got)
		require.True(t, c.Idle())
	})
}

func TestHooksOverASocket(t *testing.T) {
	bot := &inbox{}
	server := httptest.NewServer(bot)
	t.Cleanup(server.Close)
	c := handovertest.NewCrisp(t, handovertest.Options{Hooks: handovertest.WebsiteHooks})
	t.Cleanup(c.AttachURL(server.URL + "/hooks?a=b"))
	v, _ := newCaller(t, c).open()
	v.Operator("Ann").Say("hello")
	c.Settle()
	got := bot.hooks()
	require.Equal(t, []string{"message:received", "session:set_state"}, eventsOf(got))
	require.Equal(t, "/hooks?a=b&key="+c.HookKey(), got[0].path)
}

func TestNobodyAttachedMissesHooks(t *testing.T) {
	c := handovertest.NewCrisp(t, handovertest.Options{})
	v, _ := newCaller(t, c).open()
	v.Operator("Ann").Say("unheard")
	bot := &inbox{}
	c.Attach(bot)
	v.Operator("Ann").Say("heard")
	c.Settle()
	require.Equal(t, []string{"heard"}, bot.texts())
}

func TestCloseEndsWhatIsUnderWay(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c := handovertest.New(handovertest.Options{})
		c.Attach(http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) { <-r.Context().Done() }))
		call := newCaller(t, c)
		v, path := call.open()
		v.Bot("Hugo").Say("x")
		c.SetHookFaults(func(handovertest.HookInfo) handovertest.HookFault { return handovertest.HookFault{Delay: time.Hour} })
		v.Bot("Hugo").Say("y")
		c.Fail(1, handovertest.Fault{LateCommit: time.Hour})
		_, err := call.send(call.request(t.Context(), "GET", path, ""))
		require.Error(t, err)
		start := time.Now()
		c.Close()
		require.Equal(t, start, time.Now())
		answer, err := call.send(call.request(t.Context(), "GET", path, ""))
		require.NoError(t, err)
		require.Equal(t, 503, answer.status)
	})
}

func TestHookBodyIsWhatCrispPosts(t *testing.T) {
	c := handovertest.NewCrisp(t, handovertest.Options{})
	bot := &inbox{}
	c.Attach(bot)
	v, _ := newCaller(t, c).open()
	v.SetState("resolved")
	c.Settle()
	got := bot.hooks()[0]
	require.Equal(t, string(got.body), string(handovertest.HookBody(c.WebsiteID(), "session:set_state",
		time.UnixMilli(got.Timestamp), map[string]any{
			"website_id": c.WebsiteID(), "session_id": v.ID(), "inbox_id": nil, "state": "resolved",
		})))
}

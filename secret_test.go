package handover_test

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"net/url"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/crisphandover/handover"
	"github.com/crisphandover/handover/handovertest"
	"github.com/crisphandover/handover/internal/systemtest/rig"
)

// keeper is a host's own type that keeps what it made in fields that fmt calls no methods of.
type keeper struct {
	config  handover.Config
	pointer *handover.Config
	parts   map[string]any
	token   handover.Token
	webhook handover.Webhook
	history []handover.History
	secret  handover.Secret
	handler any
}

// words is what a failed test says.
type words struct{ bytes.Buffer }

func (w *words) Errorf(format string, args ...any) { fmt.Fprintf(w, format, args...) }

func TestNoFormOfPrintingShowsASecret(t *testing.T) {
	var logged bytes.Buffer
	c := goodConfig()
	c.Logger = slog.New(slog.NewTextHandler(&logged, nil))
	c.Token = handover.Token{Tier: handover.TierPlugin, Identifier: handover.NewSecret(hush("identifier")), Key: handover.NewSecret(hush("token"))}
	c.Webhook = handover.Webhook{
		Secrets: handover.NewSecrets(hush("secret")), URLKeys: map[string][]handover.Secret{c.WebsiteID: handover.NewSecrets(hush("hookkey"))},
	}
	c.History = handover.History{
		URL: "https://bot.example.com/history", SigningKey: handover.NewSecret(hush(strings.Repeat("k", 32))), OldSigningKeys: handover.NewSecrets(hush(strings.Repeat("o", 32))),
	}
	c.Transcript = func(context.Context, handover.Conversation) ([]handover.Message, error) { return nil, nil }
	h, err := handover.New(c)
	require.NoError(t, err)
	keep := keeper{c, &c, map[string]any{"config": c, "token": &c.Token}, c.Token, c.Webhook, []handover.History{c.History}, c.Token.Key, h}
	values := map[string]any{
		"handover": h, "config": c, "config pointer": &c, "token": c.Token, "token pointer": &c.Token, "webhook": c.Webhook,
		"history": c.History, "history page": h.HistoryHandler(), "secret": c.Token.Key, "secrets": c.Webhook.Secrets, "keys": c.Webhook.URLKeys,
		"kept": keep, "kept pointer": &keep, "exported": struct{ Config handover.Config }{c}, "list": []any{c, &c, h, keep},
		"error": fmt.Errorf("it failed: %w", fmt.Errorf("with %v and %+v", c, keep)), "map": map[string]any{"x": keep},
		"texts": handover.DefaultTexts(),
	}
	for name, value := range values {
		t.Run(name, func(t *testing.T) {
			var out bytes.Buffer
			for _, verb := range strings.Split("v +v #v s q +q #q d b o O c U x X #x % x t e f g p T w", " ") {
				fmt.Fprintf(&out, "%"+verb+"\n", value)
			}
			fmt.Fprintln(&out, value, errors.Join(fmt.Errorf("%v", value)))
			for _, handler := range []slog.Handler{slog.NewTextHandler(&out, nil), slog.NewJSONHandler(&out, nil)} {
				slog.New(handler).Info("it", "value", value, slog.Group("group", "value", value))
			}
			if text, err := json.Marshal(value); err == nil {
				out.Write(text)
			} else {
				fmt.Fprint(&out, err)
			}
			requireNoSecret(t, out.String())
			if name == "handover" || name == "list" {
				return // these hold Crisp's client, which has the token as it sends it
			}
			var failed words
			assert.Equal(&failed, "something else", value) // prints past all methods and pointers
			requireNoSecret(t, failed.String())
		})
	}
	requireNoSecret(t, logged.String())
}

// requireNoSecret looks for private words, as they are and in hexadecimal.
func requireNoSecret(t *testing.T, text string) {
	t.Helper()
	plain := strings.ToLower(strings.ReplaceAll(text, " ", ""))
	for _, secret := range []string{private, fmt.Sprintf("%x", private), strings.ReplaceAll(fmt.Sprintf("%#x", []byte(private)), "0x", "")} {
		if at := strings.Index(plain, secret); at >= 0 {
			require.Fail(t, "a secret is printed", "%.200s", plain[max(0, at-100):])
		}
	}
}

func TestSecretsCanBeCompared(t *testing.T) {
	require.True(t, handover.NewSecret("the key").Equal(handover.NewSecret("the key")))
	require.False(t, handover.NewSecret("the key").Equal(handover.NewSecret("the keys")))
	require.True(t, handover.Secret{}.Equal(handover.NewSecret("")))
	require.Equal(t, "[hidden] [empty]", fmt.Sprint(handover.NewSecret("x"), " ", handover.Secret{}))
}

func TestNewRefusesWhatCannotBeASecret(t *testing.T) {
	for name, tt := range map[string]struct{ secret, says string }{
		"none":                    {"", "is empty"},
		"one letter":              {"a", "fewer than 8 characters"},
		"seven letters":           {"äöüäöüä", "fewer than 8 characters"},
		"a line break at its end": {hush("key") + "\n", "trim it"},
		"a line break of Windows": {hush("key") + "\r\n", "trim it"},
		"a space before it":       {" " + hush("key"), "trim it"},
		"a tab in it":             {hush("the\tkey"), "control character"},
		"NUL":                     {hush("the\x00key"), "control character"},
		"another encoding":        {hush("the\xffkey"), "not UTF-8"},
	} {
		t.Run(name, func(t *testing.T) {
			for field, set := range map[string]func(*handover.Config, handover.Secret){
				"Token.Identifier": func(c *handover.Config, s handover.Secret) { c.Token.Identifier = s },
				"Token.Key":        func(c *handover.Config, s handover.Secret) { c.Token.Key = s },
				"Webhook.Secrets[1]": func(c *handover.Config, s handover.Secret) {
					c.Webhook.Secrets = []handover.Secret{handover.NewSecret("good enough"), s}
				},
				`Webhook.URLKeys["7a3c5e10-6f0b-4d55-9c1e-000000000001"][0]`: func(c *handover.Config, s handover.Secret) {
					c.Webhook.URLKeys = map[string][]handover.Secret{c.WebsiteID: {s}}
				},
			} {
				c := goodConfig()
				set(&c, handover.NewSecret(tt.secret))
				_, err := handover.New(c)
				require.ErrorContains(t, err, field)
				if tt.secret != "" {
					require.ErrorContains(t, err, tt.says)
				}
				require.NotContains(t, err.Error(), private)
			}
		})
	}
	for _, good := range []string{"12345678", "a b c d e", "kéy+with%41&", strings.Repeat("x", 5000)} {
		c := goodConfig()
		c.Webhook.Secrets = handover.NewSecrets(good)
		_, err := handover.New(c)
		require.NoError(t, err)
	}
}

// listener hears everything that the library says to the host's operators: logs of every level,
// activities, and the errors of its calls.
type listener struct {
	mu     sync.Mutex
	heard  bytes.Buffer
	errors int
}

func (l *listener) Write(p []byte) (int, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.heard.Write(p)
}

// err hears a returned error.
func (l *listener) err(err error) error {
	if err != nil {
		fmt.Fprintf(l, "error: %v\n%+v\n%#v\n", err, err, err)
		l.mu.Lock()
		l.errors++
		l.mu.Unlock()
	}
	return err
}

// all is what was heard, and how many errors were.
func (l *listener) all() (text string, errors int) {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.heard.String(), l.errors
}

func (l *listener) observe(a handover.Activity) {
	if errors.Is(a.Err, errHosts) {
		a.Err = nil // the host's own words, given back to the host
	}
	text := ""
	if a.Err != nil {
		text = a.Err.Error()
	}
	fmt.Fprintf(l, "activity: %+v %s\n", a, text)
}

// private marks what must never be heard: every word that begins so.
const private = "zqprivate"

var errHosts = errors.New(private + "-hosterror")

// hush makes private words out of ordinary ones.
func hush(word string) string { return private + "-" + word }

func TestNothingPrivateIsLoggedObservedOrReturned(t *testing.T) {
	ears := &listener{}
	var deliveries atomic.Int64
	o := rig.Options{Crisp: handovertest.Options{FreePlan: true}, Config: func(r *rig.Rig, c *handover.Config) {
		identifier, key := r.Crisp.Token()
		c.Token.Identifier, c.Token.Key = handover.NewSecret(identifier), handover.NewSecret(key)
		c.Webhook.URLKeys = map[string][]handover.Secret{c.WebsiteID: handover.NewSecrets(hush("hookkey"))}
		c.Webhook.Secrets = append(c.Webhook.Secrets, handover.NewSecret(hush("secret")))
		c.History = handover.History{URL: "https://bot.example.com/history", SigningKey: handover.NewSecret(hush(strings.Repeat("history", 8)))}
		c.Transcript = func(context.Context, handover.Conversation) ([]handover.Message, error) {
			return nil, errors.New("down")
		}
		c.Logger = slog.New(slog.NewJSONHandler(io.MultiWriter(ears), &slog.HandlerOptions{Level: slog.LevelDebug - 10, AddSource: true}))
		c.Observe = func(ctx context.Context, a handover.Activity) { ears.observe(a); r.Observe(ctx, a) }
		c.Policy.NoteFallback = handover.NoteInData
		c.Deliver = func(ctx context.Context, s handover.Session, m handover.Message) (string, error) {
			switch deliveries.Add(1) % 4 {
			case 1:
				return "", fmt.Errorf("%w: %s", errHosts, m.Content.Text)
			case 2:
				panic(hush("panic"))
			}
			return r.Deliver(ctx, s, m)
		}
		c.OnEnd = func(ctx context.Context, s handover.Session, sum handover.Summary) error {
			if deliveries.Add(1)%2 == 0 {
				return errHosts
			}
			return r.OnEnd(ctx, s, sum)
		}
	}}
	rig.Bubble(t, o, func(r *rig.Rig) {
		noisyHandover(r, ears)
		identifier, key := r.Crisp.Token()
		text, errors := ears.all()
		require.Greater(t, errors, 25)
		require.Greater(t, strings.Count(text, `"level":"WARN"`), 10, "there was something to log")
		require.Greater(t, strings.Count(text, "activity:"), 50)
		for _, secret := range []string{identifier, key, r.Crisp.Secret(), r.Crisp.HookKey(), private, "%77qprivate", "t=AAAA"} {
			for line := range strings.Lines(text) {
				if at := strings.Index(strings.ToLower(line), strings.ToLower(secret)); at >= 0 {
					t.Errorf("%s\n… %.300s", line[:min(len(line), 200)], line[max(0, at-100):])
				}
			}
		}
	})
}

// quoting is what an API that quotes what it got would answer.
func quoting(status int) handovertest.Fault {
	return handovertest.Fault{Status: status, Body: `{"error":true,"reason":"` + hush("reason") + `","data":{"message":"` + hush("quote") + `"}}`}
}

// noisyHandover is a handover in which everything fails once.
func noisyHandover(r *rig.Rig, ears *listener) {
	ctx := r.T.Context()
	fail := func(n int, route string, f handovertest.Fault) {
		f.Route = route
		r.Crisp.Fail(n, f)
	}
	fail(1, handovertest.RouteAvailability, quoting(500))
	fail(1, handovertest.RouteCreate, quoting(503))
	fail(1, handovertest.RoutePatchMeta, handovertest.Fault{CutBefore: true})
	fail(1, handovertest.RoutePatchMeta, quoting(400))
	fail(1, handovertest.RoutePatchInbox, quoting(400))
	fail(1, handovertest.RouteSend, handovertest.Fault{CutAfter: true})
	say := func(m handover.Incoming) {
		_, err := r.Receive(m)
		_ = ears.err(err)
	}
	turn, err := r.Receive(handover.Incoming{Text: hush("text")})
	require.NoError(r.T, err)
	_ = ears.err(r.H.Reply(ctx, turn, func(context.Context) error { return nil }))
	turn, err = r.Receive(handover.Incoming{Text: hush("help"), Payload: hush("payload")})
	require.NoError(r.T, err)
	_, err = r.H.Start(ctx, turn, handover.Request{
		Segments: []string{hush("segment")}, Note: hush("note"), Resume: hush("resume"), Inbox: inbox,
		User: handover.UserData{
			FirstName: hush("first"), LastName: hush("last"), Email: private + "@example.com", Phone: hush("phone"),
			Avatar: "https://example.com/" + private, Data: map[string]any{hush("key"): hush("value")},
		},
	})
	require.NoError(r.T, ears.err(err))
	r.After(time.Minute)
	conv := r.Crisp.Last()

	for _, f := range []handovertest.Fault{quoting(500), quoting(400), quoting(429), quoting(401), {CutAfter: true}, {CutBody: true}, {Refuse: true}, {Status: 200, Body: hush("body")}} {
		fail(1, handovertest.RouteSend, f)
		say(handover.Incoming{Text: hush("relayed")})
	}
	for _, route := range []string{handovertest.RouteMessages, handovertest.RouteConversation, handovertest.RouteRead, handovertest.RouteEdit, handovertest.RouteMessage, handovertest.RouteList} {
		fail(1, route, quoting(500))
		fail(1, route, handovertest.Fault{Status: 200, Body: `{"data":"` + hush("data") + `"`})
	}
	badMessages(r, ears)
	ann := conv.Operator(hush("Ann"))
	fp := ann.Say(hush("agent"))
	ann.Note(hush("privatenote"))
	ann.Send(hush("type"), map[string]any{"x": hush("content")})
	ann.Picker(hush("question"), hush("choice"))
	r.After(time.Minute)
	ann.Edit(fp, hush("edited"))
	r.After(time.Minute)
	say(handover.Incoming{Text: hush("choice")})
	forgedHooks(r, ears, conv)
	historyPages(r)
	ann.Resolve()
	r.After(time.Minute)
	r.Asks(handover.Request{})
	fail(1000, handovertest.RouteSend, quoting(503))
	short, cancel := context.WithTimeout(ctx, time.Second)
	defer cancel()
	_, err = r.H.Receive(short, handover.Incoming{Conversation: r.Conv, ID: "unsent", Text: hush("unsent")})
	require.Error(r.T, ears.err(err))
	r.After(10 * time.Minute)
	require.Equal(r.T, handover.StateBot, r.Session().State)
	brokenStore(r, ears)
	_ = ears.err(r.H.Shutdown(ctx))
	say(handover.Incoming{Text: hush("late")})
}

// badMessages are messages that the library refuses.
func badMessages(r *rig.Rig, ears *listener) {
	for _, m := range []handover.Incoming{
		{Text: hush(strings.Repeat("long", 30_000))},
		{Text: hush("x"), ID: strings.Repeat("i", 300)},
		{Files: []handover.File{{URL: "https://api.telegram.org/file/bot" + private + ":x/photo.jpg"}}},
		{Files: []handover.File{{URL: "https://user:" + private + "@example.com/a"}}},
		{Files: []handover.File{{URL: "https://" + private + " %zz"}}},
		{Files: []handover.File{{URL: "javascript:" + private}}},
		{ID: "m1", Text: hush("reused")},
	} {
		_, err := r.Receive(m)
		require.Error(r.T, ears.err(err))
	}
	_, err := handover.ParseRichMessages(`{"text":"` + hush("rich") + `","quick_replies":"` + hush("replies") + `"}`)
	require.Error(r.T, ears.err(err))
	_, err = handover.ParseRichMessages(`[{"text":"` + hush("rich") + `"`)
	require.Error(r.T, ears.err(err))
	var user handover.UserData
	require.Error(r.T, ears.err(json.Unmarshal([]byte(`{"a":"`+private+`","a":"`+private+`"}`), &user)))
	require.Error(r.T, ears.err(json.Unmarshal([]byte(`["`+private+`"]`), &user)))
	for _, change := range []func(c *handover.Config){
		func(c *handover.Config) { c.Token.Tier = "x"; c.Token.Key = handover.NewSecret(hush("key")) },
		func(c *handover.Config) { c.Webhook.Secrets = handover.NewSecrets(hush("secret"), "") },
		func(c *handover.Config) {
			c.History = handover.History{URL: "x", SigningKey: handover.NewSecret(private)}
		},
		func(c *handover.Config) { c.NoAgentText = `{"text":"` + private + `",}` },
		func(c *handover.Config) { c.BaseURL = "https://user:" + private + "@%zz" },
		func(c *handover.Config) { c.WebsiteID = private + "/" },
	} {
		c := goodConfig()
		change(&c)
		_, err := handover.New(c)
		require.Error(r.T, ears.err(err))
	}
}

// forgedHooks are hooks that nobody signed: nothing may come of them, and nothing of them be logged.
func forgedHooks(r *rig.Rig, ears *listener, conv *handovertest.Conversation) {
	body := handovertest.HookBody(r.Crisp.WebsiteID(), "message:received", time.Now(), map[string]any{
		"session_id": conv.ID(), "type": "text", "from": "operator", "content": hush("forged"), "fingerprint": 7, "timestamp": time.Now().UnixMilli(),
	})
	twice := bytes.Replace(body, []byte(`"type"`), []byte(`"type":"note","type"`), 1)
	for _, req := range []*http.Request{
		handovertest.Hook("/", hush("guess"), time.Now(), body),
		handovertest.Hook("/?key="+hush("guess"), "", time.Now(), body),
		handovertest.Hook("/", "", time.Now(), body),
		r.Signed(body[:len(body)-3]),
		r.Signed(twice),
		r.Signed([]byte(hush("words"))),
	} {
		_, err := handover.ReadEvent(nil, req.Clone(r.T.Context()), handover.Webhook{Secrets: handover.NewSecrets(r.Crisp.Secret(), hush("secret"))})
		_ = ears.err(err)
		req.Body = io.NopCloser(bytes.NewReader(body))
		r.Hooked(req)
	}
	ev, err := handover.ParseEvent(body)
	require.NoError(r.T, err)
	slog.New(slog.NewTextHandler(ears, nil)).Info("event", "event", ev, "message", *ev.Message, "token", handover.Token{Key: handover.NewSecret(hush("key"))})
}

// historyPages opens links that work, or not, to a transcript that cannot be had.
func historyPages(r *rig.Rig) {
	link, err := r.H.HistoryLink(r.Conv)
	require.NoError(r.T, err)
	u, err := url.Parse(link)
	require.NoError(r.T, err)
	for _, query := range []string{u.RawQuery, "t=" + private, "t=%zz" + private} {
		w := httptest.NewRecorder()
		req := httptest.NewRequest(http.MethodGet, "/history", nil)
		req.URL.RawQuery = query
		r.H.HistoryHandler().ServeHTTP(w, req)
		require.GreaterOrEqual(r.T, w.Code, 400)
		require.NotContains(r.T, w.Body.String(), private)
	}
}

// brokenStore calls everything while the store is down, and while it gives rubbish.
func brokenStore(r *rig.Rig, ears *listener) {
	for name, call := range calls {
		if name == "Forget" {
			continue
		}
		r.Store.Fails(true)
		_ = ears.err(call(r.T.Context(), r, turnOf(r)))
		r.Store.Fails(false)
	}
	rec := r.Record()
	good := rec.Data
	rec.Data = []byte(`{"v":1,"state":["` + hush("record") + `"]}`)
	version, err := r.Store.Save(r.T.Context(), rec)
	require.NoError(r.T, err)
	for name, call := range calls {
		if name != "Forget" {
			_ = ears.err(call(r.T.Context(), r, turnOf(r)))
		}
	}
	r.After(time.Minute)
	rec.Data, rec.Version = good, version
	_, err = r.Store.Save(r.T.Context(), rec)
	require.NoError(r.T, err)
}

// turnOf is a turn for the rig's conversation that cannot hold.
func turnOf(r *rig.Rig) handover.Turn { return handover.Turn{Conversation: r.Conv, MessageID: "m1"} }

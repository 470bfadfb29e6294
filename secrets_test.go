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
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/crisphandover/handover"
	"github.com/crisphandover/handover/handovertest"
)

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
	var deliveries int
	o := options{crisp: handovertest.Options{FreePlan: true}, config: func(r *rig, c *handover.Config) {
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
			switch deliveries++; deliveries % 4 {
			case 1:
				return "", fmt.Errorf("%w: %s", errHosts, m.Content.Text)
			case 2:
				panic(hush("panic"))
			}
			return r.Deliver(ctx, s, m)
		}
		c.OnEnd = func(ctx context.Context, s handover.Session, sum handover.Summary) error {
			if deliveries++; deliveries%2 == 0 {
				return errHosts
			}
			return r.OnEnd(ctx, s, sum)
		}
	}}
	bubble(t, o, func(r *rig) {
		noisyHandover(r, ears)
		identifier, key := r.Crisp.Token()
		text := ears.heard.String()
		require.Greater(t, ears.errors, 25)
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
func noisyHandover(r *rig, ears *listener) {
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
func badMessages(r *rig, ears *listener) {
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
func forgedHooks(r *rig, ears *listener, conv *handovertest.Conversation) {
	body := handovertest.HookBody(r.Crisp.WebsiteID(), "message:received", time.Now(), map[string]any{
		"session_id": conv.ID(), "type": "text", "from": "operator", "content": hush("forged"), "fingerprint": 7, "timestamp": time.Now().UnixMilli(),
	})
	twice := bytes.Replace(body, []byte(`"type"`), []byte(`"type":"note","type"`), 1)
	for _, req := range []*http.Request{
		handovertest.Hook("/", hush("guess"), time.Now(), body),
		handovertest.Hook("/?key="+hush("guess"), "", time.Now(), body),
		handovertest.Hook("/", "", time.Now(), body),
		r.signed(body[:len(body)-3]),
		r.signed(twice),
		r.signed([]byte(hush("words"))),
	} {
		_, err := handover.ReadEvent(nil, req.Clone(r.T.Context()), handover.Webhook{Secrets: handover.NewSecrets(r.Crisp.Secret(), hush("secret"))})
		_ = ears.err(err)
		req.Body = io.NopCloser(bytes.NewReader(body))
		r.hooked(req)
	}
	ev, err := handover.ParseEvent(body)
	require.NoError(r.T, err)
	slog.New(slog.NewTextHandler(ears, nil)).Info("event", "event", ev, "message", *ev.Message, "token", handover.Token{Key: handover.NewSecret(hush("key"))})
}

// historyPages opens links that work, or not, to a transcript that cannot be had.
func historyPages(r *rig) {
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
func brokenStore(r *rig, ears *listener) {
	for name, call := range calls {
		if name == "Forget" {
			continue
		}
		r.Store.Fails(true)
		_ = ears.err(call(r.T.Context(), r, r.turnOf()))
		r.Store.Fails(false)
	}
	rec := r.record()
	good := rec.Data
	rec.Data = []byte(`{"v":1,"state":["` + hush("record") + `"]}`)
	version, err := r.Store.Save(r.T.Context(), rec)
	require.NoError(r.T, err)
	for name, call := range calls {
		if name != "Forget" {
			_ = ears.err(call(r.T.Context(), r, r.turnOf()))
		}
	}
	r.After(time.Minute)
	rec.Data, rec.Version = good, version
	_, err = r.Store.Save(r.T.Context(), rec)
	require.NoError(r.T, err)
}

// turnOf is a turn for the rig's conversation that cannot hold.
func (r *rig) turnOf() handover.Turn { return handover.Turn{Conversation: r.Conv, MessageID: "m1"} }

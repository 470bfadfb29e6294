package main

import (
	"bufio"
	"bytes"
	"context"
	"encoding/base64"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"net/url"
	"os"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/crisphandover/handover"
	"github.com/crisphandover/handover/handovertest"
)

// The page itself is tried in a browser, by internal/integration.

// server is the example on a fake Crisp, without a socket to Crisp but with one to browsers.
type server struct {
	t      *testing.T
	app    *app
	base   string
	client *http.Client // a browser's: it keeps its cookie
}

func newServer(t *testing.T) *server {
	t.Helper()
	fake := handovertest.NewCrisp(t, handovertest.Options{Operators: operators})
	a := &app{config: configOf(fake), fake: fake, chat: newChat(), files: &files{}}
	a.inbox = &inbox{crisp: fake, files: a.files, typing: map[string]bool{}}
	a.config.History = handover.History{URL: "https://bot.invalid/history", SigningKey: handover.NewSecret(strings.Repeat("k", 32))}
	b, err := newBot(a.config, a.chat)
	require.NoError(t, err)
	fake.Attach(b)
	listening := httptest.NewServer(routes{chat: a.chat, bot: b, files: a.files}.handler(&page{Inbox: true}, a.inbox))
	a.files.base = listening.URL
	ctx, cancel := context.WithCancel(context.Background())
	go b.Run(ctx)
	t.Cleanup(func() {
		cancel()
		listening.CloseClientConnections()
		listening.Close()
		require.NoError(t, b.Shutdown(context.Background()))
	})
	s := &server{t: t, app: a, base: listening.URL}
	s.client = s.browser()
	return s
}

// browser is a new browser that has loaded the page.
func (s *server) browser() *http.Client {
	s.t.Helper()
	response, err := http.Get(s.base)
	require.NoError(s.t, err)
	response.Body.Close()
	require.Len(s.t, response.Cookies(), 1)
	cookie := response.Cookies()[0]
	require.True(s.t, cookie.HttpOnly)
	require.Equal(s.t, http.SameSiteLaxMode, cookie.SameSite)
	return &http.Client{Transport: withCookie{cookie}}
}

// withCookie sends a cookie with each request.
type withCookie struct{ cookie *http.Cookie }

func (w withCookie) RoundTrip(r *http.Request) (*http.Response, error) {
	r.AddCookie(w.cookie)
	return http.DefaultTransport.RoundTrip(r)
}

// user is the room of the server's browser.
func (s *server) user() string {
	r := &http.Request{Header: http.Header{}}
	r.AddCookie(s.client.Transport.(withCookie).cookie)
	return visitor(r)
}

// posts posts JSON and returns the status.
func (s *server) posts(path, body string, header ...string) int {
	s.t.Helper()
	r, err := http.NewRequest(http.MethodPost, s.base+path, strings.NewReader(body))
	require.NoError(s.t, err)
	for i := 0; i < len(header); i += 2 {
		r.Header.Set(header[i], header[i+1])
	}
	response, err := s.client.Do(r)
	require.NoError(s.t, err)
	response.Body.Close()
	return response.StatusCode
}

// event is a server-sent event.
type event struct{ ID, Name, Data string }

// reads opens the stream as a page does that has seen last, and returns what comes up to "ready".
func (s *server) reads(last string) []event {
	s.t.Helper()
	ctx, cancel := context.WithCancel(s.t.Context())
	defer cancel()
	r, err := http.NewRequestWithContext(ctx, http.MethodGet, s.base+"/chat/events", nil)
	require.NoError(s.t, err)
	if last != "" {
		r.Header.Set("Last-Event-ID", last)
	}
	response, err := s.client.Do(r)
	require.NoError(s.t, err)
	defer response.Body.Close()
	require.Equal(s.t, "text/event-stream", response.Header.Get("Content-Type"))
	var all []event
	var e event
	for lines := bufio.NewScanner(response.Body); lines.Scan(); {
		name, value, _ := strings.Cut(lines.Text(), ": ")
		switch name {
		case "id":
			e.ID = value
		case "event":
			e.Name = value
		case "data":
			e.Data = value
		case "":
			if e.Name == "ready" {
				return all
			}
			if e.Name != "" {
				all = append(all, e)
			}
			e = event{}
		}
	}
	s.t.Fatal("the stream ended")
	return nil
}

// messages are the events that are messages, as "place text", with their ids.
func messages(t *testing.T, events []event) (lines, ids []string) {
	t.Helper()
	for _, e := range events {
		if e.Name != "message" {
			continue
		}
		var v view
		require.NoError(t, json.Unmarshal([]byte(e.Data), &v))
		text := v.Content.Text
		if v.Removed {
			text = "(removed)"
		}
		lines, ids = append(lines, fmt.Sprint(v.Place, " ", text)), append(ids, e.ID)
	}
	return lines, ids
}

// says puts a message of an agent's into the log.
func (s *server) says(id, text string) {
	s.t.Helper()
	_, err := s.app.chat.deliver(s.t.Context(), handover.Session{Conversation: conversation(s.user())},
		handover.Message{ID: id, From: handover.FromAgent, Agent: handover.Agent{ID: "operator", Name: "Ann"}, Content: handover.TextMessage(text)})
	require.NoError(s.t, err)
}

func (s *server) revises(id, text string, removed bool) {
	s.t.Helper()
	require.NoError(s.t, s.app.chat.revise(s.t.Context(), handover.Session{Conversation: conversation(s.user())},
		handover.Revision{Message: handover.Message{ChannelID: id, Content: handover.TextMessage(text)}, Removed: removed}))
}

// TestEvents comes back to the stream at each point: no gap, no double.
func TestEvents(t *testing.T) {
	s := newServer(t)
	s.says("a", "one")
	s.says("b", "two")
	s.says("a", "one again") // an attempt that was not needed
	all, ids := messages(t, s.reads(""))
	require.Equal(t, []string{"1 one", "2 two"}, all)
	s.says("c", "three")
	s.revises("a", "one!", false)
	s.revises("c", "", true)
	for last, want := range map[string][]string{
		"":     {"2 two", "1 one!", "3 (removed)"},
		ids[0]: {"2 two", "1 one!", "3 (removed)"},
		ids[1]: {"1 one!", "3 (removed)"},
	} {
		got, _ := messages(t, s.reads(last))
		require.Equal(t, want, got, "after %q", last)
	}
	_, ids = messages(t, s.reads(""))
	got, _ := messages(t, s.reads(ids[2]))
	require.Empty(t, got)
	require.NotContains(t, fmt.Sprint(s.reads("")), "operator", "Crisp's ids are nobody's business")
}

// TestEventsOfAnotherLog tells a page that what it has is gone.
func TestEventsOfAnotherLog(t *testing.T) {
	s := newServer(t)
	s.says("a", "one")
	for _, last := range []string{"ANOTHER-7", "nonsense", s.app.chat.boot, s.app.chat.boot + "-x"} {
		events := s.reads(last)
		require.Equal(t, "reset", events[0].Name, "after %q", last)
		got, _ := messages(t, events)
		require.Equal(t, []string{"1 one"}, got)
	}
	require.NotEqual(t, "reset", s.reads("")[0].Name)
}

// TestMessageAgain posts a message twice, as a page does whose answer was lost.
func TestMessageAgain(t *testing.T) {
	s := newServer(t)
	for range 2 { // while the bot answers it, and later
		for range 2 {
			require.Equal(t, 204, s.posts("/chat/messages", `{"id":"1","text":"When do you open?"}`))
		}
		s.app.fake.Settle()
	}
	got, _ := messages(t, s.reads(""))
	require.Equal(t, []string{"1 When do you open?", "2 We are open from 9 to 18, every day but Sunday."}, got)
}

// TestRefused has Crisp refuse a message for good: the user is told.
func TestRefused(t *testing.T) {
	s := newServer(t)
	require.Equal(t, 204, s.posts("/chat/human", `{}`))
	s.app.fake.Fail(1, handovertest.Fault{Route: handovertest.RouteSend, Status: 400})
	require.Equal(t, 204, s.posts("/chat/messages", `{"id":"1","text":"My question"}`))
	s.app.fake.Settle()
	got, _ := messages(t, s.reads(""))
	require.Contains(t, got[len(got)-1], "your last message could not be sent")
}

// TestChoice is taken once, however many pages a user has open.
func TestChoice(t *testing.T) {
	s := newServer(t)
	s.app.chat.say(conversation(s.user()), "0", replies("Which?", "Opening hours", "Hello"))
	choose := func(id, title string) int {
		return s.posts("/chat/messages", fmt.Sprintf(`{"id":%q,"text":%q,"payload":%q,"place":1}`, id, title, title))
	}
	require.Equal(t, 409, choose("0", "Something else"), "not one of them")
	require.Equal(t, 204, choose("1", "Opening hours"))
	require.Equal(t, 409, choose("2", "Hello"))
	require.Equal(t, 409, choose("3", "Opening hours"))
	require.Equal(t, 204, choose("1", "Opening hours"), "the same message again")
	require.Equal(t, 409, s.posts("/chat/messages", `{"id":"4","text":"Hello","place":99}`))
	require.Contains(t, fmt.Sprint(s.reads("")), `"chosen":"Opening hours"`)
}

// TestBadPosts refuses what the page does not post.
func TestBadPosts(t *testing.T) {
	s := newServer(t)
	for name, c := range map[string]struct {
		body   string
		status int
	}{
		"not JSON":      {`{`, 422},
		"wrong types":   {`{"id":1}`, 422},
		"user data":     {`{"id":"1","text":"x","user":[]}`, 422},
		"no id":         {`{"text":"x"}`, 422},
		"empty":         {`{"id":"1","text":" \n"}`, 422},
		"unknown file":  {`{"id":"1","file":"x"}`, 422},
		"NUL in the id": {`{"id":"\u0000","text":"x"}`, 422},
		"too long":      {`{"id":"1","text":"` + strings.Repeat("x", 100_001) + `"}`, 422},
		"far too long":  {`{"id":"1","text":"` + strings.Repeat("x", maxPosted) + `"}`, 422},
	} {
		t.Run(name, func(t *testing.T) { require.Equal(t, c.status, s.posts("/chat/messages", c.body)) })
	}
	require.True(t, s.app.chat.room(s.user()).find("1").Failed, "the text that is too long is in the log")
	require.Equal(t, 403, s.posts("/chat/messages", `{"id":"1","text":"x"}`, "Sec-Fetch-Site", "cross-site"), "another site's page")
	require.Equal(t, 403, s.posts("/inbox/presence", `{}`, "Sec-Fetch-Site", "cross-site"))
	require.Equal(t, 403, s.posts("/chat/leave", `{}`, "Origin", "https://evil.example"))
	response, err := http.Post(s.base+"/chat/messages", "application/json", strings.NewReader(`{"id":"1","text":"x"}`))
	require.NoError(t, err)
	response.Body.Close()
	require.Equal(t, 403, response.StatusCode, "without a cookie")
	for _, body := range []string{`{`, `{"as":"Mallory","do":"say","text":"x"}`, `{"as":"Ann","do":"say","text":"x"}`} {
		require.Equal(t, 400, s.posts("/inbox/conversations/0", body), "there is no conversation yet")
	}
}

// TestCookieStaysHere looks for it where agents could find it, who could then write as the user.
func TestCookieStaysHere(t *testing.T) {
	s := newServer(t)
	require.Equal(t, 204, s.posts("/chat/human", `{}`))
	s.app.fake.Settle()
	_, link, found := strings.Cut(s.app.fake.Last().Transcript()[0], "?t=")
	require.True(t, found)
	token, err := base64.RawURLEncoding.DecodeString(link)
	require.NoError(t, err)
	require.NotContains(t, string(token), s.client.Transport.(withCookie).cookie.Value)
}

// TestOthers sees nothing of another user's.
func TestOthers(t *testing.T) {
	s := newServer(t)
	s.says("a", "secret")
	s.client = s.browser()
	got, _ := messages(t, s.reads(""))
	require.Empty(t, got)
}

// TestAway leaves messages in the log while nobody has the page open, and says so to the library.
func TestAway(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c := newChat()
		s := handover.Session{Conversation: conversation("user")}
		deliver := func(id string) error {
			kept, err := c.deliver(t.Context(), s, handover.Message{ID: id, From: handover.FromAgent, Content: handover.TextMessage(id)})
			require.Equal(t, id, kept)
			return err
		}
		leave := c.room("user").enter()
		time.Sleep(time.Hour)
		require.NoError(t, deliver("open"))
		leave()
		time.Sleep(graceTime)
		require.NoError(t, deliver("being loaded again"))
		time.Sleep(time.Second)
		require.ErrorIs(t, deliver("closed"), handover.ErrUserAway)
		news, _, _ := c.room("user").since(0)
		require.Len(t, news, 3)
		require.NoError(t, c.revise(t.Context(), s, handover.Revision{Removed: true, Message: handover.Message{ChannelID: "closed"}}))
		news, _, _ = c.room("user").since(3)
		require.True(t, news[0].Removed, "whoever comes back does not see it")
	})
}

// TestTypingVanishes forgets an agent who types and never says that they stopped.
func TestTypingVanishes(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c := newChat()
		s := handover.Session{Conversation: conversation("user")}
		c.agentTyping(t.Context(), s, handover.AgentTyping{On: true, Agent: handover.Agent{Name: "Ann"}})
		_, now, _ := c.room("user").since(0)
		require.Equal(t, "Ann", now.Typing)
		time.Sleep(time.Minute)
		_, now, _ = c.room("user").since(0)
		require.Empty(t, now.Typing)
	})
}

func TestFiles(t *testing.T) {
	s := newServer(t)
	png, err := os.ReadFile("../../internal/integration/webchat_bike.png")
	require.NoError(t, err)
	for name, c := range map[string]struct {
		name        string
		content     []byte
		kind, place string
	}{
		"picture":             {"bike.png", png, "image/png", "inline"},
		"page":                {"page.html", []byte("<script>alert(1)</script>"), "application/octet-stream", `attachment; filename=page.html`},
		"page as a picture":   {"page.png", []byte("<html><script>alert(1)</script>"), "application/octet-stream", `attachment; filename=page.png`},
		"SVG":                 {"a.svg", []byte(`<svg xmlns="http://www.w3.org/2000/svg" onload="alert(1)"/>`), "application/octet-stream", `attachment; filename=a.svg`},
		"folder in the name":  {"../../etc/passwd", []byte("x"), "application/octet-stream", `attachment; filename=file`},
		"quotes in the name":  {`a";b`, []byte("x"), "application/octet-stream", `attachment; filename="a\";b"`},
		"a line in the name":  {"a\r\nSet-Cookie: x", []byte("x"), "application/octet-stream", `attachment; filename*=utf-8''a%0D%0ASet-Cookie%3A%20x`},
		"no name":             {"", []byte("x"), "application/octet-stream", `attachment; filename=file`},
		"letters of a script": {"自転車.txt", []byte("x"), "application/octet-stream", `attachment; filename*=utf-8''%E8%87%AA%E8%BB%A2%E8%BB%8A.txt`},
	} {
		t.Run(name, func(t *testing.T) {
			response, err := s.client.Post(s.base+"/files?name="+url.QueryEscape(c.name), "", bytes.NewReader(c.content))
			require.NoError(t, err)
			defer response.Body.Close()
			id, err := io.ReadAll(response.Body)
			require.NoError(t, err)
			file, ok := s.app.files.find(string(id))
			require.True(t, ok)
			require.EqualValues(t, len(c.content), file.Size)
			got, err := http.Get(file.URL) // agents have no cookie
			require.NoError(t, err)
			defer got.Body.Close()
			content, err := io.ReadAll(got.Body)
			require.NoError(t, err)
			require.Equal(t, c.content, content)
			require.Equal(t, c.kind, got.Header.Get("Content-Type"))
			require.Equal(t, c.place, got.Header.Get("Content-Disposition"))
			require.Equal(t, "nosniff", got.Header.Get("X-Content-Type-Options"))
			require.Equal(t, "default-src 'none'; sandbox", got.Header.Get("Content-Security-Policy"))
			require.Empty(t, got.Header.Get("Set-Cookie"))
		})
	}
	require.Equal(t, 413, s.posts("/files", strings.Repeat("x", maxFile+1)))
	require.Equal(t, 413, s.posts("/files", ""))
	first := s.app.files.order[0]
	for range maxFiles {
		require.Equal(t, 200, s.posts("/files", "x"))
	}
	require.Len(t, s.app.files.all, maxFiles)
	_, ok := s.app.files.find(first)
	require.False(t, ok, "the oldest goes")
}

// TestPicture asks Crisp's servers only.
func TestPicture(t *testing.T) {
	for address, want := range map[string]bool{
		"https://storage.crisp.chat/users/upload/a.png": true,
		"https://image.crisp.chat/avatar/a":             true,
		"http://storage.crisp.chat/a.png":               false,
		"https://storage.crisp.chat:8443/a.png":         false,
		"https://user@storage.crisp.chat/a.png":         false,
		"https://storage.crisp.chat.evil.example/a":     false,
		"https://evilcrisp.chat/a":                      false,
		"https://127.0.0.1/.crisp.chat":                 false,
		"file:///etc/passwd":                            false,
		"//storage.crisp.chat/a":                        false,
	} {
		u, err := url.Parse(address)
		require.NoError(t, err)
		require.Equal(t, want, isCrisp(u), address)
	}
	for name, c := range map[string]struct {
		status int
		kind   string
		want   int
	}{
		"picture":   {200, "image/png", 200},
		"SVG":       {200, "image/svg+xml", 404},
		"page":      {200, "text/html", 404},
		"elsewhere": {302, "image/png", 404},
	} {
		t.Run(name, func(t *testing.T) {
			defer func(old http.RoundTripper) { pictureClient.Transport = old }(pictureClient.Transport)
			pictureClient.Transport = roundTrip(func(r *http.Request) (*http.Response, error) {
				require.Empty(t, r.Header.Get("Cookie"))
				return &http.Response{StatusCode: c.status, Header: http.Header{"Content-Type": {c.kind}, "Location": {"http://127.0.0.1/"}},
					Body: io.NopCloser(strings.NewReader("content")), Request: r}, nil
			})
			w := httptest.NewRecorder()
			r := httptest.NewRequest(http.MethodGet, "/picture?url="+url.QueryEscape("https://storage.crisp.chat/a"), nil)
			r.AddCookie(&http.Cookie{Name: cookieName, Value: "secret"})
			picture(w, r)
			require.Equal(t, c.want, w.Code)
			require.Equal(t, c.want == 200, w.Body.String() == "content")
		})
	}
}

type roundTrip func(*http.Request) (*http.Response, error)

func (f roundTrip) RoundTrip(r *http.Request) (*http.Response, error) { return f(r) }

// TestRun starts, says where it is, restarts, and stops.
func TestRun(t *testing.T) {
	for name, c := range map[string]struct {
		env map[string]string
		err string
	}{
		"no setting":        {env: map[string]string{}},
		"a part of Crisp's": {env: map[string]string{"CRISP_KEY": "x"}, err: "WebsiteID must be"},
		"no such address":   {env: map[string]string{"LISTEN": "nonsense"}, err: "listen"},
	} {
		t.Run(name, func(t *testing.T) {
			ctx, cancel := context.WithCancel(t.Context())
			defer cancel()
			if c.env["LISTEN"] == "" {
				c.env["LISTEN"] = "127.0.0.1:0"
			}
			restart := make(chan os.Signal)
			out, in := io.Pipe()
			ended := make(chan error, 1)
			go func() {
				ended <- run(ctx, restart, func(key string) string { return c.env[key] }, in)
				in.Close()
			}()
			base, rest := bufio.NewReader(out), ""
			if c.err != "" {
				require.ErrorContains(t, <-ended, c.err)
				return
			}
			rest, err := base.ReadString('\n')
			require.NoError(t, err)
			address := strings.TrimSpace(rest)
			for range 3 {
				response, err := http.Get(address)
				require.NoError(t, err)
				response.Body.Close()
				require.Equal(t, 200, response.StatusCode)
				restart <- os.Interrupt
				http.DefaultClient.CloseIdleConnections()
				require.Eventually(t, func() bool {
					response, err := http.Get(address)
					if err == nil {
						response.Body.Close()
					}
					return err == nil
				}, 10*time.Second, 10*time.Millisecond)
			}
			cancel()
			more, err := io.ReadAll(base)
			require.NoError(t, err)
			require.Empty(t, string(more), "one address, and nothing else")
			require.NoError(t, <-ended)
		})
	}
}

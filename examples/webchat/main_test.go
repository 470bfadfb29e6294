package main

import (
	"bufio"
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"net/http/cookiejar"
	"net/http/httptest"
	"regexp"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/crisphandover/handover/handovertest"
)

// The pages are tried in a browser, by internal/integration.

// started runs the example without more settings than these, until the test ends.
func started(t *testing.T, env map[string]string) (base string) {
	t.Helper()
	ctx, cancel := context.WithCancel(t.Context())
	out, in := io.Pipe()
	ended := make(chan error, 1)
	go func() {
		ended <- run(ctx, func(name string) string { return env[name] }, in)
		in.Close()
	}()
	lines := bufio.NewReader(out)
	line, err := lines.ReadString('\n')
	require.NoError(t, err)
	t.Cleanup(func() {
		cancel()
		rest, _ := io.ReadAll(lines)
		require.Empty(t, rest, "one address, and nothing else")
		require.NoError(t, <-ended)
		http.DefaultClient.CloseIdleConnections()
	})
	return strings.TrimSpace(line)
}

// person is a browser.
type person struct {
	t    *testing.T
	base string
	http.Client
}

func visits(t *testing.T, base string) *person {
	t.Helper()
	jar, err := cookiejar.New(nil)
	require.NoError(t, err)
	p := &person{t: t, base: base, Client: http.Client{Jar: jar}}
	response, err := p.Get(base)
	require.NoError(t, err)
	page, err := io.ReadAll(response.Body)
	response.Body.Close()
	require.NoError(t, err)
	token := regexp.MustCompile(`data-session="([^"]*)"`).FindSubmatch(page)
	require.NotNil(t, token)
	require.Equal(t, 200, p.posts("/chat/session", fmt.Sprintf(`{"session":%q}`, token[1])))
	return p
}

func (p *person) posts(path, body string) int {
	p.t.Helper()
	response, err := p.Post(p.base+path, "application/json", strings.NewReader(body))
	require.NoError(p.t, err)
	response.Body.Close()
	return response.StatusCode
}

// follows reads a stream until its data holds a text.
func (p *person) follows(path, text string) {
	p.t.Helper()
	ctx, cancel := context.WithTimeout(p.t.Context(), time.Minute)
	defer cancel()
	r, err := http.NewRequestWithContext(ctx, http.MethodGet, p.base+path, nil)
	require.NoError(p.t, err)
	response, err := p.Do(r)
	require.NoError(p.t, err)
	defer response.Body.Close()
	lines := bufio.NewReader(response.Body)
	for {
		line, err := lines.ReadString('\n')
		require.NoError(p.t, err, "waits for %q", text)
		if strings.Contains(line, text) {
			return
		}
	}
}

// TestWholeHandover plays one, without any setting.
func TestWholeHandover(t *testing.T) {
	p := visits(t, started(t, map[string]string{"ADDR": "127.0.0.1:0"}))
	say := func(id, text string) {
		t.Helper()
		require.Equal(t, 204, p.posts("/chat/messages", fmt.Sprintf(`{"id":%q,"text":%q}`, id, text)))
	}
	ann := func(action string) {
		t.Helper()
		require.Equal(t, 204, p.posts("/inbox/conversations/0", `{"as":"Ann",`+action+`}`))
	}
	say("1", "Where is my order?")
	p.follows("/chat/events", "should be with you on Friday")
	say("2", "A human, please")
	p.follows("/chat/events", "A person will be with you soon")
	say("3", "I was promised Tuesday")
	p.follows("/inbox/events", "I was promised Tuesday")
	p.follows("/inbox/events", "anakin@example.com")
	ann(`"do":"say","text":"I look for it"`)
	p.follows("/chat/events", "I look for it")
	ann(`"do":"picker","text":"When?","lines":"Today\nTomorrow"`)
	p.follows("/chat/events", `"title":"Tomorrow"`)
	ann(`"do":"resolve"`)
	p.follows("/chat/events", "This conversation was closed")
	say("4", "When do you open?")
	p.follows("/chat/events", "We are open from 9 to 18")

	other := visits(t, p.base)
	require.Equal(t, 204, other.posts("/chat/human", `{}`))
	p.follows("/inbox/events", "Leia Organa") // another name
}

// TestDesk is nobody's but the demonstration's.
func TestDesk(t *testing.T) {
	base := started(t, map[string]string{"ADDR": "127.0.0.1:0"})
	p := visits(t, base)
	for _, body := range []string{`{`, `{"as":"Mallory","do":"say","text":"x"}`, `{"as":"Ann","do":"say","text":"x"}`} {
		require.Equal(t, 400, p.posts("/inbox/conversations/0", body), "there is no conversation yet")
	}
	require.Equal(t, 405, p.posts("/", ""))
	status := func(method, path string, change func(*http.Request)) int {
		r, err := http.NewRequest(method, base+path, strings.NewReader(`{}`))
		require.NoError(t, err)
		change(r)
		response, err := http.DefaultClient.Do(r)
		require.NoError(t, err)
		response.Body.Close()
		return response.StatusCode
	}
	same := func(*http.Request) {}
	require.Equal(t, 404, status("POST", "/crisp/hooks", same), "strangers post no hooks")
	require.Equal(t, 404, status("GET", "/inbox/", same), "no list of files")
	require.Equal(t, 404, status("GET", "/inbox/index.html.tmpl", same))
	require.Equal(t, 200, status("GET", "/inbox/inbox.js", same))
	for _, path := range []string{"/inbox/events", "/inbox/inbox.js"} {
		require.Equal(t, 421, status("GET", path, func(r *http.Request) { r.Host = "evil.example" }), "a name that leads here: %s", path)
	}
	require.Equal(t, 421, status("POST", "/inbox/presence", func(r *http.Request) { r.Host = "evil.example" }))
	require.Equal(t, 403, status("POST", "/inbox/presence", func(r *http.Request) { r.Header.Set("Sec-Fetch-Site", "cross-site") }))

	a, b := handovertest.New(handovertest.Options{}), handovertest.New(handovertest.Options{})
	defer a.Close()
	defer b.Close()
	require.NotEqual(t, a.Secret(), b.Secret(), "nobody can compute it")
}

// TestStart says what is missing.
func TestStart(t *testing.T) {
	for name, c := range map[string]struct {
		env map[string]string
		err string
	}{
		"a part of Crisp's": {map[string]string{"ADDR": "127.0.0.1:0", "CRISP_KEY": "x"}, "WebsiteID must be"},
		"no such address":   {map[string]string{"ADDR": "nonsense"}, "set ADDR"},
		"a short key":       {map[string]string{"ADDR": "127.0.0.1:0", "CHAT_KEY": "short"}, "32 bytes"},
		"no URL":            {map[string]string{"ADDR": "127.0.0.1:0", "PUBLIC_URL": "shop.example"}, "URL must be"},
	} {
		t.Run(name, func(t *testing.T) {
			require.ErrorContains(t, run(t.Context(), func(name string) string { return c.env[name] }, io.Discard), c.err)
		})
	}
}

// slowPage is a page behind a connection whose writes fail after their deadline.
type slowPage struct {
	bytes.Buffer
	header   http.Header
	deadline time.Time
	late     int
}

func (p *slowPage) Header() http.Header { return p.header }
func (p *slowPage) WriteHeader(int)     {}
func (p *slowPage) Flush()              {}
func (p *slowPage) SetWriteDeadline(at time.Time) error {
	p.deadline = at
	return nil
}
func (p *slowPage) Write(b []byte) (int, error) {
	if time.Now().After(p.deadline) {
		p.late++
	}
	return p.Buffer.Write(b)
}

// TestInboxQuiet changes something after a quiet minute: the stream goes on.
func TestInboxQuiet(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		d := &desk{crisp: handovertest.NewCrisp(t, handovertest.Options{Operators: operators}), typing: map[string]bool{}}
		p := &slowPage{header: http.Header{}}
		go d.events(p, httptest.NewRequestWithContext(t.Context(), http.MethodGet, "/inbox/events", nil))
		synctest.Wait()
		time.Sleep(time.Minute)
		d.away.Store(true)
		d.crisp.Away()
		synctest.Wait()
		require.Zero(t, p.late)
		require.Contains(t, p.String(), `"online":false`)
		var view inboxView
		_, data, _ := strings.Cut(p.String(), "data: ")
		data, _, _ = strings.Cut(data, "\n")
		require.NoError(t, json.Unmarshal([]byte(data), &view))
		require.True(t, view.Online)
	})
}

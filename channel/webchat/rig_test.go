package webchat

import (
	"bufio"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/crisphandover/handover"
	"github.com/crisphandover/handover/handovertest"
)

// The page itself is tried in a browser, by internal/integration.

const (
	testURL = "https://shop.example/chat/"
	testKey = "0123456789abcdef0123456789abcdef"
)

// rig is a chat on a fake Crisp, with a socket for browsers.
type rig struct {
	t     *testing.T
	crisp *handovertest.Crisp
	chat  *Chat
	h     *handover.Handover
	base  string
	*browser
}

// newRig serves a chat whose bot says "You said …", and asks for a human when the user does.
func newRig(t *testing.T, change ...func(*Config)) *rig {
	t.Helper()
	c := Config{URL: testURL, Key: handover.NewSecret(testKey)}
	for _, fn := range change {
		fn(&c)
	}
	chat, err := New(c)
	require.NoError(t, err)
	crisp := handovertest.NewCrisp(t, handovertest.Options{Operators: []string{"Ann"}})
	config := crisp.Config()
	config.Answer = func(ctx context.Context, _ handover.Turn, m handover.Incoming) (*handover.Request, error) {
		if strings.Contains(m.Text, "human") {
			return &handover.Request{}, nil
		}
		return nil, chat.SendOnce(ctx, m.Conversation.ID, m.ID, handover.TextMessage("You said "+m.Text))
	}
	require.NoError(t, chat.Attach(&config))
	h, err := handover.New(config)
	require.NoError(t, err)
	crisp.Run(h)
	r := serve(t, chat, h)
	r.crisp, r.h = crisp, h
	r.browser = r.opens(`{"session":null}`)
	return r
}

// serve serves a chat.
func serve(t *testing.T, chat *Chat, h Host) *rig {
	t.Helper()
	server := httptest.NewServer(chat.Handler(h))
	t.Cleanup(func() {
		server.CloseClientConnections()
		server.Close()
	})
	return &rig{t: t, chat: chat, base: server.URL + "/chat"}
}

// browser is one that has the page open.
type browser struct {
	t      *testing.T
	base   string
	cookie *http.Cookie
	begun  begun
}

// opens opens the page in a new browser.
func (r *rig) opens(body string, header ...string) *browser {
	r.t.Helper()
	b := &browser{t: r.t, base: r.base}
	require.Equal(r.t, http.StatusOK, b.begins(body, header...))
	require.NotNil(r.t, b.cookie)
	return b
}

// begins opens the page again, and returns the status.
func (b *browser) begins(body string, header ...string) int {
	b.t.Helper()
	response := b.does(http.MethodPost, "/session", strings.NewReader(body), header...)
	defer response.Body.Close()
	for _, cookie := range response.Cookies() {
		b.cookie = cookie
	}
	if response.StatusCode == http.StatusOK {
		b.begun = begun{}
		require.NoError(b.t, json.NewDecoder(response.Body).Decode(&b.begun))
	}
	return response.StatusCode
}

// does makes a request with the browser's cookie.
func (b *browser) does(method, path string, body io.Reader, header ...string) *http.Response {
	b.t.Helper()
	return b.doesUntil(b.t.Context(), method, path, body, header...)
}

func (b *browser) doesUntil(ctx context.Context, method, path string, body io.Reader, header ...string) *http.Response {
	b.t.Helper()
	r, err := http.NewRequestWithContext(ctx, method, b.base+path, body)
	require.NoError(b.t, err)
	if b.cookie != nil {
		r.AddCookie(b.cookie)
	}
	for i := 0; i < len(header); i += 2 {
		r.Header.Set(header[i], header[i+1])
	}
	response, err := http.DefaultClient.Do(r)
	require.NoError(b.t, err)
	return response
}

// posts posts JSON and returns the status.
func (b *browser) posts(path, body string, header ...string) int {
	b.t.Helper()
	response := b.does(http.MethodPost, path, strings.NewReader(body), header...)
	response.Body.Close()
	return response.StatusCode
}

// conversation is that of a browser.
func (r *rig) conversationOf(b *browser) handover.Conversation {
	request := &http.Request{Header: http.Header{}}
	request.AddCookie(b.cookie)
	who, ok := r.chat.sessionOf(request)
	require.True(r.t, ok)
	return r.chat.conversation(who.id)
}

// event is a server-sent event.
type event struct{ ID, Name, Data string }

// reads opens the stream as a page does that has seen last, and returns what comes up to "ready".
func (b *browser) reads(last string) []event {
	b.t.Helper()
	response := b.streams(last)
	defer response.Body.Close()
	require.Equal(b.t, "text/event-stream", response.Header.Get("Content-Type"))
	var all []event
	for e := range eventsOf(response.Body) {
		if e.Name == "ready" {
			return all
		}
		all = append(all, e)
	}
	b.t.Fatal("the stream ended")
	return nil
}

// streams opens the stream. To close its body closes the connection too, as a page does that is left; from Go 1.27 on
// Close alone reads on for a moment.
func (b *browser) streams(last string) *http.Response {
	b.t.Helper()
	ctx, leave := context.WithCancel(b.t.Context())
	b.t.Cleanup(leave)
	var header []string
	if last != "" {
		header = []string{"Last-Event-ID", last}
	}
	response := b.doesUntil(ctx, http.MethodGet, "/events", nil, header...)
	response.Body = leaving{response.Body, leave}
	return response
}

type leaving struct {
	io.ReadCloser
	leave func()
}

func (l leaving) Close() error {
	l.leave()
	return l.ReadCloser.Close()
}

// eventsOf reads a stream.
func eventsOf(body io.Reader) func(yield func(event) bool) {
	return func(yield func(event) bool) {
		var e event
		for lines := bufio.NewScanner(body); lines.Scan(); {
			switch name, value, _ := strings.Cut(lines.Text(), ": "); name {
			case "id":
				e.ID = value
			case "event":
				e.Name = value
			case "data":
				e.Data = value
			case "":
				if e.Name != "" && !yield(e) {
					return
				}
				e = event{}
			}
		}
	}
}

// messages are the events that are messages, as "from: text", with their ids.
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
		lines, ids = append(lines, fmt.Sprint(v.From, ": ", text)), append(ids, e.ID)
	}
	return lines, ids
}

// log is what the page shows.
func (b *browser) log() []string {
	b.t.Helper()
	lines, _ := messages(b.t, b.reads(""))
	return lines
}

// says puts a message of an agent's into the log.
func (r *rig) says(id, text string) {
	r.t.Helper()
	_, err := r.chat.Deliver(r.t.Context(), handover.Session{Conversation: r.conversationOf(r.browser)},
		handover.Message{ID: id, From: handover.FromAgent, Agent: handover.Agent{ID: "operator", Name: "Ann"}, Content: handover.TextMessage(text)})
	if err != nil {
		require.ErrorIs(r.t, err, handover.ErrUserAway)
	}
}

func (r *rig) revises(id, text string, removed bool) {
	r.t.Helper()
	require.NoError(r.t, r.chat.Revise(r.t.Context(), handover.Session{Conversation: r.conversationOf(r.browser)},
		handover.Revision{Message: handover.Message{ChannelID: id, Content: handover.TextMessage(text)}, Removed: removed}))
}

// body is a request's.
func body(text string) io.ReadCloser { return io.NopCloser(strings.NewReader(text)) }

package main

import (
	"bufio"
	"bytes"
	"context"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"os"
	"regexp"
	"strings"
	"testing"
	"testing/synctest"

	"github.com/stretchr/testify/require"

	"github.com/crisphandover/handover"
	"github.com/crisphandover/handover/handovertest"
)

// seen is what the user writes and sees in the story.
const seen = `user: Hello
bot: Hello, I am a bot. Ask me when we open, or for a human.
user: I want to talk to a human
bot: Ok, I will check if an agent is available right now.
system: It seems that nobody is available right now  [Contact me back via email] [Continue with the bot]
user: Continue with the bot
system: All right, I am listening.
user: When do you open?
bot: We open at nine.
user: It is nine now. A human, please
bot: Ok, I will check if an agent is available right now.
system: A person will be with you soon. You can already describe your question. [Back to the bot]
user: My invoice 42 is wrong
system: Ann joined the conversation.
agent Ann: Hello Anakin, I will look at invoice 42.
user: Thank you, Ann
agent Ann: It is corrected.
system: This conversation was closed. You are talking with the bot again.
user: When do you open tomorrow?
bot: We open at nine.
user: One more thing for a human
bot: Ok, I will check if an agent is available right now.
system: A person will be with you soon. You can already describe your question. [Back to the bot]
system: I am sorry, nobody could answer in time.
system: It seems that nobody is available right now  [Contact me back via email] [Continue with the bot]
user: When do you open on Sunday?
bot: We open at nine.
system: Ann joined the conversation.
agent Ann: I am sorry, I was at lunch. What is it?
user: When is it lunch time? Only you can know
agent Ann: At noon, for people.
system: This conversation was closed. You are talking with the bot again.
user: Bye
bot: Goodbye!
handover ended: resolved
`

// inCrisp is what happens in Crisp meanwhile.
const inCrisp = `website: online
conversation 0: created
conversation 0 (Anakin Skywalker): metas set: [data email nickname phone segments]
conversation 0 (Anakin Skywalker): user: Hi, this user need your help.
You can find the conversation history here: LINK
conversation 0 (Anakin Skywalker): operator (note): LINK
conversation 0 (Anakin Skywalker): user: My invoice 42 is wrong
conversation 0 (Anakin Skywalker): Ann (note): I read what they asked the bot. This note is for the team alone.
conversation 0 (Anakin Skywalker): Ann: Hello Anakin, I will look at invoice 42.
conversation 0 (Anakin Skywalker): unresolved
conversation 0 (Anakin Skywalker): user: Thank you, Ann
conversation 0 (Anakin Skywalker): Ann: It is corrected.
conversation 0 (Anakin Skywalker): resolved
conversation 0 (Anakin Skywalker): metas set: [data email nickname phone segments]
conversation 0 (Anakin Skywalker): user: Hi, this user need your help.
You can find the conversation history here: LINK
conversation 0 (Anakin Skywalker): pending
conversation 0 (Anakin Skywalker): operator (note): LINK
conversation 0 (Anakin Skywalker): operator (note): The user waited in vain and is talking with the bot again. Answer here to take over.
conversation 0 (Anakin Skywalker): Ann: I am sorry, I was at lunch. What is it?
conversation 0 (Anakin Skywalker): unresolved
conversation 0 (Anakin Skywalker): user: When is it lunch time? Only you can know
conversation 0 (Anakin Skywalker): Ann: At noon, for people.
conversation 0 (Anakin Skywalker): resolved
`

func TestStory(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		listener := newPipeListener()
		browser := &http.Transport{DialContext: listener.dial}
		defer browser.CloseIdleConnections()
		var out bytes.Buffer
		s, err := newStory(&out, listener, &http.Client{Transport: browser})
		require.NoError(t, err)
		require.NoError(t, s.play(t.Context()))
		require.Empty(t, s.crisp.Violations())

		text := out.String()
		require.Equal(t, seen, without(text, "crisp: "))
		require.Equal(t, inCrisp, links.ReplaceAllString(only(text, "crisp: "), "LINK"))
		shown := regexp.MustCompile(`(?m)^agent (Ann: .*)$`).FindAllStringSubmatch(text, -1)
		require.Len(t, shown, 4)
		for _, m := range shown {
			require.Less(t, strings.Index(text, "(Anakin Skywalker): "+m[1]), strings.Index(text, m[0]), "Crisp has it first")
		}

		page := httptest.NewRecorder()
		link := links.FindString(text)
		s.bot.HistoryHandler().ServeHTTP(page, httptest.NewRequest(http.MethodGet, link, nil))
		require.Equal(t, http.StatusOK, page.Code)
		require.Contains(t, page.Body.String(), "I want to talk to a human")
		page = httptest.NewRecorder()
		s.bot.HistoryHandler().ServeHTTP(page, httptest.NewRequest(http.MethodGet, link[:len(link)-2], nil))
		require.Equal(t, http.StatusNotFound, page.Code)
	})
}

// TestStoryInterrupted stops in the middle, which is no fault.
func TestStoryInterrupted(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var out bytes.Buffer
		s, err := newStory(&out, newPipeListener(), http.DefaultClient)
		require.NoError(t, err)
		ctx, cancel := context.WithTimeout(t.Context(), 2*readingTime)
		defer cancel()
		require.NoError(t, s.play(ctx))
		require.NotContains(t, out.String(), "Bye")
	})
}

// TestLive has the bot talk over sockets to the Crisp that the environment names.
func TestLive(t *testing.T) {
	crisp := handovertest.NewCrisp(t, handovertest.Options{
		Tier: "website", Hooks: handovertest.WebsiteHooks, FreePlan: true,
		Events: []string{"message:send", "message:updated", "message:received", "session:set_state"},
	})
	require.NoError(t, crisp.Listen())
	identifier, key := crisp.Token()
	config, isLive := crispOf(environment(map[string]string{
		"CRISP_WEBSITE_ID": crisp.WebsiteID(), "CRISP_TIER": "website", "CRISP_IDENTIFIER": identifier,
		"CRISP_KEY": key, "CRISP_WEBHOOK_KEY": crisp.HookKey(), "CRISP_URL": crisp.URL(),
	}))
	require.True(t, isLive)
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	require.NoError(t, err)
	crisp.AttachURL("http://" + listener.Addr().String() + "/crisp/hooks")

	input, user := io.Pipe()
	output, screen := io.Pipe()
	done := make(chan error, 1)
	go func() {
		err := live(t.Context(), config, listener, input, screen)
		screen.Close()
		done <- err
	}()
	lines := bufio.NewScanner(output)
	shows := func(want string) {
		t.Helper()
		require.True(t, lines.Scan(), "the program ended before %q", want)
		require.Equal(t, want, lines.Text())
	}
	says := func(text string) {
		t.Helper()
		_, err := io.WriteString(user, text+"\n\n")
		require.NoError(t, err)
		shows("user: " + text)
	}
	says("a human, please")
	shows("bot: Ok, I will check if an agent is available right now.")
	shows("system: A person will be with you soon. You can already describe your question. [Back to the bot]")
	says("it is urgent")
	conversation := crisp.Last()
	require.NoError(t, crisp.Await(t.Context(), func() bool { return len(conversation.Messages()) == 2 }))
	conversation.Operator("Ann").Say("I am here")
	shows("system: Ann joined the conversation.")
	shows("agent Ann: I am here")
	require.NoError(t, user.Close())
	shows("system: You are talking with the bot again.")
	shows("handover ended: user_left")
	require.False(t, lines.Scan())
	require.NoError(t, <-done)
}

// TestLivePiped answers what is written before it ends.
func TestLivePiped(t *testing.T) {
	crisp := handovertest.NewCrisp(t, handovertest.Options{Tier: "website"})
	require.NoError(t, crisp.Listen())
	identifier, key := crisp.Token()
	config, _ := crispOf(environment(map[string]string{
		"CRISP_WEBSITE_ID": crisp.WebsiteID(), "CRISP_TIER": "website", "CRISP_IDENTIFIER": identifier, "CRISP_KEY": key, "CRISP_URL": crisp.URL(),
	}))
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	require.NoError(t, err)
	var out bytes.Buffer
	require.NoError(t, live(t.Context(), config, listener, strings.NewReader("Hello\nWhen do you open?\n"), &out))
	require.Contains(t, out.String(), "bot: Hello, I am a bot.")
	require.Contains(t, out.String(), "bot: We open at nine.")
}

func TestCrispOf(t *testing.T) {
	_, isLive := crispOf(environment(nil))
	require.False(t, isLive)
	c, isLive := crispOf(environment(map[string]string{"CRISP_WEBHOOK_SECRET": "s"}))
	require.True(t, isLive, "New says what is missing")
	require.Len(t, c.Webhook.Secrets, 1)
	require.True(t, c.Webhook.Secrets[0].Equal(handover.NewSecret("s")))
	require.Empty(t, c.Webhook.URLKeys)
}

func TestWiringIsShort(t *testing.T) {
	file, err := os.ReadFile("bot.go")
	require.NoError(t, err)
	require.Less(t, bytes.Count(file, []byte("\n")), 40)
}

func environment(values map[string]string) func(string) string {
	return func(name string) string { return values[name] }
}

// only returns the lines that begin with the prefix, without it.
func only(text, prefix string) (found string) {
	for line := range strings.Lines(text) {
		if rest, ok := strings.CutPrefix(line, prefix); ok {
			found += rest
		}
	}
	return found
}

// without returns the lines that do not begin with the prefix.
func without(text, prefix string) (found string) {
	for line := range strings.Lines(text) {
		if !strings.HasPrefix(line, prefix) {
			found += line
		}
	}
	return found
}

// pipeListener listens without a socket, so that time can be faked.
type pipeListener struct {
	accept chan net.Conn
	closed context.Context
	cancel context.CancelFunc
}

func newPipeListener() *pipeListener {
	closed, cancel := context.WithCancel(context.Background())
	return &pipeListener{accept: make(chan net.Conn), closed: closed, cancel: cancel}
}

func (l *pipeListener) dial(ctx context.Context, _, _ string) (net.Conn, error) {
	here, there := net.Pipe()
	select {
	case l.accept <- there:
		return here, nil
	case <-ctx.Done():
		return nil, ctx.Err()
	case <-l.closed.Done():
		return nil, net.ErrClosed
	}
}

func (l *pipeListener) Accept() (net.Conn, error) {
	select {
	case conn := <-l.accept:
		return conn, nil
	case <-l.closed.Done():
		return nil, net.ErrClosed
	}
}

func (l *pipeListener) Close() error {
	l.cancel()
	return nil
}

func (l *pipeListener) Addr() net.Addr { return &net.TCPAddr{IP: net.IPv4(192, 0, 2, 1), Port: 80} }

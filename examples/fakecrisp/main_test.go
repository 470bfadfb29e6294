package main

import (
	"bufio"
	"context"
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync/atomic"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/crisphandover/handover"
)

// program is a run of serve.
type program struct {
	typing *io.PipeWriter
	env    map[string]string // what it exports
	record chan string       // what it prints after that; closed at its end
	ended  chan error
}

func start(t *testing.T, hooks string) *program {
	in, typing := io.Pipe()
	printing, out := io.Pipe()
	p := &program{typing: typing, env: map[string]string{}, record: make(chan string, 1000), ended: make(chan error, 1)}
	go func() {
		p.ended <- serve(in, out, hooks)
		out.Close()
	}()
	printed := bufio.NewScanner(printing)
	require.True(t, printed.Scan())
	for _, pair := range strings.Fields(strings.TrimPrefix(printed.Text(), "export ")) {
		name, value, _ := strings.Cut(pair, "=")
		p.env[name] = value
	}
	go func() {
		defer close(p.record)
		for printed.Scan() {
			p.record <- printed.Text()
		}
	}()
	return p
}

// bot reaches the program with the variables that it prints, and asks for a human at each message.
func (p *program) bot(t *testing.T, deliver func(m handover.Message)) *handover.Handover {
	h, err := handover.New(handover.Config{
		WebsiteID: p.env["CRISP_WEBSITE_ID"],
		Token: handover.Token{
			Tier: handover.Tier(p.env["CRISP_TIER"]), Identifier: handover.NewSecret(p.env["CRISP_IDENTIFIER"]), Key: handover.NewSecret(p.env["CRISP_KEY"]),
		},
		BaseURL: p.env["CRISP_URL"], Webhook: handover.Webhook{Secrets: handover.NewSecrets(p.env["CRISP_WEBHOOK_SECRET"])},
		Store: &handover.MemoryStore{},
		Answer: func(context.Context, handover.Turn, handover.Incoming) (*handover.Request, error) {
			return &handover.Request{}, nil
		},
		Deliver: func(_ context.Context, _ handover.Session, m handover.Message) (string, error) {
			deliver(m)
			return "", nil
		},
	})
	require.NoError(t, err)
	return h
}

// types writes a line.
func (p *program) types(t *testing.T, line string) {
	_, err := io.WriteString(p.typing, line+"\n")
	require.NoError(t, err)
}

// joe is a user who writes to the bot.
var joe = handover.Conversation{Source: "chat", ID: "joe"}

func TestServe(t *testing.T) {
	hooks := httptest.NewUnstartedServer(nil)
	p := start(t, "http://"+hooks.Listener.Addr().String())
	saw := make(chan string, 100)
	h := p.bot(t, func(m handover.Message) { saw <- string(m.From) + ": " + m.Content.Text })
	hooks.Config.Handler = h
	hooks.Start()
	defer hooks.Close()
	go h.Run(t.Context())

	p.types(t, "Hello?")
	require.Equal(t, "nobody has asked for a human yet", next(t, p.record, "nobody"))
	require.NoError(t, h.Handle(t.Context(), handover.Incoming{Conversation: joe, ID: "1", Text: "My parcel is lost"}))
	require.Equal(t, "system: A person will be with you soon. You can already describe your question.", <-saw)
	next(t, p.record, "user: ")
	p.types(t, "I look for it")
	require.Equal(t, "system: Ann joined the conversation.", <-saw)
	require.Equal(t, "agent: I look for it", <-saw)
	next(t, p.record, "Ann: I look for it")
	p.types(t, "/help")
	require.Equal(t, "there are /resolve, /reopen, /away and /online; all else is said by Ann", next(t, p.record, "there are"))
	p.types(t, "/resolve")
	require.Equal(t, "system: This conversation was closed. You are talking with the bot again.", <-saw)
	require.NoError(t, h.Shutdown(t.Context()))
	p.typing.Close()
	require.NoError(t, <-p.ended)
}

// TestHooksThatNobodyTakes are the likeliest mistake of who tries a bot, and make it look dead: the program says so.
func TestHooksThatNobodyTakes(t *testing.T) {
	var takes atomic.Bool
	took := make(chan bool, 100)
	elsewhere := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if takes.Load() {
			took <- true
			return
		}
		http.NotFound(w, r)
	}))
	defer elsewhere.Close()
	p := start(t, elsewhere.URL+"/hooks")
	h := p.bot(t, func(handover.Message) {})
	go h.Run(t.Context())
	require.NoError(t, h.Handle(t.Context(), handover.Incoming{Conversation: joe, ID: "1", Text: "human"}))
	const told = "/hooks answers hooks with HTTP 404; HOOKS says where they go"
	require.Equal(t, elsewhere.URL+told, next(t, p.record, "HOOKS"))
	takes.Store(true)
	p.types(t, "this one is taken")
	<-took
	takes.Store(false)
	p.types(t, "this one is not")
	require.Equal(t, elsewhere.URL+told, next(t, p.record, "HOOKS"))
	require.NoError(t, h.Shutdown(t.Context()))
	p.typing.Close()
	require.NoError(t, <-p.ended)
}

func TestUntaken(t *testing.T) {
	require.Equal(t, "nobody listens at http://localhost:1; HOOKS says where hooks go\n", untaken("http://localhost:1", 0))
	require.Empty(t, untaken("http://localhost:1", 200))
}

// TestUnseen has a record whose oldest lines are dropped when it grows too long.
func TestUnseen(t *testing.T) {
	seen := 0
	require.Equal(t, []string{"a", "b"}, unseen([]string{"a", "b"}, &seen))
	require.Equal(t, []string{"c"}, unseen([]string{"a", "b", "c"}, &seen))
	require.Empty(t, unseen([]string{"a", "b", "c"}, &seen))
	require.Empty(t, unseen([]string{"d"}, &seen))
	require.Equal(t, []string{"e"}, unseen([]string{"d", "e"}, &seen))
}

// next is the next line of the record with these words.
func next(t *testing.T, record <-chan string, words string) string {
	for {
		select {
		case line, more := <-record:
			if !more || strings.Contains(line, words) {
				return line
			}
		case <-t.Context().Done():
			return ""
		}
	}
}

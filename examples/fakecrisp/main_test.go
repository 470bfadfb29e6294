package main

import (
	"bufio"
	"context"
	"io"
	"net/http/httptest"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/crisphandover/handover"
)

// TestServe has a bot beside the program, which it reaches with the variables that the program prints.
func TestServe(t *testing.T) {
	hooks := httptest.NewUnstartedServer(nil)
	in, typing := io.Pipe()
	printing, out := io.Pipe()
	ended := make(chan error, 1)
	go func() { ended <- serve(in, out, "http://"+hooks.Listener.Addr().String()) }()
	printed := bufio.NewScanner(printing)

	require.True(t, printed.Scan())
	env := map[string]string{}
	for _, pair := range strings.Fields(strings.TrimPrefix(printed.Text(), "export ")) {
		name, value, _ := strings.Cut(pair, "=")
		env[name] = value
	}
	record := make(chan string, 1000)
	go func() {
		for printed.Scan() {
			record <- printed.Text()
		}
	}()
	saw := make(chan string, 100)
	h, err := handover.New(handover.Config{
		WebsiteID: env["CRISP_WEBSITE_ID"],
		Token: handover.Token{
			Tier: handover.Tier(env["CRISP_TIER"]), Identifier: handover.NewSecret(env["CRISP_IDENTIFIER"]), Key: handover.NewSecret(env["CRISP_KEY"]),
		},
		BaseURL: env["CRISP_URL"], Webhook: handover.Webhook{Secrets: handover.NewSecrets(env["CRISP_WEBHOOK_SECRET"])},
		Store: &handover.MemoryStore{},
		Answer: func(context.Context, handover.Turn, handover.Incoming) (*handover.Request, error) {
			return &handover.Request{}, nil
		},
		Deliver: func(_ context.Context, _ handover.Session, m handover.Message) (string, error) {
			saw <- string(m.From) + ": " + m.Content.Text
			return "", nil
		},
	})
	require.NoError(t, err)
	hooks.Config.Handler = h
	hooks.Start()
	defer hooks.Close()
	go h.Run(t.Context())
	types := func(line string) {
		_, err := io.WriteString(typing, line+"\n")
		require.NoError(t, err)
	}

	types("Hello?")
	require.Equal(t, "nobody has asked for a human yet", next(t, record, "nobody"))
	joe := handover.Conversation{Source: "chat", ID: "joe"}
	require.NoError(t, h.Handle(t.Context(), handover.Incoming{Conversation: joe, ID: "1", Text: "My parcel is lost"}))
	require.Equal(t, "system: A person will be with you soon. You can already describe your question.", <-saw)
	next(t, record, "user: ")
	types("I look for it")
	require.Equal(t, "system: Ann joined the conversation.", <-saw)
	require.Equal(t, "agent: I look for it", <-saw)
	next(t, record, "Ann: I look for it")
	types("/resolve")
	require.Equal(t, "system: This conversation was closed. You are talking with the bot again.", <-saw)
	require.NoError(t, h.Shutdown(t.Context()))
	typing.Close()
	require.NoError(t, <-ended)
}

// next is the next line of the record with these words.
func next(t *testing.T, record <-chan string, words string) string {
	for {
		select {
		case line := <-record:
			if strings.Contains(line, words) {
				return line
			}
		case <-t.Context().Done():
			return ""
		}
	}
}

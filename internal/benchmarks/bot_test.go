//go:build unix

package benchmarks

import (
	"context"
	"fmt"
	"io"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"os"
	"strconv"
	"strings"
	"testing"

	crisp "github.com/crisp-im/go-crisp-api/crisp/v3"
	"github.com/stretchr/testify/require"

	"github.com/crisphandover/handover"
	"github.com/crisphandover/handover/internal/byhand"
	"github.com/crisphandover/handover/internal/quickcrisp"
)

// conversation is the n-th conversation of the bot, from 1.
func conversation(n int64) handover.Conversation {
	return handover.Conversation{Source: "bench", ID: fmt.Sprintf("user-%012d", n)}
}

// newBot returns a bot on a quick Crisp, without a network unless calls leads there.
func newBot(b *testing.B, c *quickcrisp.Crisp, change func(*handover.Config)) *handover.Handover {
	cfg := handover.Config{
		WebsiteID: c.WebsiteID, Token: handover.Token{Tier: handover.TierPlugin, Identifier: handover.NewSecret("identifier"), Key: handover.NewSecret("key of the token")},
		Webhook: handover.Webhook{Secrets: handover.NewSecrets(c.Secret)}, HTTPClient: &http.Client{Transport: c}, BaseURL: "http://crisp.test/v1/",
		Store:   new(handover.MemoryStore),
		Logger:  slog.New(slog.NewTextHandler(io.Discard, nil)),
		Deliver: func(context.Context, handover.Session, handover.Message) (string, error) { return "", nil },
		Limits:  handover.Limits{CreatesPerMinute: -1, DailyCalls: 1_000_000_000},
	}
	change(&cfg)
	h, err := handover.New(cfg)
	require.NoError(b, err)
	b.Cleanup(func() { require.NoError(b, h.Shutdown(context.Background())) })
	return h
}

// overNetwork has a bot call a server on this machine.
func overNetwork(b *testing.B, c *quickcrisp.Crisp) func(*handover.Config) {
	url := served(b, c)
	return func(cfg *handover.Config) { cfg.BaseURL, cfg.HTTPClient = url, nil }
}

func served(b *testing.B, c *quickcrisp.Crisp) (url string) {
	server := httptest.NewServer(c)
	b.Cleanup(server.Close)
	return server.URL + "/v1/"
}

// byHand returns a bot on the official client.
func byHand(c *quickcrisp.Crisp, url string, client *http.Client, deliver func(session, text string)) *byhand.Bot {
	api := crisp.NewWithConfig(crisp.ClientConfig{RestEndpointURL: url, HTTPClient: client})
	api.AuthenticateTier("plugin", "identifier", "key of the token")
	return &byhand.Bot{WebsiteID: c.WebsiteID, Secret: c.Secret, Client: api, Deliver: deliver}
}

// open asks for a human in a conversation.
func open(b *testing.B, h *handover.Handover, conv handover.Conversation) {
	s, err := h.Session(b.Context(), conv)
	require.NoError(b, err)
	outcome, err := h.Start(b.Context(), s.Turn(), handover.Request{User: handover.UserData{Nickname: "Ben"}})
	require.NoError(b, err)
	require.Equal(b, handover.OutcomeOpened, outcome)
}

// keyOf is the key of the n-th conversation's record.
func keyOf(c *quickcrisp.Crisp, n int64) string { return c.WebsiteID + "/bench/" + conversation(n).ID }

// copies stores conversations 2 to n as copies of the first, which is open: to open each would take a hundred times
// as long.
func copies(b *testing.B, store handover.Store, c *quickcrisp.Crisp, n int64) {
	first, err := store.Load(b.Context(), keyOf(c, 1))
	require.NoError(b, err)
	require.Contains(b, string(first.Data), quickcrisp.SessionID(1))
	for i := int64(2); i <= n; i++ {
		other := strings.NewReplacer(quickcrisp.SessionID(1), quickcrisp.SessionID(i), conversation(1).ID, conversation(i).ID)
		_, err := store.Save(b.Context(), handover.Record{
			Key: keyOf(c, i), CrispIDs: []string{c.WebsiteID + "/" + quickcrisp.SessionID(i)}, Due: first.Due, Live: first.Live, Data: []byte(other.Replace(string(first.Data))),
		})
		require.NoError(b, err)
	}
}

// most is how large a benchmark may be: HANDOVER_BENCH_CONVERSATIONS, or 100,000.
func most(b *testing.B) int64 {
	set := os.Getenv("HANDOVER_BENCH_CONVERSATIONS")
	if set == "" {
		return 100_000
	}
	n, err := strconv.ParseInt(set, 10, 64)
	require.NoError(b, err)
	return n
}

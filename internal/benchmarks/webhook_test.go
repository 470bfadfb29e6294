//go:build unix

// Package benchmarks compares what the library costs with what the same costs on Crisp's official client, by hand,
// and with the floor: what nobody can do without. docs/performance.md has the figures.
package benchmarks

import (
	"bytes"
	"crypto/hmac"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"net/http"
	"net/http/httptest"
	"strconv"
	"testing"
	"time"

	crisp "github.com/crisp-im/go-crisp-api/crisp/v3"
	"github.com/stretchr/testify/require"

	"github.com/crisphandover/handover"
	"github.com/crisphandover/handover/handovertest"
	"github.com/crisphandover/handover/internal/byhand"
)

const (
	website = "42286ab3-0000-4fde-8538-000000000001"
	session = "session_36ba3566-0000-4790-afc8-000000000001"
	secret  = "a secret of 32 characters or more"
)

// agentHook is the hook of an agent's message, as Crisp's documentation shows it.
func agentHook() *http.Request {
	now := time.Now()
	return handovertest.Hook("/crisp/hooks", secret, now, handovertest.HookBody(website, "message:received", now, map[string]any{
		"website_id": website, "session_id": session, "inbox_id": nil, "type": "text", "origin": "chat", "from": "operator",
		"content":  "Have you tried turning it off and on again? If that does not help, tell me what the display says.",
		"mentions": []any{}, "stamped": true, "timestamp": now.UnixMilli(), "fingerprint": 163408013112345,
		"user": map[string]any{
			"type": "website", "user_id": "a4c32c68-0000-4e29-8a05-000000000001", "nickname": "Ann", "avatar": "https://image.crisp.chat/x.png",
		},
	}))
}

// body is a request's body that can be read again.
type body struct{ *bytes.Reader }

// Close implements io.Closer.
func (body) Close() error { return nil }

// connected is an answer on a connection: the library bounds the time in which a body must come by its deadline.
type connected struct{ *httptest.ResponseRecorder }

// SetReadDeadline is that of http.ResponseController.
func (connected) SetReadDeadline(time.Time) error { return nil }

// BenchmarkWebhook verifies and decodes the hook of an agent's message: by the library, by the official client up to
// its callback, and with one HMAC and json.Valid alone.
func BenchmarkWebhook(b *testing.B) {
	hook := agentHook()
	content := body{bytes.NewReader(nil)}
	raw := new(bytes.Buffer)
	_, err := raw.ReadFrom(hook.Body)
	require.NoError(b, err)
	again := func() *http.Request {
		content.Reset(raw.Bytes())
		hook.Body = content
		return hook
	}
	b.Run("ours", func(b *testing.B) {
		to := handover.Webhook{Secrets: handover.NewSecrets(secret)}
		rw := connected{httptest.NewRecorder()}
		measured(b, func() {
			ev, err := handover.ReadEvent(rw, again(), to)
			if err != nil || ev.Message == nil || ev.Message.User.Nickname != "Ann" {
				b.Fatal("the hook was not read", err)
			}
		})
	})
	b.Run("client", func(b *testing.B) {
		shown := make(chan string, 1)
		bot := &byhand.Bot{WebsiteID: website, Secret: secret, Client: crisp.New(), Deliver: func(_, text string) { shown <- text }}
		require.NoError(b, bot.Listen())
		rw := httptest.NewRecorder()
		measured(b, func() {
			bot.ServeHTTP(rw, again())
			<-shown
		})
	})
	b.Run("floor", func(b *testing.B) {
		stamp, err := strconv.ParseInt(hook.Header.Get("X-Crisp-Request-Timestamp"), 10, 64)
		require.NoError(b, err)
		signed := []byte("[" + strconv.FormatInt(stamp, 10) + ";" + raw.String() + "]")
		want, err := hex.DecodeString(hook.Header.Get("X-Crisp-Signature"))
		require.NoError(b, err)
		measured(b, func() {
			mac := hmac.New(sha256.New, []byte(secret))
			mac.Write(signed)
			if !hmac.Equal(mac.Sum(nil), want) || !json.Valid(raw.Bytes()) {
				b.Fatal("the hook is not Crisp's")
			}
		})
	})
}

package telegram

import (
	"context"
	"errors"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/crisphandover/handover"
	"github.com/crisphandover/handover/channel/channeltest"
)

func TestWebhook(t *testing.T) {
	c := newOn(t, channeltest.NewTelegram(), nil)
	c.config.Logger = slog.New(slog.DiscardHandler)
	var took []handover.Incoming
	var fails error
	hook := c.Webhook(func(_ context.Context, m handover.Incoming) error {
		if fails == nil {
			took = append(took, m)
		}
		return fails
	})
	post := func(secret, body string) int {
		r := httptest.NewRequest(http.MethodPost, "/", strings.NewReader(body))
		r.Header.Set("X-Telegram-Bot-Api-Secret-Token", secret)
		w := httptest.NewRecorder()
		hook.ServeHTTP(w, r)
		return w.Code
	}
	hello := `{"update_id":3,"message":{` + from + `,"text":"hello"}}`
	require.Equal(t, http.StatusUnauthorized, post("", hello))
	require.Equal(t, http.StatusUnauthorized, post("hook-secreT", hello))
	require.Equal(t, http.StatusBadRequest, post("hook-secret", "{"))
	require.Equal(t, http.StatusRequestEntityTooLarge, post("hook-secret", strings.Repeat(" ", 2<<20)))
	require.Equal(t, http.StatusOK, post("hook-secret", `{"update_id":3,"message":7}`), "a repeat would be as odd")
	require.Equal(t, http.StatusOK, post("hook-secret", `{"update_id":3,"my_chat_member":{}}`))
	require.Empty(t, took)
	fails = errors.New("the store is away")
	require.Equal(t, http.StatusServiceUnavailable, post("hook-secret", hello))
	fails = handover.ErrCrowded
	require.Equal(t, http.StatusServiceUnavailable, post("hook-secret", hello), "it is old, and was refused once")
	press := `{"update_id":4,"callback_query":{"id":"77","from":{"id":7},"data":"human","message":{` + from + `}}}`
	require.Equal(t, http.StatusServiceUnavailable, post("hook-secret", press), "it has no time")
	fails = handover.ErrBadMessage
	require.Equal(t, http.StatusOK, post("hook-secret", hello))
	fails = nil
	require.Equal(t, http.StatusOK, post("hook-secret", hello))
	require.Len(t, took, 1)
	require.Equal(t, int64(3), took[0].Seq, "hooks are posted at the same time")

	c.config.WebhookSecret = handover.Secret{}
	require.Equal(t, http.StatusUnauthorized, post("", hello), "without a secret everything is refused")
}

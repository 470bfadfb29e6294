package telegram

import (
	"context"
	"errors"
	"net/http"
	"time"

	"github.com/crisphandover/handover"
	"github.com/crisphandover/handover/channel"
	"github.com/crisphandover/handover/internal/httpbody"
)

// Handle takes a message of a user: Handover.Handle, or a function around it.
type Handle = func(ctx context.Context, m handover.Incoming) error

// hookTime bounds how long an update may take.
const hookTime = 30 * time.Second

// hookBounds bound the bodies of hooks.
var hookBounds = httpbody.Bounds{Size: 1 << 20, Time: 5 * time.Second}

// take gives an update to handle, within hookTime. raced says that another may be taken at the same time.
func (c *Channel) take(ctx context.Context, u update, raced bool, handle Handle) error {
	ctx, cancel := context.WithTimeout(ctx, hookTime)
	defer cancel()
	in, ok, err := c.incoming(ctx, u)
	if err != nil {
		return err
	}
	if u.Callback != nil {
		defer func() {
			_ = c.call(ctx, "answerCallbackQuery", map[string]any{"callback_query_id": u.Callback.ID}, nil)
		}()
	}
	if !ok {
		return nil
	}
	if !raced {
		in.Seq = 0 // one after the other: nothing has to be put right
	}
	return channel.Take(ctx, c.config.Logger, &c.refusals, []handover.Incoming{in}, handle)
}

// Webhook takes the updates that Telegram posts, once setWebhook was called with the secret_token that is
// Config.WebhookSecret. It answers 200 when handle has taken the message, or never can; 503 when Telegram is to post it
// again; 401 to whoever does not know the secret; 400 and 413 to what is no update.
func (c *Channel) Webhook(handle Handle) http.Handler {
	bodies := httpbody.New(hookBounds)
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		secret := handover.NewSecret(r.Header.Get("X-Telegram-Bot-Api-Secret-Token"))
		if c.config.WebhookSecret.Reveal() == "" || !secret.Equal(c.config.WebhookSecret) {
			http.Error(w, "not the secret token of this web hook", http.StatusUnauthorized)
			return
		}
		raw, err := bodies.Take(w, r)
		if errors.Is(err, httpbody.ErrTooLarge) {
			http.Error(w, "too large", http.StatusRequestEntityTooLarge)
			return
		}
		u, bad := parse(raw)
		if err != nil || bad != nil && u.ID == 0 {
			http.Error(w, "not an update", http.StatusBadRequest)
			return
		}
		if bad != nil {
			c.config.Logger.Warn("telegram: an update cannot be taken", "error", bad)
			return // 200: a repeat would be the same
		}
		if err := c.take(r.Context(), u, true, handle); err != nil {
			c.config.Logger.Warn("telegram: an update is to be posted again", "error", err)
			http.Error(w, "post it again", http.StatusServiceUnavailable)
			return
		}
		w.WriteHeader(http.StatusOK)
	})
}

package telegram

import (
	"context"
	"encoding/json"
	"errors"
	"net/http"
	"time"

	"github.com/crisphandover/handover"
	"github.com/crisphandover/handover/channel"
	"github.com/crisphandover/handover/internal/httpbody"
)

// Handle takes a message of a user: Handover.Handle, or a function around it.
type Handle = func(ctx context.Context, m handover.Incoming) error

const (
	pollTime  = 50 * time.Second // for which an empty answer is waited for
	firstWait = time.Second      // after a failure; each further wait is twice as long
	longest   = 30 * time.Second
	hookTime  = 30 * time.Second // for an update
)

// conflict is what the log says of 409.
const conflict = "telegram: updates are taken later, since another process polls with this token or a web hook is set: " +
	"poll in one process and call deleteWebhook, or use Webhook in all"

// hookBounds bound the bodies of hooks.
var hookBounds = httpbody.Bounds{Size: 1 << 20, Time: 5 * time.Second}

// allowed are the updates that are asked for.
var allowed = []string{"message", "edited_message", "callback_query"}

// Poll asks for updates and gives what users do to handle, until ctx ends; then it returns nil. What users of one chat
// do is given one after the other. What handle cannot take comes again, after a wait, and holds up its chat only, until
// 100 updates of others have come after it; what it never can (handover.Permanent) is logged and passed over. Where
// Telegram cannot be reached it waits ever longer, up to half a minute. It returns an error when Telegram does not know
// the token.
//
// One process polls at a time, and none while a web hook is set. Else Telegram answers 409, and the log says what to do.
func (c *Channel) Poll(ctx context.Context, handle Handle) error {
	wait := firstWait
	done := map[int64]bool{} // updates that were taken, though not one before them
	for offset := int64(0); ctx.Err() == nil; {
		updates, err := c.updates(ctx, offset)
		next, some := offset, false
		if err == nil {
			next, some, err = c.takeAll(ctx, updates, done, handle)
		}
		offset = max(offset, next)
		if err == nil && len(updates) == 0 { // all is confirmed; after a quiet week the numbers begin anew, anywhere
			offset = 0
			clear(done)
		}
		if err == nil || some {
			wait = firstWait
		}
		if err == nil {
			continue
		}
		switch e := saysOf(err); {
		case ctx.Err() != nil:
		case e.code == http.StatusUnauthorized, e.code == http.StatusNotFound:
			return err
		default:
			what := "telegram: updates are taken later"
			if e.code == http.StatusConflict {
				what = conflict
			}
			c.config.Logger.Warn(what, "error", err)
			pause(ctx, max(wait, min(e.wait, 5*time.Minute)))
			wait = min(2*wait, longest)
		}
	}
	return nil
}

// takeAll gives updates to handle, but those in done, and notes them there. An error is that of one that was not taken;
// those after it in its chat wait. next is the first number that is not done, and some that any was taken.
func (c *Channel) takeAll(ctx context.Context, updates []json.RawMessage, done map[int64]bool, handle Handle) (next int64, some bool, err error) {
	waits := map[int64]bool{} // chats
	front := true
	for _, raw := range updates {
		u, bad := parse(raw)
		if u.ID == 0 { // nothing could be passed over
			return next, some, errNotJSON
		}
		chat := u.chat().ID
		switch {
		case done[u.ID] || waits[chat]:
		case bad != nil:
			c.config.Logger.Warn("telegram: an update cannot be taken", "error", bad)
			done[u.ID] = true
		default:
			if failed := c.take(ctx, u, false, handle); failed != nil {
				waits[chat], err = true, failed
			} else {
				done[u.ID], some = true, true
			}
		}
		if front = front && done[u.ID]; front {
			next = u.ID + 1
			delete(done, u.ID)
		}
		if ctx.Err() != nil {
			break
		}
	}
	return next, some, err
}

// pause waits, until ctx ends.
func pause(ctx context.Context, d time.Duration) {
	select {
	case <-time.After(d):
	case <-ctx.Done():
	}
}

// updates asks for updates from offset on, and waits for one.
func (c *Channel) updates(ctx context.Context, offset int64) (all []json.RawMessage, err error) {
	wait := pollTime
	if t := c.config.Client.Timeout; t > 0 {
		wait = min(wait, t/2)
	}
	in := map[string]any{"offset": offset, "timeout": int(wait.Seconds()), "allowed_updates": allowed}
	body, err := json.Marshal(in)
	if err != nil {
		return nil, err
	}
	ctx, cancel := context.WithTimeout(ctx, wait+callTime)
	defer cancel()
	err = c.post(ctx, "getUpdates", body, &all)
	return all, err
}

// take gives an update to handle, within hookTime. raced says that another may be taken at the same time.
func (c *Channel) take(ctx context.Context, u update, raced bool, handle Handle) error {
	ctx, cancel := context.WithTimeout(ctx, hookTime)
	defer cancel()
	in, ok := c.incoming(ctx, u)
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
	return channel.Take(ctx, c.config.Logger, []handover.Incoming{in}, handle)
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

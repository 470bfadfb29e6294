package telegram

import (
	"context"
	"encoding/json"
	"errors"
	"net/http"
	"time"

	"github.com/crisphandover/handover"
	"github.com/crisphandover/handover/channel"
)

const (
	pollTime  = 50 * time.Second // for which an empty answer is waited for
	firstWait = time.Second      // after a failure; each further wait is twice as long
	longest   = 30 * time.Second
	ownWait   = 5 * time.Second // the longest wait where others are taken
	most      = 100             // updates that Telegram gives at once
	patience  = 10 * time.Minute
)

// conflict is what the log says of 409.
const conflict = "telegram: updates are taken later, since another process polls with this token or a web hook is set: " +
	"poll in one process and call deleteWebhook, or use Webhook in all"

// allowed are the updates that are asked for.
var allowed = []string{"message", "edited_message", "callback_query"}

// Poll asks for updates and gives what users do to handle, until ctx ends; then it returns nil. What users of one chat
// do is given one after the other. What handle cannot take comes again, after a wait, and holds up its chat only; what
// is not to be repeated (channel.Refusals) is logged and passed over. Where Telegram cannot be reached it waits ever
// longer, up to half a minute. It returns an error when Telegram does not know the token.
//
// Telegram gives 100 updates, and others only when the first of them is confirmed. So what is waited for must not fill
// them: then all that the chat which is first has there is passed over, logged and counted in Lost. It is so at once
// where it is that conversation which refuses (channel.OnlyOwn) and no other reason is near: messages of other chats
// were taken meanwhile, or none wait, or the chat floods the bot; and for other errors after ten minutes in which that
// chat alone was refused. While all are refused, nothing is passed over: then it is no fault of a chat.
//
// One process polls at a time, and none while a web hook is set. Else Telegram answers 409, and the log says what to do.
func (c *Channel) Poll(ctx context.Context, handle Handle) error {
	wait := firstWait
	w := window{done: map[int64]bool{}}
	for offset := int64(0); ctx.Err() == nil; {
		updates, err := c.updates(ctx, offset)
		next, some := offset, false
		if err == nil {
			next, some, err = c.takeAll(ctx, updates, &w, handle)
		}
		offset = max(offset, next)
		if err == nil && len(updates) == 0 { // all is confirmed; after a quiet week the numbers begin anew, anywhere
			offset = 0
			clear(w.done)
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
			if channel.OnlyOwn(err) {
				wait = min(wait, ownWait)
			}
			pause(ctx, max(wait, min(e.wait, 5*time.Minute)))
			wait = min(2*wait, longest)
		}
	}
	return nil
}

// Lost is how many updates Poll has passed over for the sake of others.
func (c *Channel) Lost() int64 { return c.lost.Load() }

// window is what Telegram gives at once.
type window struct {
	done  map[int64]bool // updates that are not to be given again, though one before them is; true: handle took it
	stuck int64          // the first update, where it keeps a full window from moving
	since time.Time
}

// confirm returns the number after those at the front that are done: next, if there are none.
func (w *window) confirm(all []update, next int64) int64 {
	for _, u := range all {
		if _, done := w.done[u.ID]; !done && u.ID >= next {
			break
		}
		delete(w.done, u.ID)
		next = max(next, u.ID+1)
	}
	return next
}

// stuckFor is for how long the window is full, with the same update at its front, whose chat alone is refused.
func (w *window) stuckFor(first int64, alone bool) time.Duration {
	if w.stuck != first || !alone {
		w.stuck, w.since = first, time.Now()
	}
	return time.Since(w.since)
}

// takeAll gives updates to handle, but those that are done, and notes them. An error is that of one that was not taken;
// those after it in its chat wait. next is the first number that is not done, and some that any was taken.
func (c *Channel) takeAll(ctx context.Context, updates []json.RawMessage, w *window, handle Handle) (next int64, some bool, err error) {
	waits := map[int64]error{} // by chat
	var all []update
	for _, raw := range updates {
		u, bad := parse(raw)
		if u.ID == 0 { // nothing could be passed over
			return w.confirm(all, 0), some, errNotJSON
		}
		all = append(all, u)
		chat := u.chat().ID
		_, done := w.done[u.ID]
		switch {
		case done:
		case waits[chat] != nil:
			c.waits(ctx, u, waits[chat])
		case bad != nil:
			c.config.Logger.Warn("telegram: an update cannot be taken", "error", bad)
			w.done[u.ID] = false
		default:
			took := false
			failed := c.take(ctx, u, false, func(ctx context.Context, m handover.Incoming) error {
				err := handle(ctx, m)
				took = err == nil
				return err
			})
			if failed != nil {
				waits[chat] = failed
			} else {
				w.done[u.ID], some = took, true
			}
		}
		if ctx.Err() != nil {
			return w.confirm(all, 0), some, ctx.Err()
		}
	}
	if next = w.confirm(all, 0); next == 0 && len(all) >= most && c.passOver(all, w, waits) {
		next, some = w.confirm(all, 0), true
	}
	for _, failed := range waits {
		if err == nil || channel.OnlyOwn(err) {
			err = failed
		}
	}
	return next, some, err
}

// waits notes that an update waits for one before it in its chat, which was refused: it is as if it were refused itself,
// else each would be waited for after the other.
func (c *Channel) waits(ctx context.Context, u update, failed error) {
	if !channel.OnlyOwn(failed) {
		return
	}
	if in, ok, err := c.incoming(ctx, u); ok && err == nil {
		c.refusals.GiveUp(in, failed)
	}
}

// flood is more of a window than the chat of a user fills who waits for answers.
const flood = most / 10

// passOver passes over what the chat has in a full window that is first in it, and reports whether it did.
func (c *Channel) passOver(all []update, w *window, waits map[int64]error) bool {
	chat := all[0].chat().ID
	failed := waits[chat]
	var held []int64
	took, only := false, true // others were taken; there are none
	for _, u := range all {
		taken, done := w.done[u.ID]
		switch {
		case u.chat().ID != chat:
			took, only = took || taken, false
		case !done:
			held = append(held, u.ID)
		}
	}
	own := channel.OnlyOwn(failed) && (took || only || errors.Is(failed, handover.ErrCrowded) && len(held) > flood)
	alone := len(waits) == 1 && len(held) <= len(all)/2 // else it may be that nobody can be taken now
	if w.stuckFor(all[0].ID, alone) < patience && !own {
		return false
	}
	for _, id := range held {
		w.done[id] = false
	}
	delete(waits, chat)
	c.lost.Add(int64(len(held)))
	c.config.Logger.Error("telegram: what cannot be taken of a chat holds up all others, and is passed over", "chat", chat, "updates", len(held), "error", failed)
	return true
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

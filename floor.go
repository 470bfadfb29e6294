package handover

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"time"
)

// ErrNotYourTurn says that the conversation got another owner since the turn was given. A human who
// has it now, or had it meanwhile, gets the user's message as well; after a mute or a failed opening,
// when nobody can have it, the user is asked to send it again. It is also the cause with which
// send's context ends when a human takes over while the bot speaks.
var ErrNotYourTurn = errors.New("handover: the turn does not hold: the conversation got another owner, or the turn is not from Receive or Session.Turn")

// floor is a message of the bot's that is under way. What an agent writes meanwhile waits for it.
type floor struct {
	ID    string `json:"id"`
	Epoch int64  `json:"epoch"`
}

// storeAgain is how long a running Reply waits before it asks a store again that failed.
const storeAgain = 500 * time.Millisecond

// Reply calls send if the turn is the bot's (Turn.Bot) and still holds, and is the one way in which
// the bot speaks. While send runs, users' messages are taken; when a human takes over its context
// ends, with the cause ErrNotYourTurn, and after Timeouts.Reply it ends as well. The error is
// ErrNotYourTurn when send was not called or was cut short by a takeover: the agent then gets the
// user's message, unless it was answered. Else it is send's own.
func (h *Handover) Reply(ctx context.Context, t Turn, send func(ctx context.Context) error) error {
	if h.reentrant(ctx, t.Conversation) {
		return ErrReentrant
	}
	if err := h.checkConversation(t.Conversation); err != nil {
		return err
	}
	key, id := h.key(t.Conversation), newID()
	entered, epoch := false, t.Epoch
	d, err := h.update(ctx, key, t.Conversation, func(d *data) error {
		entered = t.Bot && (d.State == StateBot && d.holds(t) || h.hooks.NoEpoch)
		if entered {
			epoch = d.Epoch
			d.Floors = append(d.Floors, floor{ID: id, Epoch: epoch})
			return nil
		}
		return d.passOn(t.MessageID)
	})
	if err != nil {
		return fmt.Errorf("handover: reply: nothing was sent: %w", err)
	}
	if !entered {
		return ErrNotYourTurn
	}
	t.Epoch = epoch
	sent, cut := h.hold(ctx, key, d, t, id, send)
	left, cancel := context.WithTimeout(context.WithoutCancel(ctx), callTimeout)
	defer cancel()
	_, err = h.update(left, key, t.Conversation, func(d *data) error {
		d.leaveFloor(id)
		if in := d.find(t.MessageID); sent == nil && in != nil && in.Outcome == outcomeTurn {
			in.Outcome, in.Incoming = outcomeAnswered, nil
		}
		if sent != nil && cut {
			if err := d.passOn(t.MessageID); err != nil && !errors.Is(err, errKeep) {
				return err
			}
		}
		return nil
	})
	if err != nil {
		// The floor ends by itself after Timeouts.Reply; what was sent was sent.
		h.cfg.Logger.Warn("handover: the store failed", "why", "reply")
	}
	if sent != nil && cut {
		return ErrNotYourTurn
	}
	return sent
}

// hold runs send on the floor, and reports whether a takeover cut it short.
func (h *Handover) hold(ctx context.Context, key string, d *data, t Turn, id string, send func(context.Context) error) (err error, cut bool) {
	sctx, cancel := context.WithCancelCause(ctx)
	defer cancel(nil)
	sctx, stop := context.WithTimeout(sctx, h.cfg.Timeouts.Reply)
	defer stop()
	scope := &scope{key: key, floor: id, end: cancel}
	sctx = context.WithValue(sctx, scopeKey{}, scope)
	watched := make(chan struct{})
	go func() {
		defer close(watched)
		h.watchFloor(sctx, key, d, t, cancel)
	}()
	ok := h.guard(func() { err = send(sctx) })
	cut = errors.Is(context.Cause(sctx), ErrNotYourTurn)
	cancel(nil)
	<-watched
	if !ok {
		err = errors.New("handover: reply: send panicked")
	}
	return err, cut
}

// watchFloor ends a running send when the epoch changes.
func (h *Handover) watchFloor(ctx context.Context, key string, d *data, t Turn, cancel context.CancelCauseFunc) {
	for ctx.Err() == nil {
		if h.wait(ctx, key, d, func(d *data) bool { return d.Epoch != t.Epoch }) == nil {
			cancel(ErrNotYourTurn)
		}
		select {
		case <-ctx.Done():
		case <-time.After(storeAgain): // the store fails: send goes on meanwhile
		}
	}
}

// passOn gives the agent a message that the bot will not answer. Its Receive has returned, so that
// nobody waits for it.
func (d *data) passOn(id string) error {
	in := d.find(id)
	if in == nil || in.Outcome != outcomeTurn || in.Incoming == nil {
		return errKeep
	}
	switch {
	case d.human(), d.cameAndWent(in):
		in.Left = true
		d.dropResolve(d.Stay.CrispID) // the agents must see it
		d.queuePosts(in, d.Stay)
	case d.State == StateMuted:
		in.Outcome = outcomeKept
	case in.Epoch == d.Epoch: // a newer turn for it holds
		return errKeep
	default: // nobody can answer it any more
		in.Outcome, in.Incoming = outcomeAnswered, nil
		d.say(textNotSent, "")
	}
	return nil
}

// cameAndWent reports whether a human had the conversation since the message became a turn, in a
// Crisp conversation that is still there.
func (d *data) cameAndWent(in *seen) bool {
	if d.State != StateBot || d.Stay == nil || d.Stay.Opened.IsZero() || in.Epoch >= d.Stay.Epoch {
		return false
	}
	s := d.session(d.Stay.CrispID)
	return s != nil && !s.Gone
}

// leaveFloor gives the floor up before its send has returned.
func (d *data) leaveFloor(id string) {
	d.Floors = slices.DeleteFunc(d.Floors, func(f floor) bool { return f.ID == id })
}

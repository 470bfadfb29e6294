package handover

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/crisphandover/handover/internal/worker"
)

// ErrNotYourTurn says that the conversation got another owner since the turn was given. A human who
// has it now, or had it meanwhile, gets the user's message as well; after a mute or a failed opening,
// when nobody can have it, the user is asked to send it again. It is also the cause with which
// the context of send, or of Config.Answer, ends when the bot loses the conversation: a human takes over while
// it speaks, or its own Start or Mute there gives it away.
var ErrNotYourTurn = errors.New("handover: the turn does not hold: the conversation got another owner, or the turn is not from Receive or Session.Turn")

// storeAgain is how long a running Reply waits before it asks a store again that failed.
const storeAgain = 500 * time.Millisecond

// Reply calls send if the turn is the bot's (Turn.Bot) and still holds, and is the one way in which
// the bot speaks. While send runs, users' messages are taken; when a human takes over its context
// ends, with the cause ErrNotYourTurn, and after Timeouts.Reply it ends as well. The error is
// ErrNotYourTurn when send was not called or was cut short by a takeover: the agent then gets the
// user's message, unless it was answered. Else it is send's own. An error lets the channel's repeat of
// the message be answered anew: so have the bot make its answer up, and call Start, within send, where a failure
// counts.
//
// Reply returns when send has returned, so send must heed its context; the store takes 20 s at the most
// before and 10 s after it.
func (h *Handover) Reply(ctx context.Context, t Turn, send func(ctx context.Context) error) error {
	if err := h.made(); err != nil {
		return err
	}
	if h.cfg.reentrant(ctx, t.Conversation) {
		return errReentrant
	}
	if err := h.cfg.checkConversation(t.Conversation); err != nil {
		return err
	}
	k, err := h.locate(ctx, t.Conversation)
	if err != nil {
		return fmt.Errorf("handover: reply: nothing was sent: %w", err)
	}
	id := newID()
	var epoch int64
	l := h.listen(k.key, func(rec *record) bool {
		// With the epoch that a record begins with nobody but the bot has had the conversation. That is another
		// one than when send began, if the record was first stored meanwhile.
		return rec.Epoch != epoch && rec.Epoch != rec.First
	})
	defer l.stop()
	rec, err := h.beginReply(ctx, k, id, t, func(rec *record) {
		l.stop()
		epoch = rec.Epoch
		l.begin(rec)
	})
	if err != nil {
		return err
	}
	silent := func() {}
	if len(rec.Sessions) == 0 {
		silent = h.speaking.Begin(k.key)
		defer silent()                                      // also when send ends the goroutine
		defer time.AfterFunc(h.cfg.Timeouts.Reply, func() { // send ignores its context
			silent()
			h.pool.Nudge(jobOf(k.key, toUser))
		}).Stop()
	}
	t.Epoch = rec.Epoch
	sent, cut := h.hold(ctx, l, rec, id, send)
	silent()
	h.endReply(ctx, k.key, id, t, sent, cut)
	if sent != nil && cut {
		return ErrNotYourTurn
	}
	return sent
}

// beginReply checks the turn. Where an agent may write meanwhile it stores that the bot speaks;
// elsewhere it is enough that this process knows.
func (h *engine) beginReply(ctx context.Context, k known, id string, t Turn, begun func(*record)) (*record, error) {
	entered := false
	rec, err := h.update(ctx, k, func(rec *record) error {
		entered = t.Bot && (rec.State == StateBot && rec.holds(t) || h.hooks.NoEpoch)
		if !entered {
			return rec.passOn(t.MessageID)
		}
		begun(rec)
		longer := rec.UserMessages.find(t.MessageID).answerUntil(rec.env.now.Add(h.cfg.Timeouts.Reply))
		if len(rec.Sessions) == 0 {
			return keepUnless(longer)
		}
		rec.Replies = append(rec.Replies, reply{ID: id, Epoch: rec.Epoch, Until: rec.env.now.Add(h.cfg.Timeouts.Reply)})
		return nil
	})
	if err != nil {
		return nil, fmt.Errorf("handover: reply: nothing was sent: %w", err)
	}
	if !entered {
		return nil, ErrNotYourTurn
	}
	return rec, nil
}

// endReply writes down what became of the turn's message.
func (h *engine) endReply(ctx context.Context, key, id string, t Turn, sent error, cut bool) {
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), callTimeout)
	defer cancel()
	rec, err := h.updateOnceItWorks(ctx, known{key: key, conversation: t.Conversation}, func(rec *record) error {
		changed := rec.Replies.drop(func(r reply) bool { return r.ID == id })
		if in := rec.UserMessages.find(t.MessageID); sent == nil && in != nil && in.Status == messageTurn {
			in.done(messageAnswered)
			changed = true
		} else if in != nil && in.given(rec.env.now) {
			in.Given, changed = time.Time{}, true // whoever repeats it may try again
		}
		if sent != nil && cut {
			err := rec.passOn(t.MessageID)
			if err != nil && !errors.Is(err, errKeep) {
				return err
			}
			changed = changed || err == nil
		}
		return keepUnless(changed && (rec.env.stored || len(rec.UserMessages) > 0))
	})
	if err != nil {
		// What was stored of the reply ends by itself after Timeouts.Reply; what was sent was sent.
		return
	}
	if rec.planner().wants(toUser) { // it waited for the bot
		h.pool.Nudge(jobOf(key, toUser))
	}
}

// updateOnceItWorks is update, tried again until ctx ends while the store fails.
func (h *engine) updateOnceItWorks(ctx context.Context, k known, change func(*record) error) (*record, error) {
	for {
		rec, err := h.update(ctx, k, change)
		if err == nil || !storeFailed(err) {
			return rec, err
		}
		select {
		case <-ctx.Done():
			return nil, err
		case <-time.After(storeAgain):
		}
	}
}

// hold runs send, and reports whether a takeover cut it short.
func (h *engine) hold(ctx context.Context, l *listening, rec *record, id string, send func(context.Context) error) (err error, cut bool) {
	sctx, cancel := context.WithCancelCause(ctx)
	defer cancel(nil)
	sctx, stop := context.WithTimeout(sctx, h.cfg.Timeouts.Reply)
	defer stop()
	scope := &scope{key: h.cfg.key(rec.Conversation), reply: id, end: cancel}
	sctx = context.WithValue(sctx, scopeKey{}, scope)
	watched := make(chan struct{})
	go func() {
		defer close(watched)
		worker.Guard(nil, func() { watchReply(sctx, l, rec, cancel) })
	}()
	ok := worker.Guard(h.host.panicked("Reply"), func() { err = send(sctx) })
	cut = errors.Is(context.Cause(sctx), ErrNotYourTurn)
	cancel(nil)
	<-watched
	if !ok {
		err = errors.New("handover: reply: send panicked")
	}
	return err, cut
}

// watchReply ends a running send when the epoch changes: somebody else has the conversation. Where no
// agent can interrupt, since there is no Crisp conversation, only another call of the host's changes it.
func watchReply(ctx context.Context, l *listening, rec *record, cancel context.CancelCauseFunc) {
	wait := l.wait
	if len(rec.Sessions) == 0 {
		wait = l.waitIdly
	}
	for ctx.Err() == nil {
		if wait(ctx, rec) == nil {
			cancel(ErrNotYourTurn)
		}
		select {
		case <-ctx.Done():
		case <-time.After(storeAgain): // the store fails: send goes on meanwhile
		}
	}
}

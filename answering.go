package handover

import (
	"context"
	"errors"
	"strings"
	"time"

	"github.com/crisphandover/handover/internal/claims"
	"github.com/crisphandover/handover/internal/worker"
)

// answer has the bot answer one message of a conversation, if there is one for it, and writes down what came
// of it. It runs in a lane of its own, since an answer may take minutes: nothing else waits for it.
func (h *engine) answer(ctx context.Context, key string) error {
	var a *answering
	var epoch int64
	l := h.listen(key, func(rec *record) bool { return rec.Epoch != epoch })
	defer l.stop()
	soon, cancel := context.WithTimeout(ctx, callTimeout)
	rec, err := h.updateOnceItWorks(soon, known{key: key}, func(rec *record) error {
		if !rec.env.stored {
			a = nil
			return errKeep
		}
		begins := func() {
			l.stop()
			epoch = rec.Epoch
			l.begin(rec)
		}
		if a != nil && rec.Replies.byID(a.id) != nil { // the save that began it was stored, and said to have failed
			begins()
			return errKeep
		}
		changed := rec.dropDeadReplies()
		changed = rec.handOn() || changed
		if a = nil; !h.pool.Closed() {
			a = rec.beginAnswer()
		}
		if a == nil || a.givesUp || a.others {
			return keepUnless(changed)
		}
		begins()
		return nil
	})
	cancel()
	switch {
	case err != nil || a == nil:
		return err
	case a.others:
		h.leaveAnswer(ctx, key, a)
		return nil
	case a.givesUp:
		return h.giveUp(ctx, key, rec, a)
	}
	r := h.callAnswer(ctx, l, rec, a)
	if err = h.keepAnswer(ctx, key, a, r); errors.Is(err, ErrTaken) && r.request != nil {
		h.requestFault(a.turn, err, []string{"CrispID"})
		request := *r.request
		request.CrispID, r.request = "", &request
		err = h.keepAnswer(ctx, key, a, r)
	}
	return err
}

// overdueAnswer is for how long nobody answers a message before a process without Config.Answer says so.
const overdueAnswer = time.Minute

// leaveAnswer leaves a message to processes that have Config.Answer.
func (h *engine) leaveAnswer(ctx context.Context, key string, a *answering) {
	if a.overdue >= overdueAnswer && h.unanswered.Left("") == 0 {
		h.unanswered.Failed("")
		h.cfg.Logger.Error("handover: a message waits for the bot, this process has no Config.Answer, and none that has it answers: run one, or more if they are busy, or a human is asked for",
			"conversation", a.turn.Conversation.ID, "source", a.turn.Conversation.Source, "waiting", a.overdue, "after", h.cfg.Timeouts.Unanswered)
	}
	h.offer(ctx, key, nil)
}

// keepAnswer writes down what came of an answer. It returns ErrTaken if the request names another user's conversation.
func (h *engine) keepAnswer(ctx context.Context, key string, a *answering, r answered) error {
	_, err := h.persist(ctx, known{key: key}, func(rec *record) error {
		rec.endAnswer(a, r)
		return keepUnless(rec.env.stored) // else it was forgotten meanwhile
	})
	return err
}

// thereFor asks for the agents' presence where Start would.
func (h *engine) thereFor(ctx context.Context, key string, t Turn, r Request) Presence {
	if !h.cfg.allows(t.Conversation.Source) {
		return PresenceUnknown
	}
	return h.ask(ctx, known{key: key, conversation: t.Conversation}, r)
}

// giveUp asks for a human in place of a bot that does not answer.
func (h *engine) giveUp(ctx context.Context, key string, rec *record, a *answering) error {
	r := Request{Note: h.host.texts(rec).NoteUnanswered}
	if last := rec.request(); last != nil {
		r.Locale, r.User = last.Locale, last.User
	}
	there := h.thereFor(ctx, key, a.turn, r)
	_, err := h.persist(ctx, known{key: key}, func(rec *record) error {
		rec.giveUpAnswer(a, r, there)
		return keepUnless(rec.env.stored)
	})
	return err
}

// callAnswer calls Config.Answer, and keeps the answer's place in the record meanwhile.
func (h *engine) callAnswer(ctx context.Context, l *listening, rec *record, a *answering) (r answered) {
	actx, cancel := context.WithCancelCause(ctx)
	defer cancel(nil)
	actx = context.WithValue(actx, scopeKey{}, &scope{key: h.cfg.key(rec.Conversation), reply: a.id, end: cancel})
	aside, stop := context.WithCancel(ctx)
	done := make(chan struct{}, 2)
	for _, watch := range []func(){
		func() { watchReply(aside, l, rec, cancel) },
		func() { h.keepAnswering(aside, l.key, a.id, cancel) },
	} {
		go func() {
			defer func() { done <- struct{}{} }()
			worker.Guard(nil, watch)
		}()
	}
	r.request, r.err = worker.Call(actx, h.answers, rec.Conversation.Source, h.cfg.Timeouts.Answer, named(h.host, "Answer", func(ctx context.Context) (*Request, error) {
		return h.cfg.Answer(ctx, a.turn, a.message)
	}))
	r.cut = errors.Is(context.Cause(actx), ErrNotYourTurn)
	if errors.Is(r.err, ErrUserAway) && !r.cut { // neither the bot nor a human can reach the user
		r.err, r.request = nil, nil
	}
	if r.err == nil && r.request != nil {
		r.request = h.checked(a.turn, *r.request)
		r.there = h.thereFor(ctx, l.key, a.turn, *r.request)
	}
	stop()
	<-done
	<-done
	return r
}

// checked returns a request as it can be asked with.
func (h *engine) checked(t Turn, r Request) *Request {
	if h.cfg.checkStart(t, &r) == nil {
		return &r
	}
	kept, faults, dropped := h.cfg.usable(t, r)
	h.requestFault(t, errors.Join(faults...), dropped)
	return &kept
}

// requestFault tells the host what is wrong with a request of Config.Answer, and what it is used without.
func (h *engine) requestFault(t Turn, err error, dropped []string) {
	h.cfg.Logger.Error("handover: a request of Config.Answer is used without what is wrong with it",
		"conversation", t.Conversation.ID, "source", t.Conversation.Source, "error", err, "left_out", strings.Join(dropped, ", "))
	h.host.observed(Activity{Kind: ActivityFault, Conversation: t.Conversation, MessageID: t.MessageID, Effect: effectAnswer, Why: "request", Err: err, At: time.Now()})
}

// errAnswerLost ends an answer whose process could not say for long that it is alive: another one may begin.
var errAnswerLost = errors.New("handover: the store could not be reached: another process may answer the message")

// keepAnswering says in the record, until ctx ends, that the process of an answer lives. An answer that it
// cannot say this of, or that the record does not know any more, is ended.
func (h *engine) keepAnswering(ctx context.Context, key, id string, cancel context.CancelCauseFunc) {
	until := h.store.now().Add(claims.TTL)
	for pause := claims.RenewEvery; ; {
		select {
		case <-ctx.Done():
			return
		case <-time.After(pause):
		}
		there := true
		_, err := h.update(ctx, known{key: key}, func(rec *record) error {
			r := rec.Replies.byID(id)
			if there = r != nil; !there {
				return errKeep
			}
			r.Until = rec.env.now.Add(claims.TTL)
			return nil
		})
		switch now := h.store.now(); {
		case ctx.Err() != nil:
			return
		case err == nil && !there:
			cancel(ErrNotYourTurn)
			return
		case err == nil:
			until, pause = now.Add(claims.TTL), claims.RenewEvery
		case !now.Before(until):
			cancel(errAnswerLost)
			return
		default:
			pause = storeAgain
		}
	}
}

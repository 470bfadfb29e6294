package handover

import (
	"cmp"
	"context"
	"errors"
	"time"
)

var errNoAnswer = errors.New("handover: Handle needs Config.Answer, which answers the user: set it, or use Receive and Reply")

// Handle takes a message of the user; call it for each of them. Nil means that it is stored: the library
// has the bot answer it (Config.Answer), or gives it to the agent who has the conversation, through crashes
// and whatever fails, over all replicas. So Handle returns at once, and fits web hooks, long polling,
// sockets and queues alike. On an error make the channel repeat the message with the same id, unless
// Permanent says that it will never be taken. A message that is repeated after nil is taken once.
//
// The messages of a conversation are answered, and reach the agents, one after the other, in the order in
// which they were stored: that of the nil returns, if you call Handle for one after the other. Of calls
// that race, any may be stored first. Where the channel's SDK starts a goroutine for each message, set
// Incoming.Seq.
//
// ctx bounds the access to the store, which takes 20 s at the most. ErrCrowded is returned when as much as
// Limits.Waiting waits in the conversation already.
//
// Use either Handle or Receive for a conversation's messages, not both.
func (h *Handover) Handle(ctx context.Context, m Incoming) error {
	if err := h.made(); err != nil {
		return err
	}
	if h.cfg.Answer == nil {
		return errNoAnswer
	}
	if h.pool.Closed() {
		return ErrShutdown
	}
	if err := h.cfg.checkIncoming(&m); err != nil {
		return err
	}
	m.TraceParent = cmp.Or(validTrace(m.TraceParent), h.cfg.traceOf(ctx))
	k, err := h.locate(ctx, m.Conversation)
	if err != nil {
		return err
	}
	hash, size := m.hash(), m.size()
	gathers := false
	_, err = h.update(ctx, k, func(rec *record) error {
		gathers = false
		m := m
		in, err := rec.handled(&m, hash, size)
		if err != nil {
			return err
		}
		gathers = in.Next.After(rec.env.now)
		rec.env.free = true
		return nil
	})
	if err == nil && gathers {
		time.AfterFunc(gatherFor, func() { h.pool.Nudge(jobOf(k.key, toBot)) })
	}
	return err
}

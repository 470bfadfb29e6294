package handover

import (
	"fmt"
	"time"

	"github.com/crisphandover/handover/internal/claims"
)

// receipt is what Receive hears of a message of the user.
type receipt struct {
	message Incoming
	hash    string
	size    int

	id    string // of what the record knows of the message, or the one that an edit has become
	turn  Turn
	fault error
	mine  bool          // this caller is to have it answered
	held  time.Duration // so long another caller may take to do so; then it is this one's turn
}

// takeIn takes the message into the record. A message that is to be answered is given to one caller at a
// time.
func (r *receipt) takeIn(rec *record) error {
	*r = receipt{message: r.message, hash: r.hash, size: r.size}
	rec.userSign()
	in, _, err := rec.takeIn(r.message, r.hash, r.size, rec.human())
	if err != nil {
		return err
	}
	if in.Status == "" {
		rec.accept(in)
	}
	in = rec.UserMessages.became(in)
	r.id = in.ID
	in.heard(rec)
	switch {
	case in.Status != messageTurn || in.Managed:
	case in.given(rec.env.now):
		r.held = in.Given.Sub(rec.env.now)
	default:
		rec.waited(in, true)
		in.give(rec)
		r.mine = true
	}
	return nil
}

// read reports whether it is known what becomes of the message, and takes it down.
func (r *receipt) read(rec *record) bool {
	in := rec.UserMessages.find(r.id)
	if in == nil {
		r.fault = errForgotten
		return true
	}
	if in.pending() && !r.mine {
		return false
	}
	why := in.why()
	id := in.ID
	if r.message.Edits != "" && why != "" {
		id = r.message.ID
		if why == WhyRepeat || why == WhyHuman {
			why = WhyEdit
		}
	}
	r.turn = Turn{Conversation: r.message.Conversation, MessageID: id, Epoch: in.Epoch, Bot: why == "", Why: why}
	if in.Status == messageRefused {
		r.fault = fmt.Errorf("%w (%s)", ErrRefused, in.Fault)
	}
	return true
}

// why says why a caller of Receive is not to have the message answered; "" if it is.
func (m *userMessage) why() Why {
	switch m.Status {
	case messageWaiting, messageTurn:
		if m.Managed {
			return WhyHandled
		}
		return ""
	case messageKept:
		return WhyMuted
	case messageTaken:
		return WhyChoice
	case messageAnswered:
		return WhyRepeat
	case messageEdited:
		return WhyEdit
	}
	return WhyHuman
}

// hold is for how long a caller of Receive has a message to answer it, before it calls Reply.
func (t *Timeouts) hold() time.Duration { return t.Reply + claims.RenewEvery }

// give gives the message to a caller of Receive to answer it.
func (m *userMessage) give(rec *record) {
	m.Given = rec.env.now.Add(rec.env.cfg.Timeouts.hold())
}

// answerUntil lets the caller of Receive have the message until then. It reports whether that changes
// anything.
func (m *userMessage) answerUntil(until time.Time) bool {
	if m == nil || m.Status != messageTurn || m.Given.IsZero() || !m.Given.Before(until) {
		return false
	}
	m.Given = until
	return true
}

// given reports whether a caller of Receive has the message to answer it.
func (m *userMessage) given(now time.Time) bool { return m.Status == messageTurn && m.Given.After(now) }

// pending reports whether it is open what becomes of a message, so that a Receive waits for it.
func (m *userMessage) pending() bool {
	return m.Status == messagePosting || m.Status == messageTurn && !m.Managed && !m.Given.IsZero()
}

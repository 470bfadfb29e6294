package handover

import (
	"time"
)

// ActivityKind names what happened.
type ActivityKind string

// The kinds of activities.
const (
	ActivityState     ActivityKind = "state"     // the state changed: From, To, Reason
	ActivityAsked     ActivityKind = "asked"     // Start was called: Outcome; of OutcomeOpening the states tell what came
	ActivityAnswered  ActivityKind = "answered"  // Config.Answer answered a message of the user: Took
	ActivityRelayed   ActivityKind = "relayed"   // a message of the user is in Crisp: Took
	ActivityDelivered ActivityKind = "delivered" // a message was shown to the user: Took
	ActivityWithheld  ActivityKind = "withheld"  // a message in Crisp is not for the user: Why
	ActivityOtherBot  ActivityKind = "other_bot" // another bot wrote in the Crisp conversation
	ActivityNotShown  ActivityKind = "not_shown" // an agent's message cannot be shown: Why
	ActivityNotSent   ActivityKind = "not_sent"  // a user's message cannot be passed on
	ActivityGivenUp   ActivityKind = "given_up"  // an effect was tried too often
	ActivityFault     ActivityKind = "fault"     // something failed and is tried again: Err
	ActivityHook      ActivityKind = "hook"      // a hook was dropped: Why
	ActivityEnded     ActivityKind = "ended"     // OnEnd heard of the end: Reason
	ActivityRated     ActivityKind = "rated"     // the user rated the conversation: Stars
	ActivityCall      ActivityKind = "call"      // a call to Crisp: Effect, Took, Err; and what it was made for, unless for all conversations
	ActivityLimited   ActivityKind = "limited"   // Crisp refused a field of the user's data: Why
)

// Activity is something that happened. It never holds what people wrote or are called.
type Activity struct {
	Kind         ActivityKind
	Conversation Conversation
	// N grows with each activity of a conversation, in the order in which they were stored: calls of
	// Observe come from several goroutines and replicas, and may overtake each other. It is 0 for
	// ActivityCall, ActivityLimited, and faults of the history page and of a Run that is missing, which are
	// of no record.
	N          int64
	HandoverID string
	CrispID    string
	MessageID  string // of the Message or the Incoming it is about
	From, To   State
	Reason     EndReason
	Outcome    Outcome
	Effect     string        // what was tried, of a fault
	Why        string        // one word
	Attempt    int           // from 1
	Took       time.Duration // from the first attempt, or since the state before
	Stars      int
	Err        error // of Crisp, or of a callback of the host's
	At         time.Time
	// TraceParent is the trace context, a W3C traceparent, in which it began: of the user's message that it is about,
	// or of the hook that told of an agent's. TraceLink is that of the newest message of the user in the
	// handover, or of the asking for it: what agents write answers that. Each is empty if none is known.
	TraceParent, TraceLink string
}

// observe notes an activity; it is told when the change is saved.
func (rec *record) observe(a Activity) {
	a.Conversation, a.N, a.At = rec.Conversation, rec.next(), rec.env.now
	if a.HandoverID == "" && rec.Handover != nil {
		a.HandoverID = rec.Handover.ID
	}
	if a.CrispID == "" && rec.Handover != nil {
		a.CrispID = rec.Handover.CrispID
	}
	rec.env.activity = append(rec.env.activity, rec.traced(a))
}

// traced gives an activity the trace contexts that the record has. A store is not trusted: they are as valid as
// those that came.
func (rec *record) traced(a Activity) Activity {
	if a.TraceParent == "" && a.MessageID != "" {
		a.TraceParent = rec.UserMessages.trace(a.MessageID)
	}
	a.TraceParent = validTrace(a.TraceParent)
	if rec.Handover != nil {
		a.TraceLink = validTrace(rec.Handover.Trace)
	}
	return a
}

// validTrace returns a W3C traceparent of version 00 as it is, and "" for anything else.
func validTrace(text string) string {
	const form = "00-xxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxx-xxxxxxxxxxxxxxxx-xx"
	if len(text) != len(form) {
		return ""
	}
	zero := [2]bool{true, true} // the ids of the trace and of the span
	for i := range len(text) {
		c, hex := text[i], form[i] == 'x'
		if hex && !('0' <= c && c <= '9' || 'a' <= c && c <= 'f') || !hex && c != form[i] {
			return ""
		}
		switch {
		case i >= 3 && i < 35:
			zero[0] = zero[0] && c == '0'
		case i >= 36 && i < 52:
			zero[1] = zero[1] && c == '0'
		}
	}
	if zero[0] || zero[1] {
		return ""
	}
	return text
}

// purpose is what the calls of a step are made for.
func (rec *record) purpose(s *step) Activity {
	if s.read != nil {
		return rec.traced(Activity{Conversation: rec.Conversation, CrispID: s.read.Crisp})
	}
	e := s.effect
	a := Activity{Conversation: rec.Conversation, HandoverID: e.HandoverID, CrispID: e.Crisp, MessageID: rec.UserMessages.hostID(e.Incoming)}
	switch e.Kind {
	case kindCreate, kindMetas, kindInbox, kindAssign, kindGreet: // the message that asked for a human opens it
		if ho := rec.handoverOf(e.HandoverID); ho != nil {
			a.TraceParent = ho.Trace
		}
	}
	return rec.traced(a)
}

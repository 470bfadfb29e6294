package handover

import (
	"slices"
	"strings"
)

// fault says what does not hold together in a record that was read; "" for none. The work on a record
// relies on all of this.
func (rec *record) fault(key string) string {
	website, _, _ := strings.Cut(key, "/")
	switch {
	case key != "" && rec.Website != website:
		return "it is of another website than its key"
	case !validID(rec.Conversation.ID):
		return "it has no conversation"
	case !slices.Contains([]State{StateBot, StateMuted, StateOpening, StateWaiting, StateActive}, rec.State):
		return "its state is none that is known"
	case rec.human() && rec.Handover == nil:
		return "a handover runs, and it is missing"
	case (rec.State == StateWaiting || rec.State == StateActive) && rec.Sessions.byID(rec.Handover.CrispID) == nil:
		return "a handover runs in a Crisp session that is missing"
	case slices.Contains(rec.UserMessages, nil):
		return "a message of the user is null"
	case slices.ContainsFunc(rec.UserMessages, func(m *userMessage) bool { return m.unfinished() && m.Incoming == nil }):
		return "a message of the user has lost its words"
	}
	for _, s := range rec.Sessions {
		switch {
		case s == nil || !validSessionID(s.ID):
			return "a Crisp session is null, or its id is none"
		case slices.Contains(s.Log.Entries, nil):
			return "an entry of the log is null"
		}
	}
	for _, q := range [][]*effect{rec.ToUser, rec.ToCrisp, rec.Away} {
		for _, e := range q {
			if e == nil {
				return "an effect is null"
			}
			if fault := e.fault(); fault != "" {
				return fault
			}
		}
	}
	return ""
}

// unfinished reports whether the words of a message are still needed.
func (m *userMessage) unfinished() bool {
	return m.Status == messageTurn || m.Status == messageKept || m.Status == messagePosting
}

// fault says what an effect lacks that its kind needs; "" for nothing.
func (e *effect) fault() string {
	switch {
	case (e.Kind == kindDeliver || e.Kind == kindRevise) && e.Message == nil:
		return "a delivery has no message"
	case e.Kind == kindOnEnd && e.Summary == nil:
		return "an end has no summary"
	case e.Kind == kindPost && (e.Incoming == "" || len(e.Content) == 0):
		return "a post has no content"
	case e.Part < 0 || e.Attempts < 0:
		return "an effect has a number below zero"
	}
	return ""
}

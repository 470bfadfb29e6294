package handover

import (
	"time"
)

// judge takes the state of the conversation, after the messages before it.
func (rec *record) judge(s *crispSession, n *reading) {
	for i := range rec.Hooks {
		k := &rec.Hooks[i]
		if ev, ok := k.event(); ok && n.judges(k) {
			rec.judgeHook(s, k, ev, n)
		}
	}
	switch {
	case n.gone:
		rec.closed(s, EndRemoved, 0)
	case n.state == nil:
	case n.state.Blocked:
		rec.closed(s, EndBlocked, 0)
	default:
		rec.judgeRead(s, n)
	}
	if n.state != nil {
		s.Email = n.state.Meta.Email != ""
	}
}

func (rec *record) judgeHook(s *crispSession, k *hook, ev *Event, n *reading) {
	at := ev.At.UnixMilli()
	if n.err != nil && !n.gone && !k.ripe(s, n, rec.env.now) {
		if ev.State != "" || ev.Blocked != nil || ev.Name == eventSessionRemoved {
			n.hold(k) // messages before it may not be read yet
		}
		return
	}
	switch {
	case ev.State == "resolved" && rec.env.now.Before(s.Echo):
		s.Echo, s.Mark = time.Time{}, max(s.Mark, at)
	case ev.State == "resolved" && s.Opening != 0:
		// Until our opening message is seen it is not known which handover this is about.
		if !k.ripe(s, n, rec.env.now) {
			n.hold(k)
		} else {
			s.Resolved, s.Updated = rec.env.now, at
		}
	case ev.State == "resolved" && at > s.Mark:
		rec.closed(s, EndResolved, at)
	case ev.Name == eventSessionRemoved:
		rec.closed(s, EndRemoved, at)
	case ev.Blocked != nil && *ev.Blocked && at > s.Mark:
		rec.closed(s, EndBlocked, at)
	case ev.Routing != nil && *ev.Routing != "" && at > s.Mark && rec.env.cfg.Policy.ClaimOnAssign:
		if rec.human() && rec.Handover.CrispID == s.ID && *ev.Routing != rec.Handover.Request.Operator {
			rec.fire(onAssigned, cause{session: s, agent: Agent{ID: *ev.Routing}})
		}
	}
}

// judgeRead takes a resolved state that no hook told of: it counts when a second read agrees and
// nothing of ours was posted between, since every message of the user reopens the conversation.
func (rec *record) judgeRead(s *crispSession, n *reading) {
	updated := positive(n.state.UpdatedAt)
	s.Closed = s.Closed && n.state.State == "resolved"
	if n.state.State != "resolved" || s.Closed || s.Opening != 0 || updated <= s.Mark {
		s.Resolved = time.Time{}
		return
	}
	if s.Resolved.IsZero() {
		s.Resolved, s.Updated = rec.env.now, updated
		return
	}
	if n.begun.Sub(s.Resolved) >= resolvedTwice {
		rec.closed(s, EndResolved, updated)
	}
}

// closed queues the end of what runs in the session, behind the messages that came before it.
func (rec *record) closed(s *crispSession, reason EndReason, at int64) {
	s.Newest = max(s.Newest, at)
	s.Gone = s.Gone || reason == EndRemoved
	s.Closed = s.Closed || reason == EndResolved
	s.Resolved = time.Time{} // no second read is needed any more
	if f := rec.FollowUp; f != nil && f.CrispID == s.ID {
		s.Mark = max(s.Mark, s.Newest)
		rec.dropFollowUp(cause{})
	}
	if rec.human() && rec.Handover.CrispID == s.ID {
		rec.push(&rec.ToUser, effect{Kind: kindEnd, HandoverID: rec.Handover.ID, Crisp: s.ID, Reason: reason, At: at})
	}
}

// believes reports whether a conversation that a read does not find is gone: a hook says so too, or
// an earlier read did. One read alone may be older than the conversation.
func (rec *record) confirmsRemoval(s *crispSession, n *reading) bool {
	for i := range rec.Hooks {
		k := &rec.Hooks[i]
		if ev, ok := k.event(); ok && n.judges(k) && ev.Name == eventSessionRemoved {
			return true
		}
	}
	if s.Missing.IsZero() {
		s.Missing = n.begun
	}
	return n.begun.Sub(s.Missing) >= resolvedTwice
}

// vanished ends at once what runs in a session that was removed: nothing more can pass.
func (rec *record) vanished(s *crispSession) {
	s.Gone = true
	switch f := rec.FollowUp; {
	case f == nil || f.CrispID != s.ID:
	case f.Opened.IsZero():
		rec.followUpFailed()
	default:
		rec.dropFollowUp(cause{})
	}
	if rec.human() && rec.Handover.CrispID == s.ID {
		rec.fire(onRemoved, cause{})
	}
}

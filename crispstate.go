package handover

import (
	"time"
)

// judge takes the state of the conversation, after the messages before it.
func (d *data) judge(s *crispSession, n *news) {
	for i := range d.Inbox {
		k := &d.Inbox[i]
		if ev, ok := k.event(); ok && n.judges(k) {
			d.judgeHook(s, k, ev, n)
		}
	}
	switch {
	case n.gone:
		d.closed(s, EndRemoved, 0)
	case n.state == nil:
	case n.state.Blocked:
		d.closed(s, EndBlocked, 0)
	default:
		d.judgeRead(s, n)
	}
	if n.state != nil {
		s.Email = n.state.Meta.Email != ""
	}
}

func (d *data) judgeHook(s *crispSession, k *hook, ev *Event, n *news) {
	at := ev.At.UnixMilli()
	if n.err != nil && !n.gone && !k.ripe(s, n, d.env.now) {
		if ev.State != "" || ev.Blocked != nil || ev.Name == eventSessionRemoved {
			n.hold(k) // messages before it may not be read yet
		}
		return
	}
	switch {
	case ev.State == "resolved" && d.env.now.Before(s.Echo):
		s.Echo, s.Mark = time.Time{}, max(s.Mark, at)
	case ev.State == "resolved" && s.Opening != 0:
		// Until our opening message is seen it is not known which handover this is about.
		if !k.ripe(s, n, d.env.now) {
			n.hold(k)
		} else {
			s.Resolved, s.Updated = d.env.now, at
		}
	case ev.State == "resolved" && at > s.Mark:
		d.closed(s, EndResolved, at)
	case ev.Name == eventSessionRemoved:
		d.closed(s, EndRemoved, at)
	case ev.Blocked != nil && *ev.Blocked && at > s.Mark:
		d.closed(s, EndBlocked, at)
	case ev.Routing != nil && *ev.Routing != "" && at > s.Mark && d.env.cfg.Policy.ClaimOnAssign:
		if d.human() && d.Stay.CrispID == s.ID && *ev.Routing != d.Stay.Request.Operator {
			d.fire(onAssigned, happening{session: s, agent: Agent{ID: *ev.Routing}})
		}
	}
}

// judgeRead takes a resolved state that no hook told of: it counts when a second read agrees and
// nothing of ours was posted between, since every message of the user reopens the conversation.
func (d *data) judgeRead(s *crispSession, n *news) {
	updated := positive(n.state.UpdatedAt)
	s.Closed = s.Closed && n.state.State == "resolved"
	if n.state.State != "resolved" || s.Closed || s.Opening != 0 || updated <= s.Mark {
		s.Resolved = time.Time{}
		return
	}
	if s.Resolved.IsZero() {
		s.Resolved, s.Updated = d.env.now, updated
		return
	}
	if n.begun.Sub(s.Resolved) >= resolvedTwice {
		d.closed(s, EndResolved, updated)
	}
}

// closed queues the end of what runs in the session, behind the messages that came before it.
func (d *data) closed(s *crispSession, reason EndReason, at int64) {
	s.Newest = max(s.Newest, at)
	s.Gone = s.Gone || reason == EndRemoved
	s.Closed = s.Closed || reason == EndResolved
	s.Resolved = time.Time{} // no second read is needed any more
	if f := d.FollowUp; f != nil && f.CrispID == s.ID {
		s.Mark = max(s.Mark, s.Newest)
		d.dropFollowUp(happening{})
	}
	if d.human() && d.Stay.CrispID == s.ID {
		d.push(&d.In, effect{Kind: kindEnd, Stay: d.Stay.ID, Crisp: s.ID, Reason: reason, At: at})
	}
}

// believes reports whether a conversation that a read does not find is gone: a hook says so too, or
// an earlier read did. One read alone may be older than the conversation.
func (d *data) believes(s *crispSession, n *news) bool {
	for i := range d.Inbox {
		k := &d.Inbox[i]
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
func (d *data) vanished(s *crispSession) {
	s.Gone = true
	switch f := d.FollowUp; {
	case f == nil || f.CrispID != s.ID:
	case f.Opened.IsZero():
		d.followUpFailed()
	default:
		d.dropFollowUp(happening{})
	}
	if d.human() && d.Stay.CrispID == s.ID {
		d.fire(onRemoved, happening{})
	}
}

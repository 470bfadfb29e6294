package handover

import (
	"time"

	"github.com/crisphandover/handover/internal/crisplog"
)

// judge handles a change of state that a signed hook tells of, at its place in Crisp's order.
func (in *intake) judge(x crisplog.Item) {
	s, at := in.s, x.At
	switch x.Says {
	case crisplog.SaysRemoved:
		in.closed(EndRemoved, at)
	case crisplog.SaysBlocked:
		switch counts := in.rec.blockCounts(s, at); {
		case counts:
			s.State.Block(true, at)
			in.closed(EndBlocked, at)
		case at <= s.Bounds.At:
			s.State.Block(true, at)
		default:
			in.rec.requestRead(s.ID)
		}
	case crisplog.SaysResolved:
		switch {
		case s.Bounds.Opening != 0:
			// Until our opening message is seen it is not known which handover this is about.
			s.State.Doubt, s.State.Updated = in.rec.env.now, at
		case s.Bounds.Newer(at):
			in.closed(EndResolved, at)
		default:
			in.wasResolved(at)
		}
	default:
		s.State.Told(false, at) // never a reason to mute
	}
}

// blockCounts reports whether a block at a time of Crisp's ends what runs in the session. One that came before the
// asking, or was lifted since, may be heard of late: then only a read of the state tells whether the user is blocked.
func (rec *record) blockCounts(s *crisplog.Session, at int64) bool {
	switch {
	case at < s.State.BlockAt:
		return false
	case s.Bounds.Opening != 0 && rec.runsIn(s.ID):
		return rec.clockOf(s).After(at, rec.Handover.Asked)
	}
	return at > s.Bounds.At
}

// clockOf is what is known of Crisp's clock: what the session shows, or else other conversations, or Crisp's answers.
func (rec *record) clockOf(s *crisplog.Session) crisplog.Clock {
	if s.Log.Sampled {
		return s.Log.Clock
	}
	return rec.env.crisp
}

// judgeRead handles the state that was read. A resolved state counts when a hook told of it as well, or
// when a second read agrees a minute later and nothing of ours was posted between, since every message
// of the user reopens the conversation.
func (in *intake) judgeRead() {
	s, n := in.s, in.n
	in.assigned()
	switch {
	case n.Gone:
		in.closed(EndRemoved, 0)
		return
	case n.State == nil:
		in.stateUnknown()
		return
	}
	s.State.Unread = 0
	s.State.Email = n.State.Meta.Email != ""
	s.State.Blocked = n.State.Blocked
	if n.State.Blocked {
		in.closed(EndBlocked, 0)
		return
	}
	updated, _ := s.Log.Plausible(n.State.Changed(), in.rec.env.now)
	in.judgeResolved(n.State.State == crisplog.SaysResolved, updated)
}

// stateUnknown puts the second read of a state off that could not be read. What a person must mend first
// is tried again ever more rarely.
func (in *intake) stateUnknown() {
	s := in.s
	if in.n.StateErr == nil {
		return
	}
	in.trustState()
	if s.State.Doubt.IsZero() {
		return
	}
	s.State.Doubt = in.rec.env.now
	if api := apiError(in.n.StateErr); api != nil && api.NeedsPerson() && !api.Held {
		s.State.Unread++
	}
}

// trustState takes a signed hook at its word that tells of a resolved state without a time, after
// crisplog.InHandFor, where the messages can be read and the state cannot. So it does with the list of
// conversations, if nothing was written after what that tells.
func (in *intake) trustState() {
	if in.s.Bounds.Opening != 0 {
		return // it is not known yet which handover a hook is about
	}
	told := false
	for _, k := range in.hooks() {
		if !k.TellsEnd() || in.rec.env.now.Before(k.Got.Add(crisplog.InHandFor)) {
			continue
		}
		in.n.Release(k)
		if !told && !in.before(k) && !(k.Listed && k.At < max(in.s.Log.Newest, in.s.Bounds.At)) {
			in.closed(EndResolved, in.s.Log.CrispTime(k.Got))
			told = true
		}
	}
}

// before reports whether a hook came before the handover that runs in the session was open: its opening
// message has reopened the session since.
func (in *intake) before(k *crisplog.Hook) bool {
	return in.rec.runsIn(in.s.ID) && k.Got.Before(in.rec.Handover.Opened)
}

func (in *intake) judgeResolved(resolved bool, updated int64) {
	rec, s, n := in.rec, in.s, in.n
	s.State.Resolved = s.State.Resolved && resolved
	if !resolved || s.State.Resolved || s.Bounds.Opening != 0 || updated < s.Bounds.At {
		s.State.Doubt = time.Time{}
		if resolved && s.Bounds.Opening == 0 {
			in.wasResolved(updated)
		}
		return
	}
	for _, k := range in.hooks() {
		if k.Told == nil && k.Says == crisplog.SaysResolved && !k.Listed {
			in.closed(EndResolved, max(updated, k.At))
			return
		}
	}
	if s.State.Doubt.IsZero() {
		s.State.Doubt, s.State.Updated = rec.env.now, updated
		return
	}
	if s.State.Confirmed(n.Begun) {
		in.closed(EndResolved, updated)
	}
}

// wasResolved notes that the session was resolved before our last opening or end in it, such as while an
// opening failed. It is so still, unless a message of ours has opened it again.
func (in *intake) wasResolved(at int64) {
	if !in.rec.runsIn(in.s.ID) && !in.s.Log.PostedSince(at) {
		in.s.State.Told(true, at)
	}
}

// assigned handles an assignment to an agent, where Policy.ClaimOnAssign makes that a human sign.
func (in *intake) assigned() {
	rec, s := in.rec, in.s
	if !rec.env.cfg.Policy.ClaimOnAssign || !rec.runsIn(s.ID) {
		return
	}
	for _, k := range in.hooks() {
		if k.Told == nil || k.Told.Operator == nil || in.n.Held(k) || !s.Bounds.Newer(k.Told.At) {
			continue
		}
		if to := *k.Told.Operator; to != "" && to != rec.Handover.Request.Operator {
			rec.fire(onAssigned, cause{session: s, agent: Agent{ID: to}})
		}
	}
}

// closed queues the end of what runs in the session, behind the messages that came before it.
func (in *intake) closed(reason EndReason, at int64) {
	rec, s := in.rec, in.s
	in.changed = true
	s.Log.Newest = max(s.Log.Newest, at)
	s.State.Gone = s.State.Gone || reason == EndRemoved
	if reason == EndResolved {
		s.State.Told(true, at)
	}
	s.State.Doubt = time.Time{} // no second read is needed any more
	if rec.followsUpIn(s.ID) {
		s.Bounds.End(s.Log.Newest)
		rec.dropFollowUp()
	}
	if rec.runsIn(s.ID) {
		rec.push(&rec.ToUser, effect{Kind: kindEnd, HandoverID: rec.Handover.ID, Crisp: s.ID, Reason: reason, At: at})
	} else {
		s.Bounds.End(at)
	}
}

// confirmsRemoval reports whether a conversation that a read does not find is gone: a hook says so too,
// or an earlier read did. One read alone may be older than the conversation.
func (in *intake) confirmsRemoval() bool {
	s, n := in.s, in.n
	for _, k := range in.hooks() {
		if k.Says == crisplog.SaysRemoved {
			return true
		}
	}
	return s.State.NotFound(n.Begun)
}

// vanished ends at once what runs in a session in which nothing can pass any more.
func (o *settlement) vanished(reason trigger) {
	o.s.State.Gone = true
	switch {
	case !o.rec.followsUpIn(o.s.ID):
	case o.rec.FollowUp.Opened.IsZero():
		o.rec.followUpFailed()
	default:
		o.rec.dropFollowUp()
	}
	if o.rec.runsIn(o.s.ID) {
		o.rec.fire(reason, cause{})
	}
}

package handover

import (
	"github.com/crisphandover/handover/internal/crispcontent"
	"github.com/crisphandover/handover/internal/crisplog"
)

// oldWanted reports whether what a read of a session brought, and its hooks, can only be judged with what
// is in the session's old log.
func (rec *record) oldWanted(s *crisplog.Session, n *reading) bool {
	l := &s.Log
	if l.Moved == 0 {
		return false
	}
	for _, all := range [][]EventMessage{n.messages, n.singles} {
		for i := range all {
			if rec.forgot(l, &all[i]) {
				return true
			}
		}
	}
	for _, k := range rec.Hooks.of(s.ID, n.of.upto) {
		if m := k.message(); m != nil {
			if rec.forgot(l, m) {
				return true
			}
		} else if fp := k.about(); fp != 0 && l.Entry(fp) == nil {
			return true
		}
	}
	return false
}

// forgot reports whether more may have been known of a message than there is.
func (rec *record) forgot(l *crisplog.Log, m *EventMessage) bool {
	return l.Forgot(rec.counted(l, m), m.Fingerprint, m.Type, m.Content)
}

// counted is the time that a message counts with.
func (rec *record) counted(l *crisplog.Log, m *EventMessage) int64 {
	at, ok := l.Plausible(m.Timestamp, rec.env.now)
	if !ok {
		return 0 // it may be as old as any
	}
	return at
}

// recall takes back from the old log what this reading is about.
func (in *intake) recall() {
	l, old := &in.s.Log, in.n.old
	if old == nil {
		return
	}
	for _, k := range in.rec.Hooks.of(in.s.ID, in.n.of.upto) {
		fp := k.about()
		if m := k.message(); m != nil {
			in.recallMessage(m)
		} else if fp == 0 || l.Entry(fp) != nil {
			continue
		} else if e := old.Entry(fp); e != nil {
			l.Recall(e)
		} else if old.Cut != 0 && !l.Knows(fp) {
			in.rec.observe(Activity{Kind: ActivityNotShown, CrispID: in.s.ID, Why: "too_old"})
		}
	}
	for _, all := range [][]EventMessage{in.n.messages, in.n.singles} {
		for i := range all {
			in.recallMessage(&all[i])
		}
	}
}

// recallMessage makes a message known again if it was. What is older than all that is known counts as
// judged.
func (in *intake) recallMessage(m *EventMessage) {
	l, at := &in.s.Log, in.rec.counted(&in.s.Log, m)
	if !in.rec.forgot(l, m) {
		return
	}
	switch e := in.n.old.Entry(m.Fingerprint); {
	case e != nil && e.Status == crisplog.Shown && e.Hash != crispcontent.Hash(m.Type, m.Content):
		l.Recall(e)
	case e != nil:
		l.Remember(e)
	case at != 0 && at <= in.n.old.Cut:
		if in.n.judged == nil {
			in.n.judged = make(map[int64]bool)
		}
		in.n.judged[m.Fingerprint] = true
	}
}

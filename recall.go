package handover

// oldWanted reports whether what a read of a session brought, and its hooks, can only be judged with what
// is in the session's old log.
func (rec *record) oldWanted(s *crispSession, n *reading) bool {
	l := &s.Log
	if l.Moved == 0 {
		return false
	}
	for _, all := range [][]EventMessage{n.messages, n.singles} {
		for i := range all {
			if l.forgot(rec.counted(l, &all[i]), &all[i]) {
				return true
			}
		}
	}
	for _, k := range rec.Hooks.of(s.ID, n.of.upto) {
		if m := k.message(); m != nil {
			if l.forgot(rec.counted(l, m), m) {
				return true
			}
		} else if fp := k.about(); fp != 0 && l.entry(fp) == nil {
			return true
		}
	}
	return false
}

// oldMissing reports whether what a read brought can only be judged with the session's old log as it is now:
// messages went there after the read began, which are no longer known by the record.
func (rec *record) oldMissing(n *reading) bool {
	s := rec.Sessions.byID(n.of.crisp)
	return s != nil && n.err == nil && (n.old == nil || n.moves < s.Log.Moves) && rec.oldWanted(s, n)
}

// counted is the time that a message counts with.
func (rec *record) counted(l *crispLog, m *EventMessage) int64 {
	at, ok := l.plausible(m.Timestamp, rec.env.now)
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
		} else if fp == 0 || l.entry(fp) != nil {
			continue
		} else if e := old.entry(fp); e != nil {
			l.recall(e)
		} else if old.Cut != 0 && !l.Known.has(fp) {
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
	if !l.forgot(at, m) {
		return
	}
	switch e := in.n.old.entry(m.Fingerprint); {
	case e != nil && e.Status == entryShown && e.Hash != hashOf(m.Type, m.Content):
		l.recall(e)
	case e != nil:
		l.Known.add(e.known())
	case at != 0 && at <= in.n.old.Cut:
		if in.n.judged == nil {
			in.n.judged = make(map[int64]bool)
		}
		in.n.judged[m.Fingerprint] = true
	}
}

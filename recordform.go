package handover

import (
	"cmp"
	"slices"
	"time"

	"github.com/crisphandover/handover/internal/crisplog"
)

// A record is stored in a short form: stores keep very many, and write each several times for a message.

// written returns the record in the form that is stored: without what complete can tell from the rest.
func (rec *record) written() *record {
	w := *rec
	if w.Touched.Equal(w.Since) {
		w.Touched = time.Time{}
	}
	w.First = rec.Epoch - rec.First
	for _, ho := range []**handover{&w.Handover, &w.FollowUp} {
		if *ho == nil {
			continue
		}
		short := **ho
		if short.Epoch == rec.Epoch {
			short.Epoch = 0
		}
		if short.Claimed.Equal(short.FirstReply) {
			short.Claimed = time.Time{}
		}
		if short.LastWord.Equal(short.Opened) {
			short.LastWord = time.Time{}
		}
		if *ho == rec.Handover && rec.withAgents() && short.Opened.Equal(rec.Since) {
			short.Opened = time.Time{}
		}
		short.inSession(rec.Sessions)
		*ho = &short
	}
	return &w
}

// complete puts in what written left out. It reports false if that cannot be told.
func (rec *record) complete() bool {
	if rec.Touched.IsZero() {
		rec.Touched = rec.Since
	}
	rec.First = rec.Epoch - rec.First
	for _, ho := range []*handover{rec.Handover, rec.FollowUp} {
		if ho == nil {
			continue
		}
		if ho.Epoch == 0 {
			ho.Epoch = rec.Epoch
		}
		if ho.Claimed.IsZero() {
			ho.Claimed = ho.FirstReply
		}
		if ho == rec.Handover && rec.withAgents() && ho.Opened.IsZero() {
			ho.Opened = rec.Since
		}
		if ho.LastWord.IsZero() {
			ho.LastWord = ho.Opened
		}
		ho.Timeouts.complete()
		if !ho.fromSession(rec.Sessions) {
			return false
		}
	}
	return true
}

// inSession leaves out what the handover's session says of it: its id, the opening message, if the session was made with that, and
// its agents, who wrote there.
func (ho *handover) inSession(all crisplog.Sessions) {
	i := slices.IndexFunc(all, func(s *crisplog.Session) bool { return s.ID == ho.CrispID })
	if i < 0 || ho.Opening == 0 {
		return
	}
	s := all[i]
	ho.CrispID, ho.Session = "", i+1
	if ho.Opening == s.Log.First {
		ho.Opening = 0
	}
	by := make([]int, len(ho.Agents))
	for n, a := range ho.Agents {
		if by[n] = slices.Index(s.Log.Authors, crisplog.Author(a)) + 1; by[n] == 0 {
			return
		}
	}
	ho.Agents, ho.By = nil, by
}

// fromSession is the reverse of inSession. It reports false if the session does not say it.
func (ho *handover) fromSession(all crisplog.Sessions) bool {
	n, by := ho.Session, ho.By
	ho.Session, ho.By = 0, nil
	if n == 0 {
		return len(by) == 0
	}
	if n < 0 || n > len(all) || all[n-1] == nil {
		return false
	}
	s := all[n-1]
	ho.CrispID, ho.Opening = s.ID, cmp.Or(ho.Opening, s.Log.First)
	for _, i := range by {
		if i < 1 || i > len(s.Log.Authors) {
			return false
		}
		ho.Agents = append(ho.Agents, Agent(s.Log.Authors[i-1]))
	}
	return true
}

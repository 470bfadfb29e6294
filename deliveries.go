package handover

import (
	"slices"
	"time"

	"github.com/crisphandover/handover/internal/crisplog"
)

// queueParts queues the parts of a message; suffix tells a correction's ids from the first ones.
func (rec *record) queueParts(l *queue, s *crisplog.Session, e *crisplog.Entry, parts []part, msg Message, suffix string) {
	id := ""
	if rec.Handover != nil && rec.Handover.CrispID == s.ID {
		id = rec.Handover.ID
	}
	for i, p := range parts {
		one := msg
		one.ID = messageID(s.ID, e.FP, i) + suffix
		if suffix != "" {
			one.Corrects = messageID(s.ID, e.FP, i)
		}
		one.Content, one.File = p.Content, p.File
		kind := kindDeliver
		if suffix != "" && rec.env.cfg.Revise != nil {
			kind = kindRevise
		}
		rec.push(l, effect{Kind: kind, HandoverID: id, Crisp: s.ID, FP: e.FP, Part: i, Message: &one})
	}
}

// kept matches the deliveries of a message that are kept until the user is there again.
func kept(s *crisplog.Session, fp int64) func(*effect) bool {
	return func(x *effect) bool { return x.Crisp == s.ID && x.FP == fp }
}

// replaceKept gives a message that is kept until the user is there again its new content. It reports
// whether nothing more is to do: a host that keeps the message as well has it revised, too. Where a part
// was shown, or what is kept is a correction, the new content becomes a correction.
func (rec *record) replaceKept(s *crisplog.Session, e *crisplog.Entry, parts []part, msg Message, suffix string) bool {
	at := slices.IndexFunc(rec.Away, kept(s, e.FP))
	if at < 0 {
		return false
	}
	first := rec.Away[at]
	corrects := first.Message.Corrects != "" || first.Part > 0
	if !corrects {
		suffix = ""
	}
	var l queue
	rec.queueParts(&l, s, e, parts, msg, suffix)
	for _, x := range l {
		x.Attempts = first.Attempts
	}
	rec.Away = slices.Insert(slices.DeleteFunc(rec.Away, kept(s, e.FP)), at, l...)
	return corrects || len(e.ChannelID) == 0 || rec.env.cfg.Revise == nil
}

// mark queues the delivered and read marks, together with those that wait already.
func (rec *record) mark(s *crisplog.Session, fp int64) {
	if rec.env.cfg.Policy.NoMarks {
		return
	}
	for _, e := range rec.ToCrisp {
		if e.Kind == kindMark && e.Crisp == s.ID && e.Attempts == 0 {
			e.FPs = append(e.FPs, fp)
			return
		}
	}
	rec.push(&rec.ToCrisp, effect{Kind: kindMark, Crisp: s.ID, FPs: []int64{fp}})
}

// named notes the channel's id of the part that a delivery showed.
func (e *effect) named(s *crisplog.Session, id string) {
	if e.Message.Corrects == "" {
		s.Log.Name(e.FP, e.Part, id)
	}
}

// userSign gives back the deliveries that were kept until the user is there again.
func (rec *record) userSign() {
	if len(rec.Away) == 0 {
		return
	}
	for _, e := range rec.Away {
		e.Next = time.Time{}
		e.Message.Late = true
	}
	rec.ToUser = append(rec.Away, rec.ToUser...)
	rec.Away = nil
}

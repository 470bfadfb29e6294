package handover

import (
	"errors"
	"fmt"
	"slices"
	"time"

	"github.com/crisphandover/handover/internal/crispcontent"
	"github.com/crisphandover/handover/internal/crisplog"
	"github.com/crisphandover/handover/internal/persondata"
	"github.com/crisphandover/handover/internal/textsplit"
	"github.com/crisphandover/handover/internal/times"
)

// queueParts queues the parts of a message; suffix tells a correction's ids from the first ones.
func (in *intake) queueParts(l *queue, e *crisplog.Entry, parts []crispcontent.Part, msg Message, suffix string) {
	id := ""
	if in.rec.Handover != nil && in.rec.Handover.CrispID == in.s.ID {
		id = in.rec.Handover.ID
	}
	for i, p := range parts {
		one := msg
		one.ID = messageID(in.s.ID, e.FP, i) + suffix
		if suffix != "" {
			one.Corrects = messageID(in.s.ID, e.FP, i)
		}
		one.Content, one.File = contentOf(p)
		kind := kindDeliver
		if suffix != "" && in.rec.env.cfg.Revise != nil {
			kind = kindRevise
		}
		in.rec.push(l, effect{Kind: kind, HandoverID: id, Crisp: in.s.ID, FP: e.FP, Part: i, Message: &one})
	}
}

// maxHeld is how many effects wait for the user until Crisp's log is read no further, and how many deliveries
// are kept for a user who is away.
const maxHeld = 300

// unread reports whether a session's log is not read now, this being the queue to the user: an end waits until the messages before it are shown,
// or so much waits for the user that what follows is better left in Crisp.
func (q queue) unread(crisp string) bool {
	return q.ends(crisp) || len(q) > maxHeld/2
}

// replaceKept gives a message that is kept until the user is there again its new content. It reports
// whether nothing more is to do: a host that keeps the message as well has it revised, too. Where a part
// was shown, or what is kept is a correction, the new content becomes a correction.
func (in *intake) replaceKept(e *crisplog.Entry, parts []crispcontent.Part, msg Message, suffix string) bool {
	kept := ofEntry(in.s.ID, e.FP)
	at := slices.IndexFunc(in.rec.Away, kept)
	if at < 0 {
		return false
	}
	first := in.rec.Away[at]
	corrects := first.Message.Corrects != "" || first.Part > 0
	if !corrects {
		suffix = ""
	}
	var l queue
	in.queueParts(&l, e, parts, msg, suffix)
	for _, x := range l {
		x.Attempts = first.Attempts
	}
	in.rec.Away = slices.Insert(slices.DeleteFunc(in.rec.Away, kept), at, l...)
	return corrects || len(e.ChannelID) == 0 || in.rec.env.cfg.Revise == nil
}

// delivered notes that a part of an agent's message was shown, and marks the message once all of
// it was.
func (o *settlement) delivered() {
	o.rec.observe(Activity{Kind: ActivityDelivered, CrispID: o.e.Crisp, MessageID: o.e.Message.ID, TraceParent: o.e.Message.TraceParent, Attempt: o.e.Attempts, Took: o.rec.env.now.Sub(o.e.Since)})
	if o.s == nil || o.e.Kind != kindDeliver {
		return
	}
	o.e.named(o.s, o.r.id)
	for _, x := range o.rec.ToUser {
		if x.Crisp == o.e.Crisp && x.FP == o.e.FP && x.Kind == kindDeliver {
			return
		}
	}
	if o.e.Message.From == FromAgent && o.e.Message.Corrects == "" {
		o.rec.mark(o.s.ID, o.e.FP)
	}
	if o.rec.takesOver(o.s, o.e.Message) {
		told := o.rec.FollowUp.Agents.find(o.e.Message.Agent) >= 0
		o.rec.fire(onHuman, cause{session: o.s, agent: o.e.Message.Agent, at: o.e.Message.At.UnixMilli(), announced: told})
	}
}

// deliveryFailed reports whether a delivery is given up.
func (o *settlement) deliveryFailed() bool {
	unsupported := errors.Is(o.r.err, errors.ErrUnsupported)
	signed := o.e.Signed
	o.e.Signed = false
	switch {
	case errors.Is(o.r.err, ErrUserAway) && signed:
		o.untried()
		o.e.Next = time.Time{}
		return false
	case errors.Is(o.r.err, ErrUserAway):
		o.userAway()
		return true
	case unsupported && o.e.Kind == kindRevise && !o.e.Removed:
		o.e.Kind, o.e.Next = kindDeliver, time.Time{} // the channel cannot edit: a correction
		return false
	case unsupported && !o.e.Plain && o.e.Kind != kindRevise && o.plain():
		return false
	case !unsupported && o.deliverAgain():
		return false
	}
	o.notShown(unsupported)
	return true
}

// plain replaces a message that the channel cannot show by its text, in as many parts as that needs. It is
// false for a message without words, such as an image by an attachment's id.
func (o *settlement) plain() bool {
	var parts []string
	if o.e.Message != nil {
		if parts = textsplit.Split(o.e.Message.Content.PlainText(), crispcontent.MaxText); len(parts) == 0 {
			return false
		}
	}
	o.e.Plain, o.e.Next = true, time.Time{}
	if o.e.Message == nil { // a system text, which is made at each attempt
		return true
	}
	o.e.Message.Content = TextMessage(parts[0])
	at := slices.Index(o.rec.ToUser, o.e) + 1
	for i, p := range parts[1:] {
		m := *o.e.Message
		m.ID, m.Content = fmt.Sprintf("%s-%d", m.ID, i+2), TextMessage(p)
		next := effect{N: o.rec.next(), Kind: o.e.Kind, HandoverID: o.e.HandoverID, Crisp: o.e.Crisp, FP: o.e.FP, Part: o.e.Part, Plain: true, Message: &m}
		o.rec.ToUser = slices.Insert(o.rec.ToUser, at+i, &next)
	}
	return true
}

// deliverAgain sets the time of the next attempt to show something, not before the channel wants it. It is
// false when that would be later than Timeouts.Deliver after the first.
func (o *settlement) deliverAgain() bool {
	now := o.rec.env.now
	wait := times.Spread(times.Backoff(o.e.Attempts), fmt.Sprint(o.rec.Conversation.path(), " ", o.e.N))
	if busy := (*retryAfter)(nil); errors.As(o.r.err, &busy) {
		wait = max(busy.after, time.Second)
	}
	if wait > o.rec.env.cfg.Timeouts.Deliver || o.e.Since.Add(o.rec.env.cfg.Timeouts.Deliver).Before(now.Add(wait)) {
		return false
	}
	o.e.Next = now.Add(wait)
	for _, x := range o.rec.ToUser.before(o.e) {
		if x.overdue() {
			o.e.Next = x.Next.Add(time.Millisecond) // when that was tried again
		}
	}
	return true
}

// overtook marks those that could not be shown for long as late: a later one was shown.
func (o *settlement) overtook() {
	for _, x := range o.rec.ToUser.before(o.e) {
		if x.overdue() && x.Message != nil {
			x.Message.Late = true
		}
	}
}

// notShown tells of a message that is given up, and for what reason.
func (o *settlement) notShown(unsupported bool) {
	why, note := "failed", noteNotReached
	if unsupported {
		why, note = "unsupported", noteNotShown
	}
	o.rec.observe(Activity{Kind: ActivityGivenUp, Effect: string(o.e.Kind), CrispID: o.e.Crisp, Attempt: o.e.Attempts, Err: o.r.err, Why: why})
	if o.s != nil && o.e.Kind == kindDeliver {
		if row := o.s.Log.Entry(o.e.FP); row != nil {
			row.Status = crisplog.Failed
		}
		o.rec.note(o.s.ID, note)
	}
}

// userAway keeps a message until the user is there again, unless Crisp can mail it. A host that keeps
// the message as well has returned the channel's id of it.
func (o *settlement) userAway() {
	s := o.s
	if s == nil || o.e.Kind != kindDeliver || o.e.Message.From != FromAgent {
		return // a system text is of no use later
	}
	if o.r.id != "" {
		o.e.named(s, o.r.id)
	}
	if !s.State.Email && o.rec.Handover != nil && o.rec.env.cfg.Policy.Email == EmailWhenAway {
		if address, ok := persondata.Email(o.rec.Handover.Request.User.Email); ok {
			o.rec.push(&o.rec.ToCrisp, effect{Kind: kindEmail, Crisp: s.ID, Note: address})
		}
	}
	if s.State.Email {
		return
	}
	if len(o.rec.Away) >= maxHeld {
		o.rec.unseen(o.e)
	} else {
		o.untried() // that nobody was there is no fault
		o.e.Since = time.Time{}
		o.rec.Away = append(o.rec.Away, o.e)
	}
}

// mailed notes that Crisp has the user's address: its mail follows up, now and from now on.
func (o *settlement) mailed() {
	if o.s != nil {
		o.s.State.Email = true
		o.rec.Away.drop(func(x *effect) bool { return x.Crisp == o.s.ID })
	}
}

// named notes the channel's id of the part that a delivery showed.
func (e *effect) named(s *crisplog.Session, id string) {
	if e.Message.Corrects == "" {
		s.Log.Name(e.FP, e.Part, id)
	}
}

// dropAway gives up the deliveries to a user who does not come back, and tells the agents. It reports whether
// there are any.
func (rec *record) dropAway() bool {
	if len(rec.Away) == 0 || !rec.idle() || rec.env.now.Before(rec.keepUntil()) {
		return false
	}
	for _, e := range rec.Away {
		rec.unseen(e)
	}
	rec.Away = nil
	return true
}

// unseen tells of a delivery that is given up because the user is away.
func (rec *record) unseen(e *effect) {
	rec.observe(Activity{Kind: ActivityNotShown, CrispID: e.Crisp, MessageID: e.Message.ID, Why: "away"})
	rec.note(e.Crisp, noteAway)
}

// userSign gives back the deliveries that were kept until the user is there again. One that is under way, and ends with
// the user away, is tried again: the sign may have come after that was found.
func (s *effects) userSign() {
	for _, e := range s.ToUser {
		e.Signed = e.Signed || e.Running != 0 && e.Kind == kindDeliver
	}
	if len(s.Away) == 0 {
		return
	}
	for _, e := range s.Away {
		e.Next = time.Time{}
		e.Message.Late = true
	}
	s.ToUser = append(s.Away, s.ToUser...)
	s.Away = nil
}

// maxMarks is how many messages one mark is about: older ones stay unmarked.
const maxMarks = 200

// mark queues the delivered and read marks, together with those that wait already.
func (rec *record) mark(crisp string, fp int64) {
	if rec.env.cfg.Policy.NoMarks {
		return
	}
	for _, e := range rec.ToCrisp {
		if e.Kind == kindMark && e.Crisp == crisp && e.Attempts == 0 {
			e.FPs = append(e.FPs[max(0, len(e.FPs)-maxMarks+1):], fp)
			return
		}
	}
	rec.push(&rec.ToCrisp, effect{Kind: kindMark, Crisp: crisp, FPs: []int64{fp}})
}

// marks reports whether one of these messages is to be marked.
func (q queue) marks(crisp string, fps []int64) bool {
	among := func(fp int64) bool { return slices.Contains(fps, fp) }
	return q.has(func(e *effect) bool {
		return e.Kind == kindMark && e.Crisp == crisp && slices.ContainsFunc(e.FPs, among)
	})
}

// takeMarks takes an effect of the queue that is not to be stored.
func (rec *record) takeMarks(e *effect) *marks {
	rec.ToCrisp.drop(func(x *effect) bool { return x == e })
	return &marks{about: rec.purpose(&step{effect: e}), crisp: e.Crisp, fps: e.FPs}
}

// messageID names one part of a message in Crisp's log.
func messageID(crisp string, fp int64, part int) string {
	if part == 0 {
		return fmt.Sprintf("%s/%d", crisp, fp)
	}
	return fmt.Sprintf("%s/%d.%d", crisp, fp, part)
}

// systemID names something that the library says.
func systemID(id, what string, n int64) string { return fmt.Sprintf("%s/%s/%d", id, what, n) }

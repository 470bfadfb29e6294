package handover

import (
	"cmp"
	"errors"
	"fmt"
	"net/http"
	"slices"
	"time"

	"github.com/crisphandover/handover/internal/crispapi"
	"github.com/crisphandover/handover/internal/crispcontent"
	"github.com/crisphandover/handover/internal/crisplog"
	"github.com/crisphandover/handover/internal/textsplit"
	"github.com/crisphandover/handover/internal/times"
)

// settlement draws the consequences of one attempt to carry out an effect.
type settlement struct {
	rec *record
	e   *effect
	s   *crisplog.Session // that the effect is about, or nil
	r   result
}

// settle writes down what came of an effect, and reports whether that is new: the effect is gone when a
// read settled it first.
func (rec *record) settle(l *queue, r result) bool {
	e := l.effect(r.effect)
	o := &settlement{rec: rec, e: e, r: r}
	switch {
	case e == nil && r.made != "" && rec.Sessions.ByID(r.made) == nil: // the handover has ended meanwhile
		rec.push(&rec.ToCrisp, effect{Kind: kindResolve, Crisp: r.made})
		return true
	case e == nil:
		return o.timed()
	}
	if !r.certain() && e.Running != r.token && (e.Running != 0 || !e.Kind.repeatable()) {
		return false // another attempt was begun since, or is about to be: the outcome of this one counts no more
	}
	e.Running = 0
	o.s = rec.Sessions.ByID(e.Crisp)
	if r.err != nil && e.Kind == kindNote && o.s != nil && o.s.Log.Shows(e.FP) {
		o.r = result{effect: e.N, parts: r.parts} // the answer alone was lost
	}
	switch {
	case o.r.missing: // Crisp's log does not have it: it is as if never tried
		e.Unsure, e.Next = false, time.Time{}
	case !o.r.retry.IsZero():
		o.postponed()
	case o.r.err != nil:
		e.Fault = faultWord(o.r.err)
		o.tell()
		if o.failed() {
			l.remove(e)
		}
	case !e.leaves(o.r):
		if e.Kind == kindDeliver || e.Kind == kindRevise {
			o.overtook()
		}
		l.remove(e)
		o.succeeded()
	}
	return true
}

// postponed notes that nothing was tried, and when it is.
func (o *settlement) postponed() {
	o.e.Next = o.r.retry
	o.untried()
	if o.r.paced {
		o.e.Placed = o.r.placed
		o.paced()
	}
}

// untried takes an attempt back that made no call. What may be done twice was begun without a save.
func (o *settlement) untried() { o.e.Attempts = max(o.e.Attempts-1, 0) }

// tell tells of an attempt that failed.
func (o *settlement) tell() {
	e, r := o.e, o.r
	if r.gone && o.s != nil {
		reason := onRemoved
		if ho := o.rec.Handover; o.rec.State == StateOpening && ho.Request.CrispID == o.s.ID {
			reason = onOpenFailed // there was none to go on with
		}
		o.vanished(reason)
	}
	e.Placed = false
	switch api := apiError(r.err); {
	case api != nil && api.Held: // nothing failed
		o.untried()
	case api != nil && api.NeedsPerson() && e.Kind.aside(): // told once for all, see advise
	case e.Kind.shows() && (errors.Is(r.err, ErrUserAway) || errors.Is(r.err, errors.ErrUnsupported)): // answers, no faults
	default:
		o.rec.observe(Activity{Kind: ActivityFault, MessageID: o.rec.UserMessages.hostID(e.Incoming), Attempt: e.Attempts, Err: r.err, Effect: string(e.Kind), Why: hung(r.err)})
	}
}

// leaves reports whether a mark that succeeded leaves messages which were added to it meanwhile.
func (e *effect) leaves(r result) bool {
	e.FPs = slices.DeleteFunc(e.FPs, func(fp int64) bool { return slices.Contains(r.marked, fp) })
	if e.Kind != kindMark || len(e.FPs) == 0 {
		return false
	}
	e.Attempts, e.Since, e.Next, e.Fault = 0, time.Time{}, time.Time{}, ""
	return true
}

// succeeded draws the consequences of an effect that is done.
func (o *settlement) succeeded() {
	if o.s != nil && o.e.Kind.posts() && !o.r.begun.IsZero() && !o.r.found {
		o.s.Log.Sent(cmp.Or(o.r.fp, o.e.FP), o.r.begun, o.rec.env.now)
	}
	switch o.e.Kind {
	case kindDeliver, kindRevise:
		o.delivered()
	case kindText:
		if o.r.id != "" && o.rec.Handover != nil {
			o.rec.Handover.LeaveTitle = o.r.id
		}
	case kindCreate:
		o.created()
	case kindMetas:
		if o.s != nil && o.r.emailed {
			o.s.State.Email = true
		}
	case kindEmail:
		o.mailed()
	case kindGreet:
		o.greeted()
	case kindNote:
		o.nextPart()
	case kindPost:
		o.posted()
	case kindEdit:
		if o.s != nil {
			o.s.Posts.Edited(o.e.FP)
		}
		o.passed()
	case kindAnswer:
		o.answered()
	case kindResolve:
		if o.s != nil {
			o.s.State.Resolved = true
		}
	case kindOnEnd:
		o.rec.observe(Activity{Kind: ActivityEnded, Reason: o.e.Summary.Reason, HandoverID: o.e.Summary.HandoverID})
	}
}

// failed draws the consequences of a failed attempt, and reports whether the effect is given up.
func (o *settlement) failed() bool {
	switch {
	case o.e.Kind.shows():
		over := o.deliveryFailed()
		if f := o.rec.FollowUp; over && f != nil && o.e.announces(f) {
			f.Agents = nil // the user does not know who writes
		}
		return over
	case o.e.Kind.optional():
		return o.optionalFailed()
	case o.e.Kind.opens():
		return o.openingFailed()
	case o.e.Kind == kindPost:
		return o.postFailed()
	case o.e.Kind == kindEdit:
		return o.editFailed()
	case o.e.Kind == kindAnswer:
		return o.answerFailed()
	case o.e.Kind == kindOnEnd:
		return o.endFailed()
	}
	api, now := apiError(o.r.err), o.rec.env.now
	if o.e.Kind == kindMark && api != nil && api.NeedsPerson() {
		return true // it is not worth waiting for that; see advise
	}
	o.again(api)
	if api != nil && api.NeedsPerson() {
		o.e.Next = times.Later(o.e.Next, now.Add(min(api.Wait, time.Hour)))
	}
	end := o.e.Since.Add(min(asideFor, o.rec.env.cfg.Timeouts.Late))
	if o.e.Attempts >= o.rec.env.cfg.Limits.Attempts || o.e.Next.After(end) || o.r.gone || api != nil && !api.Temporary() {
		o.gaveUp()
		return true
	}
	return false
}

// asideFor is how long a note, a mark or the like is tried: after a day nobody misses it.
const asideFor = 24 * time.Hour

// gaveUp tells of an effect that is given up.
func (o *settlement) gaveUp() {
	o.rec.observe(Activity{Kind: ActivityGivenUp, Effect: string(o.e.Kind), CrispID: o.e.Crisp, HandoverID: o.e.HandoverID, Err: o.r.err, Attempt: o.e.Attempts})
}

const (
	// maxQuickEnds is how often OnEnd is called within minutes; then once an hour.
	maxQuickEnds = 16
	// maxEndReads is how often the human part is read for OnEnd, where the record does not keep it.
	maxEndReads = 3
	// maxHumanPart is how much of a human part the record keeps for the next attempt, in bytes.
	maxHumanPart = 64 << 10
)

// endFailed reports whether the host is told no more of an end: the late window has passed.
func (o *settlement) endFailed() bool {
	now := o.rec.env.now
	if !now.Before(o.e.Summary.Ended.Add(o.rec.env.cfg.Timeouts.Late)) {
		o.gaveUp()
		return true
	}
	if o.e.Reads = o.r.reads; len(o.r.human) <= maxHumanPart {
		o.e.Human = o.r.human
	}
	o.e.Next = now.Add(times.Backoff(o.e.Attempts))
	if o.e.Attempts > maxQuickEnds {
		o.e.Next = now.Add(time.Hour)
	}
	return false
}

// again sets the time of the next attempt.
func (o *settlement) again(api *crispapi.Error) {
	wait := times.Backoff(o.e.Attempts)
	if api != nil {
		wait = max(wait, api.Pause())
	}
	o.e.Next = o.rec.env.now.Add(wait)
	if last := o.rec.lastTry(o.e); o.rec.env.now.Before(last) {
		o.e.Next = times.Earlier(o.e.Next, last) // Crisp may be well again, though the pause is longer
	}
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

// posted notes that Crisp has a message.
func (o *settlement) posted() {
	if s := o.s; s != nil {
		s.State.Reopened() // a message of the user reopens
		s.State.Refused, s.State.Failed = 0, 0
		s.Log.Ours(o.r.fp)
		o.remember()
	}
	o.passed()
}

// remember notes where a message of the user is in Crisp, for its edits.
func (o *settlement) remember() {
	fp := cmp.Or(o.r.fp, o.e.FP)
	if o.e.Part == 0 {
		o.s.Posts.Put(o.rec.postOf(o.e, fp))
	}
	for _, x := range o.rec.ToCrisp { // edits that wait for the message
		if x.Kind == kindEdit && x.Crisp == o.s.ID && x.FP == o.e.FP {
			x.FP = fp
		}
	}
}

// postFailed reports whether a message is given up: Crisp refuses it for good. Otherwise it is
// tried until it passes or the handover ends; an outcome that is unknown is looked up first.
func (o *settlement) postFailed() bool {
	api := apiError(o.r.err)
	if o.r.gone { // its handover has ended: the message is the bot's
		o.giveBack()
		return true
	}
	if api != nil && api.StatusCode == http.StatusConflict && !o.e.Unsure && o.full() {
		return true
	}
	if api != nil && !api.Temporary() && !o.e.Unsure {
		o.refuse(api)
		return true
	}
	running := o.rec.runs(o.e.HandoverID)
	if !running && !o.e.Unsure && o.e.Part == 0 && (api == nil || api.SafeToRetry()) {
		o.giveBack()
		return true
	}
	if !running && o.rec.env.now.Sub(o.e.Since) > o.rec.env.cfg.Timeouts.Relay {
		o.refuse(api)
		return true
	}
	o.again(api)
	if o.e.Unsure && api != nil && api.StatusCode == http.StatusNotFound {
		o.rec.look(o.e.Crisp) // reads tell whether the conversation is gone
	}
	o.mayBeThere(api)
	return false
}

// mayBeThere notes of a message that failed that Crisp may have it: that is looked up once the call is over for sure.
func (o *settlement) mayBeThere(api *crispapi.Error) {
	if !o.e.Unsure && api != nil && !api.SafeToRetry() {
		o.e.Unsure = true
		o.e.Next = times.Later(o.e.Next, o.r.begun.Add(callTimeout))
	}
}

// notSent tells of a message of the user that is given up.
func (o *settlement) notSent() {
	o.rec.observe(Activity{Kind: ActivityNotSent, MessageID: o.rec.UserMessages.hostID(o.e.Incoming), Err: o.r.err, Attempt: o.e.Attempts})
}

// refuse gives a message up, and says so.
func (o *settlement) refuse(api *crispapi.Error) {
	o.notSent()
	if o.e.Type != "text" {
		o.rec.note(o.e.Crisp, noteOtherFile)
	}
	o.rec.ToCrisp.drop(ofMessage(o.e.Incoming))
	if in := o.rec.UserMessages.find(o.e.Incoming); in != nil {
		in.done(messageRefused)
		if api != nil {
			in.Fault = fmt.Sprintf("HTTP %d %s", api.StatusCode, api.Reason)
		}
	}
	if o.s != nil {
		if o.s.State.Refused++; o.s.State.Refused >= maxRefused {
			o.closes() // and says so
			return
		}
	}
	o.rec.say(textNotSent, "")
}

// maxRefused is how many messages in a row Crisp refuses for good until the conversation is taken for
// one that takes none.
const maxRefused = 3

// full takes Crisp's 409, with which it refuses a message of a conversation that has too many. It
// reports whether that is settled: after an earlier attempt the message may be there already, which is
// looked up first.
func (o *settlement) full() bool {
	if o.e.Attempts > 1 {
		o.e.Unsure = true
		return false
	}
	o.notSent()
	running := o.rec.runs(o.e.HandoverID)
	if o.s != nil {
		o.closes() // which gives the bot what is on its way
	}
	if !running {
		o.giveBack()
	}
	return true
}

// closes notes that a session takes no more messages, and ends the handover that runs in it.
func (o *settlement) closes() {
	o.s.State.Full = true
	if o.rec.runsIn(o.s.ID) {
		o.rec.fire(onRelayFailed, cause{})
	}
}

// timed takes what the answer to a post tells that its hook settled first: when it was posted. It reports
// whether that is new.
func (o *settlement) timed() (news bool) {
	if o.r.err != nil || o.r.fp == 0 || o.r.found || o.r.begun.IsZero() {
		return false
	}
	for _, s := range o.rec.Sessions {
		news = s.Log.Sent(o.r.fp, o.r.begun, o.rec.env.now) || news
	}
	return news
}

// passed notes that one effect for a message of the user is done.
func (o *settlement) passed() {
	in := o.rec.UserMessages.find(o.e.Incoming)
	if in == nil || in.Status != messagePosting || o.rec.ToCrisp.has(ofMessage(o.e.Incoming)) {
		return
	}
	o.rec.observe(Activity{Kind: ActivityRelayed, MessageID: in.hostID(), TraceParent: o.rec.UserMessages.trace(in.ID), Attempt: o.e.Attempts, Took: o.rec.env.now.Sub(in.At)})
	in.done(messagePosted)
}

// giveBack gives the bot a message that Crisp has no part of.
func (o *settlement) giveBack() {
	o.rec.ToCrisp.drop(ofMessage(o.e.Incoming))
	o.rec.env.returned = append(o.rec.env.returned, o.e.Incoming)
	o.rec.returnToBot()
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

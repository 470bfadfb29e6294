package handover

import (
	"cmp"
	"errors"
	"slices"
	"time"

	"github.com/crisphandover/handover/internal/crispapi"
	"github.com/crisphandover/handover/internal/crisplog"
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
	if e.Running == 0 && r.token != 0 && e.Kind.repeatable() { // it was begun without a save, and another one came between
		e.begin(rec.env.now)
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
	switch last := o.rec.lastTry(o.e); {
	case o.rec.env.now.Before(last):
		o.e.Next = times.Earlier(o.e.Next, last) // Crisp may be well again, though the pause is longer
	case !last.IsZero() && api != nil && api.Held:
		o.e.Next = o.rec.env.now.Add(api.Pause()) // the last try is still to be made
	}
}

package handover

import (
	"slices"
	"time"

	"github.com/crisphandover/handover/internal/times"

	"github.com/crisphandover/handover/internal/crisplog"
)

// direction is one of those in which a conversation is worked on, so that none waits for another.
type direction string

// The directions.
const (
	toUser  direction = "to_user"  // Crisp's log to the user
	toCrisp direction = "to_crisp" // the user to Crisp
	toBot   direction = "to_bot"   // the user to Config.Answer
)

// step is the next thing to do outside the record: an effect, or a read of Crisp's log.
type step struct {
	effect *effect
	read   *logRead
}

func (rec *record) queue(dir direction) *queue {
	if dir == toUser {
		return &rec.ToUser
	}
	return &rec.ToCrisp
}

// absorb writes what a step brought into the record, and reports whether anything is new.
func (rec *record) absorb(dir direction, r result) bool {
	if r.read != nil {
		rec.take(r.read)
		return true
	}
	return rec.settle(rec.queue(dir), r)
}

// plan decides on the next step, and counts the attempt. changed is set when it altered the record.
func (rec *record) plan(dir direction, changed *bool) *step {
	now := rec.env.now
	*changed = rec.dropDeadReplies() || *changed
	*changed = rec.dropUnheard() || *changed
	*changed = rec.handOn() || *changed
	*changed = rec.dropAway() || *changed
	if dir == toUser {
		if l := rec.planRead(changed); l != nil {
			return &step{read: l}
		}
		if rec.botSpeaks() {
			return nil // the bot is still speaking: what an agent wrote waits
		}
	}
	q := rec.queue(dir)
	for {
		e, _ := q.ready(now)
		if e == nil {
			return nil
		}
		if e.Kind == kindEnd {
			q.drop(func(x *effect) bool { return x == e })
			rec.ended(e)
			*changed = true
			continue
		}
		e.begin(now)
		return &step{effect: e}
	}
}

// planRead returns the read that hooks or deadlines want now, or nil. Where no read may be made, it
// shows what hooks say that have waited for inHandFor.
func (rec *record) planRead(changed *bool) *logRead {
	for {
		l, blind := rec.wantedRead(rec.env.now)
		if l == nil {
			break
		}
		n := &reading{of: l, begun: rec.env.now, blind: true}
		if l.blind = blind; !blind || rec.oldWanted(rec.Sessions.ByID(l.crisp), n) {
			return l
		}
		rec.take(n)
		*changed = true
	}
	return rec.deadlines(changed)
}

// begin counts an attempt.
func (e *effect) begin(now time.Time) {
	e.Running = true
	e.Attempts++
	if e.Since.IsZero() {
		e.Since = now
	}
}

// recover makes ready again what a dead process had begun. The same goes for an effect that is marked
// as running in the direction which this process is about to work on: its result was lost.
func (rec *record) recover(process string, dir direction) {
	for _, d := range []direction{toUser, toCrisp} {
		if d != dir && rec.Claim.Holder == process {
			continue
		}
		for _, e := range *rec.queue(d) {
			if e.Running {
				e.Running, e.Unsure = false, e.Unsure || e.Kind == kindPost || e.Kind == kindGreet
			}
		}
	}
}

// working reports whether a step was begun whose result is not written down yet.
func (rec *record) working() bool {
	running := func(e *effect) bool { return e.Running }
	return rec.ToUser.has(running) || rec.ToCrisp.has(running)
}

// orphaned makes ready again the steps that a process had begun which has lost its claim. Nobody knows
// how far they came.
func (rec *record) orphaned() {
	for _, q := range []queue{rec.ToUser, rec.ToCrisp} {
		for _, e := range q {
			if e.Running {
				e.Running, e.Unsure = false, e.Unsure || e.Kind == kindPost || e.Kind == kindGreet
			}
		}
	}
	rec.reopen()
}

// openAgain is for how long after an asking an opening gets its whole time again, when the process has died
// that was at it.
const openAgain = 5 * time.Minute

// reopen gives an opening its time again whose process has died: nobody was at it for as long as a claim
// holds, which may be as long as Timeouts.Open.
func (rec *record) reopen() {
	if rec.State == StateOpening && !rec.Claim.free() && rec.env.now.Before(rec.Handover.Asked.Add(openAgain)) {
		rec.Handover.Paced = rec.env.now
	}
}

// wants reports whether there is something to begin now in one direction.
func (rec *record) wants(dir direction) bool {
	if dir == toBot {
		m, _ := rec.forBot()
		return m != nil
	}
	if dir == toUser {
		if l, _ := rec.wantedRead(rec.env.now); l != nil {
			return true
		}
		if rec.botSpeaks() {
			return false
		}
	}
	e, _ := rec.queue(dir).ready(rec.env.now)
	return e != nil && !e.Running
}

// botSpeaks reports whether a message of the bot's is under way.
func (rec *record) botSpeaks() bool { return len(rec.Replies) > 0 || rec.env.speaking }

// deadline is a trigger that comes with time.
type deadline struct {
	at      time.Time
	trigger trigger
	blind   bool // passes even when Crisp cannot be read
}

// pending returns the deadlines of the conversation's state.
func (rec *record) pending() []deadline {
	var all []deadline
	add := func(from time.Time, after time.Duration, t trigger, blind bool) {
		if after > 0 && !from.IsZero() {
			all = append(all, deadline{from.Add(after), t, blind})
		}
	}
	if rec.Offer != nil {
		all = append(all, deadline{rec.Offer.Expires, onOfferExpired, true})
	}
	if f := rec.FollowUp; f != nil {
		add(f.Asked, f.Timeouts.Followup, onFollowUpExpired, true)
	}
	switch rec.State {
	case StateMuted:
		add(rec.Since, rec.env.cfg.Timeouts.Max, onMax, true)
	case StateOpening:
		add(times.Later(rec.Handover.Asked, rec.Handover.Paced), rec.Handover.Timeouts.Open, onOpenFailed, true)
	case StateWaiting:
		add(rec.Handover.Opened, rec.Handover.Timeouts.Claim, onClaimTimeout, false)
		add(times.Later(rec.Handover.Opened, rec.Handover.Reminded), rec.Handover.Timeouts.Remind, onRemind, false)
	case StateActive:
		if rec.Handover.AskedIdle.Before(rec.Handover.LastWord) {
			add(rec.Handover.LastWord, rec.Handover.Timeouts.Idle, onQuiet, false)
		} else {
			add(rec.Handover.AskedIdle, rec.Handover.Timeouts.Idle/2, onIdle, false)
		}
	}
	if rec.State == StateWaiting || rec.State == StateActive {
		for _, e := range rec.ToCrisp {
			if (e.Kind == kindPost || e.Kind == kindAnswer) && e.HandoverID == rec.Handover.ID {
				add(e.Since, rec.Handover.Timeouts.Relay, onRelayFailed, true)
				break
			}
		}
	}
	if rec.human() {
		add(rec.Handover.Asked, rec.Handover.Timeouts.Max, onMax, true)
	}
	return all
}

// deadlines lets the deadlines pass that are due, each once. One that an agent's message could change is
// judged only after a read of the messages that began later than it: the read is returned.
func (rec *record) deadlines(changed *bool) *logRead {
	var passed []trigger
	for again := true; again; {
		again = false
		for _, dl := range rec.pending() {
			if dl.at.After(rec.env.now) || slices.Contains(passed, dl.trigger) {
				continue
			}
			if s := rec.current(); s != nil && !dl.blind {
				if rec.readDue(s, dl.at).After(rec.env.now) || rec.ending(s.ID) {
					continue
				}
				if s.Reads.Good.Before(dl.at) {
					return rec.readOf(s, false)
				}
			}
			passed = append(passed, dl.trigger)
			if again = rec.fire(dl.trigger, cause{}); again {
				*changed = true
				break // others may be pending now
			}
		}
	}
	return nil
}

// readDue is when a session is read next for a deadline that passes at by. A message that a hook told of
// and the log does not show yet is waited for, earlyFor at the most, since a stream of hooks would put the
// deadline off for ever. What the list of conversations, or a stranger, told of later than by is not.
func (rec *record) readDue(s *crisplog.Session, by time.Time) time.Time {
	var wait time.Time
	for i := range rec.Hooks {
		k := &rec.Hooks[i]
		if k.Crisp != s.ID || k.State && !k.Listed || (k.Listed || !k.Signed) && k.Got.After(by) {
			continue
		}
		wait = times.Later(wait, k.Next)
	}
	if most := by.Add(earlyFor); wait.After(most) {
		wait = most
	}
	return times.Later(s.Reads.Retry, wait)
}

// current returns the Crisp session of the handover or follow-up that runs, or nil.
func (rec *record) current() *crisplog.Session {
	if rec.human() {
		return rec.Sessions.ByID(rec.Handover.CrispID)
	}
	if rec.FollowUp != nil {
		return rec.Sessions.ByID(rec.FollowUp.CrispID)
	}
	return nil
}

// due is when the conversation next wants attention.
func (rec *record) due() time.Time {
	if !rec.Claim.free() {
		return rec.Claim.Until
	}
	now := rec.env.now
	var at time.Time
	if rec.idle() {
		at = rec.keepUntil()
	}
	_, wait := rec.ToCrisp.ready(now)
	at = times.Earlier(at, wait)
	for i := range rec.Hooks {
		k := &rec.Hooks[i]
		if s := rec.Sessions.ByID(k.Crisp); s != nil && !rec.ending(s.ID) {
			at = times.Earlier(at, rec.wanted(k, s))
		}
	}
	for _, s := range rec.Sessions {
		if !s.State.Doubt.IsZero() {
			at = times.Earlier(at, s.DoubtDue())
		}
	}
	for _, dl := range rec.pending() {
		next := dl.at
		if s := rec.current(); s != nil && !dl.blind {
			next = times.Later(next, rec.readDue(s, dl.at))
		}
		at = times.Earlier(at, next)
	}
	at = times.Earlier(at, rec.UserMessages.waits(""))
	_, wait = rec.forBot()
	at = times.Earlier(at, wait)
	for _, r := range rec.Replies { // its process may die
		at = times.Earlier(at, r.Until)
	}
	if len(rec.Replies) > 0 {
		return at
	}
	_, wait = rec.ToUser.ready(now)
	if rec.env.speaking && !wait.IsZero() { // this process goes on then, or another one when it is dead
		wait = times.Later(wait, now.Add(rec.env.cfg.Timeouts.Reply))
	}
	return times.Earlier(at, wait)
}

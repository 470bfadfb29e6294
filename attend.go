package handover

import (
	"context"
	"slices"
	"strconv"
	"strings"
	"time"
)

// side is one of the two directions in which a conversation is worked on, so that neither waits
// for the other.
type side string

const (
	sideIn  side = "in"  // Crisp's log to the user
	sideOut side = "out" // the user to Crisp
)

// leaseTTL is how long a lease that nobody renews holds. Each step between two saves is shorter.
const leaseTTL = 30 * time.Second

// lease says who reads Crisp and runs effects for one side. It never says who may write. It is
// renewed by the saves of its holder, and may be taken when it has stayed the same for leaseTTL by
// the taker's own clock.
type lease struct {
	Holder string    `json:"holder,omitempty"`
	Beat   int64     `json:"beat,omitzero"`
	Until  time.Time `json:"until,omitzero"` // when to look whether the holder is dead
}

func (l *lease) free() bool { return l.Holder == "" }

func (l *lease) beat(holder string, now time.Time) {
	l.Holder, l.Until = holder, now.Add(leaseTTL/3)
	l.Beat++
}

// mark changes whenever the lease is renewed.
func (l *lease) mark() string { return l.Holder + "#" + strconv.FormatInt(l.Beat, 10) }

// leave lets the holder be. One that was not heard of for a while may be dead: it is looked at again
// soon, and until then does not stand in the way of what else is due.
func (l *lease) leave(now time.Time) error {
	if l.Until.After(now) {
		return errKeep
	}
	l.Until = now.Add(leaseTTL / 3)
	return nil
}

func (l *lease) release() { l.Holder, l.Until = "", time.Time{} }

func (rec *record) lane(s side) *queue {
	if s == sideIn {
		return &rec.ToUser
	}
	return &rec.ToCrisp
}

// action is the next thing to do outside the record: an effect, or a read of Crisp's log.
type action struct {
	effect *effect
	look   *logRead
}

// attend brings one conversation up to date in one direction: what is new in Crisp's log is
// written down, effects run, deadlines pass. A hook, a deadline, a restart all end up here. It
// returns when nothing is left to do now, or another one is at it.
func (h *Handover) attend(ctx context.Context, key string, s side) error {
	holder := newID()
	var done *result
	var rec *record
	for {
		var act *action
		var err error
		begun := time.Now()
		rec, err = h.updateFrom(ctx, known{saved: rec}, key, Conversation{}, func(rec *record) error {
			act = nil
			l := rec.lane(s)
			if done == nil && !l.Lease.free() && !h.off.lease && !h.watched.stale(key+"/"+string(s), l.Lease.mark(), leaseTTL) {
				return l.Lease.leave(rec.env.now)
			}
			if done != nil && l.Lease.Holder != holder && !h.off.lease {
				return errKeep // taken over: the other one does the work
			}
			if done != nil {
				rec.absorb(s, *done)
			}
			changed := h.overdue(key, rec) || rec.expired() || done != nil
			if act = rec.plan(s, &changed); act != nil {
				l.Lease.beat(holder, rec.env.now)
			} else if !changed && l.Lease.free() {
				return errKeep
			} else {
				l.Lease.release()
			}
			return nil
		})
		if err != nil || act == nil {
			return err
		}
		done = h.do(ctx, rec, act, begun.Add(leaseTTL*2/3))
	}
}

// do carries an action out while the lease surely holds, unless a callback ignores its context.
func (h *Handover) do(ctx context.Context, rec *record, act *action, until time.Time) *result {
	ctx, cancel := context.WithDeadline(context.WithoutCancel(ctx), until)
	defer cancel()
	var r result
	if act.look != nil {
		r = result{begun: time.Now(), news: h.site(rec.Conversation).crisp.read(ctx, act.look)}
	} else {
		r = h.run(ctx, rec, act.effect)
	}
	return &r
}

// absorb writes down what an action brought.
func (rec *record) absorb(s side, r result) {
	if r.news != nil {
		rec.learn(r.news)
		return
	}
	rec.settle(rec.lane(s), r)
}

// plan decides what comes next, and counts the attempt. changed is set when it altered d.
func (rec *record) plan(s side, changed *bool) *action {
	now := rec.env.now
	if s == sideIn {
		if l := rec.look(now); l != nil && !rec.trust(l, changed) {
			return &action{look: l}
		}
		if l := rec.deadlines(changed); l != nil {
			return &action{look: l}
		}
		if len(rec.Replies) > 0 {
			return nil // the bot is still speaking: what an agent wrote waits
		}
	}
	l := rec.lane(s)
	for {
		e, _ := l.ready(now)
		if e == nil {
			return nil
		}
		if e.Kind == kindEnd {
			l.drop(func(x *effect) bool { return x == e })
			rec.ended(e)
			*changed = true
			continue
		}
		e.begin(now)
		return &action{effect: e}
	}
}

// begin counts an attempt. One that was under way already lost its process: nobody knows how far it
// came.
func (e *effect) begin(now time.Time) {
	e.Unsure = e.Unsure || e.Running && (e.Kind == kindPost || e.Kind == kindGreet)
	e.Running = true
	e.Attempts++
	if e.Since.IsZero() {
		e.Since = now
	}
}

// trust takes what the inbox says without a look, where Policy.TrustHooks allows that.
func (rec *record) trust(l *logRead, changed *bool) bool {
	if !rec.env.cfg.Policy.TrustHooks || l.whole || len(l.fps) > 0 {
		return false
	}
	for i := range rec.Hooks {
		k := &rec.Hooks[i]
		if ev, ok := k.event(); k.Crisp == l.crisp && (!ok || ev.Message == nil && strings.HasPrefix(ev.Name, "message:") && ev.Update == nil && ev.Removed == 0) {
			return false
		}
	}
	rec.learn(&reading{look: l, begun: rec.env.now, trusted: true})
	*changed = true
	return rec.look(rec.env.now) == nil
}

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
		add(f.Asked, f.Timeouts.Followup, onFollowUpExpired, false)
	}
	switch rec.State {
	case StateMuted:
		add(rec.Since, rec.env.cfg.Timeouts.Max, onMax, true)
	case StateOpening:
		add(rec.Handover.Asked, rec.Handover.Timeouts.Open, onOpenFailed, true)
	case StateWaiting:
		add(rec.Handover.Opened, rec.Handover.Timeouts.Claim, onClaimTimeout, false)
		add(latest(rec.Handover.Opened, rec.Handover.Reminded), rec.Handover.Timeouts.Remind, onRemind, false)
	case StateActive:
		if rec.Handover.AskedIdle.Before(rec.Handover.LastWord) {
			add(rec.Handover.LastWord, rec.Handover.Timeouts.Idle, onQuiet, false)
		} else {
			add(rec.Handover.AskedIdle, rec.Handover.Timeouts.Idle/2, onIdle, false)
		}
	}
	if rec.State == StateWaiting || rec.State == StateActive {
		for _, e := range rec.ToCrisp.Queue {
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

func latest(a, b time.Time) time.Time {
	if a.After(b) {
		return a
	}
	return b
}

// deadlines lets the deadlines pass that are due, each once. One that the news could change is judged
// only after a look that began later than it: the look is returned.
func (rec *record) deadlines(changed *bool) *logRead {
	var passed []trigger
	for again := true; again; {
		again = false
		for _, dl := range rec.pending() {
			if dl.at.After(rec.env.now) || slices.Contains(passed, dl.trigger) {
				continue
			}
			if s := rec.current(); !dl.blind && s != nil {
				if rec.newsDue(s, dl.at).After(rec.env.now) {
					continue
				}
				if s.Looked.Before(dl.at) {
					return rec.lookAt(s, true)
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

// newsDue is when a session is looked at next for a deadline that passes at by: a hook of a message that
// the log does not show yet is waited for. What the list of conversations told of later than by is not: a
// stream of changes would put the deadline off for ever.
func (rec *record) newsDue(s *crispSession, by time.Time) time.Time {
	at := s.Retry
	for i := range rec.Hooks {
		if k := &rec.Hooks[i]; k.Crisp == s.ID && (k.At == 0 || !k.Got.After(by)) {
			at = latest(at, k.Next)
		}
	}
	return at
}

// current returns the Crisp session of the handover or follow-up that runs, or nil.
func (rec *record) current() *crispSession {
	if rec.human() {
		return rec.session(rec.Handover.CrispID)
	}
	if rec.FollowUp != nil {
		return rec.session(rec.FollowUp.CrispID)
	}
	return nil
}

// due is when the conversation next wants attention.
func (rec *record) due() time.Time {
	now := rec.env.now
	var at time.Time
	if rec.idle() {
		at = rec.keepUntil()
	}
	if rec.ToCrisp.Lease.free() {
		_, wait := rec.ToCrisp.ready(now)
		at = earlier(at, wait)
	} else {
		at = earlier(at, rec.ToCrisp.Lease.Until)
	}
	if !rec.ToUser.Lease.free() {
		return earlier(at, rec.ToUser.Lease.Until)
	}
	for _, k := range rec.Hooks {
		if s := rec.session(k.Crisp); s != nil && rec.State != StateOpening {
			at = earlier(at, latest(latest(k.Got, k.Next), s.Retry))
		}
	}
	for _, s := range rec.Sessions {
		if !s.Resolved.IsZero() {
			at = earlier(at, latest(s.Resolved.Add(resolvedTwice), s.Retry))
		}
	}
	for _, dl := range rec.pending() {
		next := dl.at
		if s := rec.current(); !dl.blind && s != nil {
			next = latest(next, rec.newsDue(s, dl.at))
		}
		at = earlier(at, next)
	}
	_, wait := rec.ToUser.ready(now)
	if len(rec.Replies) > 0 { // its process may die: whoever polls must see how long it lasts
		wait = now.Add(time.Second)
	}
	return earlier(at, wait)
}

// overdue drops the floors of bot messages that have lasted too long by our own clock: their
// process is dead, or send ignores its context.
func (h *Handover) overdue(key string, rec *record) bool {
	before := len(rec.Replies)
	rec.Replies = slices.DeleteFunc(rec.Replies, func(f reply) bool {
		return h.watched.stale(key+"/floor/"+f.ID, f.ID, h.cfg.Timeouts.Reply)
	})
	return len(rec.Replies) != before
}

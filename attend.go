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

func (d *data) lane(s side) *lane {
	if s == sideIn {
		return &d.In
	}
	return &d.Out
}

// action is the next thing to do outside the record: an effect, or a read of Crisp's log.
type action struct {
	effect *effect
	look   *look
}

// attend brings one conversation up to date in one direction: what is new in Crisp's log is
// written down, effects run, deadlines pass. A hook, a deadline, a restart all end up here. It
// returns when nothing is left to do now, or another one is at it.
func (h *Handover) attend(ctx context.Context, key string, s side) error {
	holder := newID()
	var done *report
	var d *data
	for {
		var act *action
		var err error
		begun := time.Now()
		d, err = h.updateFrom(ctx, known{saved: d}, key, Conversation{}, func(d *data) error {
			act = nil
			l := d.lane(s)
			if done == nil && !l.Lease.free() && !h.hooks.NoClaim && !h.watched.stale(key+"/"+string(s), l.Lease.mark(), leaseTTL) {
				return l.Lease.leave(d.env.now)
			}
			if done != nil && l.Lease.Holder != holder && !h.hooks.NoClaim {
				return errKeep // taken over: the other one does the work
			}
			if done != nil {
				d.absorb(s, *done)
			}
			changed := h.overdue(key, d) || d.expired() || done != nil
			if act = d.plan(s, &changed); act != nil {
				l.Lease.beat(holder, d.env.now)
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
		done = h.do(ctx, d, act, begun.Add(leaseTTL*2/3))
	}
}

// do carries an action out while the lease surely holds, unless a callback ignores its context.
func (h *Handover) do(ctx context.Context, d *data, act *action, until time.Time) *report {
	ctx, cancel := context.WithDeadline(context.WithoutCancel(ctx), until)
	defer cancel()
	var r report
	if act.look != nil {
		r = report{begun: time.Now(), news: h.site(d.Conversation).crisp.read(ctx, act.look)}
	} else {
		r = h.run(ctx, d, act.effect)
	}
	return &r
}

// absorb writes down what an action brought.
func (d *data) absorb(s side, r report) {
	if r.news != nil {
		d.learn(r.news)
		return
	}
	d.settle(d.lane(s), r)
}

// plan decides what comes next, and counts the attempt. changed is set when it altered d.
func (d *data) plan(s side, changed *bool) *action {
	now := d.env.now
	if s == sideIn {
		if l := d.look(now); l != nil && !d.trust(l, changed) {
			return &action{look: l}
		}
		if l := d.deadlines(changed); l != nil {
			return &action{look: l}
		}
		if len(d.Floors) > 0 {
			return nil // the bot is still speaking: what an agent wrote waits
		}
	}
	l := d.lane(s)
	for {
		e, _ := l.ready(now)
		if e == nil {
			return nil
		}
		if e.Kind == kindEnd {
			l.drop(func(x *effect) bool { return x == e })
			d.ended(e)
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
func (d *data) trust(l *look, changed *bool) bool {
	if !d.env.cfg.Policy.TrustHooks || l.whole || len(l.fps) > 0 {
		return false
	}
	for i := range d.Inbox {
		k := &d.Inbox[i]
		if ev, ok := k.event(); k.Crisp == l.crisp && (!ok || ev.Message == nil && strings.HasPrefix(ev.Name, "message:") && ev.Update == nil && ev.Removed == 0) {
			return false
		}
	}
	d.learn(&news{look: l, begun: d.env.now, trusted: true})
	*changed = true
	return d.look(d.env.now) == nil
}

// deadline is a trigger that comes with time.
type deadline struct {
	at      time.Time
	trigger trigger
	blind   bool // passes even when Crisp cannot be read
}

// pending returns the deadlines of the conversation's state.
func (d *data) pending() []deadline {
	var all []deadline
	add := func(from time.Time, after time.Duration, t trigger, blind bool) {
		if after > 0 && !from.IsZero() {
			all = append(all, deadline{from.Add(after), t, blind})
		}
	}
	if d.Offer != nil {
		all = append(all, deadline{d.Offer.Expires, onOfferExpired, true})
	}
	if f := d.FollowUp; f != nil {
		add(f.Asked, f.Timeouts.Followup, onFollowUpExpired, false)
	}
	switch d.State {
	case StateMuted:
		add(d.Since, d.env.cfg.Timeouts.Max, onMax, true)
	case StateOpening:
		add(d.Stay.Asked, d.Stay.Timeouts.Open, onOpenFailed, true)
	case StateWaiting:
		add(d.Stay.Opened, d.Stay.Timeouts.Claim, onClaimTimeout, false)
		add(latest(d.Stay.Opened, d.Stay.Reminded), d.Stay.Timeouts.Remind, onRemind, false)
	case StateActive:
		if d.Stay.AskedIdle.Before(d.Stay.LastWord) {
			add(d.Stay.LastWord, d.Stay.Timeouts.Idle, onQuiet, false)
		} else {
			add(d.Stay.AskedIdle, d.Stay.Timeouts.Idle/2, onIdle, false)
		}
	}
	if d.State == StateWaiting || d.State == StateActive {
		for _, e := range d.Out.Queue {
			if (e.Kind == kindPost || e.Kind == kindAnswer) && e.Stay == d.Stay.ID {
				add(e.Since, d.Stay.Timeouts.Relay, onRelayFailed, true)
				break
			}
		}
	}
	if d.human() {
		add(d.Stay.Asked, d.Stay.Timeouts.Max, onMax, true)
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
func (d *data) deadlines(changed *bool) *look {
	var passed []trigger
	for again := true; again; {
		again = false
		for _, dl := range d.pending() {
			if dl.at.After(d.env.now) || slices.Contains(passed, dl.trigger) {
				continue
			}
			if s := d.current(); !dl.blind && s != nil {
				if d.newsDue(s, dl.at).After(d.env.now) {
					continue
				}
				if s.Looked.Before(dl.at) {
					return d.lookAt(s, true)
				}
			}
			passed = append(passed, dl.trigger)
			if again = d.fire(dl.trigger, happening{}); again {
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
func (d *data) newsDue(s *crispSession, by time.Time) time.Time {
	at := s.Retry
	for i := range d.Inbox {
		if k := &d.Inbox[i]; k.Crisp == s.ID && (k.At == 0 || !k.Got.After(by)) {
			at = latest(at, k.Next)
		}
	}
	return at
}

// current returns the Crisp session of the handover or follow-up that runs, or nil.
func (d *data) current() *crispSession {
	if d.human() {
		return d.session(d.Stay.CrispID)
	}
	if d.FollowUp != nil {
		return d.session(d.FollowUp.CrispID)
	}
	return nil
}

// due is when the conversation next wants attention.
func (d *data) due() time.Time {
	now := d.env.now
	var at time.Time
	if d.idle() {
		at = d.keepUntil()
	}
	if d.Out.Lease.free() {
		_, wait := d.Out.ready(now)
		at = earlier(at, wait)
	} else {
		at = earlier(at, d.Out.Lease.Until)
	}
	if !d.In.Lease.free() {
		return earlier(at, d.In.Lease.Until)
	}
	for _, k := range d.Inbox {
		if s := d.session(k.Crisp); s != nil && d.State != StateOpening {
			at = earlier(at, latest(latest(k.Got, k.Next), s.Retry))
		}
	}
	for _, s := range d.Sessions {
		if !s.Resolved.IsZero() {
			at = earlier(at, latest(s.Resolved.Add(resolvedTwice), s.Retry))
		}
	}
	for _, dl := range d.pending() {
		next := dl.at
		if s := d.current(); !dl.blind && s != nil {
			next = latest(next, d.newsDue(s, dl.at))
		}
		at = earlier(at, next)
	}
	_, wait := d.In.ready(now)
	if len(d.Floors) > 0 { // its process may die: whoever polls must see how long it lasts
		wait = now.Add(time.Second)
	}
	return earlier(at, wait)
}

// overdue drops the floors of bot messages that have lasted too long by our own clock: their
// process is dead, or send ignores its context.
func (h *Handover) overdue(key string, d *data) bool {
	before := len(d.Floors)
	d.Floors = slices.DeleteFunc(d.Floors, func(f floor) bool {
		return h.watched.stale(key+"/floor/"+f.ID, f.ID, h.cfg.Timeouts.Reply)
	})
	return len(d.Floors) != before
}

package handover

import (
	"math/rand/v2"
	"slices"
	"time"

	"github.com/crisphandover/handover/internal/claims"
	"github.com/crisphandover/handover/internal/crisplog"
	"github.com/crisphandover/handover/internal/times"
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
	read   *crisplog.Read
}

// settled has the token of the last result of each direction that is in the record.
type settled map[direction]uint32

// has reports whether a result is in the record already.
func (all settled) has(dir direction, r *result) bool { return r.token != 0 && all[dir] == r.token }

// absorb writes what a step brought into the record, and reports whether anything is new.
func (rec *record) absorb(dir direction, r result) bool {
	if rec.Settled == nil {
		rec.Settled = settled{}
	}
	rec.Settled[dir] = r.token
	if n := r.read; n != nil {
		s := rec.Sessions.ByID(n.Of.Crisp)
		if s != nil && n.LacksOld(s, rec.hooksOf(s.ID, n.Of.Upto), rec.env.now) {
			return false // the hooks and deadlines that wanted it want another one
		}
		rec.applyReading(r.read)
		return true
	}
	return rec.settle(rec.queue(dir), r)
}

// planner decides what is to be done next, and when.
type planner struct {
	rec     *record
	changed bool // the record was altered
}

func (rec *record) planner() *planner { return &planner{rec: rec} }

// next decides on the next step in a direction, and counts the attempt.
func (p *planner) next(dir direction) *step {
	now := p.rec.env.now
	p.changed = p.rec.dropDeadReplies() || p.changed
	p.changed = p.dropUnheard() || p.changed
	p.changed = p.rec.handOn() || p.changed
	p.changed = p.rec.dropAway() || p.changed
	if dir == toUser {
		if l := p.read(); l != nil {
			return &step{read: l}
		}
		if p.rec.botSpeaks() {
			return nil // the bot is still speaking: what an agent wrote waits
		}
	}
	q := p.rec.queue(dir)
	for {
		e, _ := q.ready(now)
		if e == nil {
			return nil
		}
		if e.Kind == kindEnd {
			q.remove(e)
			p.end(e)
			p.changed = true
			continue
		}
		e.begin(now)
		return &step{effect: e}
	}
}

// read returns the read that hooks or deadlines want now, or nil. Where no read may be made, it
// shows what hooks say that have waited for crisplog.InHandFor.
func (p *planner) read() *crisplog.Read {
	for {
		l, blind := p.wantedRead(p.rec.env.now)
		if l == nil {
			break
		}
		n := &crisplog.Reading{Of: l, Begun: p.rec.env.now, Blind: true}
		if l.Blind = blind; !blind || n.NeedsOld(p.rec.Sessions.ByID(l.Crisp), p.rec.hooksOf(l.Crisp, l.Upto), p.rec.env.now) {
			return l
		}
		p.rec.applyReading(n)
		p.changed = true
	}
	return p.deadlines()
}

// begin counts an attempt, and names it.
func (e *effect) begin(now time.Time) {
	e.Running = rand.Uint32() | 1
	e.Attempts++
	if e.Since.IsZero() {
		e.Since = now
	}
}

// wants reports whether there is something to begin now in one direction.
func (p *planner) wants(dir direction) bool {
	if dir == toBot {
		m, _ := p.rec.forBot()
		return m != nil
	}
	if dir == toUser {
		if l, _ := p.wantedRead(p.rec.env.now); l != nil {
			return true
		}
		if p.rec.botSpeaks() {
			return false
		}
	}
	e, _ := p.rec.queue(dir).ready(p.rec.env.now)
	return e != nil && e.Running == 0
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
func (p *planner) pending() []deadline {
	var all []deadline
	add := func(from time.Time, after time.Duration, t trigger, blind bool) {
		if after > 0 && !from.IsZero() {
			all = append(all, deadline{from.Add(after), t, blind})
		}
	}
	if p.rec.Offer != nil {
		all = append(all, deadline{p.rec.Offer.Expires, onOfferExpired, true})
	}
	if f := p.rec.FollowUp; f != nil {
		add(f.Asked, f.Timeouts.FollowUp, onFollowUpExpired, true)
	}
	switch p.rec.State {
	case StateMuted:
		add(p.rec.Since, p.rec.env.cfg.Timeouts.Max, onMax, true)
	case StateOpening:
		add(times.Later(p.rec.Handover.Asked, p.rec.Handover.Paced), p.rec.Handover.Timeouts.Open, onOpenFailed, true)
	case StateWaiting:
		add(p.rec.Handover.Opened, p.rec.Handover.Timeouts.Claim, onClaimTimeout, false)
		add(times.Later(p.rec.Handover.Opened, p.rec.Handover.Reminded), p.rec.Handover.Timeouts.Remind, onRemind, false)
	case StateActive:
		if p.rec.Handover.AskedIdle.Before(p.rec.Handover.LastWord) {
			add(p.rec.Handover.LastWord, p.rec.Handover.Timeouts.Idle, onQuiet, false)
		} else {
			add(p.rec.Handover.AskedIdle, p.rec.Handover.Timeouts.Idle/2, onIdle, false)
		}
	}
	if i := slices.IndexFunc(p.rec.ToCrisp, p.rec.relays); i >= 0 {
		add(p.rec.ToCrisp[i].Since, p.rec.Handover.Timeouts.Relay, onRelayFailed, true)
	}
	if p.rec.human() {
		add(p.rec.Handover.Asked, p.rec.Handover.Timeouts.Max, onMax, true)
	}
	return all
}

// deadlines lets the deadlines pass that are due, each once. One that an agent's message could change is
// judged only after a read of the messages that began later than it: the read is returned.
func (p *planner) deadlines() *crisplog.Read {
	var passed []trigger
	for again := true; again; {
		again = false
		for _, dl := range p.pending() {
			if dl.at.After(p.rec.env.now) || slices.Contains(passed, dl.trigger) {
				continue
			}
			if s := p.rec.current(); s != nil && !dl.blind {
				if p.rec.Hooks.ReadDue(s, dl.at).After(p.rec.env.now) || p.rec.ToUser.unread(s.ID) {
					continue
				}
				if s.Reads.Good.Before(dl.at) {
					return p.readOf(s, false)
				}
			}
			passed = append(passed, dl.trigger)
			if again = p.rec.fire(dl.trigger, cause{}); again {
				p.changed = true
				break // others may be pending now
			}
		}
	}
	return nil
}

// current returns the Crisp session of the handover or follow-up that runs, or nil.
func (rec *record) current() *crisplog.Session {
	if ho := rec.running(); ho != nil {
		return rec.Sessions.ByID(ho.CrispID)
	}
	return nil
}

// due is when the conversation next wants attention.
func (p *planner) due() time.Time {
	if !p.rec.Claim.Free() {
		return p.rec.Claim.Until
	}
	now := p.rec.env.now
	var at time.Time
	if p.rec.idle() {
		at = p.rec.keepUntil()
	}
	_, wait := p.rec.ToCrisp.ready(now)
	at = times.Earlier(at, wait)
	for i := range p.rec.Hooks {
		k := &p.rec.Hooks[i]
		if s := p.rec.Sessions.ByID(k.Crisp); s != nil && !p.rec.ToUser.unread(s.ID) {
			at = times.Earlier(at, p.hookDue(k, s))
		}
	}
	for _, s := range p.rec.Sessions {
		if !s.State.Doubt.IsZero() {
			at = times.Earlier(at, s.DoubtDue())
		}
	}
	for _, dl := range p.pending() {
		next := dl.at
		if s := p.rec.current(); s != nil && !dl.blind {
			if p.rec.ToUser.unread(s.ID) {
				continue // until what waits for the user is shown
			}
			next = times.Later(next, p.rec.Hooks.ReadDue(s, dl.at))
		}
		at = times.Earlier(at, next)
	}
	at = times.Earlier(at, p.rec.UserMessages.waits(""))
	m, wait := p.rec.forBot()
	if m != nil && p.rec.env.answers { // another process has the bot answer it when this one is dead
		wait = now.Add(claims.TTL)
	}
	at = times.Earlier(at, wait)
	for _, r := range p.rec.Replies { // its process may die
		at = times.Earlier(at, r.Until)
	}
	if len(p.rec.Replies) > 0 {
		return at
	}
	_, wait = p.rec.ToUser.ready(now)
	if p.rec.env.speaking && !wait.IsZero() { // this process goes on then, or another one when it is dead
		wait = times.Later(wait, now.Add(p.rec.env.cfg.Timeouts.Reply))
	}
	return times.Earlier(at, wait)
}

// dropUnheard says of the messages whose Receive has died that they were not sent. It reports whether
// there are any.
func (p *planner) dropUnheard() (any bool) {
	for _, m := range p.rec.UserMessages {
		if m.Status == messageTurn && !m.Waits.IsZero() && !m.Waits.After(p.rec.env.now) {
			m.Waits = time.Time{}
			p.rec.unsent(m)
			any = true
		}
	}
	if any {
		p.rec.say(textNotSent, "")
		p.rec.holdEnds(p.rec.UserMessages)
	}
	return any
}

// mustSave reports whether a plan has to be stored before it is carried out. A read, and an effect
// that does no harm when it is carried out twice, need no save of their own while the claim holds.
func (p *planner) mustSave(process string, next *step) bool {
	held := p.rec.Claim.Holder == process
	if next == nil {
		return held && !p.working() && !p.wants(toUser) && !p.wants(toCrisp)
	}
	fresh := held && p.rec.Claim.Until.Sub(p.rec.env.now) > claims.TTL/2
	return !fresh || next.effect != nil && !next.effect.Kind.repeatable()
}

// end carries out a queued end, unless its handover is over already.
func (p *planner) end(e *effect) {
	if !p.rec.runs(e.HandoverID) {
		return
	}
	p.rec.fire(endTrigger(e.Reason), cause{at: e.At})
}

// wantedRead returns the read that the hooks ask for, or nil. blind is true when it must not be made
// now, but a hook is overdue.
func (p *planner) wantedRead(now time.Time) (l *crisplog.Read, blind bool) {
	opening := p.rec.State == StateOpening
	for i := range p.rec.Hooks {
		k := &p.rec.Hooks[i]
		s := p.rec.Sessions.ByID(k.Crisp)
		if s == nil || p.rec.ToUser.unread(s.ID) || p.hookDue(k, s).After(now) || opening && !k.Overdue(now) {
			continue
		}
		return p.readOf(s, false), opening || s.Reads.Retry.After(now) || p.rec.env.trustHooks
	}
	if opening {
		return nil, false
	}
	for _, s := range p.rec.Sessions {
		if !s.State.Doubt.IsZero() && !now.Before(s.DoubtDue()) {
			return p.readOf(s, true), false
		}
	}
	return nil, false
}

// hookDue is when a hook is to be worked on; zero for not yet. While a handover opens, hooks wait: what
// agents write belongs to the handover that is about to exist. A message in hand does not wait for ever.
func (p *planner) hookDue(k *crisplog.Hook, s *crisplog.Session) time.Time {
	if p.rec.State != StateOpening {
		return k.Due(&s.Reads)
	}
	if len(k.Raw) == 0 {
		return time.Time{}
	}
	return times.Later(k.Got.Add(crisplog.InHandFor), k.Next)
}

// readOf is the read that brings a session up to date.
func (p *planner) readOf(s *crisplog.Session, state bool) *crisplog.Read {
	return crisplog.NewRead(s, p.rec.Hooks, p.rec.Serial, state, p.rec.env.now)
}

// working reports whether a step was begun whose result is not written down yet.
func (p *planner) working() bool { return p.rec.ToUser.running() || p.rec.ToCrisp.running() }

// recover makes ready again what a dead process had begun. The same goes for an effect that is marked
// as running in the direction which this process is about to work on: its result was lost. A claim of this process
// that has ended was never worked on: the save that took it was stored, and the store said that it had failed.
func (p *planner) recover(process string, dir direction) {
	if c := p.rec.Claim; c.Holder == process && !c.Until.After(p.rec.env.now) {
		p.openAgain()
	}
	for _, d := range []direction{toUser, toCrisp} {
		if d == dir || p.rec.Claim.Holder != process {
			p.rec.queue(d).recover()
		}
	}
}

// orphaned makes ready again the steps that a process had begun which has lost its claim.
func (p *planner) orphaned() {
	p.rec.ToUser.recover()
	p.rec.ToCrisp.recover()
	p.openAgain()
}

// openingFor is for how long after an asking an opening gets its whole time again, when nobody was at it.
const openingFor = 5 * time.Minute

// openAgain gives an opening its time again whose process has died, or had lost the store: nobody was at it for as
// long as a claim holds, which may be as long as Timeouts.Open.
func (p *planner) openAgain() {
	if p.rec.State == StateOpening && !p.rec.Claim.Free() && p.rec.env.now.Before(p.rec.Handover.Asked.Add(openingFor)) {
		p.rec.Handover.Paced = p.rec.env.now
	}
}

// awaited is what callers in other processes may wait to see changed.
type awaited struct {
	epoch   int64
	opening string   // the handover that opens
	pending []string // the user's messages that are on their way to Crisp, or given to somebody to answer them
}

// awaited returns what may be waited for now.
func (rec *record) awaited() (a awaited) {
	a.epoch = rec.Epoch
	if rec.State == StateOpening {
		a.opening = rec.Handover.ID
	}
	for _, m := range rec.UserMessages {
		if m.pending() {
			a.pending = append(a.pending, m.ID)
		}
	}
	return a
}

// over reports whether something that was waited for has happened in the record.
func (a awaited) over(rec *record) bool {
	if a.epoch != rec.Epoch || a.opening != "" && (rec.State != StateOpening || rec.Handover.ID != a.opening) {
		return true
	}
	for _, id := range a.pending {
		if m := rec.UserMessages.find(id); m == nil || !m.pending() {
			return true
		}
	}
	return false
}

// busy reports whether there is work on the record now.
func (rec *record) busy() bool {
	p := rec.planner()
	return rec.env.stepping || p.working() || p.wants(toUser) || p.wants(toCrisp)
}

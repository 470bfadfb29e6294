package systemtest

import (
	"slices"
	"time"

	"github.com/crisphandover/handover"
)

// coming is what will happen, or what will be heard of, at a known time.
type coming struct {
	at    time.Time
	inLog bool // it is in Crisp's log already: whoever looks hears of it
	do    func()
}

// instant is when a deadline passes, should it still apply.
type instant struct {
	at   time.Time
	name string
}

// modelDeadline is a deadline that is due.
type modelDeadline struct {
	name  string
	blind bool // does not wait for the news
	ends  bool
	fire  func()
}

// attempts is how often a note is tried.
const attempts = 8

// backOff is how long to wait after a number of failed attempts, and one.
func backOff(failed int) time.Duration { return min(time.Second<<failed, time.Minute) }

// pass lets time go by until to.
func (m *model) pass(to time.Time) {
	for m.unclear == "" {
		tick := m.now.Truncate(time.Second).Add(time.Second)
		next := tick
		for _, e := range m.later {
			if e.at.Before(next) {
				next = e.at
			}
		}
		if next.After(to) {
			break
		}
		m.now = next
		m.arrive()
		if next.Equal(tick) {
			m.tick()
		}
	}
	m.now = to
}

// arrive lets happen what was to come by now.
func (m *model) arrive() {
	all := m.later
	m.later = nil
	for _, e := range all {
		if e.at.After(m.now) {
			m.later = append(m.later, e)
		} else {
			e.do()
		}
	}
}

// tick is a look of Run's. Both directions of a conversation are worked on at the same time: where
// an attempt and an end come in the same look, it is open which is first. Where that matters, the
// conversation is given up as unclear.
func (m *model) tick() {
	m.instants = slices.DeleteFunc(m.instants, func(i instant) bool {
		if i.at.After(m.now) {
			return false
		}
		m.visit(i.name)
		return true
	})
	if m.race() {
		return
	}
	m.pump()
	m.pumpNotes()
	for range 10 {
		due := m.deadlines()
		switch {
		case len(due) == 0:
			return
		case !due[0].blind && m.look():
			continue // what is in the log comes first
		}
		m.due = append(m.due, due[0].name)
		due[0].fire()
	}
	panic("the model's deadlines never end")
}

// race finds out whether it matters what comes first in this look.
func (m *model) race() bool {
	ends := ""
	for _, d := range m.deadlines() {
		if d.ends && ends == "" {
			ends = d.name
		}
	}
	down := m.now.Before(m.down)
	post := m.running() && !m.stay.next.IsZero() && !m.stay.next.After(m.now)
	note := len(m.notes) > 0 && !m.notes[0].next.After(m.now)
	opening := m.state == handover.StateOpening
	switch {
	case ends == "":
	case post && down && (opening || ends == evRelay || !m.stay.queue[0].left):
		// It fails as before, and goes back to the bot.
	case post:
		m.unclear = "a post and an end at once: " + ends
	case note && opening && !down && (len(m.held) > 0 || m.stay.crisp.gone): // what an agent wrote may be older than the end
		m.unclear = "a note and an end at once: " + ends
	}
	return m.unclear != ""
}

// pump passes on to Crisp what can be passed on: first the steps of an opening, then the user's
// messages. What is refused is tried again after 1, 2, 4 … s, and once more before the handover ends for it.
func (m *model) pump() {
	for st := m.stay; m.running() && st == m.stay; {
		opened := !st.opened.IsZero()
		if opened && len(st.queue) == 0 || st.next.After(m.now) {
			return
		}
		if m.now.Before(m.down) && !st.crisp.gone {
			if st.tries == 0 {
				st.since = m.now
			}
			st.next = m.now.Add(backOff(st.tries))
			if last := st.since.Add(modelTimeouts.Relay - (modelTimeouts.Relay / 4).Truncate(time.Second)); opened && m.now.Before(last) && st.next.After(last) {
				st.next = last
			}
			st.tries++
			return
		}
		if st.crisp.gone {
			m.end(evRemoved)
			return
		}
		st.tries, st.since, st.next = 0, time.Time{}, time.Time{}
		if !opened {
			m.open()
			continue
		}
		u := st.queue[0]
		st.queue = st.queue[1:]
		u.fate, st.crisp.failed = fatePosted, 0
		st.crisp.texts = append(st.crisp.texts, partsOf(u.text)...)
		st.crisp.last, st.crisp.closed = m.now, false
	}
}

// pumpNotes writes the notes that can be written, in their order, each tried a few times.
func (m *model) pumpNotes() {
	for len(m.notes) > 0 && !m.notes[0].next.After(m.now) {
		n := m.notes[0]
		down := m.now.Before(m.down) && !n.crisp.gone // that it is gone shows all the same
		if down && n.tries+1 < attempts {
			n.next = m.now.Add(backOff(n.tries))
			n.tries++
			return
		}
		m.notes = m.notes[1:]
		switch {
		case down:
		case !n.crisp.gone:
			n.crisp.notes, n.crisp.noted = append(n.crisp.notes, n.text), m.now
		case m.running() && m.stay.crisp == n.crisp: // now it is known
			m.end(evRemoved)
		}
	}
}

// look hears of what is in Crisp's log, and reports whether there was anything.
func (m *model) look() (news bool) {
	for i := range m.later {
		if m.later[i].inLog {
			m.later[i].at, news = m.now, true
		}
	}
	m.arrive()
	return news
}

// deadlines returns those of the state that are due. Of two that end the handover in the same look
// the one that says more counts.
func (m *model) deadlines() (all []modelDeadline) {
	add := func(name string, at time.Time, blind, ends bool, fire func()) {
		if !at.After(m.now) && (blind || !m.now.Before(m.blind)) {
			all = append(all, modelDeadline{name, blind, ends, fire})
		}
	}
	after := func(from time.Time, t time.Duration) time.Time {
		if t <= 0 || from.IsZero() {
			return m.now.Add(time.Hour)
		}
		return from.Add(t)
	}
	over := func(event string) func() { return func() { m.end(event) } }
	if m.offer != nil {
		add(evOfferOver, m.offer.expires, true, false, func() { m.offer = nil })
	}
	if m.follow != nil {
		add(evFollowOver, m.follow.expires, false, false, m.dropFollow)
	}
	if m.state == handover.StateMuted {
		add(evMax, after(m.muted, modelTimeouts.Max), true, true, func() { m.unmute(evMax) })
	}
	if !m.running() {
		return all
	}
	st := m.stay
	switch m.state {
	case handover.StateOpening:
		add(evOpenFails, after(st.asked, modelTimeouts.Open), true, true, over(evOpenFails))
	case handover.StateWaiting:
		add(evClaim, after(st.opened, st.timeouts.Claim), false, true, over(evClaim))
		last := st.opened
		if st.reminded.After(last) {
			last = st.reminded
		}
		add(evRemind, after(last, st.timeouts.Remind), false, false, func() {
			st.reminded = m.now
			m.say("still_waiting")
		})
	case handover.StateActive:
		if st.askedIdle.Before(st.lastWord) {
			add(evQuiet, after(st.lastWord, st.timeouts.Idle), false, false, func() {
				st.askedIdle = m.now
				m.say("still_there")
			})
		} else {
			add(evIdle, after(st.askedIdle, st.timeouts.Idle/2), false, true, over(evIdle))
		}
	}
	if m.state != handover.StateOpening {
		add(evRelay, after(st.since, modelTimeouts.Relay), true, true, over(evRelay))
	}
	add(evMax, after(st.asked, st.timeouts.Max), true, true, over(evMax))
	return all
}

// calm reports whether no deadline passes for a while, so that a fault changes nothing else.
func (m *model) calm(d time.Duration) bool {
	ahead := *m
	ahead.now = ahead.now.Add(d).Add(time.Second)
	return len(ahead.deadlines()) == 0
}

package handover

import (
	"cmp"
	"context"
	"net/http"
	"slices"
	"time"

	"github.com/crisphandover/handover/internal/crispapi"
)

const (
	// holdFor is how long a message that its hook shows and the log does not is held back for
	// the log, whose order counts.
	holdFor = 10 * time.Second
	// earlyFor is how long it is held back where our opening message, which it may be older than, is
	// not seen yet.
	earlyFor = time.Minute
	// blindAfter is after how many failed reads in a row, some two minutes, hooks are taken at
	// their word.
	blindAfter = 8
	// lookAgain bounds the wait after a read that failed: a person waits.
	lookAgain = 15 * time.Second
	// resolvedTwice is the time between two reads that must agree before a resolved state counts,
	// or a conversation is gone, of which no hook told.
	resolvedTwice = time.Minute
	// echoFor is how long after our own resolve a hook that tells of a resolved state is its echo: a
	// few repeats of a hook, and less than an agent needs to open the conversation again, write, and
	// resolve it.
	echoFor = 20 * time.Second
	// listSlack is by how much the list's time of a change may be later than that of the message, in ms.
	listSlack = 1000
	// overlap is how far before the watermark each read goes back: a message may become visible late.
	overlap = 10 * time.Minute
	// maxSingles bounds how many edited messages are read one by one in one look.
	maxSingles = 8
)

// look is a read of one Crisp session's log.
type look struct {
	crisp string
	since int64 // Crisp's time to read back to, in ms
	first int64 // fingerprint of the first message that matters
	upto  int64 // hooks up to this number are judged by this look
	whole bool  // the state is wanted as well
	fps   []int64
}

// news is what a look brought.
type news struct {
	look     *look
	begun    time.Time
	messages []EventMessage
	singles  []EventMessage
	state    *crispConversation
	err      error
	gone     bool           // the conversation is removed
	trusted  bool           // nothing was read: hooks are taken at their word
	held     map[int64]bool // hooks that wait for another look
}

// look returns the read that the inbox asks for, or nil. While a handover opens, hooks wait: what
// agents write belongs to the handover that is about to exist.
func (d *data) look(now time.Time) *look {
	if d.State == StateOpening {
		return nil
	}
	for _, k := range d.Inbox {
		if s := d.session(k.Crisp); s != nil && !k.Next.After(now) && !s.Retry.After(now) {
			return d.lookAt(s, false)
		}
	}
	for _, s := range d.Sessions {
		if !s.Resolved.IsZero() && !now.Before(latest(s.Resolved.Add(resolvedTwice), s.Retry)) {
			return d.lookAt(s, true)
		}
	}
	return nil
}

func (d *data) lookAt(s *crispSession, whole bool) *look {
	l := &look{crisp: s.ID, since: s.Watermark - overlap.Milliseconds(), first: s.First, upto: d.Serial, whole: whole}
	for i := range d.Inbox {
		k := &d.Inbox[i]
		if k.Crisp != s.ID {
			continue
		}
		ev, ok := k.event()
		if !ok {
			l.whole = l.whole || !k.Brief
			continue
		}
		if ev.Update != nil && s.entry(ev.Update.Fingerprint) == nil && len(l.fps) < maxSingles {
			l.fps = append(l.fps, ev.Update.Fingerprint)
		}
	}
	return l
}

// read reads Crisp's log back to where it was read before.
func (c *crispClient) read(ctx context.Context, l *look) *news {
	n := &news{look: l, begun: time.Now()}
	n.messages, n.err = c.pages(ctx, l.crisp, l.since, l.first)
	if n.err == nil && l.whole {
		var state crispConversation
		if state, n.err = c.conversation(ctx, l.crisp); n.err == nil {
			n.state = &state
		}
	}
	if e := apiError(n.err); e != nil && e.StatusCode == http.StatusNotFound {
		n.gone = c.gone(ctx, l.crisp)
	}
	for _, fp := range l.fps {
		if n.err != nil || slices.ContainsFunc(n.messages, func(m EventMessage) bool { return m.Fingerprint == fp }) {
			continue
		}
		m, err := c.message(ctx, l.crisp, fp)
		if err != nil {
			n.err = err
		} else if m != nil {
			n.singles = append(n.singles, *m)
		}
	}
	return n
}

// pages reads messages from the newest back to since, or to the message first, before which there
// are none that matter.
func (c *crispClient) pages(ctx context.Context, crisp string, since, first int64) ([]EventMessage, error) {
	l, err := c.readLog(ctx, crisp, crispapi.Reach{Since: since, Known: func(fp int64) bool { return fp == first }})
	return l.Messages, err
}

// learn writes down what a look brought: messages in the log's order, then edits and removals,
// then the state.
func (d *data) learn(n *news) {
	s := d.session(n.look.crisp)
	if s == nil {
		return
	}
	n.gone = n.gone && d.believes(s, n)
	s.Gone = s.Gone || n.gone
	if n.err != nil {
		if !postponed(n.err) { // nothing was read, and so nothing failed
			s.Fails++
		}
		wait := min(delay(s.Fails), lookAgain)
		if api := apiError(n.err); api != nil {
			wait = max(wait, api.wait())
		}
		s.Retry = d.env.now.Add(wait)
		d.observe(Activity{Kind: ActivityFault, CrispID: s.ID, Err: n.err, Attempt: s.Fails, Effect: "look"})
	} else {
		s.Fails, s.Retry, s.Missing = 0, time.Time{}, time.Time{}
	}
	batch, held := d.merge(s, n)
	for _, m := range batch {
		d.see(s, m.msg, m.late)
	}
	if n.err == nil && !n.trusted {
		s.Looked = n.begun
		d.advance(s, batch, held)
	}
	d.amend(s, n, held != nil)
	if held == nil {
		d.judge(s, n)
	} else if !s.Resolved.IsZero() {
		s.Resolved = d.env.now // something is newer than it: a minute begins again
	}
	d.Inbox = slices.DeleteFunc(d.Inbox, func(k hook) bool {
		// What a hook does not say, and cannot be read, is sought while late messages are promised.
		late := s.Fails >= blindAfter && !d.env.now.Before(k.Got.Add(d.env.cfg.Timeouts.Late))
		return n.judges(&k) && (!n.held[k.N] || late)
	})
	for i := range d.Inbox {
		if k := &d.Inbox[i]; n.held[k.N] {
			k.retry(d.env.now)
		}
	}
}

// judges reports whether the hook is among those that the look was made for.
func (n *news) judges(k *hook) bool { return k.Crisp == n.look.crisp && k.N <= n.look.upto }

// lags reports whether the log may not show yet what the list of conversations told of. The change may
// have been another one than a message: holdFor later it is looked at once more, and no longer.
func (n *news) lags(s *crispSession, k *hook, now time.Time) bool {
	newest := s.Newest
	for _, m := range n.messages {
		newest = max(newest, m.Timestamp)
	}
	return k.At > newest+listSlack && !n.gone && !k.ripe(s, n, now)
}

// hold keeps a hook in the inbox for another look.
func (n *news) hold(k *hook) {
	if n.held == nil {
		n.held = make(map[int64]bool)
	}
	n.held[k.N] = true
}

// logged is a message in the order of Crisp's log.
type logged struct {
	msg  *EventMessage
	late bool // taken from its hook: the log does not show it
}

// merge puts the read and the hooks into the log's order. It ends before the first message that is
// held back for the log, which it returns: what comes after it waits as well.
func (d *data) merge(s *crispSession, n *news) (batch []logged, held *order) {
	for i := range n.messages {
		batch = append(batch, logged{msg: &n.messages[i]})
	}
	for i := range d.Inbox {
		k := &d.Inbox[i]
		if !n.judges(k) {
			continue
		}
		ev, ok := k.event()
		if !ok || ev.Message == nil || ev.Message.Fingerprint == 0 {
			blind := n.err != nil && !n.gone && (!ok || !k.ripe(s, n, d.env.now))
			if blind || !ok && n.lags(s, k, d.env.now) { // not all is known: look again
				n.hold(k)
			}
			continue
		}
		fp := ev.Message.Fingerprint
		known := slices.ContainsFunc(batch, func(l logged) bool { return l.msg.Fingerprint == fp })
		if e := s.entry(fp); known || e != nil && e.At != 0 {
			continue
		}
		if ev.Message.From == "user" && s.entry(fp) != nil || n.trusted && !s.early() || k.ripe(s, n, d.env.now) {
			batch = append(batch, logged{msg: ev.Message, late: !n.trusted})
			continue
		}
		n.hold(k)
		if at := (order{ev.Message.Timestamp, fp}); held == nil || at.before(*held) {
			held = &at
		}
	}
	slices.SortStableFunc(batch, func(a, b logged) int { return byOrder(a.msg, b.msg) })
	if held != nil {
		end := slices.IndexFunc(batch, func(l logged) bool { return held.before(order{l.msg.Timestamp, l.msg.Fingerprint}) })
		if end >= 0 {
			batch = batch[:end]
		}
		d.holdRest(n, *held)
	}
	return batch, held
}

// holdRest keeps the session's other hooks of this look that must come after the message that is
// held: a state, later messages, and those that only ask for a look.
func (d *data) holdRest(n *news, held order) {
	for i := range d.Inbox {
		k := &d.Inbox[i]
		if !n.judges(k) {
			continue
		}
		ev, ok := k.event()
		if !ok || ev.Message == nil || held.before(order{ev.Message.Timestamp, ev.Message.Fingerprint}) {
			n.hold(k)
		}
	}
}

// advance moves the watermark: all before it was read and is written down.
func (d *data) advance(s *crispSession, batch []logged, held *order) {
	for _, l := range batch {
		s.Watermark = max(s.Watermark, l.msg.Timestamp)
	}
	if held != nil {
		s.Watermark = min(s.Watermark, held.At-1)
	}
}

// sorted returns messages in the order of Crisp's log.
func sorted(msgs []EventMessage) []*EventMessage {
	all := make([]*EventMessage, len(msgs))
	for i := range msgs {
		all[i] = &msgs[i]
	}
	slices.SortStableFunc(all, byOrder)
	return all
}

func byOrder(a, b *EventMessage) int {
	return cmp.Or(cmp.Compare(a.Timestamp, b.Timestamp), cmp.Compare(a.Fingerprint, b.Fingerprint))
}

package handover

import (
	"cmp"
	"context"
	"net/http"
	"slices"
	"strings"
	"time"

	"github.com/go-json-experiment/json/jsontext"
)

const (
	// holdFor is how long a message that its hook shows and the log does not is held back for
	// the log, whose order counts.
	holdFor = 10 * time.Second
	// resolvedTwice is the time between two reads that must agree before a resolved state counts
	// of which no hook told.
	resolvedTwice = time.Minute
	// maxPages bounds one read of the log.
	maxPages = 100
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
		if s := d.session(k.Crisp); s != nil && !k.Next.After(now) {
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
	for _, k := range d.Inbox {
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

// event decodes the stored hook; false when it only says that there is something to look at.
func (k *hook) event() (Event, bool) {
	if len(k.Raw) == 0 {
		return Event{}, false
	}
	ev, err := ParseEvent(k.Raw)
	return ev, err == nil
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
func (c *crispClient) pages(ctx context.Context, crisp string, since, first int64) (all []EventMessage, err error) {
	var before int64
	known := make(map[int64]bool)
	for range maxPages {
		page, withheld, err := c.messages(ctx, crisp, before)
		if err != nil {
			return nil, err
		}
		oldest, fresh, end := int64(0), false, false
		for _, m := range slices.Concat(page, withheld) {
			if m.Timestamp != 0 && (oldest == 0 || m.Timestamp < oldest) {
				oldest = m.Timestamp
			}
		}
		for _, m := range page {
			end = end || m.Fingerprint == first
			if !known[m.Fingerprint] {
				known[m.Fingerprint], fresh = true, true
				all = append(all, m)
			}
		}
		if !fresh || end || oldest <= since {
			break
		}
		before = oldest + 1 // messages of the same millisecond may be on both pages
	}
	return all, nil
}

// learn writes down what a look brought: messages in the log's order, then edits and removals,
// then the state.
func (d *data) learn(n *news) {
	s := d.session(n.look.crisp)
	if s == nil {
		return
	}
	if n.err != nil {
		s.Fails++
		s.Retry = d.env.now.Add(delay(s.Fails))
		d.observe(Activity{Kind: ActivityFault, CrispID: s.ID, Err: n.err, Attempt: s.Fails, Effect: "look"})
	} else {
		s.Fails, s.Retry = 0, time.Time{}
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
	}
	d.Inbox = slices.DeleteFunc(d.Inbox, func(k hook) bool { return n.judges(&k) && !n.held[k.N] })
	for i := range d.Inbox {
		if k := &d.Inbox[i]; n.held[k.N] {
			k.retry(d.env.now)
		}
	}
}

// judges reports whether the hook is among those that the look was made for.
func (n *news) judges(k *hook) bool { return k.Crisp == n.look.crisp && k.N <= n.look.upto }

// hold keeps a hook in the inbox for another look.
func (n *news) hold(k *hook) {
	if n.held == nil {
		n.held = make(map[int64]bool)
	}
	n.held[k.N] = true
}

// retry sets the next look: after 1, 2, 4 s, and when the time of holding back is up.
func (k *hook) retry(now time.Time) {
	k.Tries++
	k.Next = now.Add(delay(k.Tries))
	if end := k.Got.Add(holdFor); end.After(now) && k.Next.After(end) {
		k.Next = end
	}
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
		ev, ok := k.event()
		if !n.judges(k) {
			continue
		}
		if !ok || ev.Message == nil || ev.Message.Fingerprint == 0 {
			if n.err != nil { // nothing is known: look again
				n.hold(k)
			}
			continue
		}
		fp := ev.Message.Fingerprint
		known := slices.ContainsFunc(batch, func(l logged) bool { return l.msg.Fingerprint == fp })
		if e := s.entry(fp); known || e != nil && e.At != 0 {
			continue
		}
		if ev.Message.From == "user" && s.entry(fp) != nil || n.trusted || !d.env.now.Before(k.Got.Add(holdFor)) {
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
		d.holdRest(n)
	}
	return batch, held
}

// holdRest keeps the session's other hooks of this look, such as a state that must come after the
// message that is held.
func (d *data) holdRest(n *news) {
	for i := range d.Inbox {
		k := &d.Inbox[i]
		if ev, ok := k.event(); ok && n.judges(k) && ev.Message == nil {
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

// see takes one message of the log. Each fingerprint is judged once; a known one with other
// content is an edit.
func (d *data) see(s *crispSession, m *EventMessage, late bool) {
	at := order{m.Timestamp, m.Fingerprint}
	if m.Fingerprint == 0 {
		return
	}
	s.Newest = max(s.Newest, at.At)
	s.opened(m)
	e := s.entry(m.Fingerprint)
	switch {
	case e != nil && e.Fate == fateOurs:
		e.At = at.At
		d.proved(s, e.FP)
		return
	case e != nil && e.Fate == fateShown && e.Hash != hashOf(m.Type, m.Content):
		d.edit(s, e, m.Type, m.Content)
		return
	case e != nil:
		return
	}
	e = &entry{order: at, Fate: fateWithheld, Type: m.Type}
	s.Table = append(s.Table, e)
	if s.Adopted || at.At < s.From {
		return // written before our opening message
	}
	switch {
	case m.From == "user":
		d.fromUser(s, m, e, late)
	case m.From != "operator":
		d.observe(Activity{Kind: ActivityWithheld, CrispID: s.ID, Why: "author"})
	case d.env.cfg.Origin != defaultOrigin && m.Origin == d.env.cfg.Origin:
		e.Fate = fateOurs
	case isPrivate(m.Type):
		d.observe(Activity{Kind: ActivityWithheld, CrispID: s.ID, Why: "private"})
	case m.Automated || d.env.cfg.Policy.isBot(m.Origin):
		d.otherBot(s)
	default:
		d.fromHuman(s, m, e, late)
	}
}

// opened makes the session's mark that of our opening message, when this is it.
func (s *crispSession) opened(m *EventMessage) {
	if s.Opening == 0 || m.Fingerprint != s.Opening {
		return
	}
	s.Mark, s.Opening = m.Timestamp, 0
	if s.Adopted {
		s.Adopted, s.From, s.Watermark = false, m.Timestamp, m.Timestamp
	}
}

// otherBot notes that another bot answers in Crisp. A user who waits is shown the way out, once.
func (d *data) otherBot(s *crispSession) {
	d.observe(Activity{Kind: ActivityOtherBot, CrispID: s.ID})
	if d.State == StateWaiting && d.Stay.CrispID == s.ID && !d.Stay.OtherBot {
		d.Stay.OtherBot = true
		d.say(textStillWaiting, "")
	}
}

// fromUser takes a message of the user that we do not know: one of ours to which Crisp gave another
// fingerprint, or what the user wrote by email.
func (d *data) fromUser(s *crispSession, m *EventMessage, e *entry, late bool) {
	if m.Origin == d.env.cfg.Origin {
		d.match(s, m)
		e.Fate = fateOurs
		return
	}
	if !d.env.cfg.Policy.DeliverUser {
		d.observe(Activity{Kind: ActivityWithheld, CrispID: s.ID, Why: "user"})
		return
	}
	d.show(s, m, e, Message{From: FromUser, Late: late})
}

// fromHuman takes a message of an agent: it is shown, and the agent has the conversation.
func (d *data) fromHuman(s *crispSession, m *EventMessage, e *entry, late bool) {
	agent := agentOf(m)
	e.Agent = agent
	what := happening{session: s, agent: agent, at: m.Timestamp}
	running := d.human() && d.Stay.CrispID == s.ID
	newer := s.Opening == 0 && m.Timestamp > s.Mark
	msg := Message{From: FromAgent, Agent: agent, Late: late}
	switch {
	case running:
		d.fire(onHuman, what)
	case !newer || d.human():
		msg.Late = msg.Late || !newer
		d.fire(onLate, what)
	case d.FollowUp != nil && d.FollowUp.CrispID == s.ID:
		// The user may be gone: only a message that was shown is a takeover.
	case d.env.cfg.Policy.NoTakeover:
	default:
		d.fire(onHuman, what)
	}
	d.show(s, m, e, msg)
}

// show queues a message of the log for the user, in as many parts as it needs.
func (d *data) show(s *crispSession, m *EventMessage, e *entry, msg Message) {
	parts, err := fromCrisp(m.Type, m.Content, m.Fingerprint)
	if err != nil {
		e.Fate = fateFailed
		d.note(s.ID, noteNotShown)
		d.observe(Activity{Kind: ActivityNotShown, CrispID: s.ID, Why: "type"})
		return
	}
	e.Fate, e.Hash = fateShown, hashOf(m.Type, m.Content)
	if e.order.before(s.Shown) {
		msg.Late = true
	} else {
		s.Shown = e.order
	}
	if m.Type == "picker" {
		d.Pickers = append(d.Pickers, picker{Crisp: s.ID, FP: m.Fingerprint, Content: m.Content})
		d.Pickers = d.Pickers[max(0, len(d.Pickers)-maxPickers):]
	}
	msg.At = time.UnixMilli(m.Timestamp).UTC()
	d.queueParts(s, e, parts, msg, "")
}

// maxPickers is how many agents' questions can be answered at a time.
const maxPickers = 8

// queueParts queues the parts of a message; suffix tells a correction's ids from the first ones.
func (d *data) queueParts(s *crispSession, e *entry, parts []part, msg Message, suffix string) {
	stay := ""
	if d.Stay != nil && d.Stay.CrispID == s.ID {
		stay = d.Stay.ID
	}
	for i, p := range parts {
		one := msg
		one.ID = messageID(s.ID, e.FP, i) + suffix
		if suffix != "" {
			one.Corrects = messageID(s.ID, e.FP, i)
			if i < len(e.ChannelID) {
				one.ChannelID = e.ChannelID[i]
			}
		}
		one.Content, one.File = p.Content, p.File
		kind := kindDeliver
		if suffix != "" && d.env.cfg.Revise != nil {
			kind = kindRevise
		}
		d.push(&d.In, effect{Kind: kind, Stay: stay, Crisp: s.ID, FP: e.FP, Part: i, Message: &one})
	}
}

// edit gives the user the new content of a message that was shown.
func (d *data) edit(s *crispSession, e *entry, typ string, content jsontext.Value) {
	hash := hashOf(typ, content)
	if hash == e.Hash {
		return
	}
	parts, err := fromCrisp(typ, content, e.FP)
	if err != nil {
		return
	}
	e.Hash = hash
	msg := Message{From: FromAgent, Agent: e.Agent, At: time.UnixMilli(e.At).UTC()}
	waiting := func(x *effect) bool {
		return x.Kind == kindDeliver && x.Crisp == s.ID && x.FP == e.FP && x.Attempts == 0 && x.Message.Corrects == ""
	}
	suffix := "@" + hash[:8]
	if d.waits(s, e) { // nothing of it was shown yet: show the new content instead
		d.In.drop(waiting)
		suffix = ""
	}
	d.queueParts(s, e, parts, msg, suffix)
}

// waits reports whether no part of the message was tried yet.
func (d *data) waits(s *crispSession, e *entry) bool {
	parts, tried := 0, len(e.ChannelID) > 0
	for _, x := range d.In.Queue {
		if x.Kind == kindDeliver && x.Crisp == s.ID && x.FP == e.FP {
			parts++
			tried = tried || x.Attempts > 0
		}
	}
	return parts > 0 && !tried
}

// amend takes the edits and removals that hooks told of. An edit of something that was not shown
// changes nothing: what it is now is judged as a message of the log, so an edited note never leaks.
func (d *data) amend(s *crispSession, n *news, held bool) {
	for i := range d.Inbox {
		k := &d.Inbox[i]
		ev, ok := k.event()
		if !ok || !n.judges(k) {
			continue
		}
		switch {
		case ev.Removed != 0:
			d.remove(s, ev.Removed)
		case ev.Update != nil:
			e := s.entry(ev.Update.Fingerprint)
			if e == nil && n.err != nil {
				n.hold(k)
			} else if e != nil && e.Fate == fateShown && !slices.ContainsFunc(n.messages, func(m EventMessage) bool { return m.Fingerprint == e.FP }) {
				d.edit(s, e, e.Type, ev.Update.Content)
			}
		}
	}
	if !held {
		for i := range n.singles {
			d.see(s, &n.singles[i], true)
		}
	}
}

// remove takes the removal of a message, of which we may not have heard yet.
func (d *data) remove(s *crispSession, fp int64) {
	e := s.entry(fp)
	if e == nil {
		s.Table = append(s.Table, &entry{order: order{s.Newest, fp}, Fate: fateRemoved})
		return
	}
	if e.Fate != fateShown {
		return
	}
	e.Fate = fateRemoved
	waiting := d.waits(s, e)
	d.In.drop(func(x *effect) bool { return waiting && x.Crisp == s.ID && x.FP == fp })
	if waiting || d.env.cfg.Revise == nil {
		return
	}
	for i := range max(1, len(e.ChannelID)) {
		msg := &Message{ID: messageID(s.ID, fp, i) + "@removed", Corrects: messageID(s.ID, fp, i), From: FromAgent, Agent: e.Agent, At: time.UnixMilli(e.At).UTC()}
		if i < len(e.ChannelID) {
			msg.ChannelID = e.ChannelID[i]
		}
		d.push(&d.In, effect{Kind: kindRevise, Crisp: s.ID, FP: fp, Part: i, Removed: true, Message: msg})
	}
}

// judge takes the state of the conversation, after the messages before it.
func (d *data) judge(s *crispSession, n *news) {
	for i := range d.Inbox {
		k := &d.Inbox[i]
		if ev, ok := k.event(); ok && n.judges(k) {
			d.judgeHook(s, k, ev, n)
		}
	}
	switch {
	case n.gone:
		d.closed(s, EndRemoved, 0)
	case n.state == nil:
	case n.state.Blocked:
		d.closed(s, EndBlocked, 0)
	default:
		d.judgeRead(s, n)
	}
	if n.state != nil {
		s.Email = n.state.Meta.Email != ""
	}
}

func (d *data) judgeHook(s *crispSession, k *hook, ev Event, n *news) {
	at := ev.At.UnixMilli()
	if n.err != nil && !n.gone && d.env.now.Before(k.Got.Add(holdFor)) {
		if ev.State != "" || ev.Blocked != nil || ev.Name == "session:removed" {
			n.hold(k) // messages before it may not be read yet
		}
		return
	}
	switch {
	case ev.State == "resolved" && s.Opening != 0:
		// Until our opening message is seen it is not known which handover this is about.
		if d.env.now.Before(k.Got.Add(holdFor)) {
			n.hold(k)
		} else {
			s.Resolved, s.Updated = d.env.now, at
		}
	case ev.State == "resolved" && at > s.Mark:
		d.closed(s, EndResolved, at)
	case ev.Name == "session:removed":
		d.closed(s, EndRemoved, at)
	case ev.Blocked != nil && *ev.Blocked:
		d.closed(s, EndBlocked, at)
	case ev.Routing != nil && *ev.Routing != "" && d.env.cfg.Policy.ClaimOnAssign:
		if d.human() && d.Stay.CrispID == s.ID && *ev.Routing != d.Stay.Request.Operator {
			d.fire(onAssigned, happening{session: s, agent: Agent{ID: *ev.Routing}})
		}
	}
}

// judgeRead takes a resolved state that no hook told of: it counts when a second read agrees and
// nothing of ours was posted between, since every message of the user reopens the conversation.
func (d *data) judgeRead(s *crispSession, n *news) {
	updated := positive(n.state.UpdatedAt)
	if n.state.State != "resolved" || s.Opening != 0 || updated <= s.Mark {
		s.Resolved = time.Time{}
		return
	}
	if s.Resolved.IsZero() {
		s.Resolved, s.Updated = d.env.now, updated
		return
	}
	if n.begun.Sub(s.Resolved) >= resolvedTwice {
		s.Resolved = time.Time{}
		d.closed(s, EndResolved, updated)
	}
}

// vanished ends at once what runs in a session that was removed: nothing more can pass.
func (d *data) vanished(s *crispSession) {
	s.Gone = true
	if d.FollowUp != nil && d.FollowUp.CrispID == s.ID {
		d.dropFollowUp(happening{})
	}
	if d.human() && d.Stay.CrispID == s.ID {
		d.fire(onRemoved, happening{})
	}
}

// closed queues the end of what runs in the session, behind the messages that came before it.
func (d *data) closed(s *crispSession, reason EndReason, at int64) {
	s.Newest = max(s.Newest, at)
	if reason == EndRemoved {
		s.Gone = true
	}
	if f := d.FollowUp; f != nil && f.CrispID == s.ID {
		s.Mark = max(s.Mark, s.Newest)
		d.dropFollowUp(happening{})
	}
	if d.human() && d.Stay.CrispID == s.ID {
		d.push(&d.In, effect{Kind: kindEnd, Stay: d.Stay.ID, Crisp: s.ID, Reason: reason, At: at})
	}
}

// agentOf is who wrote a message. An avatar that is no web address is dropped.
func agentOf(m *EventMessage) Agent {
	a := Agent{ID: m.User.UserID, Name: m.User.Nickname, Avatar: m.User.Avatar}
	if !strings.HasPrefix(a.Avatar, "https://") && !strings.HasPrefix(a.Avatar, "http://") {
		a.Avatar = ""
	}
	return a
}

// isPrivate reports whether a type of message is for the team alone.
func isPrivate(typ string) bool { return typ == "note" || typ == "event" }

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

// hashOf tells one content of a message from another. What the user chose in a picker is no
// content of the agent's.
func hashOf(typ string, content jsontext.Value) string {
	if typ == "picker" {
		if plain, err := answerPicker(content, -1); err == nil {
			content = plain
		}
	}
	return contentHash(typ, content)
}

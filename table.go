package handover

import (
	"slices"
	"time"
)

// trigger is something that may change who owns a conversation.
type trigger string

// The triggers, in the words of the table of states.
const (
	onStart           trigger = "Start, agent there"
	onNobody          trigger = "Start, nobody there"
	onMute            trigger = "Mute"
	onOpened          trigger = "opened"
	onOpenFailed      trigger = "Timeouts.Open, or opening fails for good"
	onUser            trigger = "user message"
	onHuman           trigger = "human operator's message, newer than the end"
	onLate            trigger = "human operator's message, older than the end"
	onAssigned        trigger = "assigned, with Policy.ClaimOnAssign"
	onResolved        trigger = "Crisp says resolved"
	onHostEnd         trigger = "End by the host"
	onUserLeft        trigger = "the user leaves"
	onRemoved         trigger = "removed in Crisp"
	onBlocked         trigger = "user blocked"
	onRemind          trigger = "Timeouts.Remind"
	onClaimTimeout    trigger = "Timeouts.Claim"
	onQuiet           trigger = "Timeouts.Idle"
	onIdle            trigger = "half of Timeouts.Idle again"
	onMax             trigger = "Timeouts.Max"
	onRelayFailed     trigger = "relaying impossible for Timeouts.Relay"
	onChoiceEmail     trigger = "Contact me back via email"
	onChoiceBot       trigger = "Continue with the bot"
	onOfferExpired    trigger = "the offer expires"
	onFollowUpExpired trigger = "Timeouts.Followup"
)

// happening is what a trigger knows besides the conversation.
type happening struct {
	session *crispSession
	agent   Agent
	at      int64 // Crisp's time, in ms
	request *Request
	turn    Turn
	options EndOptions
}

// cell says what a trigger does in a state.
type cell struct {
	to   State
	ends EndReason // the handover's one end
	do   func(*data, happening)
	what string // in words, for the documentation
}

// stays is a cell that leaves the owner as it is.
func stays(s State, what string, do func(*data, happening)) cell {
	return cell{to: s, what: what, do: do}
}

// table holds every state and every trigger. It is the only place where the owner changes.
var table = map[State]map[trigger]cell{
	StateBot: {
		onStart:           {to: StateOpening, do: (*data).begin, what: "the whole request is stored, then the Crisp conversation is opened"},
		onNobody:          stays(StateBot, "the no-agent messages go out: an offer", (*data).makeOffer),
		onMute:            {to: StateMuted, do: (*data).muteBot, what: "nobody speaks"},
		onHuman:           {to: StateActive, do: (*data).takeover, what: "takeover: a new handover begins"},
		onLate:            stays(StateBot, "delivered, marked late", nil),
		onUser:            stays(StateBot, "a turn for the bot", nil),
		onHostEnd:         stays(StateBot, "offer and follow-up are dropped", (*data).dropOpen),
		onChoiceEmail:     stays(StateBot, "a follow-up is opened, or the address asked for", (*data).choseEmail),
		onChoiceBot:       stays(StateBot, "the offer is over", (*data).choseBot),
		onOfferExpired:    stays(StateBot, "the offer is over", (*data).dropOffer),
		onFollowUpExpired: stays(StateBot, "the follow-up is over", (*data).dropFollowUp),
	},
	StateMuted: {
		onStart:           {to: StateOpening, do: (*data).begin, what: "the messages kept go along"},
		onNobody:          {to: StateBot, do: (*data).makeOffer, what: "the mute is lifted"},
		onHuman:           {to: StateActive, do: (*data).takeover, what: "takeover"},
		onLate:            stays(StateMuted, "delivered, marked late", nil),
		onUser:            stays(StateMuted, "kept for a handover that may come", nil),
		onHostEnd:         {to: StateBot, do: (*data).endMute, what: "un-muted; offer and follow-up are dropped"},
		onOfferExpired:    stays(StateMuted, "the offer is over", (*data).dropOffer),
		onMax:             {to: StateBot, do: (*data).unmute, what: "un-muted"},
		onFollowUpExpired: stays(StateMuted, "the follow-up is over", (*data).dropFollowUp),
	},
	StateOpening: {
		onOpened:     {to: StateWaiting, do: (*data).opened, what: "only now is the user told"},
		onOpenFailed: {to: StateBot, ends: EndOpenFailed, what: "the user is told; messages that came meanwhile become turns"},
		onUser:       stays(StateOpening, "queued behind the opening", nil),
		onHostEnd:    {to: StateBot, ends: EndHostEnded, do: (*data).abandon, what: "the half-made conversation is resolved"},
		onUserLeft:   {to: StateBot, ends: EndUserLeft, do: (*data).abandon, what: "the half-made conversation is resolved"},
		onRemoved:    {to: StateBot, ends: EndRemoved, what: "ends"},
		onBlocked:    {to: StateBot, ends: EndBlocked, what: "ends"},
		onMax:        {to: StateBot, ends: EndMaxAge, do: (*data).abandon, what: "ends"},
	},
	StateWaiting: running(StateWaiting, map[trigger]cell{
		onHuman:        {to: StateActive, do: (*data).joined, what: "the user is told who joined"},
		onAssigned:     {to: StateActive, do: (*data).joined, what: "claimed"},
		onRemind:       stays(StateWaiting, "still waiting, with a way out", (*data).remind),
		onClaimTimeout: {to: StateBot, ends: EndClaimTimeout, do: (*data).nobodyCame, what: "an offer; the agents get a note; a later answer takes over"},
	}),
	StateActive: running(StateActive, map[trigger]cell{
		onHuman: stays(StateActive, "delivered", (*data).spoke),
		onQuiet: stays(StateActive, "the user is asked whether they are there", (*data).askIdle),
		onIdle:  {to: StateBot, ends: EndIdle, do: (*data).wentQuiet, what: "ends; with an email in Crisp a follow-up"},
	}),
}

// running is the part of the table that waiting and active share.
func running(s State, own map[trigger]cell) map[trigger]cell {
	for t, c := range map[trigger]cell{
		onLate:        stays(s, "delivered", nil),
		onUser:        stays(s, "relayed", nil),
		onResolved:    {to: StateBot, ends: EndResolved, what: "after the messages before it"},
		onHostEnd:     {to: StateBot, ends: EndHostEnded, do: (*data).left, what: "the agents get a note"},
		onUserLeft:    {to: StateBot, ends: EndUserLeft, do: (*data).left, what: "the agents get a note"},
		onRemoved:     {to: StateBot, ends: EndRemoved, what: "ends"},
		onBlocked:     {to: StateBot, ends: EndBlocked, what: "ends"},
		onMax:         {to: StateBot, ends: EndMaxAge, do: (*data).left, what: "ends"},
		onRelayFailed: {to: StateBot, ends: EndRelayFailed, what: "messages not passed on become turns"},
	} {
		if _, ok := own[t]; !ok {
			own[t] = c
		}
	}
	return own
}

// fire lets a trigger happen. What the table does not list for a state stays as it is. It reports
// whether the table lists it.
func (d *data) fire(t trigger, what happening) bool {
	c, ok := table[d.State][t]
	if !ok {
		return false
	}
	from := d.State
	if c.ends != "" {
		d.finish(c.ends, what)
	}
	noted := len(d.env.activity)
	if c.to != from {
		d.move(c.to, c.ends)
	}
	if c.do != nil {
		c.do(d, what)
	}
	if c.to != from && d.Stay != nil { // do may have begun the handover that the move is about
		d.env.activity[noted].HandoverID, d.env.activity[noted].CrispID = d.Stay.ID, d.Stay.CrispID
	}
	if c.ends != "" {
		d.farewell(c.ends)
	}
	d.Touched = d.env.now
	return true
}

// move changes the state, and with the owner the epoch.
func (d *data) move(to State, reason EndReason) {
	a := Activity{Kind: ActivityState, From: d.State, To: to, Reason: reason, Took: d.env.now.Sub(d.Since)}
	if owner(d.State) != owner(to) {
		d.Epoch++
	}
	d.State, d.Since = to, d.env.now
	d.observe(a)
}

// owner names who speaks in a state.
func owner(s State) string {
	switch s {
	case StateBot:
		return "bot"
	case StateMuted:
		return "nobody"
	}
	return "human"
}

// ended carries out a queued end, unless its handover is over already.
func (d *data) ended(e *effect) {
	if !d.runs(e.Stay) {
		return
	}
	t := map[EndReason]trigger{EndResolved: onResolved, EndRemoved: onRemoved, EndBlocked: onBlocked}[e.Reason]
	d.fire(t, happening{at: e.At})
}

// begin starts a handover: the request is stored with all steps of the opening.
func (d *data) begin(what happening) {
	d.Stay = d.newStay(what.request)
	d.dropOpen(what)
	d.queueOpening(d.Stay)
	d.passKept()
}

// passKept ends a mute: the agents get the newest of the messages that were kept.
func (d *data) passKept() {
	kept := slices.DeleteFunc(slices.Clone(d.Seen), func(s *seen) bool { return s.Outcome != outcomeKept })
	for i, s := range kept {
		if i < len(kept)-maxKept {
			s.Outcome, s.Incoming = outcomeAnswered, nil
		} else {
			s.Left = true // its Receive has returned
			d.queuePosts(s, d.Stay)
		}
	}
	d.Mute = nil
}

// maxKept is how many messages of a muted conversation go along with a handover.
const maxKept = 20

func (d *data) newStay(r *Request) *stay {
	return &stay{ID: newID(), Request: *r, Timeouts: d.env.cfg.Timeouts.override(r.Timeouts), Epoch: d.Epoch, Asked: d.env.now}
}

// takeover begins a handover that an agent started by writing.
func (d *data) takeover(what happening) {
	var r Request
	var leave string // the user may remember it
	if d.Stay != nil {
		r, leave = d.Stay.Request, d.Stay.LeaveTitle
	}
	d.Stay = d.newStay(&r)
	d.Stay.LeaveTitle = leave
	d.Stay.CrispID, d.Stay.Opened, d.Stay.From = what.session.ID, d.env.now, what.at
	what.session.Mark = max(what.session.Mark, what.at-1)
	d.dropResolve(what.session.ID)
	d.dropOpen(what)
	d.passKept()
	d.joined(what)
}

// joined notes the first human sign.
func (d *data) joined(what happening) {
	d.Stay.Claimed = d.env.now
	d.Stay.LastWord, d.Stay.Unanswered = d.env.now, false
	if what.at == 0 {
		return // assigned: nobody has written yet
	}
	d.spoke(what)
}

// spoke notes a message of an agent, and tells the user who it is when that is new.
func (d *data) spoke(what happening) {
	st := d.Stay
	st.LastWord, st.Unanswered = d.env.now, false
	if st.FirstReply.IsZero() {
		st.FirstReply = d.env.now
	}
	i := slices.IndexFunc(st.Agents, func(a Agent) bool { return a.ID == what.agent.ID && a.Name == what.agent.Name })
	if last := len(st.Agents) - 1; i >= 0 && i == last {
		return
	}
	name := textJoined
	if len(st.Agents) > 0 {
		name = textTransferred
	}
	if i >= 0 {
		st.Agents = slices.Delete(st.Agents, i, i+1)
	}
	st.Agents = append(st.Agents, what.agent) // the one who speaks comes last
	d.say(name, what.agent.Name)
}

// opened tells the user, now that it is true.
func (d *data) opened(happening) {
	d.Stay.Opened, d.Stay.LastWord = d.env.now, d.env.now
	d.say(textWaiting, "")
}

func (d *data) remind(happening) {
	d.Stay.Reminded = d.env.now
	d.say(textStillWaiting, "")
}

func (d *data) askIdle(happening) {
	d.Stay.AskedIdle = d.env.now
	d.say(textStillThere, "")
}

// wentQuiet ends in silence. When Crisp has the user's address, what agents still write goes by
// email.
func (d *data) wentQuiet(what happening) {
	d.left(what)
	if s := d.session(d.Stay.CrispID); s != nil && s.Email {
		f := *d.Stay
		f.ID, f.ByEmail, f.Asked = newID(), true, d.env.now
		d.FollowUp = &f
	}
}

func (d *data) muteBot(what happening) { d.Mute = &mute{ID: newID(), Turn: what.turn.Epoch} }

// unmute forgets the messages that were kept: they were for the mute that is over.
func (d *data) unmute(happening) {
	d.Mute = nil
	for _, s := range d.Seen {
		if s.Outcome == outcomeKept {
			s.Outcome, s.Incoming = outcomeAnswered, nil
		}
	}
}

func (d *data) endMute(what happening) {
	d.unmute(what)
	d.dropOpen(what)
}

// makeOffer says that nobody is there, and what can be chosen.
func (d *data) makeOffer(what happening) {
	d.Mute = nil
	d.Offer = &offer{ID: newID(), Request: *what.request, Expires: d.env.now.Add(d.env.cfg.Timeouts.override(what.request.Timeouts).Followup)}
	for i, m := range d.noAgent() {
		d.push(&d.In, effect{Kind: kindDeliver, Message: &Message{
			ID: systemID(d.Offer.ID, "no_agent", int64(i)), From: FromSystem, Content: m, At: d.env.now.UTC(),
		}})
	}
}

// dropResolve forgets that a Crisp session was to be resolved: it is needed again.
func (d *data) dropResolve(crisp string) {
	d.Out.drop(func(e *effect) bool {
		if e.Kind != kindResolve || e.Crisp != crisp {
			return false
		}
		if s := d.session(crisp); s != nil && !e.Running {
			s.Echo = time.Time{}
		}
		return true
	})
}

// dropOpen ends what is open beside the bot.
func (d *data) dropOpen(what happening) {
	d.dropOffer(what)
	d.dropFollowUp(what)
}

func (d *data) dropOffer(happening) { d.Offer = nil }

// dropFollowUp forgets a follow-up, and its opening if that is not done yet.
func (d *data) dropFollowUp(happening) {
	if f := d.FollowUp; f != nil {
		d.FollowUp = nil
		if s := d.session(f.CrispID); s != nil {
			s.Ended = d.env.now
		}
		d.Out.drop(func(e *effect) bool { return e.Stay == f.ID && e.Kind.opens() })
	}
}

func (d *data) choseBot(what happening) {
	d.say(textWithBot, "")
	d.dropOffer(what)
}

// left tells the agents that the user is gone, and resolves the conversation if asked to.
func (d *data) left(what happening) {
	d.noteEnd(noteLeft, what.options)
}

func (d *data) noteEnd(name textName, o EndOptions) {
	crisp := d.Stay.CrispID
	if crisp == "" {
		return
	}
	if o.Note != "" {
		d.pushNote(crisp, effect{Note: o.Note})
	} else {
		d.note(crisp, name)
	}
	if o.Resolve {
		if s := d.session(crisp); s != nil && !s.Closed {
			s.Echo = d.env.now.Add(echoFor)
		}
		d.push(&d.Out, effect{Kind: kindResolve, Crisp: crisp})
	}
}

// abandon resolves the conversation that was half made. One that the library did not make goes on.
func (d *data) abandon(what happening) {
	s := d.session(d.Stay.CrispID)
	what.options.Resolve = what.options.Resolve || s != nil && s.First != 0
	d.noteEnd(noteLeft, what.options)
}

// nobodyCame leaves the user with an offer and the agents with a note.
func (d *data) nobodyCame(what happening) {
	d.noteEnd(noteNobodyCame, what.options)
	d.say(textNobodyCame, "")
	r := d.Stay.Request
	d.makeOffer(happening{request: &r})
}

// finish ends the handover: what is still on its way to Crisp and was never tried goes to the bot.
func (d *data) finish(reason EndReason, what happening) {
	st := d.Stay
	st.Ended, st.Reason = d.env.now, reason
	d.Pickers = nil
	if s := d.session(st.CrispID); s != nil {
		s.Newest = max(s.Newest, what.at)
		s.Mark, s.Resolved = max(s.Mark, s.Newest), time.Time{}
		if !s.Adopted {
			s.Opening = 0 // else what is older than it must stay unshown, and it may have passed
		}
		s.Ended = d.env.now
	}
	var maybe []string // Incoming ids that Crisp has in part, or may have: they are not divided
	for _, e := range d.Out.Queue {
		if (e.Unsure || e.Running || d.follows(e)) && reason != EndRelayFailed && reason != EndRemoved {
			maybe = append(maybe, e.Incoming)
		}
	}
	d.Out.drop(func(e *effect) bool {
		if e.Stay != st.ID {
			return false
		}
		if e.Kind.opens() {
			return true
		}
		back := (e.Kind == kindPost || e.Kind == kindAnswer) && !slices.Contains(maybe, e.Incoming)
		if back {
			d.env.returned = append(d.env.returned, e.Incoming)
		}
		return back
	})
}

// farewell queues what the user and the host are told of the end, once the state has changed.
func (d *data) farewell(reason EndReason) {
	st := d.Stay
	d.returnToBot()
	if name := endText(reason); name != "" {
		d.say(name, "")
	}
	d.push(&d.In, effect{Kind: kindOnEnd, Stay: st.ID, Crisp: st.CrispID, FP: st.Opening, At: st.From, Summary: st.summary()})
	if d.env.cfg.Policy.AskRating && reason == EndResolved && !st.FirstReply.IsZero() {
		d.push(&d.Out, effect{Kind: kindRate, Crisp: st.CrispID})
	}
}

// endText is what the user is told of an end.
func endText(reason EndReason) textName {
	switch reason {
	case EndResolved:
		return textResolved
	case EndHostEnded, EndUserLeft:
		return textLeft
	case EndClaimTimeout:
		return "" // the offer says it
	case EndIdle:
		return textIdle
	case EndOpenFailed:
		return textOpenFailed
	case EndRelayFailed:
		return textRelayFailed
	}
	return textClosed
}

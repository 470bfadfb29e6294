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
type cause struct {
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
	do   func(*record, cause)
	what string // in words, for the documentation
}

// stays is a cell that leaves the owner as it is.
func stays(s State, what string, do func(*record, cause)) cell {
	return cell{to: s, what: what, do: do}
}

// table holds every state and every trigger. It is the only place where the owner changes.
var table = map[State]map[trigger]cell{
	StateBot: {
		onStart:           {to: StateOpening, do: (*record).begin, what: "the whole request is stored, then the Crisp conversation is opened"},
		onNobody:          stays(StateBot, "the no-agent messages go out: an offer", (*record).makeOffer),
		onMute:            {to: StateMuted, do: (*record).muteBot, what: "nobody speaks"},
		onHuman:           {to: StateActive, do: (*record).takeover, what: "takeover: a new handover begins"},
		onLate:            stays(StateBot, "delivered, marked late", nil),
		onUser:            stays(StateBot, "a turn for the bot", nil),
		onHostEnd:         stays(StateBot, "offer and follow-up are dropped", (*record).dropOpen),
		onChoiceEmail:     stays(StateBot, "a follow-up is opened, or the address asked for", (*record).choseEmail),
		onChoiceBot:       stays(StateBot, "the offer is over", (*record).choseBot),
		onOfferExpired:    stays(StateBot, "the offer is over", (*record).dropOffer),
		onFollowUpExpired: stays(StateBot, "the follow-up is over", (*record).dropFollowUp),
	},
	StateMuted: {
		onStart:           {to: StateOpening, do: (*record).begin, what: "the messages kept go along"},
		onNobody:          {to: StateBot, do: (*record).makeOffer, what: "the mute is lifted"},
		onHuman:           {to: StateActive, do: (*record).takeover, what: "takeover"},
		onLate:            stays(StateMuted, "delivered, marked late", nil),
		onUser:            stays(StateMuted, "kept for a handover that may come", nil),
		onHostEnd:         {to: StateBot, do: (*record).endMute, what: "un-muted; offer and follow-up are dropped"},
		onOfferExpired:    stays(StateMuted, "the offer is over", (*record).dropOffer),
		onMax:             {to: StateBot, do: (*record).unmute, what: "un-muted"},
		onFollowUpExpired: stays(StateMuted, "the follow-up is over", (*record).dropFollowUp),
	},
	StateOpening: {
		onOpened:     {to: StateWaiting, do: (*record).opened, what: "only now is the user told"},
		onOpenFailed: {to: StateBot, ends: EndOpenFailed, what: "the user is told; messages that came meanwhile become turns"},
		onUser:       stays(StateOpening, "queued behind the opening", nil),
		onHostEnd:    {to: StateBot, ends: EndHostEnded, do: (*record).abandon, what: "the half-made conversation is resolved"},
		onUserLeft:   {to: StateBot, ends: EndUserLeft, do: (*record).abandon, what: "the half-made conversation is resolved"},
		onRemoved:    {to: StateBot, ends: EndRemoved, what: "ends"},
		onBlocked:    {to: StateBot, ends: EndBlocked, what: "ends"},
		onMax:        {to: StateBot, ends: EndMaxAge, do: (*record).abandon, what: "ends"},
	},
	StateWaiting: running(StateWaiting, map[trigger]cell{
		onHuman:        {to: StateActive, do: (*record).joined, what: "the user is told who joined"},
		onAssigned:     {to: StateActive, do: (*record).joined, what: "claimed"},
		onRemind:       stays(StateWaiting, "still waiting, with a way out", (*record).remind),
		onClaimTimeout: {to: StateBot, ends: EndClaimTimeout, do: (*record).nobodyCame, what: "an offer; the agents get a note; a later answer takes over"},
	}),
	StateActive: running(StateActive, map[trigger]cell{
		onHuman: stays(StateActive, "delivered", (*record).spoke),
		onQuiet: stays(StateActive, "the user is asked whether they are there", (*record).askIdle),
		onIdle:  {to: StateBot, ends: EndIdle, do: (*record).wentQuiet, what: "ends; with an email in Crisp a follow-up"},
	}),
}

// running is the part of the table that waiting and active share.
func running(s State, own map[trigger]cell) map[trigger]cell {
	for t, c := range map[trigger]cell{
		onLate:        stays(s, "delivered", nil),
		onUser:        stays(s, "relayed", nil),
		onResolved:    {to: StateBot, ends: EndResolved, what: "after the messages before it"},
		onHostEnd:     {to: StateBot, ends: EndHostEnded, do: (*record).left, what: "the agents get a note"},
		onUserLeft:    {to: StateBot, ends: EndUserLeft, do: (*record).left, what: "the agents get a note"},
		onRemoved:     {to: StateBot, ends: EndRemoved, what: "ends"},
		onBlocked:     {to: StateBot, ends: EndBlocked, what: "ends"},
		onMax:         {to: StateBot, ends: EndMaxAge, do: (*record).left, what: "ends"},
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
func (rec *record) fire(t trigger, what cause) bool {
	c, ok := table[rec.State][t]
	if !ok {
		return false
	}
	from := rec.State
	if c.ends != "" {
		rec.finish(c.ends, what)
	}
	noted := len(rec.env.activity)
	if c.to != from {
		rec.move(c.to, c.ends)
	}
	if c.do != nil {
		c.do(rec, what)
	}
	if c.to != from && rec.Handover != nil { // do may have begun the handover that the move is about
		rec.env.activity[noted].HandoverID, rec.env.activity[noted].CrispID = rec.Handover.ID, rec.Handover.CrispID
	}
	if c.ends != "" {
		rec.farewell(c.ends)
	}
	rec.Touched = rec.env.now
	return true
}

// move changes the state, and with the owner the epoch.
func (rec *record) move(to State, reason EndReason) {
	a := Activity{Kind: ActivityState, From: rec.State, To: to, Reason: reason, Took: rec.env.now.Sub(rec.Since)}
	if owner(rec.State) != owner(to) {
		rec.Epoch++
	}
	rec.State, rec.Since = to, rec.env.now
	rec.observe(a)
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
func (rec *record) ended(e *effect) {
	if !rec.runs(e.HandoverID) {
		return
	}
	t := map[EndReason]trigger{EndResolved: onResolved, EndRemoved: onRemoved, EndBlocked: onBlocked}[e.Reason]
	rec.fire(t, cause{at: e.At})
}

// begin starts a handover: the request is stored with all steps of the opening.
func (rec *record) begin(what cause) {
	rec.Handover = rec.newHandover(what.request)
	rec.dropOpen(what)
	rec.queueOpening(rec.Handover)
	rec.passKept()
}

// passKept ends a mute: the agents get the newest of the messages that were kept.
func (rec *record) passKept() {
	kept := slices.DeleteFunc(slices.Clone(rec.UserMessages), func(s *userMessage) bool { return s.Status != messageKept })
	for i, s := range kept {
		if i < len(kept)-maxKept {
			s.Status, s.Incoming = messageAnswered, nil
		} else {
			s.Left = true // its Receive has returned
			rec.queuePosts(s, rec.Handover)
		}
	}
	rec.Mute = nil
}

// maxKept is how many messages of a muted conversation go along with a handover.
const maxKept = 20

func (rec *record) newHandover(r *Request) *handover {
	return &handover{ID: newID(), Request: *r, Timeouts: rec.env.cfg.Timeouts.override(r.Timeouts), Epoch: rec.Epoch, Asked: rec.env.now}
}

// takeover begins a handover that an agent started by writing.
func (rec *record) takeover(what cause) {
	var r Request
	var leave string // the user may remember it
	if rec.Handover != nil {
		r, leave = rec.Handover.Request, rec.Handover.LeaveTitle
	}
	rec.Handover = rec.newHandover(&r)
	rec.Handover.LeaveTitle = leave
	rec.Handover.CrispID, rec.Handover.Opened, rec.Handover.From = what.session.ID, rec.env.now, what.at
	what.session.Mark = max(what.session.Mark, what.at-1)
	rec.dropResolve(what.session.ID)
	rec.dropOpen(what)
	rec.passKept()
	rec.joined(what)
}

// joined notes the first human sign.
func (rec *record) joined(what cause) {
	rec.Handover.Claimed = rec.env.now
	rec.Handover.LastWord, rec.Handover.Unanswered = rec.env.now, false
	if what.at == 0 {
		return // assigned: nobody has written yet
	}
	rec.spoke(what)
}

// spoke notes a message of an agent, and tells the user who it is when that is new.
func (rec *record) spoke(what cause) {
	ho := rec.Handover
	ho.LastWord, ho.Unanswered = rec.env.now, false
	if ho.FirstReply.IsZero() {
		ho.FirstReply = rec.env.now
	}
	i := slices.IndexFunc(ho.Agents, func(a Agent) bool { return a.ID == what.agent.ID && a.Name == what.agent.Name })
	if last := len(ho.Agents) - 1; i >= 0 && i == last {
		return
	}
	name := textJoined
	if len(ho.Agents) > 0 {
		name = textTransferred
	}
	if i >= 0 {
		ho.Agents = slices.Delete(ho.Agents, i, i+1)
	}
	ho.Agents = append(ho.Agents, what.agent) // the one who speaks comes last
	rec.say(name, what.agent.Name)
}

// opened tells the user, now that it is true.
func (rec *record) opened(cause) {
	rec.Handover.Opened, rec.Handover.LastWord = rec.env.now, rec.env.now
	rec.say(textWaiting, "")
}

func (rec *record) remind(cause) {
	rec.Handover.Reminded = rec.env.now
	rec.say(textStillWaiting, "")
}

func (rec *record) askIdle(cause) {
	rec.Handover.AskedIdle = rec.env.now
	rec.say(textStillThere, "")
}

// wentQuiet ends in silence. When Crisp has the user's address, what agents still write goes by
// email.
func (rec *record) wentQuiet(what cause) {
	rec.left(what)
	if s := rec.session(rec.Handover.CrispID); s != nil && s.Email {
		f := *rec.Handover
		f.ID, f.ByEmail, f.Asked = newID(), true, rec.env.now
		rec.FollowUp = &f
	}
}

func (rec *record) muteBot(what cause) { rec.Mute = &mute{ID: newID(), Turn: what.turn.Epoch} }

// unmute forgets the messages that were kept: they were for the mute that is over.
func (rec *record) unmute(cause) {
	rec.Mute = nil
	for _, s := range rec.UserMessages {
		if s.Status == messageKept {
			s.Status, s.Incoming = messageAnswered, nil
		}
	}
}

func (rec *record) endMute(what cause) {
	rec.unmute(what)
	rec.dropOpen(what)
}

// makeOffer says that nobody is there, and what can be chosen.
func (rec *record) makeOffer(what cause) {
	rec.Mute = nil
	rec.Offer = &offer{ID: newID(), Request: *what.request, Expires: rec.env.now.Add(rec.env.cfg.Timeouts.override(what.request.Timeouts).Followup)}
	for i, m := range rec.noAgent() {
		rec.push(&rec.ToUser, effect{Kind: kindDeliver, Message: &Message{
			ID: systemID(rec.Offer.ID, "no_agent", int64(i)), From: FromSystem, Content: m, At: rec.env.now.UTC(),
		}})
	}
}

// dropResolve forgets that a Crisp session was to be resolved: it is needed again.
func (rec *record) dropResolve(crisp string) {
	rec.ToCrisp.drop(func(e *effect) bool {
		if e.Kind != kindResolve || e.Crisp != crisp {
			return false
		}
		if s := rec.session(crisp); s != nil && !e.Running {
			s.Echo = time.Time{}
		}
		return true
	})
}

// dropOpen ends what is open beside the bot.
func (rec *record) dropOpen(what cause) {
	rec.dropOffer(what)
	rec.dropFollowUp(what)
}

func (rec *record) dropOffer(cause) { rec.Offer = nil }

// dropFollowUp forgets a follow-up, and its opening if that is not done yet.
func (rec *record) dropFollowUp(cause) {
	if f := rec.FollowUp; f != nil {
		rec.FollowUp = nil
		if s := rec.session(f.CrispID); s != nil {
			s.Ended = rec.env.now
		}
		rec.ToCrisp.drop(func(e *effect) bool { return e.HandoverID == f.ID && e.Kind.opens() })
	}
}

func (rec *record) choseBot(what cause) {
	rec.say(textWithBot, "")
	rec.dropOffer(what)
}

// left tells the agents that the user is gone, and resolves the conversation if asked to.
func (rec *record) left(what cause) {
	rec.noteEnd(noteLeft, what.options)
}

func (rec *record) noteEnd(name textName, o EndOptions) {
	crisp := rec.Handover.CrispID
	if crisp == "" {
		return
	}
	if o.Note != "" {
		rec.pushNote(crisp, effect{Note: o.Note})
	} else {
		rec.note(crisp, name)
	}
	if o.Resolve {
		if s := rec.session(crisp); s != nil && !s.Closed {
			s.Echo = rec.env.now.Add(echoFor)
		}
		rec.push(&rec.ToCrisp, effect{Kind: kindResolve, Crisp: crisp})
	}
}

// abandon resolves the conversation that was half made. One that the library did not make goes on.
func (rec *record) abandon(what cause) {
	s := rec.session(rec.Handover.CrispID)
	what.options.Resolve = what.options.Resolve || s != nil && s.First != 0
	rec.noteEnd(noteLeft, what.options)
}

// nobodyCame leaves the user with an offer and the agents with a note.
func (rec *record) nobodyCame(what cause) {
	rec.noteEnd(noteNobodyCame, what.options)
	rec.say(textNobodyCame, "")
	r := rec.Handover.Request
	rec.makeOffer(cause{request: &r})
}

// finish ends the handover: what is still on its way to Crisp and was never tried goes to the bot.
func (rec *record) finish(reason EndReason, what cause) {
	ho := rec.Handover
	ho.Ended, ho.Reason = rec.env.now, reason
	rec.Pickers = nil
	if s := rec.session(ho.CrispID); s != nil {
		s.Newest = max(s.Newest, what.at)
		s.Mark, s.Resolved = max(s.Mark, s.Newest), time.Time{}
		if !s.Adopted {
			s.Opening = 0 // else what is older than it must stay unshown, and it may have passed
		}
		s.Ended = rec.env.now
	}
	var maybe []string // Incoming ids that Crisp has in part, or may have: they are not divided
	for _, e := range rec.ToCrisp.Queue {
		if (e.Unsure || e.Running || rec.follows(e)) && reason != EndRelayFailed && reason != EndRemoved {
			maybe = append(maybe, e.Incoming)
		}
	}
	rec.ToCrisp.drop(func(e *effect) bool {
		if e.HandoverID != ho.ID {
			return false
		}
		if e.Kind.opens() {
			return true
		}
		back := (e.Kind == kindPost || e.Kind == kindAnswer) && !slices.Contains(maybe, e.Incoming)
		if back {
			rec.env.returned = append(rec.env.returned, e.Incoming)
		}
		return back
	})
}

// farewell queues what the user and the host are told of the end, once the state has changed.
func (rec *record) farewell(reason EndReason) {
	ho := rec.Handover
	rec.returnToBot()
	if name := endText(reason); name != "" {
		rec.say(name, "")
	}
	rec.push(&rec.ToUser, effect{Kind: kindOnEnd, HandoverID: ho.ID, Crisp: ho.CrispID, FP: ho.Opening, At: ho.From, Summary: ho.summary()})
	if rec.env.cfg.Policy.AskRating && reason == EndResolved && !ho.FirstReply.IsZero() {
		rec.push(&rec.ToCrisp, effect{Kind: kindRate, Crisp: ho.CrispID})
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

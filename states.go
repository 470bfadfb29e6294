package handover

import (
	"slices"

	"github.com/crisphandover/handover/internal/crisplog"
	"github.com/crisphandover/handover/internal/testhook"
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
	onFollowUpExpired trigger = "Timeouts.FollowUp"
)

// cause is what a trigger knows besides the conversation.
type cause struct {
	session *crisplog.Session
	agent   Agent
	at      int64 // Crisp's time, in ms
	request *Request
	turn    Turn
	options EndOptions
	// announced says that the user was told who writes before the message was shown.
	announced bool
}

// transition is one change that a trigger makes in a conversation.
type transition struct {
	rec   *record
	cause cause
}

// cell says what a trigger does in a state.
type cell struct {
	to   State
	ends EndReason // the handover's one end
	do   func(*transition)
	what string // in words, for the documentation
}

// stays is a cell that leaves the owner as it is.
func stays(s State, what string, do func(*transition)) cell {
	return cell{to: s, what: what, do: do}
}

// table holds every state and every trigger. It is the only place where the owner changes.
var table = map[State]map[trigger]cell{
	StateBot: {
		onStart:           {to: StateOpening, do: (*transition).begin, what: "the whole request is stored, then the Crisp conversation is opened"},
		onNobody:          stays(StateBot, "the no-agent messages go out: an offer", (*transition).offer),
		onMute:            {to: StateMuted, do: (*transition).muteBot, what: "nobody speaks"},
		onHuman:           {to: StateActive, do: (*transition).takeover, what: "takeover: a new handover begins"},
		onLate:            stays(StateBot, "delivered, marked late", nil),
		onUser:            stays(StateBot, "a turn for the bot", nil),
		onHostEnd:         stays(StateBot, "offer and follow-up are dropped", (*transition).dropOpen),
		onChoiceEmail:     stays(StateBot, "a follow-up is opened, or the address asked for", (*transition).choseEmail),
		onChoiceBot:       stays(StateBot, "the offer is over", (*transition).choseBot),
		onOfferExpired:    stays(StateBot, "the offer is over", (*transition).dropOffer),
		onFollowUpExpired: stays(StateBot, "the follow-up is over", (*transition).dropFollowUp),
	},
	StateMuted: {
		onStart:           {to: StateOpening, do: (*transition).begin, what: "the messages kept go along"},
		onNobody:          {to: StateBot, do: (*transition).offer, what: "the mute is lifted"},
		onHuman:           {to: StateActive, do: (*transition).takeover, what: "takeover"},
		onLate:            stays(StateMuted, "delivered, marked late", nil),
		onUser:            stays(StateMuted, "kept for a handover that may come", nil),
		onHostEnd:         {to: StateBot, do: (*transition).endMute, what: "un-muted; offer and follow-up are dropped"},
		onOfferExpired:    stays(StateMuted, "the offer is over", (*transition).dropOffer),
		onMax:             {to: StateBot, do: (*transition).unmute, what: "un-muted"},
		onFollowUpExpired: stays(StateMuted, "the follow-up is over", (*transition).dropFollowUp),
	},
	StateOpening: {
		onOpened:     {to: StateWaiting, do: (*transition).opened, what: "only now is the user told"},
		onOpenFailed: {to: StateBot, ends: EndOpenFailed, what: "the user is told; messages that came meanwhile become turns"},
		onUser:       stays(StateOpening, "queued behind the opening", nil),
		onHostEnd:    {to: StateBot, ends: EndHostEnded, do: (*transition).abandon, what: "the half-made conversation is resolved"},
		onUserLeft:   {to: StateBot, ends: EndUserLeft, do: (*transition).abandon, what: "the half-made conversation is resolved"},
		onRemoved:    {to: StateBot, ends: EndRemoved, what: "ends"},
		onBlocked:    {to: StateBot, ends: EndBlocked, what: "ends"},
		onMax:        {to: StateBot, ends: EndMaxAge, do: (*transition).abandon, what: "ends"},
	},
	StateWaiting: running(StateWaiting, map[trigger]cell{
		onHuman:        {to: StateActive, do: (*transition).joined, what: "the user is told who joined"},
		onAssigned:     {to: StateActive, do: (*transition).joined, what: "claimed"},
		onRemind:       stays(StateWaiting, "still waiting, with a way out", (*transition).remind),
		onClaimTimeout: {to: StateBot, ends: EndClaimTimeout, do: (*transition).nobodyCame, what: "an offer; the agents get a note; a later answer takes over"},
	}),
	StateActive: running(StateActive, map[trigger]cell{
		onHuman: stays(StateActive, "delivered", (*transition).spoke),
		onQuiet: stays(StateActive, "the user is asked whether they are there", (*transition).askIdle),
		onIdle:  {to: StateBot, ends: EndIdle, do: (*transition).wentQuiet, what: "ends; with an email in Crisp a follow-up"},
	}),
}

// running is the part of the table that waiting and active share.
func running(s State, own map[trigger]cell) map[trigger]cell {
	for t, c := range map[trigger]cell{
		onLate:        stays(s, "delivered", nil),
		onUser:        stays(s, "relayed", nil),
		onResolved:    {to: StateBot, ends: EndResolved, what: "after the messages before it"},
		onHostEnd:     {to: StateBot, ends: EndHostEnded, do: (*transition).left, what: "the agents get a note"},
		onUserLeft:    {to: StateBot, ends: EndUserLeft, do: (*transition).left, what: "the agents get a note"},
		onRemoved:     {to: StateBot, ends: EndRemoved, what: "ends"},
		onBlocked:     {to: StateBot, ends: EndBlocked, what: "ends"},
		onMax:         {to: StateBot, ends: EndMaxAge, do: (*transition).left, what: "ends"},
		onRelayFailed: {to: StateBot, ends: EndRelayFailed, do: (*transition).cutOff, what: "messages not passed on become turns; the agents get a note"},
	} {
		if _, ok := own[t]; !ok {
			own[t] = c
		}
	}
	return own
}

// fire carries out what the table lists for a trigger in the state. It reports whether the table lists
// anything; if not, nothing changes.
func (rec *record) fire(on trigger, what cause) bool {
	c, ok := table[rec.State][on]
	if !ok {
		return false
	}
	t, from := &transition{rec, what}, rec.State
	if c.ends != "" {
		t.finish(c.ends)
	}
	noted := len(rec.env.activity)
	if c.to != from {
		t.move(c.to, c.ends)
	}
	if c.do != nil {
		c.do(t)
	}
	if c.to != from && rec.Handover != nil { // do may have begun the handover that the move is about
		rec.env.activity[noted].HandoverID, rec.env.activity[noted].CrispID = rec.Handover.ID, rec.Handover.CrispID
	}
	if c.ends != "" {
		t.farewell(c.ends)
	}
	rec.Touched = rec.env.now
	return true
}

// move changes the state, and with the owner the epoch.
func (t *transition) move(to State, reason EndReason) {
	a := Activity{Kind: ActivityState, From: t.rec.State, To: to, Reason: reason, Took: t.rec.env.now.Sub(t.rec.Since)}
	if owner(t.rec.State) != owner(to) {
		t.rec.Epoch++
	}
	t.rec.State, t.rec.Since = to, t.rec.env.now
	t.rec.observe(a)
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

// endTrigger is the trigger of an end that waited for the messages before it; "" for no such reason.
func endTrigger(reason EndReason) trigger {
	return map[EndReason]trigger{EndResolved: onResolved, EndRemoved: onRemoved, EndBlocked: onBlocked}[reason]
}

// begin starts a handover: the request is stored with all steps of the opening.
func (t *transition) begin() {
	t.rec.Handover = t.rec.newHandover(t.cause.request)
	t.rec.dropOpen()
	t.rec.queueOpening(t.rec.Handover)
	t.passKept()
}

// passKept ends a mute: the agents get the newest of the messages that were kept.
func (t *transition) passKept() {
	kept := slices.DeleteFunc(slices.Clone(t.rec.UserMessages), func(s *userMessage) bool { return s.Status != messageKept })
	for i, s := range kept {
		if i < len(kept)-maxKept {
			s.done(messageAnswered)
		} else {
			t.rec.queuePosts(s, t.rec.Handover)
		}
	}
	t.rec.Mute = nil
}

// maxKept is how many messages of a muted conversation go along with a handover.
const maxKept = 20

func (rec *record) newHandover(r *Request) *handover {
	return &handover{ID: newID(), Request: *r, Timeouts: keptTimeouts{rec.env.cfg.Timeouts.override(r.Timeouts)}, Epoch: rec.Epoch, Asked: rec.env.now}
}

// takeover begins a handover that an agent started by writing.
func (t *transition) takeover() {
	var r Request
	var leave string // the user may remember it
	if t.rec.Handover != nil {
		r, leave = t.rec.Handover.Request, t.rec.Handover.LeaveTitle
	}
	t.rec.Handover = t.rec.newHandover(&r)
	t.rec.Handover.LeaveTitle = leave
	if f := t.rec.FollowUp; f != nil && f.CrispID == t.cause.session.ID {
		t.rec.Handover.Agents, f.Agents = f.Agents, nil
	}
	t.rec.Handover.CrispID, t.rec.Handover.Opened, t.rec.Handover.From = t.cause.session.ID, t.rec.env.now, t.cause.at
	t.cause.session.Bounds.End(t.cause.at - 1)
	t.rec.ToCrisp.dropResolve(t.cause.session.ID)
	t.rec.dropOpen()
	t.passKept()
	t.joined()
}

// joined notes the first human sign.
func (t *transition) joined() {
	t.rec.Handover.Claimed = t.rec.env.now
	t.rec.Handover.LastWord, t.rec.Handover.Unanswered = t.rec.env.now, false
	if t.cause.at == 0 {
		return // assigned: nobody has written yet
	}
	t.spoke()
}

// spoke notes a message of an agent, and tells the user who it is when that is new.
func (t *transition) spoke() {
	ho := t.rec.Handover
	ho.LastWord, ho.Unanswered = t.rec.env.now, false
	if ho.FirstReply.IsZero() {
		ho.FirstReply = t.rec.env.now
	}
	if !t.cause.announced {
		t.rec.introduce(ho, t.cause.agent)
	}
}

// introduce tells the user who writes, when that is new. It returns nil when it is not.
func (rec *record) introduce(ho *handover, a Agent) *effect {
	name := textJoined
	if len(ho.Agents) > 0 {
		name = textTransferred
	}
	if !ho.Agents.speaks(a) {
		return nil
	}
	return rec.say(name, a.Name)
}

// opened tells the user, now that it is true.
func (t *transition) opened() {
	t.rec.Handover.Opened, t.rec.Handover.LastWord = t.rec.env.now, t.rec.env.now
	t.rec.say(textWaiting, "")
}

func (t *transition) remind() {
	t.rec.Handover.Reminded = t.rec.env.now
	t.rec.say(textStillWaiting, "")
}

func (t *transition) askIdle() {
	t.rec.Handover.AskedIdle = t.rec.env.now
	t.rec.say(textStillThere, "")
}

// wentQuiet ends in silence. When Crisp has the user's address, what agents still write goes by
// email.
func (t *transition) wentQuiet() {
	t.left()
	if s := t.rec.Sessions.ByID(t.rec.Handover.CrispID); s != nil && s.State.Email {
		f := *t.rec.Handover
		f.ID, f.ByEmail, f.Asked, f.Agents = newID(), true, t.rec.env.now, nil
		t.rec.FollowUp = &f
	}
}

func (t *transition) muteBot() {
	t.rec.Mute = &mute{ID: newID(), Turn: t.cause.turn.Epoch}
}

// unmute forgets the messages that were kept: they were for the mute that is over.
func (t *transition) unmute() {
	t.rec.Mute = nil
	for _, s := range t.rec.UserMessages {
		if s.Status == messageKept {
			s.done(messageAnswered)
		}
	}
}

func (t *transition) endMute() {
	t.unmute()
	t.rec.dropOpen()
}

func (t *transition) choseBot() {
	t.rec.say(textWithBot, "")
	t.rec.Offer = nil
}

// left tells the agents that the user is gone, and resolves the conversation if asked to.
func (t *transition) left() {
	t.noteEnd(noteLeft)
}

// cutOff is left where Crisp did not take what the user wrote: a conversation that is full takes no note either.
func (t *transition) cutOff() {
	if s := t.rec.Sessions.ByID(t.rec.Handover.CrispID); s == nil || !s.State.Full {
		t.left()
	}
}

func (t *transition) noteEnd(name textName) {
	crisp := t.rec.Handover.CrispID
	if crisp == "" {
		return
	}
	var fp int64
	if t.cause.options.Note != "" {
		fp = t.rec.pushNote(crisp, effect{Note: t.cause.options.Note})
	} else {
		fp = t.rec.note(crisp, name)
	}
	if s := t.rec.Sessions.ByID(crisp); s != nil {
		s.Bounds.Note = fp
	}
	if t.cause.options.Resolve {
		t.rec.push(&t.rec.ToCrisp, effect{Kind: kindResolve, Crisp: crisp})
	}
}

// abandon resolves the conversation that was half made. One that the library did not make goes on.
func (t *transition) abandon() {
	s := t.rec.Sessions.ByID(t.rec.Handover.CrispID)
	t.cause.options.Resolve = t.cause.options.Resolve || s != nil && s.Log.First != 0
	t.noteEnd(noteLeft)
}

// nobodyCame leaves the user with an offer and the agents with a note.
func (t *transition) nobodyCame() {
	t.noteEnd(noteNobodyCame)
	t.rec.say(textNobodyCame, "")
	r := t.rec.Handover.Request
	r.Note = "" // the agents have it
	t.rec.makeOffer(&r)
}

// finish ends the handover: what is still on its way to Crisp and was never tried goes to the bot.
func (t *transition) finish(reason EndReason) {
	ho := t.rec.Handover
	ho.Ended, ho.Reason = t.rec.env.now, reason
	t.rec.Pickers = nil
	if s := t.rec.Sessions.ByID(ho.CrispID); s != nil {
		s.End(t.cause.at, t.rec.env.now)
		if reason == EndOpenFailed || reason == EndRelayFailed {
			s.State.Failed++
		}
	}
	var maybe []string // Incoming ids that Crisp has in part, or may have: they are not divided
	for _, e := range t.rec.ToCrisp {
		if (e.Unsure || e.Running != 0 || t.rec.ToCrisp.follows(e)) && reason != EndRelayFailed && reason != EndRemoved {
			maybe = append(maybe, e.Incoming)
		}
	}
	t.rec.ToCrisp.drop(func(e *effect) bool {
		if e.HandoverID != ho.ID {
			return false
		}
		if e.Kind.opens() {
			return true
		}
		back := (e.Kind == kindPost || e.Kind == kindAnswer) && !slices.Contains(maybe, e.Incoming)
		if back {
			t.rec.env.returned = append(t.rec.env.returned, e.Incoming)
		}
		return back
	})
}

// farewell queues what the user and the host are told of the end, once the state has changed.
func (t *transition) farewell(reason EndReason) {
	ho := t.rec.Handover
	t.rec.returnToBot()
	if name := endText(reason); name != "" {
		t.rec.say(name, "")
	}
	t.rec.push(&t.rec.ToUser, effect{Kind: kindOnEnd, HandoverID: ho.ID, Crisp: ho.CrispID, FP: ho.Opening, At: ho.From, Summary: ho.summary()})
	t.rec.holdEnds(t.rec.UserMessages)
	if t.rec.env.cfg.Policy.AskRating && reason == EndResolved && !ho.FirstReply.IsZero() {
		t.rec.push(&t.rec.ToCrisp, effect{Kind: kindRate, Crisp: ho.CrispID})
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

// offer says that nobody is there, and what can be chosen.
func (t *transition) offer() { t.rec.makeOffer(t.cause.request) }

func (t *transition) choseEmail() { t.rec.wantEmail() }

func (t *transition) dropOpen() { t.rec.dropOpen() }

func (t *transition) dropOffer() { t.rec.Offer = nil }

func (t *transition) dropFollowUp() { t.rec.dropFollowUp() }

// changeCell is testhook.ChangeCell. What a cell does can be taken away, and not be given.
func changeCell(state, on string, change func(*testhook.Cell)) (restore func()) {
	row, t := table[State(state)], trigger(on)
	before, listed := row[t]
	as := testhook.Cell{To: string(before.to), Ends: string(before.ends), Acts: before.do != nil, Listed: listed}
	change(&as)
	after := before
	after.to, after.ends = State(as.To), EndReason(as.Ends)
	if !as.Acts {
		after.do = nil
	}
	if delete(row, t); as.Listed {
		row[t] = after
	}
	return func() {
		if delete(row, t); listed {
			row[t] = before
		}
	}
}

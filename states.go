package handover

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

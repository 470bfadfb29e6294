package handover

import "slices"

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
			s.done(messageAnswered)
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
	what.session.Bounds.end(what.at - 1)
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
	if s := rec.Sessions.byID(rec.Handover.CrispID); s != nil && s.State.Email {
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
			s.done(messageAnswered)
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
		return e.Kind == kindResolve && e.Crisp == crisp
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
		if s := rec.Sessions.byID(f.CrispID); s != nil {
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
		rec.push(&rec.ToCrisp, effect{Kind: kindResolve, Crisp: crisp})
	}
}

// abandon resolves the conversation that was half made. One that the library did not make goes on.
func (rec *record) abandon(what cause) {
	s := rec.Sessions.byID(rec.Handover.CrispID)
	what.options.Resolve = what.options.Resolve || s != nil && s.Log.First != 0
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
	if s := rec.Sessions.byID(ho.CrispID); s != nil {
		s.end(what.at, rec.env.now)
	}
	var maybe []string // Incoming ids that Crisp has in part, or may have: they are not divided
	for _, e := range rec.ToCrisp {
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

package handover

import (
	"cmp"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/crisphandover/handover/internal/crisplog"
	"github.com/crisphandover/handover/internal/times"
)

// metasRequest is what an effect gives to a conversation's metas.
type metasRequest struct {
	Merge bool `json:"merge,omitzero"` // the conversation has metas already
}

// queueOpening queues the steps of an opening. Each is stored; whoever attends next goes on at the
// first that is not done.
func (rec *record) queueOpening(ho *handover) {
	step := func(e effect) {
		e.HandoverID, e.Crisp = ho.ID, ho.CrispID
		rec.push(&rec.ToCrisp, e)
	}
	ho.CrispID = ho.Request.CrispID
	if s := rec.Sessions.Reusable(ho.Timeouts.Reopen, rec.env.now); s != nil && ho.CrispID == "" {
		ho.CrispID = s.ID // it ended a short time ago
	}
	switch {
	case ho.CrispID == "":
		step(effect{Kind: kindCreate})
	case rec.Sessions.ByID(ho.CrispID) == nil:
		rec.Sessions = append(rec.Sessions, &crisplog.Session{ID: ho.CrispID, Bounds: crisplog.Boundary{Adopted: true}})
	}
	rec.ToCrisp.dropResolve(ho.CrispID)
	step(effect{Kind: kindMetas, Metas: &metasRequest{Merge: ho.CrispID != ""}})
	if ho.Request.Inbox != "" {
		step(effect{Kind: kindInbox, Note: ho.Request.Inbox})
	}
	if ho.Request.Operator != "" {
		step(effect{Kind: kindAssign, Note: ho.Request.Operator})
	}
	ho.Opening = fingerprint(rec.Conversation, ho.ID, ofOpening, "", 0)
	step(effect{Kind: kindGreet, FP: ho.Opening, At: rec.Sessions.Newest(ho.CrispID)})
	if ho.CrispID != "" {
		rec.Sessions.ByID(ho.CrispID).AwaitOpening(ho.Opening)
	}
}

// created notes the Crisp conversation that was made.
func (o *settlement) created() {
	ho := o.rec.handoverOf(o.e.HandoverID)
	if ho == nil {
		return
	}
	id := o.r.made
	ho.CrispID = id
	o.rec.Sessions = append(o.rec.Sessions, &crisplog.Session{ID: id, Log: crisplog.Log{First: ho.Opening}})
	for _, x := range o.rec.ToCrisp {
		if x.HandoverID == ho.ID && x.Crisp == "" {
			x.Crisp = id
		}
	}
	o.rec.Sessions.ByID(ho.CrispID).AwaitOpening(ho.Opening)
}

// greeted ends the opening: the Crisp conversation has its first message.
func (o *settlement) greeted() {
	fp := o.r.fp
	s, ho := o.s, o.rec.handoverOf(o.e.HandoverID)
	if s != nil {
		s.State.Reopened()
	}
	if s != nil && fp != 0 { // else it has no such part
		s.Log.Ours(fp)
		s.State.Failed = 0
	}
	if o.nextPart() {
		return
	}
	if s != nil && ho != nil && o.e.Part == 0 && fp != o.e.FP { // Crisp gave it another fingerprint
		ho.Opening = fp
		if s.Log.First == o.e.FP {
			s.Log.First = fp
		}
		s.Bounds.Rename(o.e.FP, fp)
	}
	if s != nil && s.Bounds.Early() {
		o.rec.Hooks.Restart(s.ID, o.rec.env.now)
	}
	runs, byEmail := o.rec.runs(o.e.HandoverID), ho != nil && ho == o.rec.FollowUp
	if runs || byEmail {
		// Of what comes from the user's side, as the opening message does, the user may write an imitation: agents are told in a note.
		if note := strings.Trim(ho.Request.Note+"\n"+ho.historyLink(o.rec), "\n"); note != "" {
			o.rec.pushNote(o.e.Crisp, effect{Note: note})
		}
	}
	switch {
	case runs:
		o.rec.fire(onOpened, cause{})
	case byEmail:
		o.rec.FollowUp.Opened = o.rec.env.now
		o.rec.say(textByEmail, "")
	}
}

// historyLink is the link to what was said before the handover; "" for none. It is the same at each attempt.
func (ho *handover) historyLink(rec *record) string {
	if ho.Request.HistoryURL != "" {
		return ho.Request.HistoryURL
	}
	return rec.env.cfg.History.link(rec.Conversation, ho.Asked)
}

// nextPart queues the next message of an opening or a note that is longer than one may be. It reports
// whether there may be one. Of an opening that was proved by its echo it is not known how many messages
// there are: that is seen when the next one is to be posted.
func (o *settlement) nextPart() bool {
	e := o.e
	if o.s == nil || o.r.parts != 0 && e.Part+1 >= o.r.parts {
		return false
	}
	next := effect{N: o.rec.next(), Kind: e.Kind, HandoverID: e.HandoverID, Crisp: e.Crisp, Part: e.Part + 1, At: e.At, Text: e.Text, Note: e.Note}
	next.FP = fingerprint(o.rec.Conversation, cmp.Or(e.HandoverID, e.Crisp), ofPart, fmt.Sprintf("%s %d", e.Kind, next.N), next.Part)
	o.s.Log.Ours(next.FP)
	o.rec.ToCrisp = slices.Insert(o.rec.ToCrisp, 0, &next)
	return true
}

// paced notes that an opening waits for our own pace: until then it has not begun. Who waits for long
// hears so, once.
func (o *settlement) paced() {
	ho := o.rec.handoverOf(o.e.HandoverID)
	if ho == nil {
		return
	}
	if ho.Paced.IsZero() && o.rec.runs(ho.ID) && o.e.Next.Sub(o.rec.env.now) > patience {
		o.rec.say(textQueued, "")
	}
	ho.Paced = o.e.Next
}

// patience is how long a user waits for an opening without a word.
const patience = 5 * time.Second

// maxOptional is how often an optional step of an opening is tried: for some 15 seconds.
const maxOptional = 5

// optionalFailed reports whether an optional step of an opening is left out. Metas, inbox and operator
// are worth having, but no reason to leave the user alone: all of them together may take half of
// Timeouts.Open.
func (o *settlement) optionalFailed() bool {
	api, ho := apiError(o.r.err), o.rec.handoverOf(o.e.HandoverID)
	hopeless := api != nil && (!api.Temporary() || api.NeedsPerson() || api.Held)
	switch {
	case ho == nil:
		return true
	case api != nil && api.Held && !api.Narrow: // nothing of the website is called: the opening waits
		o.again(api)
		return false
	case !hopeless && o.e.Attempts < maxOptional && o.rec.env.now.Before(times.Later(ho.Asked, ho.Paced).Add(ho.Timeouts.Open/2)):
		o.again(api)
		return false
	}
	o.gaveUp()
	if o.e.Kind == kindMetas && ho.ByEmail { // without an address nobody can answer
		o.rec.pushNote(o.e.Crisp, effect{Note: ho.Request.User.Email})
	}
	return true
}

// openingFailed reports whether a step is given up without which there is no opening: the handover
// ends.
func (o *settlement) openingFailed() bool {
	api, f := apiError(o.r.err), o.rec.FollowUp
	byEmail := f != nil && f.ID == o.e.HandoverID
	if o.s != nil && api != nil && !api.Held && !api.Read && api.SafeToRetry() && (!api.Temporary() || api.NeedsPerson()) {
		o.s.State.Full = true // it refuses the opening: the next one has another conversation
	}
	if api == nil || api.Temporary() || o.e.Unsure { // a failing look-up settles nothing
		o.again(api)
		if o.e.Kind == kindGreet {
			o.mayBeThere(api)
		}
		if byEmail && o.e.Attempts >= o.rec.env.cfg.Limits.Attempts {
			o.rec.followUpFailed()
		}
		return false
	}
	o.gaveUp()
	if byEmail {
		o.rec.followUpFailed()
	} else if o.rec.State == StateOpening && o.rec.Handover.ID == o.e.HandoverID {
		o.rec.fire(onOpenFailed, cause{})
	}
	return true
}

// start decides what an asking comes to, and fires it.
func (rec *record) start(t Turn, r Request, there Presence) Outcome {
	holds := rec.holds(t) || rec.State == StateMuted && rec.Mute != nil && t.Epoch == rec.Mute.Turn
	switch {
	case rec.human():
		_ = rec.passOn(t.MessageID) // the bot will not answer it
		return OutcomeAlreadyOpen
	case !holds:
		return ""
	}
	trace := rec.UserMessages.trace(t.MessageID)
	rec.UserMessages.answered(t.MessageID)
	switch {
	case !rec.env.cfg.allows(t.Conversation.Source):
		rec.say(textNotAllowed, "").Locale = r.Locale
		return OutcomeNotAllowed
	case rec.Handover.coolsDown(rec.env.cfg.Timeouts.override(r.Timeouts).CoolDown, rec.env.now):
		rec.say(textTooSoon, "").Locale = r.Locale
		return OutcomeTooSoon
	case there == PresenceAway || there == PresenceUnknown && rec.env.cfg.Policy.RefuseUnknown:
		rec.fire(onNobody, cause{request: &r})
		return OutcomeNobodyThere
	}
	rec.fire(onStart, cause{request: &r})
	rec.Handover.Trace = trace
	return OutcomeOpening
}

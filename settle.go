package handover

import (
	"cmp"
	"errors"
	"fmt"
	"net/http"
	"slices"
	"time"
)

// settlement draws the consequences of one attempt to carry out an effect.
type settlement struct {
	rec *record
	e   *effect
	r   result
}

// settle writes down what came of an effect. The effect is gone when a read settled it first.
func (rec *record) settle(l *queue, r result) {
	e := l.effect(r.effect)
	if e == nil {
		return
	}
	e.Running = false
	if r.err == nil && r.retry.IsZero() && !r.missing {
		if e.leaves(r) {
			return
		}
		l.drop(func(x *effect) bool { return x.N == e.N })
		(&settlement{rec, e, r}).succeeded()
		return
	}
	if r.missing { // the look-up says that Crisp does not have it: it is as if never tried
		e.Unsure, e.Next = false, time.Time{}
		return
	}
	if !r.retry.IsZero() {
		e.Next = r.retry
		e.Attempts--
		return
	}
	if s := rec.Sessions.byID(e.Crisp); r.gone && s != nil {
		rec.vanished(s, onRemoved)
	}
	rec.observe(Activity{Kind: ActivityFault, MessageID: e.Incoming, Attempt: e.Attempts, Err: r.err, Effect: string(e.Kind), Why: hung(r.err)})
	if (&settlement{rec, e, r}).failed() {
		l.drop(func(x *effect) bool { return x.N == e.N })
	}
}

// leaves reports whether a mark that succeeded leaves messages which were added to it meanwhile.
func (e *effect) leaves(r result) bool {
	e.FPs = slices.DeleteFunc(e.FPs, func(fp int64) bool { return slices.Contains(r.marked, fp) })
	if e.Kind != kindMark || len(e.FPs) == 0 {
		return false
	}
	e.Attempts, e.Since, e.Next = 0, time.Time{}, time.Time{}
	return true
}

// succeeded draws the consequences of an effect that is done.
func (o *settlement) succeeded() {
	if s := o.rec.Sessions.byID(o.e.Crisp); s != nil && (o.e.Kind == kindGreet || o.e.Kind == kindPost) && !o.r.begun.IsZero() && !o.r.found {
		s.Log.sent(cmp.Or(o.r.fp, o.e.FP), o.r.begun.Add(o.rec.env.now.Sub(o.r.begun)/2))
	}
	switch o.e.Kind {
	case kindDeliver, kindRevise:
		o.delivered()
	case kindText:
		if o.r.id != "" && o.rec.Handover != nil {
			o.rec.Handover.LeaveTitle = o.r.id
		}
	case kindCreate:
		o.created()
	case kindMetas:
		if s := o.rec.Sessions.byID(o.e.Crisp); s != nil && o.r.emailed {
			s.State.Email = true
		}
	case kindEmail:
		o.mailed()
	case kindGreet:
		o.greeted()
	case kindPost:
		o.posted()
	case kindAnswer:
		o.answered()
	case kindResolve:
		if s := o.rec.Sessions.byID(o.e.Crisp); s != nil {
			s.State.Resolved = true
		}
	case kindOnEnd:
		o.rec.observe(Activity{Kind: ActivityEnded, Reason: o.e.Summary.Reason, HandoverID: o.e.Summary.HandoverID})
	}
}

// failed draws the consequences of a failed attempt, and reports whether the effect is given up.
func (o *settlement) failed() bool {
	switch {
	case o.e.Kind == kindDeliver || o.e.Kind == kindRevise || o.e.Kind == kindText:
		return o.deliveryFailed()
	case o.e.Kind.opens():
		return o.openingFailed()
	case o.e.Kind == kindPost:
		return o.postFailed()
	case o.e.Kind == kindAnswer:
		return o.answerFailed()
	case o.e.Kind == kindOnEnd:
		o.e.Next = o.rec.env.now.Add(delay(o.e.Attempts)) // until the host has heard it
		if o.e.Attempts > maxQuickEnds {
			o.e.Next = o.rec.env.now.Add(time.Hour) // each attempt reads the conversation
		}
		return false
	}
	api := apiError(o.r.err)
	if o.e.Attempts >= o.rec.env.cfg.Limits.Attempts || o.r.gone || api != nil && !api.Temporary() {
		return true
	}
	o.again(api)
	return false
}

// maxQuickEnds is how often OnEnd is called within minutes.
const maxQuickEnds = 16

// again sets the time of the next attempt.
func (o *settlement) again(api *APIError) {
	wait := delay(o.e.Attempts)
	if api != nil {
		wait = max(wait, api.wait())
	}
	o.e.Next = o.rec.env.now.Add(wait)
}

// delivered notes that a part of an agent's message was shown, and marks the message once all of
// it was.
func (o *settlement) delivered() {
	o.rec.observe(Activity{Kind: ActivityDelivered, CrispID: o.e.Crisp, MessageID: o.e.Message.ID, Attempt: o.e.Attempts, Took: o.rec.env.now.Sub(o.e.Since)})
	s := o.rec.Sessions.byID(o.e.Crisp)
	if s == nil || o.e.Kind != kindDeliver {
		return
	}
	o.e.named(s, o.r.id)
	for _, x := range o.rec.ToUser {
		if x.Crisp == o.e.Crisp && x.FP == o.e.FP && x.Kind == kindDeliver {
			return
		}
	}
	if o.e.Message.From == FromAgent && o.e.Message.Corrects == "" {
		o.rec.mark(s, o.e.FP)
	}
	if f := o.rec.FollowUp; f != nil && f.CrispID == o.e.Crisp && o.e.Message.From == FromAgent && !o.rec.env.cfg.Policy.NoTakeover && s.Bounds.newer(o.e.Message.At.UnixMilli()) {
		o.rec.fire(onHuman, cause{session: s, agent: o.e.Message.Agent, at: o.e.Message.At.UnixMilli()})
	}
}

// deliveryFailed reports whether a delivery is given up.
func (o *settlement) deliveryFailed() bool {
	unsupported := errors.Is(o.r.err, errors.ErrUnsupported)
	switch {
	case errors.Is(o.r.err, ErrUserAway):
		o.userAway()
		return true
	case unsupported && o.e.Kind == kindRevise && !o.e.Removed:
		o.e.Kind, o.e.Next = kindDeliver, time.Time{} // the channel cannot edit: a correction
		return false
	case unsupported && !o.e.Plain && o.e.Kind != kindRevise && o.plain():
		return false
	case !unsupported && o.e.Attempts < o.rec.env.cfg.Limits.Attempts:
		o.again(nil)
		return false
	}
	o.rec.observe(Activity{Kind: ActivityGivenUp, Effect: string(o.e.Kind), CrispID: o.e.Crisp, Attempt: o.e.Attempts, Err: o.r.err})
	if s := o.rec.Sessions.byID(o.e.Crisp); s != nil && o.e.Kind == kindDeliver {
		if row := s.Log.entry(o.e.FP); row != nil {
			row.Status = entryFailed
		}
		o.rec.note(s.ID, noteNotShown)
	}
	return true
}

// plain turns a message that the channel cannot show into text, in as many parts as it needs. It is
// false for a message without words, such as an image by an attachment's id.
func (o *settlement) plain() bool {
	var parts []RichMessage
	if o.e.Message != nil {
		if parts = TextMessage(o.e.Message.Content.PlainText()).fit(); len(parts) == 0 {
			return false
		}
	}
	o.e.Plain, o.e.Next = true, time.Time{}
	if o.e.Message == nil { // a system text, which is made at each attempt
		return true
	}
	o.e.Message.Content = parts[0]
	at := slices.Index(o.rec.ToUser, o.e) + 1
	for i, p := range parts[1:] {
		m := *o.e.Message
		m.ID, m.Content = fmt.Sprintf("%s-%d", m.ID, i+2), p
		next := effect{N: o.rec.next(), Kind: o.e.Kind, HandoverID: o.e.HandoverID, Crisp: o.e.Crisp, FP: o.e.FP, Part: o.e.Part, Plain: true, Message: &m}
		o.rec.ToUser = slices.Insert(o.rec.ToUser, at+i, &next)
	}
	return true
}

// userAway keeps a message for the user's next sign, unless Crisp can mail it. id is the channel's, if
// the host keeps the message as well.
func (o *settlement) userAway() {
	s := o.rec.Sessions.byID(o.e.Crisp)
	if s == nil || o.e.Kind != kindDeliver || o.e.Message.From != FromAgent {
		return // a system text is of no use later
	}
	if o.r.id != "" {
		o.e.named(s, o.r.id)
	}
	if !s.State.Email && o.rec.Handover != nil && o.rec.env.cfg.Policy.Email == EmailWhenAway {
		if address, ok := validEmail(o.rec.Handover.Request.User.Email); ok {
			o.rec.push(&o.rec.ToCrisp, effect{Kind: kindEmail, Crisp: s.ID, Note: address})
		}
	}
	if !s.State.Email {
		o.rec.Away = append(o.rec.Away, o.e)
	}
}

// mailed notes that Crisp has the user's address: its mail follows up, now and from now on.
func (o *settlement) mailed() {
	if s := o.rec.Sessions.byID(o.e.Crisp); s != nil {
		s.State.Email = true
		o.rec.Away = slices.DeleteFunc(o.rec.Away, func(x *effect) bool { return x.Crisp == s.ID })
	}
}

// posted notes that Crisp has a message.
func (o *settlement) posted() {
	s := o.rec.Sessions.byID(o.e.Crisp)
	if s != nil {
		s.State.reopened() // a message of the user reopens
		s.Log.ours(o.r.fp)
	}
	o.rec.passed(o.e)
}

// postFailed reports whether a message is given up: Crisp refuses it for good. Otherwise it is
// tried until it passes or the handover ends; an outcome that is unknown is looked up first.
func (o *settlement) postFailed() bool {
	api := apiError(o.r.err)
	if o.r.gone { // its handover has ended: the message is the bot's
		o.rec.giveBack(o.e)
		return true
	}
	if api != nil && !api.Temporary() && !o.e.Unsure {
		o.refuse(api)
		return true
	}
	running := o.rec.runs(o.e.HandoverID)
	if !running && !o.e.Unsure && o.e.Part == 0 && (api == nil || api.SafeToRetry()) {
		o.rec.giveBack(o.e)
		return true
	}
	if !running && o.rec.env.now.Sub(o.e.Since) > o.rec.env.cfg.Timeouts.Relay {
		o.refuse(api)
		return true
	}
	o.again(api)
	if o.e.Unsure && api != nil && api.StatusCode == http.StatusNotFound {
		o.rec.look(o.e.Crisp) // looks tell whether the conversation is gone
	}
	if !o.e.Unsure && api != nil && !api.SafeToRetry() {
		o.e.Unsure = true
		o.e.Next = latest(o.e.Next, o.r.begun.Add(callTimeout))
	}
	return false
}

// refuse gives a message up, and says so.
func (o *settlement) refuse(api *APIError) {
	o.rec.observe(Activity{Kind: ActivityNotSent, MessageID: o.e.Incoming, Err: api, Attempt: o.e.Attempts})
	o.rec.say(textNotSent, "")
	if o.e.Type != "text" {
		o.rec.note(o.e.Crisp, noteOtherFile)
	}
	o.rec.ToCrisp.drop(func(x *effect) bool { return x.Incoming == o.e.Incoming && x != o.e })
	if in := o.rec.UserMessages.find(o.e.Incoming); in != nil {
		in.done(messageRefused)
		if api != nil {
			in.Fault = fmt.Sprintf("HTTP %d %s", api.StatusCode, api.Reason)
		}
	}
}

// answered notes that the picker shows the user's choice.
func (o *settlement) answered() {
	o.rec.Pickers.removed(o.e.Crisp, o.e.FP)
	o.rec.passed(o.e)
}

// answerFailed posts the answer as text when Crisp refuses to update the picker.
func (o *settlement) answerFailed() bool {
	if !o.rec.runs(o.e.HandoverID) { // its handover has ended: the message is the bot's
		o.rec.giveBack(o.e)
		return true
	}
	api := apiError(o.r.err)
	if (api == nil || api.Temporary()) && (api == nil || api.StatusCode != http.StatusNotFound) {
		o.again(api) // choosing the same twice does no harm
		return false
	}
	in := o.rec.UserMessages.find(o.e.Incoming)
	if in == nil {
		return true
	}
	text := textPost(o.e.Else)
	fp := fingerprint(o.rec.Conversation, o.e.HandoverID, in.ID, 0)
	if c := o.rec.Sessions.byID(o.e.Crisp); c != nil {
		c.Log.ours(fp)
	}
	next := effect{N: o.rec.next(), Kind: kindPost, HandoverID: o.e.HandoverID, Crisp: o.e.Crisp, Incoming: in.ID, FP: fp, Type: text.typ, Content: text.content, At: o.rec.newest(o.e.Crisp)}
	at := slices.Index(o.rec.ToCrisp, o.e)
	o.rec.ToCrisp = slices.Insert(o.rec.ToCrisp, at+1, &next) // in the answer's place
	return true
}

// created notes the Crisp conversation that was made.
func (o *settlement) created() {
	ho := o.rec.handoverOf(o.e.HandoverID)
	if ho == nil {
		return
	}
	id := o.r.id
	ho.CrispID = id
	o.rec.Sessions = append(o.rec.Sessions, &crispSession{ID: id, Log: crispLog{First: ho.Opening}})
	for _, x := range o.rec.ToCrisp {
		if x.HandoverID == ho.ID && x.Crisp == "" {
			x.Crisp = id
		}
	}
	o.rec.awaitOpening(ho)
}

// greeted ends the opening: the Crisp conversation has its first message.
func (o *settlement) greeted() {
	fp := o.r.fp
	s, ho := o.rec.Sessions.byID(o.e.Crisp), o.rec.handoverOf(o.e.HandoverID)
	if s != nil {
		s.State.reopened()
	}
	if s != nil && ho != nil && fp != o.e.FP { // Crisp gave it another fingerprint
		ho.Opening = fp
		if s.Log.First == o.e.FP {
			s.Log.First = fp
		}
		s.Bounds.rename(o.e.FP, fp)
		s.Log.ours(fp)
	}
	switch {
	case o.rec.runs(o.e.HandoverID):
		if o.rec.Handover.Request.Note != "" {
			o.rec.pushNote(o.e.Crisp, effect{Note: o.rec.Handover.Request.Note})
		}
		o.rec.fire(onOpened, cause{})
	case o.rec.FollowUp != nil && o.rec.FollowUp.ID == o.e.HandoverID:
		o.rec.FollowUp.Opened = o.rec.env.now
		o.rec.say(textByEmail, "")
	}
}

// openingFailed reports whether a step of an opening is given up. Metas, inbox and operator are
// worth having, but no reason to leave the user alone; without a conversation or a first message
// the handover ends.
func (o *settlement) openingFailed() bool {
	api := apiError(o.r.err)
	if api == nil || api.Temporary() || o.e.Unsure { // a failing look-up settles nothing
		o.again(api)
		if o.e.Kind == kindGreet && !o.e.Unsure && api != nil && !api.SafeToRetry() {
			o.e.Unsure = true
			o.e.Next = latest(o.e.Next, o.r.begun.Add(callTimeout))
		}
		if f := o.rec.FollowUp; f != nil && f.ID == o.e.HandoverID && o.e.Attempts >= o.rec.env.cfg.Limits.Attempts {
			o.rec.followUpFailed()
		}
		return false
	}
	o.rec.observe(Activity{Kind: ActivityGivenUp, Effect: string(o.e.Kind), CrispID: o.e.Crisp, Err: o.r.err, Attempt: o.e.Attempts})
	if o.e.Kind == kindMetas || o.e.Kind == kindInbox || o.e.Kind == kindAssign {
		return true
	}
	if f := o.rec.FollowUp; f != nil && f.ID == o.e.HandoverID {
		o.rec.followUpFailed()
	} else if o.rec.State == StateOpening && o.rec.Handover.ID == o.e.HandoverID {
		o.rec.fire(onOpenFailed, cause{})
	}
	return true
}

package handover

import (
	"cmp"
	"context"
	"net/http"
	"slices"
	"time"

	"github.com/go-json-experiment/json/jsontext"
)

// kind names what an effect does.
type effectKind string

// Effects of the lane "in" reach the host; those of "out" reach Crisp.
const (
	kindDeliver effectKind = "deliver" // show a message to the user
	kindRevise  effectKind = "revise"  // edit or remove a message that was shown
	kindText    effectKind = "text"    // say a system text
	kindEnd     effectKind = "end"     // end the handover, now that all before it was shown
	kindOnEnd   effectKind = "on_end"  // tell the host of the end

	kindCreate  effectKind = "create"  // make the Crisp conversation
	kindMetas   effectKind = "metas"   // give it the user's data and segments
	kindInbox   effectKind = "inbox"   // move it to an inbox
	kindAssign  effectKind = "assign"  // assign it to an operator
	kindGreet   effectKind = "greet"   // post the opening message
	kindPost    effectKind = "post"    // post a message of the user
	kindAnswer  effectKind = "answer"  // choose in an agent's picker
	kindResolve effectKind = "resolve" // resolve it in Crisp
	kindNote    effectKind = "note"    // tell the agents something
	kindMark    effectKind = "mark"    // mark messages as delivered and read
	kindEmail   effectKind = "email"   // let Crisp answer by email
	kindRate    effectKind = "rate"    // ask the user for a rating
)

// effect is something to do outside the record. It is written before it runs and removed after,
// so that another process can finish it.
type effect struct {
	N          int64      `json:"n"` // its number in the conversation
	Kind       effectKind `json:"kind"`
	HandoverID string     `json:"handover,omitempty"`
	Crisp      string     `json:"crisp,omitempty"`
	Attempts   int        `json:"attempts,omitzero"`
	Since      time.Time  `json:"since,omitzero"` // when it was first tried
	Next       time.Time  `json:"next,omitzero"`  // not to be tried before
	// Running is true while an attempt is under way, also when its process has died meanwhile.
	Running bool `json:"running,omitzero"`
	// Unsure is true when the last attempt may have been carried out.
	Unsure bool `json:"unsure,omitzero"`

	Message *Message  `json:"message,omitempty"` // deliver, revise
	FP      int64     `json:"fp,omitzero"`       // of the Crisp message it is about, or makes
	Part    int       `json:"part,omitzero"`
	Removed bool      `json:"removed,omitzero"`  // revise
	Plain   bool      `json:"plain,omitzero"`    // deliver: the channel refused the rich message
	Text    textName  `json:"text,omitzero"`     // text, note
	Agent   string    `json:"agent,omitempty"`   // text
	Locale  string    `json:"locale,omitempty"`  // text: of the request that it is about
	Reason  EndReason `json:"reason,omitzero"`   // end
	At      int64     `json:"at,omitzero"`       // end: Crisp's time of it, in ms; post, greet: of the newest before it
	Summary *Summary  `json:"summary,omitempty"` // on_end

	Incoming string         `json:"incoming,omitempty"` // post, answer: the user's message
	Type     string         `json:"type,omitempty"`     // post: Crisp's message type
	Content  jsontext.Value `json:"content,omitempty"`  // post, answer
	Else     string         `json:"else,omitempty"`     // answer: what is posted when Crisp refuses it
	FPs      []int64        `json:"fps,omitempty"`      // mark
	Note     string         `json:"note,omitempty"`     // note: the host's own words
	Metas    *metasRequest  `json:"metas,omitempty"`
}

// report is what came of an effect or of a read.
type result struct {
	effect  int64
	begun   time.Time
	err     error
	id      string // of the Crisp session made, or the channel's id of the message shown
	fp      int64  // given by Crisp
	found   bool   // a look-up found that Crisp has it
	missing bool   // a look-up found that the message is not in Crisp
	retry   time.Time
	emailed bool    // Crisp took the user's address
	gone    bool    // the Crisp conversation is removed
	marked  []int64 // of a mark: the messages that it was about
	read    *reading
}

// push appends an effect to its queue.
func (rec *record) push(q *queue, e effect) *effect {
	e.N = rec.next()
	*q = append(*q, &e)
	return &e
}

// say queues a system text for the user.
func (rec *record) say(name textName, agent string) *effect {
	id := newID()
	switch {
	case rec.Handover != nil:
		id = rec.Handover.ID
	case rec.Offer != nil:
		id = rec.Offer.ID
	}
	e := rec.push(&rec.ToUser, effect{Kind: kindText, HandoverID: id, Text: name, Agent: agent})
	if r := rec.request(); r != nil {
		e.Locale = r.Locale
	}
	return e
}

// note queues a note for the agents of a Crisp session.
func (rec *record) note(crisp string, name textName) {
	rec.pushNote(crisp, effect{Text: name})
}

// pushNote queues a note, whose echo we shall know.
func (rec *record) pushNote(crisp string, e effect) {
	s := rec.Sessions.byID(crisp)
	if s == nil {
		return
	}
	e.Kind, e.Crisp, e.FP = kindNote, crisp, fingerprint(rec.Conversation, crisp, "note", int(rec.Serial))
	s.Log.ours(e.FP)
	rec.push(&rec.ToCrisp, e)
}

// earlier returns the earlier of two times, zero meaning never.
func earlier(a, b time.Time) time.Time {
	if a.IsZero() || !b.IsZero() && b.Before(a) {
		return b
	}
	return a
}

// delay is how long to wait before the next attempt: 1, 2, 4 … 60 s.
func delay(attempt int) time.Duration {
	return min(time.Second<<min(max(attempt-1, 0), 6), time.Minute)
}

// run does an effect. It changes nothing but the world.
func (h *Handover) run(ctx context.Context, rec *record, e *effect) result {
	r := result{effect: e.N, begun: h.clock.now()}
	crisp := h.siteOf(rec).crisp
	switch e.Kind {
	case kindDeliver:
		r.id, r.err = h.deliver(ctx, rec, e)
	case kindRevise:
		r.err = h.revise(ctx, rec, e)
	case kindText:
		r.id, r.err = h.sayText(ctx, rec, e)
	case kindOnEnd:
		r.err = h.onEnd(ctx, rec, e)
	case kindCreate:
		r = h.create(ctx, rec, r)
	case kindMetas:
		r.emailed, r.err = h.setMetas(ctx, rec, e)
	case kindInbox:
		r.err = crisp.setInbox(ctx, e.Crisp, e.Note)
	case kindAssign:
		r.err = crisp.assign(ctx, e.Crisp, e.Note)
	case kindGreet, kindPost:
		r = h.post(ctx, rec, e, r)
	case kindAnswer:
		r.err = crisp.editMessage(ctx, e.Crisp, e.FP, e.Content)
	case kindResolve:
		r.err = crisp.setState(ctx, e.Crisp, "resolved")
	case kindNote:
		r.err = h.postNote(ctx, rec, e)
	case kindMark:
		r.marked = slices.Clone(e.FPs)
		r.err = crisp.mark(ctx, e.Crisp, "delivered", h.cfg.Origin, e.FPs)
		if r.err == nil {
			r.err = crisp.mark(ctx, e.Crisp, "read", h.cfg.Origin, e.FPs)
		}
	case kindRate:
		r.err = crisp.askRating(ctx, e.Crisp)
	case kindEmail:
		r.err = crisp.setMetas(ctx, e.Crisp, crispMetas{Email: e.Note})
	}
	if api := apiError(r.err); api != nil && api.StatusCode == http.StatusNotFound && e.Crisp != "" && !api.read {
		r.gone = crisp.gone(ctx, e.Crisp)
	}
	return r
}

// settle writes down what came of an effect. The effect is gone when the news settled it first.
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
		rec.succeeded(e, r)
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
	rec.observe(Activity{Kind: ActivityFault, MessageID: e.Incoming, Attempt: e.Attempts, Err: r.err, Effect: string(e.Kind)})
	if rec.failed(l, e, r) {
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
func (rec *record) succeeded(e *effect, r result) {
	if s := rec.Sessions.byID(e.Crisp); s != nil && (e.Kind == kindGreet || e.Kind == kindPost) && !r.begun.IsZero() && !r.found {
		s.Log.sent(cmp.Or(r.fp, e.FP), r.begun.Add(rec.env.now.Sub(r.begun)/2))
	}
	switch e.Kind {
	case kindDeliver, kindRevise:
		rec.delivered(e, r)
	case kindText:
		if r.id != "" && rec.Handover != nil {
			rec.Handover.LeaveTitle = r.id
		}
	case kindCreate:
		rec.created(e, r.id)
	case kindMetas:
		if s := rec.Sessions.byID(e.Crisp); s != nil && r.emailed {
			s.State.Email = true
		}
	case kindEmail:
		rec.mailed(e)
	case kindGreet:
		rec.greeted(e, r.fp)
	case kindPost:
		rec.posted(e, r.fp)
	case kindAnswer:
		rec.answered(e)
	case kindResolve:
		if s := rec.Sessions.byID(e.Crisp); s != nil {
			s.State.Resolved = true
		}
	case kindOnEnd:
		rec.observe(Activity{Kind: ActivityEnded, Reason: e.Summary.Reason, HandoverID: e.Summary.HandoverID})
	}
}

// failed draws the consequences of a failed attempt, and reports whether the effect is given up.
func (rec *record) failed(l *queue, e *effect, r result) bool {
	switch {
	case e.Kind == kindDeliver || e.Kind == kindRevise || e.Kind == kindText:
		return rec.deliveryFailed(e, r)
	case e.Kind.opens():
		return rec.openingFailed(e, r)
	case e.Kind == kindPost:
		return rec.postFailed(e, r)
	case e.Kind == kindAnswer:
		return rec.answerFailed(e, r)
	case e.Kind == kindOnEnd:
		e.Next = rec.env.now.Add(delay(e.Attempts)) // until the host has heard it
		if e.Attempts > maxQuickEnds {
			e.Next = rec.env.now.Add(time.Hour) // each attempt reads the conversation
		}
		return false
	}
	api := apiError(r.err)
	if e.Attempts >= rec.env.cfg.Limits.Attempts || r.gone || api != nil && !api.Temporary() {
		return true
	}
	rec.again(e, api)
	return false
}

// maxQuickEnds is how often OnEnd is called within minutes.
const maxQuickEnds = 16

// again sets the time of the next attempt.
func (rec *record) again(e *effect, api *APIError) {
	wait := delay(e.Attempts)
	if api != nil {
		wait = max(wait, api.wait())
	}
	e.Next = rec.env.now.Add(wait)
}

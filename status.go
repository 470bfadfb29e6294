package handover

import (
	"cmp"
	"net/url"
	"slices"
	"strings"
	"time"

	"github.com/crisphandover/handover/internal/claims"
	"github.com/crisphandover/handover/internal/crisplog"
	"github.com/crisphandover/handover/internal/times"
)

// Condition says how a conversation goes.
type Condition string

// The conditions of a conversation, the worst last.
const (
	ConditionWell    Condition = "well"    // nothing waits that has failed
	ConditionWaiting Condition = "waiting" // something waits for a user who is away, or as long as the channel asked for
	ConditionFailing Condition = "failing" // what waits has failed and is tried again, or is not tried although it should be
	ConditionBroken  Condition = "broken"  // the record cannot be read or worked on: a person must look into it
)

// ConversationStatus says how a conversation goes, for those who run the bot. It holds no words of people, none of
// their data, and none of the host's but the conversation's id.
type ConversationStatus struct {
	// Cursor is ConversationFilter.After of a listing that goes on behind this conversation.
	Cursor       string       `json:"cursor"`
	Conversation Conversation `json:"conversation"`
	WebsiteID    string       `json:"website_id"` // that it is handed to
	State        State        `json:"state"`      // empty of a record that cannot be read
	Since        time.Time    `json:"since"`      // when the state was entered
	Epoch        int64        `json:"epoch"`      // raised at each change of owner
	HandoverID   string       `json:"handover_id,omitempty"`
	CrispID      string       `json:"crisp_id,omitempty"`
	Offer        bool         `json:"offer,omitzero"`     // the user was asked how to go on without an agent
	FollowUp     bool         `json:"follow_up,omitzero"` // an answer by email is awaited

	Condition Condition `json:"condition"`
	// Fault says in a word why the condition is none of the best: as Pending.Fault, "overdue" for what should have been
	// worked on a minute ago, and of a record "unreadable", "later_version", "panicked" or "put_off".
	Fault string `json:"fault,omitempty"`
	// Waits is what waits, first what is tried first in each direction. WaitsSince is when the oldest of it began to.
	Waits      []Pending `json:"waits,omitempty"`
	WaitsSince time.Time `json:"waits_since,omitzero"`
	// Milestones are the moments that the record knows of, in their order. Those after now are deadlines.
	Milestones []Milestone `json:"milestones,omitempty"`

	live bool // something goes on
}

// Troubled reports whether somebody should look at the conversation: its condition is failing or broken.
func (s *ConversationStatus) Troubled() bool {
	return s.Condition == ConditionFailing || s.Condition == ConditionBroken
}

// Pending is one thing that waits in a conversation.
type Pending struct {
	// Direction is "to_user", "to_crisp", "to_bot", or "from_crisp" for what a hook told of and is still to be read.
	Direction string `json:"direction"`
	// Kind is what is to be done, as in Activity.Effect: "deliver" shows an agent's message, "revise" an edit of one,
	// "text" one of the library's; "end" and "on_end" end the handover; "create", "metas", "inbox", "assign" and "greet"
	// open the Crisp conversation; "post", "answer" and "edit" are the user's words; "resolve", "note", "mark", "email"
	// and "rate" are for the agents' side; "bot" is a message that the bot is to answer, "read" a look at Crisp's log.
	Kind      string `json:"kind"`
	MessageID string `json:"message_id,omitempty"`
	// Since is when it was written, or first tried. Attempt counts how often it was tried.
	Since   time.Time `json:"since,omitzero"`
	Attempt int       `json:"attempt,omitzero"`
	// Fault says why that failed last, as Waiting.Fault does; of the bot also "lost", when its process died.
	Fault string `json:"fault,omitempty"`
	// Next is when it is tried again; zero: now, or, of a user who is away, when they write again.
	Next time.Time `json:"next,omitzero"`
	// Running is true while it is tried.
	Running bool `json:"running,omitzero"`
}

// Milestone is a moment in a conversation.
type Milestone struct {
	At time.Time `json:"at"`
	// What is "known" for when the record began; of a handover "asked", "opened", "claimed", "first_reply", "last_word",
	// "reminded", "asked_idle" and "ended"; "session_ended" of an earlier Crisp conversation; "state" for when the state
	// was entered. Deadlines are "open_failed", "remind", "claim_timeout", "quiet", "idle", "relay_failed", "max_age",
	// "offer_expires", "follow_up_expires" and "forgotten".
	What       string    `json:"what"`
	HandoverID string    `json:"handover_id,omitempty"`
	Reason     EndReason `json:"reason,omitempty"` // of "ended"
	State      State     `json:"state,omitempty"`  // of "state"
	FollowUp   bool      `json:"follow_up,omitzero"`
}

// overdueAfterDue is after how long something that is due counts as left alone: a claim that a dead process had has
// ended by then.
const overdueAfterDue = 2 * claims.TTL

// status tells how the conversation goes. due is when the store gives it out.
func (rec *record) status(due time.Time) ConversationStatus {
	v := rec.view()
	s := ConversationStatus{
		Conversation: v.Conversation, WebsiteID: rec.Website, State: v.State, Since: v.Since, Epoch: v.Epoch,
		HandoverID: v.HandoverID, CrispID: v.CrispID, Offer: v.Offer, FollowUp: v.FollowUp,
		Condition: ConditionWell, Waits: rec.pendings(), Milestones: rec.milestones(), live: rec.live(),
	}
	for i := range s.Waits {
		p := &s.Waits[i]
		s.WaitsSince = times.Earlier(s.WaitsSince, p.Since)
		s.worse(p.condition(rec.env.now), p.Fault)
	}
	if (rec.live() || !rec.idle()) && !due.IsZero() && rec.env.now.Sub(due) > overdueAfterDue {
		s.worse(ConditionFailing, "overdue")
	}
	return s
}

// worse takes a condition that is worse than the one so far.
func (s *ConversationStatus) worse(c Condition, fault string) {
	worst := []Condition{ConditionWell, ConditionWaiting, ConditionFailing, ConditionBroken}
	if slices.Index(worst, c) > slices.Index(worst, s.Condition) {
		s.Condition, s.Fault = c, fault
	}
}

// condition is that of a conversation in which nothing else waits.
func (p *Pending) condition(now time.Time) Condition {
	switch {
	case p.Fault == "away" || p.Fault == "later":
		return ConditionWaiting
	case p.Fault != "":
		return ConditionFailing
	}
	return ConditionWell
}

// pendings are what waits in the conversation.
func (rec *record) pendings() (all []Pending) {
	for _, e := range rec.Away {
		p := e.pending(toUser, rec.UserMessages)
		p.Fault = cmp.Or(p.Fault, "away")
		all = append(all, p)
	}
	for _, dir := range []direction{toUser, toCrisp} {
		for _, e := range *rec.queue(dir) {
			all = append(all, e.pending(dir, rec.UserMessages))
		}
	}
	for _, m := range rec.UserMessages {
		if m.inHand() {
			all = append(all, Pending{
				Direction: string(toBot), Kind: effectAnswer, MessageID: m.hostID(), Since: m.At, Attempt: m.Attempts, Fault: m.Failed,
				Next: m.Next, Running: slices.ContainsFunc(rec.Replies, func(r reply) bool { return r.Message == m.ID }),
			})
		}
	}
	for i := range rec.Hooks {
		k := &rec.Hooks[i]
		p := Pending{Direction: "from_crisp", Kind: "read", Since: k.Got, Attempt: k.Tries, Next: k.Next}
		if s := rec.Sessions.ByID(k.Crisp); s != nil && s.Reads.Fails > 0 {
			p.Fault, p.Next = "unread", times.Later(k.Next, s.Reads.Retry)
		} else if rec.env.now.Sub(k.Got) > crisplog.InHandFor {
			p.Fault = "unread"
		}
		all = append(all, p)
	}
	return all
}

// pending tells of the effect, which is in this direction.
func (e *effect) pending(dir direction, messages userMessages) Pending {
	p := Pending{Direction: string(dir), Kind: string(e.Kind), Since: e.Since, Attempt: e.Attempts, Fault: e.Fault, Next: e.Next, Running: e.Running != 0}
	switch {
	case e.Message != nil:
		p.MessageID, p.Since = e.Message.ID, times.Earlier(e.Message.At, p.Since)
	case e.Incoming != "":
		p.MessageID = messages.hostID(e.Incoming)
		if m := messages.find(e.Incoming); m != nil {
			p.Since = m.At
		}
	}
	return p
}

// milestones are the moments that the record knows of.
func (rec *record) milestones() (all []Milestone) {
	add := func(at time.Time, m Milestone) {
		if !at.IsZero() {
			m.At = at
			all = append(all, m)
		}
	}
	if rec.First > 0 {
		add(time.UnixMilli(rec.First).UTC(), Milestone{What: "known"})
	}
	for _, ho := range []*handover{rec.Handover, rec.FollowUp} {
		if ho == nil {
			continue
		}
		of, word := Milestone{HandoverID: ho.ID, FollowUp: ho == rec.FollowUp}, ho.LastWord
		if word.Equal(ho.Opened) { // nobody's yet
			word = time.Time{}
		}
		for _, step := range []struct {
			at   time.Time
			what string
		}{
			{ho.Asked, "asked"}, {ho.Opened, "opened"}, {ho.Claimed, "claimed"}, {ho.FirstReply, "first_reply"},
			{ho.Reminded, "reminded"}, {word, "last_word"}, {ho.AskedIdle, "asked_idle"}, {ho.Ended, "ended"},
		} {
			of.What = step.what
			if of.Reason = ""; step.what == "ended" {
				of.Reason = ho.Reason
			}
			add(step.at, of)
		}
	}
	for _, s := range rec.Sessions {
		if rec.Handover == nil || s.ID != rec.Handover.CrispID {
			add(s.Ended, Milestone{What: "session_ended"})
		}
	}
	add(rec.Since, Milestone{What: "state", State: rec.State})
	for _, d := range rec.planner().pending() {
		add(d.at, Milestone{What: deadlineNames[d.trigger]})
	}
	if rec.idle() {
		add(rec.keepUntil(), Milestone{What: "forgotten"})
	}
	slices.SortStableFunc(all, func(a, b Milestone) int { return a.At.Compare(b.At) })
	return all
}

// deadlineNames are what Milestone calls the deadlines.
var deadlineNames = map[trigger]string{
	onOpenFailed: "open_failed", onRemind: "remind", onClaimTimeout: "claim_timeout", onQuiet: "quiet", onIdle: "idle",
	onRelayFailed: "relay_failed", onMax: "max_age", onOfferExpired: "offer_expires", onFollowUpExpired: "follow_up_expires",
}

// brokenStatus tells of a record that cannot be read. Its key names the conversation.
func brokenStatus(key, fault string) ConversationStatus {
	s := ConversationStatus{Condition: ConditionBroken, Fault: fault}
	parts := strings.SplitN(key, "/", 3)
	s.WebsiteID = parts[0]
	if len(parts) == 3 {
		s.Conversation.Source, _ = url.PathUnescape(parts[1])
		s.Conversation.ID, _ = url.PathUnescape(parts[2])
	}
	return s
}

// retryNow makes what waits due now, and reports whether anything was to be. It goes on to keep what others asked for: a
// place among the conversations made in a minute, a channel's "not before", and the time after which Crisp can be
// asked what became of a post.
func (rec *record) retryNow() (any bool) {
	now := rec.env.now
	soon := func(next *time.Time, at time.Time) {
		if next.After(at) {
			*next, any = at, true
		}
	}
	if len(rec.Away) > 0 {
		any = true
		rec.userSign()
	}
	for _, q := range []queue{rec.ToUser, rec.ToCrisp} {
		for _, e := range q {
			switch {
			case e.Running != 0 || e.Placed || e.Fault == "later" || e.Fault == "":
			case e.Unsure:
				soon(&e.Next, now.Add(callTimeout))
			default:
				soon(&e.Next, now)
			}
		}
	}
	if m := rec.UserMessages.unanswered(rec.Replies.answering() != nil); m != nil && rec.Replies.answering() == nil {
		soon(&m.Next, now)
	}
	for i := range rec.Hooks {
		k := &rec.Hooks[i]
		if s := rec.Sessions.ByID(k.Crisp); s != nil && s.Reads.Fails > 0 {
			soon(&k.Next, now)
			soon(&s.Reads.Retry, now)
		}
	}
	return any
}

// Waiting says what waits in one direction, and why. It is zero when nothing waits, and holds no words of
// people.
type Waiting struct {
	Messages int `json:"messages,omitzero"` // that wait; parts of a long one count each
	// Since is when the oldest of them was written, by Crisp's clock for agents' messages.
	Since time.Time `json:"since,omitzero"`
	// Attempt, Fault and Next are of what is tried first. Attempt counts how often it was tried.
	Attempt int `json:"attempt,omitzero"`
	// Fault says why that failed last, in a word: "away" or "unsupported", as Deliver said; "later", as
	// RetryAfter said; "abandoned", "panicked" or "crowded" of a callback that did not return its own error,
	// and "error" of one that did; "HTTP 503" and the like, "no_answer", or "held" while Crisp is not called.
	Fault string `json:"fault,omitempty"`
	// Next is when it is tried again; zero: now, or, of a user who is away, when they write again.
	Next time.Time `json:"next,omitzero"`
}

// add counts a message.
func (w *Waiting) add(e *effect, at time.Time) {
	w.first(e)
	w.Messages++
	w.Since = times.Earlier(w.Since, at)
}

// first takes how it goes with what is tried first.
func (w *Waiting) first(e *effect) {
	if w.Messages == 0 && w.Attempt == 0 {
		w.Attempt, w.Fault, w.Next = e.Attempts, e.Fault, e.Next
	}
}

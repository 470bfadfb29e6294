package admin

import (
	"cmp"
	"context"
	"errors"
	"net/http"
	"net/url"
	"slices"
	"strconv"
	"time"

	"github.com/crisphandover/handover"
)

// conversationView is one conversation.
type conversationView struct {
	handover.ConversationStatus
	For      string
	Now      time.Time
	Waits    []waitView
	Timeline []momentView
	Retries  bool // there is something to retry
	Ends     bool // there is something to end
	HandOver string
	Done     string // what was done a moment ago
}

// waitView is one thing that waits.
type waitView struct {
	handover.Pending
	Age, In string // since when, and when it is tried again
}

// momentView is one moment of the timeline.
type momentView struct {
	handover.Milestone
	Ago, In string // either
}

// nothing is what a retry did where nothing waited.
const nothing = "nothing"

// actions are what can be done to a conversation.
var actions = map[string]func(ctx context.Context, h *handover.Handover, c handover.Conversation, form url.Values) error{
	"retry": func(ctx context.Context, h *handover.Handover, c handover.Conversation, _ url.Values) error {
		return h.Retry(ctx, c)
	},
	"end": func(ctx context.Context, h *handover.Handover, c handover.Conversation, form url.Values) error {
		epoch, err := strconv.ParseInt(cmp.Or(form.Get("epoch"), "0"), 10, 64)
		if err != nil {
			return handover.ErrNotYourTurn
		}
		return h.End(ctx, c, handover.EndOptions{HandoverID: form.Get("handover"), Epoch: epoch, Resolve: form.Get("resolve") != ""})
	},
}

// conversationOf reads which conversation a request is about.
func conversationOf(q url.Values) handover.Conversation {
	return handover.Conversation{WebsiteID: q.Get("website"), Source: q.Get("source"), ID: q.Get("id")}
}

// conversation answers with one conversation.
func (p *pages) conversation(r *http.Request) answer {
	q := r.URL.Query()
	s, a := p.status(r.Context(), conversationOf(q))
	if a != nil {
		return *a
	}
	v := p.viewOf(s, p.h.Health().At)
	if v.Done = q.Get("done"); actions[v.Done] == nil && v.Done != nothing {
		v.Done = ""
	}
	return answer{status: http.StatusOK, data: s, view: view{Title: "Conversation " + s.Conversation.ID, Conversation: v}}
}

// status is how a conversation goes, or the answer that says why that cannot be told.
func (p *pages) status(ctx context.Context, c handover.Conversation) (handover.ConversationStatus, *answer) {
	var a answer
	s, err := p.h.Status(ctx, c)
	switch {
	case err != nil && handover.Permanent(err):
		a = refuse(http.StatusBadRequest, "This can be no conversation of this bot.", "")
	case err != nil:
		a = failed(err)
	case s.Cursor == "":
		a = refuse(http.StatusNotFound, "This conversation is not known.", "It may have ended long ago, and been forgotten.")
	default:
		return s, nil
	}
	return s, &a
}

// viewOf shows a conversation as it is now.
func (p *pages) viewOf(s handover.ConversationStatus, now time.Time) *conversationView {
	v := &conversationView{ConversationStatus: s, Now: now, Retries: !p.ReadOnly && len(s.Waits) > 0}
	running := slices.Contains([]handover.State{handover.StateOpening, handover.StateWaiting, handover.StateActive}, s.State)
	v.Ends = !p.ReadOnly && (running || s.State == handover.StateMuted || s.Offer || s.FollowUp)
	if running {
		v.HandOver = s.HandoverID
	}
	if !s.Since.IsZero() {
		v.For = span(now.Sub(s.Since))
	}
	for _, w := range s.Waits {
		wait := waitView{Pending: w}
		if !w.Since.IsZero() {
			wait.Age = span(now.Sub(w.Since))
		}
		if w.Next.After(now) {
			wait.In = span(w.Next.Sub(now))
		}
		v.Waits = append(v.Waits, wait)
	}
	for _, m := range s.Milestones {
		moment := momentView{Milestone: m}
		if m.At.After(now) {
			moment.In = span(m.At.Sub(now))
		} else {
			moment.Ago = span(now.Sub(m.At))
		}
		v.Timeline = append(v.Timeline, moment)
	}
	return v
}

// act does something to a conversation, and leads back to its page.
func (p *pages) act(r *http.Request, name string, do func(context.Context, *handover.Handover, handover.Conversation, url.Values) error) answer {
	if err := r.ParseForm(); err != nil {
		return refuse(http.StatusBadRequest, "This form cannot be read.", "")
	}
	c := conversationOf(r.Form)
	s, a := p.status(r.Context(), c)
	if a != nil {
		return *a
	}
	err := do(r.Context(), p.h, c, r.Form)
	if p.Audit != nil {
		p.Audit(r, name, s.Conversation, err)
	}
	if err != nil && s.Condition == handover.ConditionBroken {
		return refuse(http.StatusConflict, "This record cannot be changed.", "The log of the bot says why.")
	}
	if errors.Is(err, handover.ErrNotYourTurn) {
		return refuse(http.StatusConflict, "The conversation has changed since the page was loaded, and nothing was done.", "Open it again, and see who has it now.")
	}
	if err != nil {
		return failed(err)
	}
	if name == "retry" && len(s.Waits) == 0 && s.Condition != handover.ConditionBroken {
		name = nothing
	}
	back := addressOf(s)
	back.Set("done", name)
	return answer{status: http.StatusOK, data: map[string]string{"done": name}, location: "conversation?" + back.Encode()}
}

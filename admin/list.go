package admin

import (
	"context"
	"errors"
	"net/http"
	"net/url"
	"slices"
	"time"

	"github.com/crisphandover/handover"
)

const (
	// listTime bounds the search for a page's conversations. What was found by then is shown.
	listTime = 15 * time.Second
	// attentionTime bounds the search for those that need attention, which reads all that go on.
	attentionTime = 5 * time.Second
	// maxAttention is how many of those are shown.
	maxAttention = 20
)

// listView is the list of conversations.
type listView struct {
	Filter   filterView
	Rows     []row
	Next     string // address of the next page
	Cut      bool   // the time was up before the page was full
	Attended bool   // it was looked for those that need attention
	Troubled []row  // the first of them
	Count    int    // of all of them
	Partial  bool   // there may be more
	All      string // address of a list of them alone
	Now      time.Time
}

// filterView is the form above the list, as it was filled in.
type filterView struct {
	State, Website, Source, Age string
	Troubled, Idle              bool
	States                      []choice
	Ages                        []choice
	Websites                    []choice
	Set                         bool // something is chosen
}

// choice is an entry of a list in the form.
type choice struct {
	Value, Text string
	Chosen      bool
}

// row is a conversation in the list.
type row struct {
	handover.ConversationStatus
	Link string // empty if its website is not configured: nothing can be done to it
	For  string // how long it has been in its state
	Next *handover.Pending
}

// ages are the choices of the filter by age.
var ages = []struct {
	value, text string
	older       time.Duration
	younger     time.Duration
}{
	{"", "any time", 0, 0},
	{"new", "less than 10 minutes", 0, 10 * time.Minute},
	{"10m", "10 minutes or more", 10 * time.Minute, 0},
	{"1h", "an hour or more", time.Hour, 0},
	{"24h", "a day or more", 24 * time.Hour, 0},
}

// list answers with the list.
func (p *pages) list(r *http.Request) answer {
	q := r.URL.Query()
	ctx, cancel := context.WithTimeout(r.Context(), listTime)
	defer cancel()
	health := p.h.Health()
	f, form := filterOf(q, health)
	v := &listView{Filter: form, Now: health.At}
	data := listData{Conversations: []handover.ConversationStatus{}}
	for s, err := range p.h.Conversations(ctx, f) {
		if errors.Is(err, context.DeadlineExceeded) && s.Cursor != f.After {
			data.Next, v.Cut = s.Cursor, true
			break
		}
		if err != nil {
			return failed(err)
		}
		if len(data.Conversations) == p.PageSize {
			data.Next = data.Conversations[p.PageSize-1].Cursor
			break
		}
		data.Conversations = append(data.Conversations, s)
		v.Rows = append(v.Rows, newRow(s, health))
	}
	if data.Next != "" {
		v.Next = "?" + with(q, "after", data.Next).Encode()
	}
	if v.Attended = f.After == "" && !f.Troubled && !wantsJSON(r); v.Attended {
		f.Troubled = true
		v.All = "?" + with(q, "troubled", "1").Encode()
		if err := p.attend(r.Context(), f, v, health); err != nil {
			return failed(err)
		}
	}
	return answer{status: http.StatusOK, data: data, view: view{Title: "Conversations", List: v}}
}

// listData is the list in JSON.
type listData struct {
	Conversations []handover.ConversationStatus `json:"conversations"`
	Next          string                        `json:"next,omitempty"`
}

// attend looks for those that need attention among all that the filter lets pass.
func (p *pages) attend(ctx context.Context, f handover.ConversationFilter, v *listView, health handover.Health) error {
	ctx, cancel := context.WithTimeout(ctx, attentionTime)
	defer cancel()
	for s, err := range p.h.Conversations(ctx, f) {
		if errors.Is(err, context.DeadlineExceeded) {
			v.Partial = true
			return nil
		}
		if err != nil {
			return err
		}
		if v.Count++; len(v.Troubled) < maxAttention {
			v.Troubled = append(v.Troubled, newRow(s, health))
		}
	}
	return nil
}

// filterOf reads the filter of an address, and fills in the form.
func filterOf(q url.Values, health handover.Health) (handover.ConversationFilter, filterView) {
	v := filterView{
		State: q.Get("state"), Website: q.Get("website"), Source: q.Get("source"), Age: q.Get("age"),
		Troubled: q.Get("troubled") != "", Idle: q.Get("idle") != "",
	}
	f := handover.ConversationFilter{Idle: v.Idle, WebsiteID: v.Website, Source: v.Source, Troubled: v.Troubled, After: q.Get("after")}
	v.Set = v.State != "" || v.Website != "" || v.Source != "" || v.Age != "" || v.Troubled || v.Idle
	v.States = []choice{{"", "any", v.State == ""}}
	for _, s := range []handover.State{handover.StateOpening, handover.StateWaiting, handover.StateActive, handover.StateMuted, handover.StateBot} {
		chosen := v.State == string(s)
		if v.States = append(v.States, choice{string(s), stateWords(s), chosen}); chosen {
			f.States = []handover.State{s}
		}
	}
	for _, a := range ages {
		chosen := v.Age == a.value
		if v.Ages = append(v.Ages, choice{a.value, a.text, chosen}); chosen {
			f.OlderThan, f.YoungerThan = a.older, a.younger
		}
	}
	v.Websites = []choice{{"", "any", v.Website == ""}}
	for _, w := range health.Websites {
		v.Websites = append(v.Websites, choice{w.ID, w.ID, v.Website == w.ID})
	}
	return f, v
}

// newRow shows a conversation in the list, with what is tried next.
func newRow(s handover.ConversationStatus, health handover.Health) row {
	r := row{ConversationStatus: s}
	if slices.ContainsFunc(health.Websites, func(w handover.WebsiteHealth) bool { return w.ID == s.WebsiteID }) {
		r.Link = "conversation?" + addressOf(s).Encode()
	}
	if !s.Since.IsZero() {
		r.For = span(health.At.Sub(s.Since))
	}
	for i := range s.Waits {
		if p := &s.Waits[i]; r.Next == nil || r.Next.Fault == "" && p.Fault != "" {
			r.Next = p
		}
	}
	return r
}

// addressOf names a conversation in an address.
func addressOf(s handover.ConversationStatus) url.Values {
	return url.Values{"website": {s.WebsiteID}, "source": {s.Conversation.Source}, "id": {s.Conversation.ID}}
}

// with returns the parameters of an address with another one.
func with(q url.Values, name, value string) url.Values {
	all := url.Values{name: {value}}
	for _, other := range []string{"state", "website", "source", "age", "troubled", "idle"} {
		if v := q.Get(other); v != "" && other != name {
			all.Set(other, v)
		}
	}
	return all
}

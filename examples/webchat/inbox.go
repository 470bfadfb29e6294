package main

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"io"
	"net/http"
	"slices"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"

	"github.com/crisphandover/handover"
	"github.com/crisphandover/handover/handovertest"
)

// inbox is what agents have in Crisp, played on the fake: it is there so that the example can be
// tried without an account. A host needs nothing of it.
type inbox struct {
	crisp *handovertest.Crisp
	files *files
	away  atomic.Bool

	mu     sync.Mutex
	typing map[string]bool // the users who are, by the session's id
}

// operators are the people on the team.
var operators = []string{"Ann", "Bob"}

// inboxView is all that the pane shows.
type inboxView struct {
	Online        bool               `json:"online"`
	Operators     []string           `json:"operators"`
	Conversations []conversationView `json:"conversations"` // newest first
}

type conversationView struct {
	Number   int            `json:"number"`
	Name     string         `json:"name"`
	State    string         `json:"state"`
	Assigned string         `json:"assigned"`
	Email    string         `json:"email"`
	Phone    string         `json:"phone"`
	Segments []string       `json:"segments"`
	Data     map[string]any `json:"data"`
	Typing   bool           `json:"typing"` // the user is
	Messages []messageView  `json:"messages"`
}

type messageView struct {
	Fingerprint string `json:"fingerprint"`
	Type        string `json:"type"`
	From        string `json:"from"`
	Name        string `json:"name"`
	Content     any    `json:"content"`
	At          int64  `json:"at"` // milliseconds
	Edited      bool   `json:"edited,omitempty"`
	Read        bool   `json:"read,omitempty"`
}

// there knows at once when the team comes or goes; what Crisp said is remembered for 10 s, which is
// long when one pane waits for the other.
func (in *inbox) there(context.Context, handover.Session, handover.Presence) handover.Presence {
	if in.away.Load() {
		return handover.PresenceAway
	}
	return handover.PresenceOnline
}

// events streams the whole inbox, at once and after each change.
func (in *inbox) events(w http.ResponseWriter, r *http.Request) {
	out := newStream(w)
	last := ""
	_ = in.crisp.Await(r.Context(), func() bool {
		view := in.view()
		if now, err := json.Marshal(view); err != nil || string(now) != last {
			last = string(now)
			out.send("", "inbox", view)
			out.flush()
		}
		return out.err != nil
	})
}

func (in *inbox) view() inboxView {
	v := inboxView{Online: !in.away.Load(), Operators: operators, Conversations: []conversationView{}}
	for _, c := range slices.Backward(in.crisp.Conversations()) {
		messages := c.Messages()
		if len(messages) == 0 || c.Removed() {
			continue // Crisp's lists hide them as well
		}
		meta := c.Meta()
		one := conversationView{
			Number: c.Number(), Name: meta.Nickname, State: c.State(), Assigned: c.Assigned(),
			Typing: in.isTyping(c.ID()), Email: meta.Email, Phone: meta.Phone, Segments: meta.Segments, Data: meta.Data,
		}
		if one.Name == "" {
			one.Name = "Visitor " + strconv.Itoa(c.Number()+1)
		}
		for _, m := range messages {
			one.Messages = append(one.Messages, messageView{
				Fingerprint: strconv.FormatInt(m.Fingerprint, 10), Type: m.Type, From: m.From, Name: m.Nickname,
				Content: m.Content, At: m.Timestamp, Edited: m.Edited, Read: m.Read != "",
			})
		}
		v.Conversations = append(v.Conversations, one)
	}
	return v
}

// listen passes hooks on to the bot, and notes from them which users are typing.
func (in *inbox) listen(bot http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		body, err := io.ReadAll(r.Body)
		if err != nil {
			return
		}
		if ev, err := handover.ParseEvent(body); err == nil && ev.Name == "message:compose:send" {
			var typing struct{ Data struct{ Type string } }
			if err := json.Unmarshal(ev.Raw, &typing); err == nil {
				in.mu.Lock()
				in.typing[ev.SessionID] = typing.Data.Type == "start"
				in.mu.Unlock()
			}
		}
		r.Body = io.NopCloser(bytes.NewReader(body))
		bot.ServeHTTP(w, r)
	})
}

func (in *inbox) isTyping(session string) bool {
	in.mu.Lock()
	defer in.mu.Unlock()
	return in.typing[session]
}

// presence takes {"online": true} or false: the whole team comes or goes.
func (in *inbox) presence(w http.ResponseWriter, r *http.Request) {
	var body struct{ Online bool }
	if json.NewDecoder(http.MaxBytesReader(w, r.Body, maxPosted)).Decode(&body) != nil {
		http.Error(w, "not what this page posts", http.StatusBadRequest)
		return
	}
	in.away.Store(!body.Online)
	if body.Online {
		in.crisp.Online()
	} else {
		in.crisp.Away()
	}
	w.WriteHeader(http.StatusNoContent)
}

// action is what an operator does in a conversation.
type action struct {
	As          string `json:"as"` // the operator's name
	Do          string `json:"do"`
	Text        string `json:"text"`
	Lines       string `json:"lines"` // choices of a picker, cards of a carousel: one a line
	File        string `json:"file"`  // of an upload
	Fingerprint int64  `json:"fingerprint,string"`
}

// act lets an operator do something in a conversation.
func (in *inbox) act(w http.ResponseWriter, r *http.Request) {
	number, err := strconv.Atoi(r.PathValue("number"))
	all := in.crisp.Conversations()
	var a action
	if err != nil || number < 0 || number >= len(all) || json.NewDecoder(http.MaxBytesReader(w, r.Body, maxPosted)).Decode(&a) != nil || !slices.Contains(operators, a.As) {
		http.Error(w, "not what this page posts", http.StatusBadRequest)
		return
	}
	if err := in.do(all[number], all[number].Operator(a.As), a); err != nil {
		http.Error(w, err.Error(), http.StatusBadRequest)
		return
	}
	w.WriteHeader(http.StatusNoContent)
}

var errAction = errors.New("nothing to be done")

func (in *inbox) do(c *handovertest.Conversation, o *handovertest.Operator, a action) error {
	_, known := c.Message(a.Fingerprint)
	said := strings.TrimSpace(a.Text) != ""
	switch {
	case a.Do == "say" && said:
		o.Say(a.Text)
	case a.Do == "note" && said:
		o.Note(a.Text)
	case a.Do == "field" && said:
		o.Field(a.Text, a.Lines)
	case a.Do == "picker" && said:
		o.Picker(a.Text, lines(a.Lines)...)
	case a.Do == "carousel":
		o.Carousel(a.Text, slides(a.Lines)...)
	case a.Do == "file":
		f, found := in.files.find(a.File)
		if !found {
			return errAction
		}
		o.File(f.Name, f.URL, f.MIMEType)
	case a.Do == "edit" && known && said:
		o.Edit(a.Fingerprint, a.Text)
	case a.Do == "remove" && known:
		o.Remove(a.Fingerprint)
	case a.Do == "type":
		o.Type(true)
	case a.Do == "stop":
		o.Type(false)
	case a.Do == "assign":
		o.Assign()
	case a.Do == "resolve":
		o.Resolve()
	case a.Do == "reopen":
		o.Reopen()
	default:
		return errAction
	}
	return nil
}

// lines returns the lines that are not blank.
func lines(text string) (all []string) {
	for line := range strings.Lines(text) {
		if line = strings.TrimSpace(line); line != "" {
			all = append(all, line)
		}
	}
	return all
}

// slides reads cards of the form "title | description | label of a link | its URL".
func slides(text string) (all []handovertest.Slide) {
	for _, line := range lines(text) {
		parts := append(strings.Split(line, "|"), "", "", "")
		for i := range parts {
			parts[i] = strings.TrimSpace(parts[i])
		}
		s := handovertest.Slide{Title: parts[0], Description: parts[1]}
		if parts[3] != "" {
			s.Links = []handovertest.Link{{Label: parts[2], URL: parts[3]}}
		}
		all = append(all, s)
	}
	return all
}

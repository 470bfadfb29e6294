package story

import (
	"context"
	"fmt"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/crisphandover/handover"
)

var userVerbs = []verb{
	{"with the user <name>[ on <name>]", func(w *world, a []string) { w.meet(a[0], a[1]) }},
	{"with the user[ on <name>]", func(w *world, a []string) { w.meet("", a[0]) }},
	{"user: <text>", func(w *world, a []string) { w.says(handover.Incoming{Text: unfold(a[0])}) }},
	{"user presses <text>", func(w *world, a []string) {
		w.says(handover.Incoming{Text: a[0], Payload: w.user.payload(a[0])})
	}},
	{"user sends the file <text>", func(w *world, a []string) { w.says(handover.Incoming{Files: files(a[0])}) }},
	{"user sends the files <text>", func(w *world, a []string) { w.says(handover.Incoming{Files: files(a[0])}) }},
	{"user sends <text> and says: <text>", func(w *world, a []string) {
		w.says(handover.Incoming{Files: files(a[0]), Text: unfold(a[1])})
	}},
	{"user's last message comes again", func(w *world, _ []string) { w.again() }},
	{`user edits "<text>": <text>`, func(w *world, a []string) { w.edits(w.user.wrote(a[0]), "", a[1]) }},
	{`user edits "<text>" under an id of its own: <text>`, func(w *world, a []string) {
		w.edits(w.user.wrote(a[0]), "e", a[1])
	}},
	{"user edits a message of long ago: <text>", func(w *world, a []string) {
		w.edits(handover.Incoming{Conversation: w.user.conversation, ID: "long-ago"}, "", a[0])
	}},
	{"user's message of long ago comes: <text>", func(w *world, a []string) {
		w.receive(handover.Incoming{Conversation: w.user.conversation, ID: "long-ago", Text: a[0]})
	}},
	{"user's last edit comes again", func(w *world, _ []string) { w.receive(w.user.edits[len(w.user.edits)-1]) }},
	{"user's first edit comes again", func(w *world, _ []string) { w.receive(w.user.edits[0]) }},
	{"user types", func(w *world, _ []string) {
		w.failed(w.h().UserTyping(w.user.conversation, true))
	}},
	{"user stops typing", func(w *world, _ []string) {
		w.failed(w.h().UserTyping(w.user.conversation, false))
	}},
	{"user writes by email: <text>", func(w *world, a []string) { w.conversation().UserByEmail(unfold(a[0])) }},
	{"user writes in Crisp's own chat: <text>", func(w *world, a []string) { w.conversation().UserByChat(unfold(a[0])) }},
	{"a note on the user's side: <text>", func(w *world, a []string) { w.conversation().User().From("email").Note(unfold(a[0])) }},
	{"user rates with <number> stars", func(w *world, a []string) { w.conversation().Rate(number(a[0]), "") }},
	{"<number> users ask for a human within <time>", func(w *world, a []string) { w.crowd(number(a[0]), duration(a[1])) }},
}

// user is one user of the bot.
type user struct {
	name         string
	conversation handover.Conversation
	state        handover.State

	mu       sync.Mutex
	sent     []handover.Incoming
	edits    []handover.Incoming
	turns    map[string]handover.Turn // by the id of the message
	payloads map[string]string        // of the choices that were shown, by title
}

// meet makes a user the one whom the next steps are about.
func (w *world) meet(name, source string) {
	if source == "" {
		source = "webchat"
	}
	w.mu.Lock()
	defer w.mu.Unlock()
	for _, u := range w.users {
		if u.name == name && u.conversation.Source == source {
			w.user = u
			return
		}
	}
	w.user = &user{
		name: name, conversation: handover.Conversation{Source: source, ID: "user-1" + name},
		state: handover.StateBot, turns: map[string]handover.Turn{}, payloads: map[string]string{},
	}
	w.users = append(w.users, w.user)
}

// met is the user of a conversation.
func (w *world) met(c handover.Conversation) *user {
	w.mu.Lock()
	defer w.mu.Unlock()
	for _, u := range w.users {
		if u.is(c) {
			return u
		}
	}
	return &user{payloads: map[string]string{}}
}

// String names the user.
func (u *user) String() string {
	name := u.name
	if name == "" {
		name = "user"
	}
	if u.conversation.Source != "webchat" {
		name += " on " + u.conversation.Source
	}
	return name
}

// is says whether this is the user of a conversation.
func (u *user) is(c handover.Conversation) bool {
	return u.conversation.Source == c.Source && u.conversation.ID == c.ID
}

// remember notes which choices the user can press.
func (u *user) remember(m handover.RichMessage) {
	u.mu.Lock()
	defer u.mu.Unlock()
	for _, q := range m.QuickReplies {
		u.payloads[q.Title] = q.Payload
	}
}

// payload is what pressing a choice sends.
func (u *user) payload(title string) string {
	u.mu.Lock()
	defer u.mu.Unlock()
	if p, shown := u.payloads[title]; shown {
		return p
	}
	return title
}

// write makes a new message of the user's.
func (u *user) write(m handover.Incoming) handover.Incoming {
	u.mu.Lock()
	defer u.mu.Unlock()
	m.Conversation, m.ID = u.conversation, fmt.Sprintf("m%d", len(u.sent)+1)
	u.sent = append(u.sent, m)
	return m
}

// last is the user's last message.
func (u *user) last() handover.Incoming {
	u.mu.Lock()
	defer u.mu.Unlock()
	if len(u.sent) == 0 {
		return handover.Incoming{Conversation: u.conversation}
	}
	return u.sent[len(u.sent)-1]
}

// keep keeps the turn of a message. That of a message which the channel repeats is the first one,
// unless the bot is to answer now.
func (u *user) keep(id string, t handover.Turn) {
	u.mu.Lock()
	defer u.mu.Unlock()
	if _, known := u.turns[id]; !known || t.Bot {
		u.turns[id] = t
	}
}

// turn is that of the last message, or of the last one with this text.
func (u *user) turn(text string) handover.Turn {
	u.mu.Lock()
	defer u.mu.Unlock()
	for _, m := range slices.Backward(u.sent) {
		if t, known := u.turns[m.ID]; known && (text == "" || m.Text == text) {
			return t
		}
	}
	return handover.Turn{Conversation: u.conversation}
}

// says gives the library a new message of the user.
func (w *world) says(m handover.Incoming) { w.receive(w.user.write(m)) }

// again gives it the last message once more, as channels do that missed the answer.
func (w *world) again() { w.receive(w.user.last()) }

func (w *world) receive(m handover.Incoming) {
	if w.managed.on {
		w.failed(w.h().Handle(context.Background(), m))
		return
	}
	turn, err := w.h().Receive(context.Background(), m)
	if w.failed(err) {
		return
	}
	w.user.keep(m.ID, turn)
	if turn.Why == handover.WhyEdit {
		w.tell("an edit")
		return
	}
	w.tell("for %s", w.whose(turn))
}

// whose says who has a message.
func (w *world) whose(t handover.Turn) string {
	if t.Bot {
		return "the bot"
	}
	switch w.stateOf(w.user) {
	case handover.StateMuted:
		return "nobody: the bot is muted"
	case handover.StateBot:
		return "nobody: it has its answer"
	}
	return "the agents"
}

// edits gives the library an edit of a message, under an id of its own that begins with id unless that is empty.
func (w *world) edits(m handover.Incoming, id, text string) {
	m.Edits, m.Text, m.At = m.ID, unfold(text), time.Now()
	if id != "" {
		m.ID = fmt.Sprintf("%s%d", id, len(w.user.edits)+1)
	}
	w.user.edits = append(w.user.edits, m)
	w.receive(m)
}

// wrote is the last message that the user wrote with this text.
func (u *user) wrote(text string) handover.Incoming {
	u.mu.Lock()
	defer u.mu.Unlock()
	for _, m := range slices.Backward(u.sent) {
		if m.Text == text {
			return m
		}
	}
	return handover.Incoming{Conversation: u.conversation, ID: "unknown"}
}

// files reads "https://… image/jpeg, https://… application/pdf".
func files(text string) (all []handover.File) {
	for _, one := range listed(text) {
		url, mime, _ := strings.Cut(one, " ")
		all = append(all, handover.File{URL: url, MIMEType: mime})
	}
	return all
}

func number(text string) (n int) {
	_, _ = fmt.Sscan(text, &n)
	return n
}

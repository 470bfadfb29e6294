package main

import (
	"context"
	"crypto/rand"
	"errors"
	"slices"
	"sync"
	"time"

	"github.com/crisphandover/handover"
)

// chat is the channel: what each user of the webchat has on their screen. It is kept in memory, where
// it grows with each user and message and is gone with the process. A host keeps this log in its
// database instead; pages then find everything again by the same ids.
type chat struct {
	boot string // names this log: a page that knows another one begins anew

	mu    sync.Mutex
	rooms map[string]*room
}

func newChat() *chat { return &chat{boot: rand.Text(), rooms: map[string]*room{}} }

// conversation names a user's conversation for the library.
func conversation(user string) handover.Conversation {
	return handover.Conversation{Source: "webchat", ID: user}
}

// room is one user's side of the chat: the log, and who is speaking.
type room struct {
	mu       sync.Mutex
	log      []*entry
	revision int           // grows with each change of the log
	changed  chan struct{} // closed at the next change
	now      status
	user     handover.UserData // as the page told it last
	typed    time.Time         // when now.Typing was told last
	pages    int               // that are open
	left     time.Time         // when the last of them was closed
}

// entry is one message of the log, with what became of it.
type entry struct {
	handover.Message
	Place    int    // in the log, from 1
	Revision int    // the room's when this entry changed last
	Handover string // the handover that it was said in, or ""
	Chosen   string // the title of the quick reply that was chosen
	Edited   bool
	Removed  bool
	Failed   bool // the user's, and refused for good
}

// status is what a page says above and below the messages.
type status struct {
	State    handover.State `json:"state"`
	Handover string         `json:"handover"` // the one that is running
	Agent    string         `json:"agent"`    // who wrote last in it
	Typing   string         `json:"typing"`   // who is typing
}

func (c *chat) room(user string) *room {
	c.mu.Lock()
	defer c.mu.Unlock()
	r := c.rooms[user]
	if r == nil {
		r = &room{changed: make(chan struct{}), left: time.Now()}
		c.rooms[user] = r
	}
	return r
}

// deliver shows a message of an agent's or of the library's. It is idempotent: a message that was
// shown is not shown again. With no page open it says so; the message waits in the log, so that the
// user finds it there, as it is by then.
func (c *chat) deliver(_ context.Context, s handover.Session, m handover.Message) (channelID string, err error) {
	r := c.room(s.Conversation.ID)
	e := entry{Message: m.WithoutMarkdown()}
	if s.State != handover.StateBot {
		e.Handover = s.HandoverID
	}
	r.show(e)
	if r.away() {
		return m.ID, handover.ErrUserAway
	}
	return m.ID, nil
}

// revise edits or removes a message that was shown.
func (c *chat) revise(_ context.Context, s handover.Session, v handover.Revision) error {
	return c.room(s.Conversation.ID).change(v.Message.ChannelID, func(e *entry) {
		e.Content, e.File = v.Message.WithoutMarkdown().Content, v.Message.File
		e.Edited, e.Removed = !v.Removed, v.Removed
	})
}

// transcript is the log, for the history page.
func (c *chat) transcript(_ context.Context, conv handover.Conversation) ([]handover.Message, error) {
	r := c.room(conv.ID)
	r.mu.Lock()
	defer r.mu.Unlock()
	var all []handover.Message
	for _, e := range r.log {
		if !e.Removed {
			all = append(all, e.Message)
		}
	}
	return all, nil
}

// observe keeps who is speaking. With several replicas it is not enough: each hears only of the
// changes that it made itself.
func (c *chat) observe(_ context.Context, a handover.Activity) {
	if a.Kind != handover.ActivityState {
		return
	}
	r := c.room(a.Conversation.ID)
	r.update(func() {
		r.now.State, r.now.Handover = a.To, ""
		if a.To == handover.StateBot || a.To == handover.StateMuted {
			r.now.Agent, r.now.Typing = "", ""
			return
		}
		r.now.Handover = a.HandoverID
	})
}

// begin sets who is speaking, where that is not known: with a store that outlives this process.
func (r *room) begin(s handover.Session) {
	r.update(func() {
		if r.now.State != "" {
			return
		}
		r.now.State = s.State
		if s.State != handover.StateBot {
			r.now.Handover, r.now.Agent = s.HandoverID, s.Agent.Name
		}
	})
}

// agentTyping shows that an agent is typing, or stopped.
func (c *chat) agentTyping(_ context.Context, s handover.Session, t handover.AgentTyping) {
	who := t.Agent.Name
	if who == "" {
		who = "An agent"
	}
	c.typing(s.Conversation, who, t.On)
}

// typing shows that somebody is typing, or stopped.
func (c *chat) typing(conv handover.Conversation, who string, on bool) {
	r := c.room(conv.ID)
	r.update(func() {
		switch {
		case on:
			r.now.Typing, r.typed = who, time.Now()
		case r.now.Typing == who:
			r.now.Typing = ""
		}
	})
}

// say shows the bot's answer to a message.
func (c *chat) say(conv handover.Conversation, to string, content handover.RichMessage) {
	c.room(conv.ID).show(entry{Message: handover.Message{
		ID: "answer to " + to, From: handover.FromBot, Content: content, At: time.Now(),
	}})
}

// show adds an entry, unless it is there.
func (r *room) show(e entry) {
	r.update(func() {
		if r.find(e.ID) != nil {
			return
		}
		r.revision++
		e.Place, e.Revision = len(r.log)+1, r.revision
		r.log = append(r.log, &e)
		if e.From != handover.FromAgent {
			return
		}
		r.now.Agent = e.Agent.Name
		if r.now.Typing == e.Agent.Name {
			r.now.Typing = ""
		}
	})
}

var errUnknownMessage = errors.New("webchat: no such message")

// change changes the entry with that id.
func (r *room) change(id string, fn func(*entry)) (err error) {
	r.update(func() {
		e := r.find(id)
		if e == nil {
			err = errUnknownMessage
			return
		}
		fn(e)
		r.revision++
		e.Revision = r.revision
	})
	return err
}

// choose notes which quick reply of an entry the user chose with a message. It reports false when
// another message chose before, or there is nothing to choose.
func (r *room) choose(place int, message, title string) (ok bool) {
	r.update(func() {
		if ok = r.find(message) != nil; ok || place < 1 || place > len(r.log) {
			return // the message is here again, or is wrong
		}
		e := r.log[place-1]
		ok = e.Chosen == "" && slices.ContainsFunc(e.Content.QuickReplies, func(q handover.QuickReply) bool {
			return q.Title == title
		})
		if ok {
			r.revision++
			e.Chosen, e.Revision = title, r.revision
		}
	})
	return ok
}

// meet notes what the page tells of the user.
func (r *room) meet(user handover.UserData) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.user = user
}

// who returns what the page told of the user last.
func (r *room) who() handover.UserData {
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.user
}

// find returns the entry with that id, or nil. The caller holds the lock.
func (r *room) find(id string) *entry {
	for _, e := range r.log {
		if e.ID == id {
			return e
		}
	}
	return nil
}

// update changes the room and tells the pages.
func (r *room) update(fn func()) {
	r.mu.Lock()
	defer r.mu.Unlock()
	fn()
	close(r.changed)
	r.changed = make(chan struct{})
}

// typingTime is how long somebody is typing of whom nobody says that they stopped.
const typingTime = 30 * time.Second

// since returns copies of the entries that changed after a revision, in the order of their changes,
// what a page says besides, and a channel that is closed at the next change.
func (r *room) since(revision int) (news []entry, now status, changed <-chan struct{}) {
	r.mu.Lock()
	defer r.mu.Unlock()
	for _, e := range r.log {
		if e.Revision > revision {
			news = append(news, *e)
		}
	}
	slices.SortFunc(news, func(a, b entry) int { return a.Revision - b.Revision })
	now = r.now
	if time.Since(r.typed) > typingTime {
		now.Typing = ""
	}
	return news, now, r.changed
}

// graceTime is how long a page may be away to be loaded again.
const graceTime = 30 * time.Second

// away reports whether nobody has the page open.
func (r *room) away() bool {
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.pages == 0 && time.Since(r.left) > graceTime
}

// enter notes that a page is open until leave is called.
func (r *room) enter() (leave func()) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.pages++
	return func() {
		r.mu.Lock()
		defer r.mu.Unlock()
		r.pages--
		r.left = time.Now()
	}
}

package webchat

import (
	"sync"
	"time"

	"github.com/crisphandover/handover"
)

// room is what a process knows of a conversation besides its log: who is speaking, and who looks.
type room struct {
	mu       sync.Mutex
	changed  chan struct{} // closed at the next change
	now      status
	known    bool      // now.State is
	greeted  bool      // the log has the greeting, if there is one
	typed    time.Time // when now.Typing was told last
	revision int64     // the newest that this process saved
	pages    int       // that are open
	left     time.Time // when the last of them was closed
}

// status is what a page says above and below the messages.
type status struct {
	State    handover.State `json:"state"`
	Handover string         `json:"handover"` // the one that is running
	Agent    string         `json:"agent"`    // who wrote last in it
	Typing   *typing        `json:"typing"`   // who is typing
}

// typing is somebody who is.
type typing struct {
	From handover.From `json:"from"`
	Name string        `json:"name"` // of an agent
}

// update changes the room and tells the pages.
func (r *room) update(fn func()) {
	r.mu.Lock()
	defer r.mu.Unlock()
	fn()
	close(r.changed)
	r.changed = make(chan struct{})
}

// saved notes that this process changed the log.
func (r *room) saved(revision int64) { r.update(func() { r.revision = max(r.revision, revision) }) }

// wrote notes which agent wrote.
func (r *room) wrote(agent string) {
	r.update(func() {
		r.now.Agent = agent
		if r.now.Typing != nil && r.now.Typing.Name == agent {
			r.now.Typing = nil
		}
	})
}

// types shows that somebody is typing, or stopped.
func (r *room) types(who typing, on bool) {
	r.update(func() {
		switch {
		case on:
			r.now.Typing, r.typed = &who, time.Now()
		case r.now.Typing != nil && *r.now.Typing == who:
			r.now.Typing = nil
		}
	})
}

// becomes notes a change of state that this process made.
func (r *room) becomes(a handover.Activity) {
	r.update(func() {
		r.now.State, r.now.Handover, r.known = a.To, "", true
		if a.To == handover.StateBot || a.To == handover.StateMuted {
			r.now.Agent, r.now.Typing = "", nil
			return
		}
		r.now.Handover = a.HandoverID
	})
}

// is sets who is speaking, as the library's store has it.
func (r *room) is(s handover.Session) {
	r.update(func() {
		r.now.State, r.now.Handover, r.now.Agent, r.known = s.State, "", "", true
		if s.State != handover.StateBot && s.State != handover.StateMuted {
			r.now.Handover, r.now.Agent = s.HandoverID, s.Agent.Name
		}
	})
}

// isKnown reports whether it is known who is speaking.
func (r *room) isKnown() bool {
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.known
}

// isGreeted reports whether the log has the greeting, or notes that it has.
func (r *room) isGreeted(now bool) bool {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.greeted = r.greeted || now
	return r.greeted
}

// typingTime is how long somebody is typing of whom nobody says that they stopped.
const typingTime = 30 * time.Second

// look returns what a page says besides the log, the newest revision that this process saved, and a channel that is
// closed at the next change.
func (r *room) look() (now status, revision int64, changed <-chan struct{}) {
	r.mu.Lock()
	defer r.mu.Unlock()
	now = r.now
	if time.Since(r.typed) > typingTime {
		now.Typing = nil
	}
	return now, r.revision, r.changed
}

// away reports whether nobody has the page open at this process.
func (r *room) away() bool {
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.pages == 0 && time.Since(r.left) > graceTime
}

// idleTime is how long a room is kept that nobody is in.
const idleTime = 10 * time.Minute

// isIdle reports whether nobody was here for a while.
func (r *room) isIdle() bool {
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.pages == 0 && time.Since(r.left) > idleTime
}

// enter notes that a page is open until leave is called; it is false if there are limit pages already.
func (r *room) enter(limit int) (leave func(), ok bool) {
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.pages >= limit {
		return nil, false
	}
	r.pages++
	return func() {
		r.mu.Lock()
		defer r.mu.Unlock()
		r.pages--
		r.left = time.Now()
	}, true
}

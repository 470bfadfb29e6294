package handovertest

import (
	"cmp"
	"fmt"
	"slices"
	"time"
)

// Open opens a conversation at the website, as a user does in the chatbox, without a call. An empty
// nickname leaves the user without one.
func (c *Crisp) Open(nickname string) *Conversation { return c.OpenAt(c.options.WebsiteID, nickname) }

// OpenAt is Open at one of several websites.
func (c *Crisp) OpenAt(websiteID, nickname string) *Conversation {
	c.mu.Lock()
	defer c.mu.Unlock()
	v := c.create(websiteID)
	if nickname != "" {
		v.change(func(s *snapshot) { s.meta.Nickname = nickname })
	}
	return v
}

// Fill puts n messages into the log at once, without hooks and without what follows from a message,
// such as a change of the state: thousands cost next to nothing. each returns message i; nil: texts
// of the user. Its zero fields are given values: a text of the user in the chatbox, a fingerprint,
// the id of the operator with that nickname, and timestamps one second apart of which the last is
// now.
func (v *Conversation) Fill(n int, each func(i int) Message) {
	v.crisp.mu.Lock()
	defer v.crisp.mu.Unlock()
	now := v.tick()
	log := slices.Clone(v.last().messages)
	taken := map[int64]bool{}
	for _, m := range log {
		taken[m.Fingerprint] = true
	}
	for i := range n {
		var m Message
		if each != nil {
			m = each(i)
		}
		m.Timestamp = cmp.Or(m.Timestamp, now-int64(n-1-i)*time.Second.Milliseconds())
		for f := max(m.Timestamp/1000*100_000, 1); m.Fingerprint == 0; f++ {
			if !taken[f] {
				m.Fingerprint = f
			}
		}
		taken[m.Fingerprint] = true
		log = append(log, v.filler(i, m))
	}
	slices.SortStableFunc(log, func(a, b *message) int { return cmp.Compare(a.Timestamp, b.Timestamp) })
	v.changeAt(now, func(s *snapshot) { s.messages = log })
	v.crisp.note("%s: filled with %d messages", v.label(), n)
}

// filler returns message i of Fill. The caller holds the lock.
func (v *Conversation) filler(i int, m Message) *message {
	c := v.crisp
	m.Type, m.From, m.Origin = cmp.Or(m.Type, "text"), cmp.Or(m.From, "user"), cmp.Or(m.Origin, "chat")
	if m.Content == nil {
		m.Content = fmt.Sprintf("message %d", i)
	}
	out := &message{Message: m, raw: encode(m.Content), stored: time.Now()}
	c.posted++
	out.number = c.posted
	switch {
	case m.From == "user":
		out.UserID, out.Nickname = v.sessionID, cmp.Or(m.Nickname, v.visitor())
	case m.Automated:
		out.userType = "participant"
	case m.Nickname != "":
		p := c.person(m.Nickname)
		out.userType, out.avatar, out.UserID = "website", p.avatar, cmp.Or(m.UserID, p.id)
	}
	return out
}

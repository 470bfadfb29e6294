package handovertest

import (
	"fmt"
	"maps"
	"slices"
	"time"
)

// keptVersions is how many earlier versions of a conversation stale reads can go back to.
const keptVersions = 24

// Conversation is a conversation in Crisp: what Crisp knows of it, and what people do in it.
type Conversation struct {
	crisp     *Crisp
	website   string
	sessionID string
	number    int

	// The rest is guarded by crisp.mu.
	clock    int64 // the last time given by tick
	versions []snapshot
	asked    int            // times that feedback was asked for
	held     *HeldHooks     // nil: hooks are sent at once
	oddRow   map[string]any // what the list says instead
}

// snapshot is what Crisp knows of a conversation at one time. Nothing in it is changed in place.
type snapshot struct {
	since    time.Time // when it became true, by the fake's clock without Options.Skew
	state    string
	created  int64
	updated  int64
	news     int // grows with each change that moves updated_at, on the whole of Crisp
	waiting  int64
	meta     Meta
	mailable time.Time // since when the email is known
	assigned string
	inbox    string
	blocked  bool
	removed  bool
	composed map[string]map[string]any // by "operator" and "visitor"
	messages []*message
}

// create adds a conversation. The caller holds the lock.
func (c *Crisp) create(website string) *Conversation {
	v := &Conversation{
		crisp:     c,
		website:   website,
		sessionID: "session_" + c.newUUID(),
		number:    len(c.conversations),
	}
	now := v.tick()
	first := snapshot{since: time.Now(), state: "pending", created: now}
	first.updated, first.news = c.newChange(now)
	if c.options.Bot != nil {
		first.inbox = c.options.Bot.Inbox
	}
	v.versions = []snapshot{first}
	c.conversations = append(c.conversations, v)
	c.bySession[v.sessionID] = v
	c.note("%s: created", v.label())
	return v
}

// tick returns the time of Crisp's clock in milliseconds, later than it was before unless
// Options.Ties. The caller holds the lock.
func (v *Conversation) tick() int64 {
	now := v.crisp.now()
	if now <= v.clock && !v.crisp.options.Ties {
		now = v.clock + 1
	}
	v.clock = max(now, v.clock)
	return now
}

// now returns the time of Crisp's clock in milliseconds, not before what tick gave last. The caller
// holds the lock.
func (v *Conversation) now() int64 { return max(v.crisp.now(), v.clock) }

// last returns the newest version. The caller holds the lock.
func (v *Conversation) last() *snapshot { return &v.versions[len(v.versions)-1] }

// at returns the version that was true at t, or nil if the conversation did not exist then; the
// newest for a zero t. Of versions that are not kept any more the oldest kept one stands in. The
// caller holds the lock.
func (v *Conversation) at(t time.Time) *snapshot {
	if t.IsZero() {
		return v.last()
	}
	for i := len(v.versions) - 1; i >= 0; i-- {
		if !v.versions[i].since.After(t) {
			return &v.versions[i]
		}
	}
	if len(v.versions) == keptVersions {
		return &v.versions[0]
	}
	return nil
}

// change makes a new version and returns the time of the change. The caller holds the lock.
func (v *Conversation) change(fn func(s *snapshot)) int64 {
	now := v.tick()
	v.changeAt(now, fn)
	return now
}

// changeAt is change at a time that tick has given.
func (v *Conversation) changeAt(now int64, fn func(s *snapshot)) {
	next := *v.last()
	next.updated, next.news = v.crisp.newChange(now)
	v.store(next, fn)
}

// newChange returns the time and the number of a change. No later change has an earlier time, also
// of another conversation whose clock is behind: the list is in one order by either. The caller
// holds the lock.
func (c *Crisp) newChange(now int64) (at int64, number int) {
	c.newest = max(c.newest, now)
	c.news++
	return c.newest, c.news
}

// changeQuietly is change for what leaves updated_at as it is: marks and typing.
func (v *Conversation) changeQuietly(fn func(s *snapshot)) { v.store(*v.last(), fn) }

// store applies fn to next and makes it the newest version.
func (v *Conversation) store(next snapshot, fn func(s *snapshot)) {
	next.since = time.Now()
	fn(&next)
	if len(v.versions) == keptVersions {
		v.versions = slices.Delete(v.versions, 0, 1)
	}
	v.versions = append(v.versions, next)
	v.crisp.wake()
}

// label names the conversation in the record: by its number, and by its nickname once it has one.
func (v *Conversation) label() string {
	if len(v.versions) > 0 && v.last().meta.Nickname != "" {
		return fmt.Sprintf("conversation %d (%s)", v.number, v.last().meta.Nickname)
	}
	return fmt.Sprintf("conversation %d", v.number)
}

// see returns what get finds in the newest version.
func see[T any](v *Conversation, get func(s *snapshot) T) T {
	v.crisp.mu.Lock()
	defer v.crisp.mu.Unlock()
	return get(v.last())
}

// ID returns Crisp's id of the conversation, "session_…".
func (v *Conversation) ID() string { return v.sessionID }

// Number returns the place of the conversation in Crisp.Conversations.
func (v *Conversation) Number() int { return v.number }

// WebsiteID returns the website that the conversation is on.
func (v *Conversation) WebsiteID() string { return v.website }

// State returns "pending", "unresolved" or "resolved".
func (v *Conversation) State() string {
	return see(v, func(s *snapshot) string { return s.state })
}

// Assigned returns the name of the operator that the conversation is assigned to, their id if no
// such operator is known, or "".
func (v *Conversation) Assigned() string {
	return see(v, func(s *snapshot) string {
		for _, p := range v.crisp.operators {
			if p.id == s.assigned {
				return p.name
			}
		}
		return s.assigned
	})
}

// Inbox returns the id of the sub-inbox, or "" for the main one.
func (v *Conversation) Inbox() string {
	return see(v, func(s *snapshot) string { return s.inbox })
}

// Blocked says whether the user is blocked.
func (v *Conversation) Blocked() bool {
	return see(v, func(s *snapshot) bool { return s.blocked })
}

// Removed says whether the conversation was removed: by an operator, or over REST.
func (v *Conversation) Removed() bool {
	return see(v, func(s *snapshot) bool { return s.removed })
}

// Meta returns a copy of the metas.
func (v *Conversation) Meta() Meta {
	return see(v, func(s *snapshot) Meta { return s.meta.clone() })
}

// Segments returns a copy of the segments.
func (v *Conversation) Segments() []string { return v.Meta().Segments }

// Messages returns copies of the messages, in the order of Crisp's log. Removed ones are not
// there.
func (v *Conversation) Messages() []Message {
	return see(v, func(s *snapshot) []Message {
		var all []Message
		for _, m := range s.messages {
			all = append(all, m.public())
		}
		return all
	})
}

// Message returns a copy of the message with that fingerprint, the first if there are several.
func (v *Conversation) Message(fingerprint int64) (m Message, found bool) {
	for _, m := range v.Messages() {
		if m.Fingerprint == fingerprint {
			return m, true
		}
	}
	return Message{}, false
}

// Transcript returns the messages as lines such as "user: hi", "Ann: hello", "Ann (note): …".
func (v *Conversation) Transcript() []string {
	return see(v, func(s *snapshot) []string {
		var lines []string
		for _, m := range s.messages {
			lines = append(lines, m.line())
		}
		return lines
	})
}

// FeedbackAsked returns how often the user was asked for a rating over REST.
func (v *Conversation) FeedbackAsked() int {
	return see(v, func(*snapshot) int { return v.asked })
}

// setState changes the state and sends the hook, if it is another one. The caller holds the lock.
func (v *Conversation) setState(state string) {
	if v.last().state == state {
		return
	}
	now := v.tick()
	set := func(s *snapshot) {
		s.state = state
		if state == "resolved" {
			s.waiting = 0
		}
	}
	if v.crisp.options.StateKeepsUpdated {
		v.changeQuietly(set)
	} else {
		v.changeAt(now, set)
	}
	v.crisp.note("%s: %s", v.label(), state)
	v.push("session:set_state", now, map[string]any{"state": state})
}

// assign changes who the conversation is assigned to ("" for nobody) and sends the hook, if it is
// somebody else. The caller holds the lock.
func (v *Conversation) assign(operatorID string) {
	before := v.last().assigned
	if before == operatorID {
		return
	}
	now := v.change(func(s *snapshot) { s.assigned = operatorID })
	v.crisp.note("%s: assigned to %q", v.label(), v.crisp.nameOf(operatorID))
	v.push("session:set_routing", now, map[string]any{
		"routing_id": orNull(operatorID), "previous_routing_id": orNull(before),
	})
}

// setInbox moves the conversation to a sub-inbox ("" for the main one) and sends the hook. The
// caller holds the lock.
func (v *Conversation) setInbox(inbox string) {
	before := v.last().inbox
	if before == inbox {
		return
	}
	now := v.change(func(s *snapshot) { s.inbox = inbox })
	v.crisp.note("%s: moved to inbox %q", v.label(), inbox)
	v.push("session:set_inbox", now, map[string]any{
		"inbox_id": orNull(inbox), "previous_inbox_id": orNull(before),
	})
}

// setBlocked blocks the user or lets them in again, and sends the hook. The caller holds the lock.
func (v *Conversation) setBlocked(blocked bool) {
	if v.last().blocked == blocked {
		return
	}
	now := v.change(func(s *snapshot) { s.blocked = blocked })
	v.crisp.note("%s: blocked: %t", v.label(), blocked)
	v.push("session:set_block", now, map[string]any{"is_blocked": blocked})
}

// remove removes the conversation and sends the hook. The caller holds the lock.
func (v *Conversation) remove() {
	if v.last().removed {
		return
	}
	now := v.change(func(s *snapshot) { s.removed = true })
	v.crisp.note("%s: removed", v.label())
	v.push("session:removed", now, nil)
}

// push queues a hook about this conversation. The caller holds the lock.
func (v *Conversation) push(event string, at int64, data map[string]any) {
	all := v.ids()
	maps.Copy(all, data)
	v.crisp.push(v.website, v, HookInfo{Event: event}, at, encode(all))
}

// pushMessage is push for a message. The caller holds the lock.
func (v *Conversation) pushMessage(event string, at int64, m *message) {
	info := HookInfo{Event: event, Type: m.Type, Fingerprint: m.Fingerprint}
	v.crisp.push(v.website, v, info, at, m.wire(v.ids()))
}

// ids returns what every hook about the conversation says. The caller holds the lock.
func (v *Conversation) ids() map[string]any {
	return map[string]any{
		"website_id": v.website,
		"session_id": v.sessionID,
		"inbox_id":   orNull(v.last().inbox),
	}
}

// nameOf returns the name of an operator, or the id of an unknown one. The caller holds the lock.
func (c *Crisp) nameOf(operatorID string) string {
	for _, p := range c.operators {
		if p.id == operatorID {
			return p.name
		}
	}
	return operatorID
}

// orNull returns nil for "", as JSON's null.
func orNull(s string) any {
	if s == "" {
		return nil
	}
	return s
}

package handovertest

import (
	"encoding/json"
	"maps"
	"slices"
	"strings"
	"time"
)

// Message is a message in Crisp's log.
type Message struct {
	Fingerprint int64
	Type        string // "text", "note", "file", "picker", …
	From        string // "user" or "operator"
	Origin      string // "chat", "email" or an URN
	// Content is a string for texts and notes, otherwise what encoding/json makes of the object.
	Content   any
	Nickname  string // of the author
	UserID    string // of the author: an operator's id, or the session id of a user
	Timestamp int64  // milliseconds
	// Read and Delivered hold the origin that acknowledged the message; "": nobody did.
	Read, Delivered string
	Automated       bool
	Stealth         bool
	Edited          bool
	Mentions        []string
}

// Text returns the words of the message: the content of a text or note, the text of a picker,
// field, carousel or event, the name of a file, or "".
func (m Message) Text() string {
	switch content := m.Content.(type) {
	case string:
		return content
	case map[string]any:
		for _, name := range []string{"text", "name", "namespace", "url"} {
			if text, ok := content[name].(string); ok {
				return text
			}
		}
	}
	return ""
}

// message is a Message with what only the fake needs. It is never changed once it is stored, apart
// from shown.
type message struct {
	Message
	raw        json.RawMessage // of Content
	userType   string
	avatar     string
	references json.RawMessage
	properties json.RawMessage
	translated bool
	odd        oddity
	number     int             // grows with each message, on the whole of Crisp
	stored     time.Time       // by the fake's clock without Options.Skew
	marked     time.Time       // when it was first marked delivered or read
	shown      json.RawMessage // what reads say of it, once one did
}

// public returns a copy for callers.
func (m *message) public() Message {
	out := m.Message
	out.Mentions = slices.Clone(m.Mentions)
	_ = json.Unmarshal(m.raw, &out.Content) // it was checked, or made by json.Marshal
	return out
}

// line returns the message as a line of a transcript; an agent's file with its link.
func (m *message) line() string {
	who := "user"
	if m.From == "operator" {
		who = m.Nickname
		if who == "" {
			who = "operator"
		}
	}
	var marks []string
	if m.Type != "text" {
		marks = append(marks, m.Type)
	}
	if m.Automated {
		marks = append(marks, "automated")
	}
	if m.Edited {
		marks = append(marks, "edited")
	}
	if len(marks) > 0 {
		who += " (" + strings.Join(marks, ", ") + ")"
	}
	shown := m.public()
	text := shown.Text()
	if content, ok := shown.Content.(map[string]any); ok && m.Type == "file" && m.From == "operator" {
		if url, ok := content["url"].(string); ok && url != text {
			text += " " + url
		}
	}
	return who + ": " + text
}

// wire returns what events say of the message, and reads with the members in more.
func (m *message) wire(more map[string]any) json.RawMessage {
	out := m.members()
	maps.Copy(out, more)
	return m.odd.encode(out)
}

// members returns what events and reads say of the message.
func (m *message) members() map[string]any {
	user := map[string]any{"nickname": m.Nickname}
	if m.UserID != "" && !m.odd.noID {
		user["user_id"] = m.UserID
	}
	if m.userType != "" {
		user["type"] = m.userType
	}
	if m.avatar != "" {
		user["avatar"] = m.avatar
	}
	out := map[string]any{
		"type": m.Type, "from": m.From, "origin": m.Origin, "content": m.raw,
		"stamped": true, "timestamp": m.Timestamp, "fingerprint": m.Fingerprint, "user": user,
		"mentions": append([]string{}, m.Mentions...),
	}
	for name, set := range map[string]bool{
		"automated": m.Automated, "edited": m.Edited, "translated": m.translated,
	} {
		if set {
			out[name] = true
		}
	}
	for name, raw := range map[string]json.RawMessage{"references": m.references, "properties": m.properties} {
		if raw != nil {
			out[name] = raw
		}
	}
	return out
}

// post adds a message to the log with all that follows from it: the hook, the state, the routing
// rules, the other bot. A zero timestamp or fingerprint is given one. The caller holds the lock.
func (v *Conversation) post(m *message) {
	now := v.tick()
	c := v.crisp
	c.posted++
	m.number = c.posted
	if m.Timestamp == 0 && !m.odd.timestamp {
		m.Timestamp = now
	}
	if m.Fingerprint == 0 && !m.odd.fingerprint {
		m.Fingerprint = v.newFingerprint()
	}
	if m.From == "user" {
		m.UserID = v.sessionID
		if m.Nickname == "" {
			m.Nickname = v.visitor()
		}
	}
	m.stored = time.Now()
	first := !slices.ContainsFunc(v.last().messages, func(m *message) bool { return m.From == "user" })
	v.changeAt(now, func(s *snapshot) {
		s.messages = inserted(s.messages, m)
		switch {
		case m.From == "user" && s.waiting == 0:
			s.waiting = now
		case m.isReply():
			s.waiting = 0
		}
	})
	v.crisp.note("%s: %s", v.label(), m.line())
	event := "message:send"
	if m.From == "operator" {
		event = "message:received"
	}
	if !m.odd.unhooked {
		v.pushMessage(event, now, m)
	}
	switch {
	case m.From == "user":
		if v.last().state == "resolved" {
			v.setState("pending")
		}
		if first {
			v.applyRules()
		}
		v.wakeBot(m)
	case m.isReply() && v.last().state == "pending":
		v.setState("unresolved")
	}
}

// isReply says whether the message answers the user. Crisp's help centre says that any agent's
// reply, human or automated, makes a pending conversation unresolved.
func (m *message) isReply() bool {
	return m.From == "operator" && m.Type != "note" && m.Type != "event"
}

// inserted returns the log with m at its place. It appends in place only at the end, which no
// earlier version of the log reaches.
func inserted(log []*message, m *message) []*message {
	i := len(log)
	for i > 0 && log[i-1].Timestamp > m.Timestamp {
		i--
	}
	if i == len(log) {
		return append(log, m)
	}
	return slices.Insert(slices.Clone(log), i, m)
}

// newFingerprint returns one that the conversation does not have, in the shape of Crisp's: seconds
// × 100,000 and five digits. The caller holds the lock.
func (v *Conversation) newFingerprint() int64 {
	for {
		f := v.crisp.now()/1000*100_000 + int64(v.crisp.random.IntN(100_000))
		if v.find(f) == nil {
			return f
		}
	}
}

// find returns the first message of the newest version with this fingerprint, or nil. The caller
// holds the lock.
func (v *Conversation) find(fingerprint int64) *message {
	for _, m := range v.last().messages {
		if m.Fingerprint == fingerprint {
			return m
		}
	}
	return nil
}

// replace puts what fn makes of each message with that fingerprint in its place; nil takes it out.
// The caller holds the lock.
func (s *snapshot) replace(fingerprint int64, fn func(m message) *message) {
	var log []*message
	for _, m := range s.messages {
		if m.Fingerprint == fingerprint {
			changed := *m
			changed.shown = nil
			m = fn(changed)
		}
		if m != nil {
			log = append(log, m)
		}
	}
	s.messages = log
}

// edit changes the content of a message and sends the hook, which says neither whose nor of which
// type it is. The caller holds the lock.
func (v *Conversation) edit(fingerprint int64, content json.RawMessage) {
	now := v.change(func(s *snapshot) {
		s.replace(fingerprint, func(m message) *message {
			m.raw = content
			m.Edited = m.Edited || m.Type != "picker" && m.Type != "field"
			return &m
		})
	})
	v.crisp.note("%s: message edited: %s", v.label(), v.find(fingerprint).line())
	v.push("message:updated", now, map[string]any{"fingerprint": fingerprint, "content": content})
}

// withdraw removes a message and sends the hook. The caller holds the lock.
func (v *Conversation) withdraw(fingerprint int64) {
	now := v.change(func(s *snapshot) {
		s.replace(fingerprint, func(message) *message { return nil })
	})
	v.crisp.note("%s: message removed", v.label())
	v.push("message:removed", now, map[string]any{"fingerprint": fingerprint})
}

// mark marks messages of one side delivered, or read; all of them if there are no fingerprints.
// The caller holds the lock.
func (v *Conversation) mark(read bool, from, origin string, fingerprints []int64) {
	now := time.Now()
	meant := func(m *message) bool {
		return m.From == from && (len(fingerprints) == 0 || slices.Contains(fingerprints, m.Fingerprint))
	}
	v.remark(meant, func(m *message) {
		if read {
			m.Read = origin
		} else {
			m.Delivered = origin
		}
		if m.marked.IsZero() {
			m.marked = now
		}
	})
	event := "message:acknowledge:delivered"
	switch {
	case read && from == "operator":
		event = "message:acknowledge:read:received"
	case read:
		event = "message:acknowledge:read:send"
	}
	if fingerprints == nil {
		fingerprints = []int64{}
	}
	v.push(event, v.now(), map[string]any{"origin": origin, "fingerprints": fingerprints})
}

// unmark marks all messages of one side unread. The caller holds the lock.
func (v *Conversation) unmark(from string) {
	meant := func(m *message) bool { return m.From == from }
	v.remark(meant, func(m *message) { m.Read, m.marked = "", time.Time{} })
	v.push("message:acknowledge:unread:send", v.now(), nil)
}

// remark changes the marks of the messages that are meant. It leaves updated_at as it is.
func (v *Conversation) remark(meant func(m *message) bool, fn func(m *message)) {
	v.changeQuietly(func(s *snapshot) {
		s.messages = slices.Clone(s.messages)
		for i, m := range s.messages {
			if meant(m) {
				marked := *m
				marked.shown = nil
				fn(&marked)
				s.messages[i] = &marked
			}
		}
	})
}

// compose notes that somebody types or stopped to, and sends the hook with more in it. The caller
// holds the lock.
func (v *Conversation) compose(from, kind, excerpt string, more map[string]any) {
	event, who := "message:compose:send", "visitor"
	if from == "operator" {
		event, who = "message:compose:receive", "operator"
	}
	now := v.now()
	data := map[string]any{"type": kind, "excerpt": excerpt, "timestamp": now}
	maps.Copy(data, more)
	v.changeQuietly(func(s *snapshot) {
		s.composed = maps.Clone(s.composed)
		if s.composed == nil {
			s.composed = map[string]map[string]any{}
		}
		s.composed[who] = data
	})
	v.push(event, now, data)
}

// visitor returns the nickname that the user has in Crisp. The caller holds the lock.
func (v *Conversation) visitor() string {
	if name := v.last().meta.Nickname; name != "" {
		return name
	}
	return "visitor" + v.sessionID[len("session_"):len("session_")+6]
}

package handovertest

import "maps"

// UserByEmail lets the user answer by email: a message that nobody posted over REST.
func (v *Conversation) UserByEmail(text string) int64 { return v.userSays(text, "email") }

// UserByChat lets the user write in a chatbox of Crisp, in the same conversation.
func (v *Conversation) UserByChat(text string) int64 { return v.userSays(text, "chat") }

func (v *Conversation) userSays(text, origin string) int64 {
	v.crisp.mu.Lock()
	defer v.crisp.mu.Unlock()
	m := &message{Message: Message{Type: "text", From: "user", Origin: origin}, raw: encode(text)}
	v.post(m)
	return m.Fingerprint
}

// Rate lets the user rate the conversation, from 1 to 5 stars.
func (v *Conversation) Rate(stars int, comment string) {
	v.crisp.mu.Lock()
	defer v.crisp.mu.Unlock()
	v.crisp.note("%s: rated %d stars", v.label(), stars)
	v.push("session:sync:rating", v.tick(), map[string]any{
		"rating": map[string]any{"stars": stars, "comment": orNull(comment)},
	})
}

// RateWith sends a rating that may be odd: "rating" in the hook is whatever JSON makes of it, such
// as {"stars": 4.5e15}.
func (v *Conversation) RateWith(rating any) {
	v.Emit("session:sync:rating", map[string]any{"rating": rating})
}

// Emit sends a hook of any event about this conversation, with these data besides the ids. What the
// conversation is does not change by it.
func (v *Conversation) Emit(event string, data map[string]any) {
	v.crisp.mu.Lock()
	defer v.crisp.mu.Unlock()
	v.crisp.note("%s: emitted %s", v.label(), event)
	v.push(event, v.tick(), data)
}

// Block blocks the user, or lets them in again.
func (v *Conversation) Block(blocked bool) {
	v.crisp.notePeople("somebody")
	v.crisp.mu.Lock()
	defer v.crisp.mu.Unlock()
	v.setBlocked(blocked)
}

// SetState sets the state, as somebody in the app whom Crisp does not name.
func (v *Conversation) SetState(state string) {
	v.crisp.notePeople("somebody")
	v.crisp.mu.Lock()
	defer v.crisp.mu.Unlock()
	v.setState(state)
}

// SetInbox moves the conversation to a sub-inbox, "" for the main one.
func (v *Conversation) SetInbox(inboxID string) {
	v.crisp.mu.Lock()
	defer v.crisp.mu.Unlock()
	v.setInbox(inboxID)
}

// Remove removes the conversation from Crisp. Calls about it answer 404 from then on.
func (v *Conversation) Remove() {
	v.crisp.notePeople("somebody")
	v.crisp.mu.Lock()
	defer v.crisp.mu.Unlock()
	v.remove()
}

// OddRow lets the list of conversations say members of this conversation otherwise than they are,
// such as {"state": 1, "meta": []any{}}. Nil: as they are. Reads of the conversation itself are not
// changed; Fail can do that.
func (v *Conversation) OddRow(members map[string]any) {
	v.crisp.mu.Lock()
	defer v.crisp.mu.Unlock()
	v.oddRow = maps.Clone(members)
}

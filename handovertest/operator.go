package handovertest

import (
	"fmt"
	"time"
)

// Operator is somebody on the team, in one conversation: a person, or a bot. What they say returns
// its fingerprint.
type Operator struct {
	conversation *Conversation
	person       *person // nil for a bot
	from         string  // the side
	name, origin string
	userType     string
	avatar       string
	automated    bool
	trigger      bool // fingerprints are negative
	timestamp    int64
	fingerprint  int64
	odd          oddity
}

// Operator returns a person on the team, who joins it if need be.
func (v *Conversation) Operator(name string) *Operator {
	v.crisp.mu.Lock()
	defer v.crisp.mu.Unlock()
	p := v.crisp.person(name)
	return &Operator{
		conversation: v, person: p, from: "operator", name: name, origin: "chat", userType: "website", avatar: p.avatar,
	}
}

// Bot returns a bot that writes as operators do: automated, and as one of Crisp's own by its
// origin "urn:crisp.im:bot:0".
func (v *Conversation) Bot(name string) *Operator {
	return &Operator{
		conversation: v, from: "operator", name: name, origin: botOrigin, userType: "participant", automated: true,
	}
}

// Trigger returns a trigger of the chatbox, which writes as the website: as operators do, without a
// user id, not marked as automated, with the origin "urn:crisp.im:triggers:0" and with fingerprints
// below 0. All of that was seen in a live log. From("local") gives it the other origin of messages
// that nobody wrote.
func (v *Conversation) Trigger(name string) *Operator {
	return &Operator{
		conversation: v, from: "operator", name: name, origin: triggerOrigin, userType: "website", trigger: true,
	}
}

// User returns the user as somebody who writes in a chatbox of Crisp, for messages of other types
// than text, and for odd ones. What only operators do, such as Assign, is not theirs.
func (v *Conversation) User() *Operator {
	return &Operator{conversation: v, from: "user", origin: "chat"}
}

// From returns the same operator writing from elsewhere than the app, such as
// "urn:crisp.im:slack:0", where people answer too.
func (o *Operator) From(origin string) *Operator {
	other := *o
	other.origin = origin
	return &other
}

// ID returns Crisp's id of the person; "" for a bot.
func (o *Operator) ID() string {
	if o.person == nil {
		return ""
	}
	return o.person.id
}

// Say writes a text.
func (o *Operator) Say(text string) int64 { return o.Send("text", text) }

// Note writes a private note, which no user may ever see.
func (o *Operator) Note(text string) int64 { return o.Send("note", text) }

// Picker asks the user to choose. The values of the choices are their labels.
func (o *Operator) Picker(text string, choices ...string) int64 {
	all := []any{}
	for _, label := range choices {
		all = append(all, map[string]any{"value": label, "label": label, "selected": false})
	}
	return o.Send("picker", map[string]any{"id": "picker", "text": text, "choices": all})
}

// Choice is a choice of a picker.
type Choice struct {
	Value, Label, Icon string
	// Link is a URL that the choice leads to instead of being chosen: an action of type "link".
	Link     string
	Selected bool
}

// Choose is Picker with choices that have more than a label.
func (o *Operator) Choose(text string, choices ...Choice) int64 {
	all := []any{}
	for _, c := range choices {
		choice := map[string]any{"value": c.Value, "label": c.Label, "selected": c.Selected}
		if c.Icon != "" {
			choice["icon"] = c.Icon
		}
		if c.Link != "" {
			choice["action"] = map[string]any{"type": "link", "target": c.Link}
		}
		all = append(all, choice)
	}
	return o.Send("picker", map[string]any{"id": "picker", "text": text, "choices": all})
}

// Field asks the user for a text, and says how to write it.
func (o *Operator) Field(text, explain string) int64 {
	return o.Send("field", map[string]any{"id": "field", "text": text, "explain": explain, "value": ""})
}

// File sends a file by its URL.
func (o *Operator) File(name, url, mime string) int64 {
	return o.Send("file", map[string]any{"name": name, "url": url, "type": mime})
}

// Audio sends a recording by its URL. Zero seconds leave the duration out, an empty mime the type,
// which Crisp is known to forget.
func (o *Operator) Audio(url, mime string, seconds int) int64 {
	content := map[string]any{"url": url}
	if mime != "" {
		content["type"] = mime
	}
	if seconds != 0 {
		content["duration"] = seconds
	}
	return o.Send("audio", content)
}

// Animation sends a moving picture by its URL.
func (o *Operator) Animation(url, mime string) int64 {
	return o.Send("animation", map[string]any{"url": url, "type": mime})
}

// Slide is one target of a carousel.
type Slide struct {
	Title, Description, Image string
	Links                     []Link
}

// Link is a button of a slide.
type Link struct{ Label, URL string }

// Carousel shows slides side by side.
func (o *Operator) Carousel(text string, slides ...Slide) int64 {
	targets := []any{}
	for _, s := range slides {
		actions := []any{}
		for _, link := range s.Links {
			actions = append(actions, map[string]any{"label": link.Label, "url": link.URL})
		}
		target := map[string]any{"title": s.Title, "description": s.Description, "actions": actions}
		if s.Image != "" {
			target["image"] = s.Image
		}
		targets = append(targets, target)
	}
	return o.Send("carousel", map[string]any{"text": text, "targets": targets})
}

// Send writes a message of any type with any content that JSON can hold, known to Crisp or not.
func (o *Operator) Send(kind string, content any) int64 { return o.send(kind, content, 0) }

// SayLate writes a text that is visible only from now on, though its timestamp is that long ago,
// as if Crisp had been slow to store it.
func (o *Operator) SayLate(text string, ago time.Duration) int64 { return o.send("text", text, ago) }

func (o *Operator) send(kind string, content any, ago time.Duration) int64 {
	raw := encode(content)
	if raw == nil {
		o.conversation.crisp.violated("Send: JSON cannot hold a %T", content)
		return 0
	}
	m := &message{
		Message: Message{
			Type: kind, From: o.from, Origin: o.origin, Nickname: o.name, UserID: o.ID(), Automated: o.automated,
			Timestamp: o.timestamp, Fingerprint: o.fingerprint,
		},
		raw: raw, userType: o.userType, avatar: o.avatar, odd: o.odd,
	}
	v := o.conversation
	v.crisp.notePeople(o.name)
	v.crisp.mu.Lock()
	defer v.crisp.mu.Unlock()
	if ago > 0 {
		m.Timestamp = v.crisp.now() - ago.Milliseconds()
	}
	if o.trigger && !o.odd.fingerprint {
		m.Fingerprint = -1 - int64(v.crisp.random.Int32())
	}
	v.post(m)
	return m.Fingerprint
}

// Edit changes a text or note, whoever wrote it.
func (o *Operator) Edit(fingerprint int64, text string) { o.Update(fingerprint, text) }

// Update changes the content of a message of any type.
func (o *Operator) Update(fingerprint int64, content any) {
	raw := encode(content)
	if raw == nil {
		o.conversation.crisp.violated("Update: JSON cannot hold a %T", content)
		return
	}
	o.onMessage(fingerprint, func(v *Conversation) { v.edit(fingerprint, raw) })
}

// Remove removes a message, whoever wrote it.
func (o *Operator) Remove(fingerprint int64) {
	o.onMessage(fingerprint, func(v *Conversation) { v.withdraw(fingerprint) })
}

// onMessage does something with a message, which must be there.
func (o *Operator) onMessage(fingerprint int64, do func(v *Conversation)) {
	v := o.conversation
	v.crisp.notePeople(o.name)
	v.crisp.mu.Lock()
	label, found := v.label(), v.find(fingerprint) != nil
	if found {
		do(v)
	}
	v.crisp.mu.Unlock()
	if !found {
		v.crisp.violated("%s has no message %d", label, fingerprint)
	}
}

// Type starts typing, or stops.
func (o *Operator) Type(typing bool) {
	o.act(func(v *Conversation) {
		kind := "stop"
		if typing {
			kind = "start"
		}
		user := map[string]any{"user_id": orNull(o.ID()), "nickname": o.name, "avatar": nil}
		v.compose("operator", kind, "", map[string]any{"user": user, "automated": o.automated})
	})
}

// Assign assigns the conversation to this person.
func (o *Operator) Assign() {
	o.act(func(v *Conversation) {
		v.assign(o.ID())
		v.postEvent(o, "conversation:assigned", fmt.Sprintf("Assigned to %s", o.name))
	})
}

// Unassign assigns the conversation to nobody.
func (o *Operator) Unassign() { o.act(func(v *Conversation) { v.assign("") }) }

// Resolve sets the conversation to resolved. What operators say in it afterwards leaves it resolved, so nobody
// takes over from the bot by it: Reopen comes first.
func (o *Operator) Resolve() {
	o.act(func(v *Conversation) {
		v.setState("resolved")
		v.postEvent(o, "state:resolved", "")
	})
}

// Reopen sets the conversation to unresolved. An operator who writes then takes over from the bot.
func (o *Operator) Reopen() { o.act(func(v *Conversation) { v.setState("unresolved") }) }

// Read marks all messages of the user as read, as opening the conversation does.
func (o *Operator) Read() { o.act(func(v *Conversation) { v.mark(true, "user", "chat", nil) }) }

// act does something in the conversation.
func (o *Operator) act(do func(v *Conversation)) {
	o.conversation.crisp.notePeople(o.name)
	o.conversation.crisp.mu.Lock()
	defer o.conversation.crisp.mu.Unlock()
	do(o.conversation)
}

// postEvent adds a message of type event to the log, if Options ask for those. The caller holds
// the lock.
func (v *Conversation) postEvent(o *Operator, namespace, text string) {
	if !v.crisp.options.EventMessages {
		return
	}
	content := map[string]any{"namespace": namespace}
	if text != "" {
		content["text"] = text
	}
	v.post(&message{
		Message: Message{Type: "event", From: "operator", Origin: "chat", Nickname: o.name, UserID: o.ID()},
		raw:     encode(content), userType: "website",
	})
}

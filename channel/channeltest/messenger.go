package channeltest

import (
	"context"
	"encoding/json"
	"fmt"
	"net/http"
	"slices"
	"strings"
	"time"
)

// messengerHost is where the fake's Graph API is: nowhere but in its client.
const messengerHost = "graph.messenger.invalid"

// Messenger is a fake of Messenger with one page: the Send API, which refuses what Meta refuses, and users who write
// and press, whose events go to the page's web hook, signed, until they are taken. Its fields are settings.
type Messenger struct {
	meta
	// HumanAgent says that the page may write with the tag HUMAN_AGENT.
	HumanAgent bool
	// NoPersonas says that the page may have none.
	NoPersonas bool

	personaFails *refusing
	page         string
	users        map[string]*MessengerUser
	personas     map[string]string // their names by id
	faults       []string
}

// NewMessenger returns a fake with random secrets.
func NewMessenger() *Messenger {
	return &Messenger{meta: newMeta(), page: "1001", users: map[string]*MessengerUser{}, personas: map[string]string{}}
}

// PageID is the page's.
func (m *Messenger) PageID() string { return m.page }

// URL is the base URL of the fake's Graph API. Only Client reaches it.
func (m *Messenger) URL() string { return "https://" + messengerHost + "/v23.0/" }

// Client reaches the fake and nothing else, without a socket, so that time can be faked.
func (m *Messenger) Client() *http.Client { return m.serve(m.answer) }

// Faults are what was wrong with messages that the fake refused since they cannot be.
func (m *Messenger) Faults() []string {
	m.mu.Lock()
	defer m.mu.Unlock()
	return slices.Clone(m.faults)
}

// fault notes what was wrong. Its caller holds the lock.
func (m *Messenger) fault(what string) { m.faults = append(m.faults, what) }

// ForgetPersonas deletes all personas, as somebody may at Meta.
func (m *Messenger) ForgetPersonas() {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.personas = map[string]string{}
}

// FailPersonas has the next n personas refused.
func (m *Messenger) FailPersonas(n int, r MetaRefusal) {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.personaFails = &refusing{MetaRefusal: r, left: n}
}

// User returns the user with this id, and makes it at first: one who has written just now.
func (m *Messenger) User(id string) *MessengerUser {
	m.mu.Lock()
	defer m.mu.Unlock()
	u := m.users[id]
	if u == nil {
		u = &MessengerUser{of: m, id: id, First: "Anakin", Last: "Skywalker", Picture: "https://pictures.invalid/" + id, wrote: time.Now()}
		m.users[id] = u
	}
	return u
}

// MessengerUser is a user of Messenger. Its exported fields are what the profile tells.
type MessengerUser struct {
	First, Last, Picture string

	of      *Messenger
	id      string
	wrote   time.Time
	gone    bool
	typing  bool
	signs   []string
	chat    []string // what the user sees, and says
	seen    int
	replies []messengerReply  // that can be pressed
	buttons []messengerButton // of all templates
}

// see shows a message. Its caller holds the lock.
func (u *MessengerUser) see(id, persona string, msg *messengerMessage) {
	who := "- "
	if persona != "" {
		who = persona + ": "
	}
	line := msg.Text
	if a := msg.Attachment; a != nil {
		line = "<" + a.Type + " " + a.Payload.URL + ">"
		if a.Type == "template" {
			line = a.Payload.Text + u.pressable(a.Payload.Buttons)
		}
		for _, e := range a.Payload.Elements {
			line += "(" + strings.Join(nonEmpty(e.Title, e.Subtitle, e.Image), " | ") + u.pressable(e.Buttons) + ")"
		}
	}
	u.replies = msg.Replies
	for _, q := range msg.Replies {
		line += " [" + q.Title + "]"
	}
	u.typing = false
	u.chat = append(u.chat, who+line)
}

// pressable shows buttons.
func (u *MessengerUser) pressable(buttons []messengerButton) (shown string) {
	u.buttons = append(u.buttons, buttons...)
	for _, b := range buttons {
		shown += " [" + b.Title + strings.Join(nonEmpty("", map[bool]string{true: " " + b.URL}[b.URL != ""]), "") + "]"
	}
	return shown
}

func nonEmpty(texts ...string) []string {
	return slices.DeleteFunc(slices.Clone(texts), func(t string) bool { return t == "" })
}

// Seen is what the user has seen and said since the last call: "- …" is from the page, "Ann: …" from a persona,
// "> …" what they said.
func (u *MessengerUser) Seen() []string {
	u.of.mu.Lock()
	defer u.of.mu.Unlock()
	news := slices.Clone(u.chat[u.seen:])
	u.seen = len(u.chat)
	return news
}

// Signs are the signs of typing that were shown.
func (u *MessengerUser) Signs() []string {
	u.of.mu.Lock()
	defer u.of.mu.Unlock()
	return slices.Clone(u.signs)
}

// Block has the user block the page; Unblock ends that.
func (u *MessengerUser) Block()   { u.set(func() { u.gone = true }) }
func (u *MessengerUser) Unblock() { u.set(func() { u.gone = false }) }

func (u *MessengerUser) set(change func()) {
	u.of.mu.Lock()
	defer u.of.mu.Unlock()
	change()
}

// Write has the user write. It returns the id of the message once its hook was taken.
func (u *MessengerUser) Write(ctx context.Context, text string) (mid string, err error) {
	return u.say(ctx, text, map[string]any{"text": text})
}

// Press has the user press a quick reply or a button with this title.
func (u *MessengerUser) Press(ctx context.Context, title string) (mid string, err error) {
	u.of.mu.Lock()
	replies, buttons := u.replies, u.buttons
	u.of.mu.Unlock()
	if i := slices.IndexFunc(replies, func(q messengerReply) bool { return q.Title == title }); i >= 0 {
		return u.say(ctx, title, map[string]any{"text": title, "quick_reply": map[string]string{"payload": replies[i].Payload}})
	}
	i := slices.IndexFunc(buttons, func(b messengerButton) bool { return b.Title == title && b.Type == "postback" })
	if i < 0 {
		return "", fmt.Errorf("channeltest: nothing that can be pressed is called %q", title)
	}
	mid = u.wrotes(title)
	return mid, u.event(ctx, map[string]any{"postback": map[string]string{"mid": mid, "title": title, "payload": buttons[i].Payload}})
}

// Send has the user send a file: kind is image, audio, video or file.
func (u *MessengerUser) Send(ctx context.Context, kind, url string) (mid string, err error) {
	return u.say(ctx, "<"+kind+" "+url+">", map[string]any{"attachments": []any{map[string]any{"type": kind, "payload": map[string]string{"url": url}}}})
}

// Edit has the user edit a message, for the nth time.
func (u *MessengerUser) Edit(ctx context.Context, mid, text string, n int) error {
	return u.event(ctx, map[string]any{"message_edit": map[string]any{"mid": mid, "text": text, "num_edit": n}})
}

// say posts a message.
func (u *MessengerUser) say(ctx context.Context, shown string, message map[string]any) (mid string, err error) {
	mid = u.wrotes(shown)
	message["mid"] = mid
	return mid, u.event(ctx, map[string]any{"message": message})
}

// wrotes notes what the user said, and returns its id.
func (u *MessengerUser) wrotes(line string) (mid string) {
	u.of.mu.Lock()
	defer u.of.mu.Unlock()
	u.wrote, u.replies = time.Now(), nil
	u.chat = append(u.chat, "> "+line)
	return u.of.newID("m_u")
}

// Event is the body of a post with one event of the user, which has these members besides.
func (u *MessengerUser) Event(members map[string]any) []byte {
	event := map[string]any{"sender": map[string]string{"id": u.id}, "recipient": map[string]string{"id": u.of.page}, "timestamp": time.Now().UnixMilli()}
	for name, value := range members {
		event[name] = value
	}
	body, err := json.Marshal(map[string]any{"object": "page", "entry": []any{map[string]any{
		"id": u.of.page, "time": time.Now().UnixMilli(), "messaging": []any{event},
	}}})
	if err != nil {
		panic(err) // of a test's own members
	}
	return body
}

// event posts an event until it is taken.
func (u *MessengerUser) event(ctx context.Context, members map[string]any) error {
	if !u.of.deliver(ctx, u.Event(members)) {
		return fmt.Errorf("channeltest: the web hook did not take what the user did")
	}
	return nil
}

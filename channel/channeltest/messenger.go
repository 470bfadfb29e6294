package channeltest

import (
	"encoding/json"
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
	// NoPersonas says that the page may have none, PersonasDown that none can be made now.
	NoPersonas, PersonasDown bool

	page     string
	users    map[string]*MessengerUser
	personas map[string]string // their names by id
}

// NewMessenger returns a fake with random secrets.
func NewMessenger() *Messenger {
	return &Messenger{meta: newMeta(), page: "1001", users: map[string]*MessengerUser{}, personas: map[string]string{}}
}

// PageID is the page's.
func (m *Messenger) PageID() string { return m.page }

// URL is the base URL of the fake's Graph API. Only Client reaches it.
func (m *Messenger) URL() string { return "https://" + messengerHost + "/v26.0/" }

// Client reaches the fake and nothing else, without a socket, so that time can be faked.
func (m *Messenger) Client() *http.Client { return m.serve(m.answer) }

// ForgetPersonas deletes all personas, as somebody may at Meta.
func (m *Messenger) ForgetPersonas() {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.personas = map[string]string{}
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

// MessengerUser is a user of Messenger: a Platform. What a persona says begins with its name in brackets, as in
// "(Ann) Hello". Its exported fields are what the profile tells.
type MessengerUser struct {
	Wall
	First, Last, Picture string

	of    *Messenger
	id    string
	wrote time.Time
	gone  bool
	signs []string
}

// see shows a message. Its caller holds the lock.
func (u *MessengerUser) see(id, persona string, msg *messengerMessage) {
	s := Seen{ID: id, Text: msg.Text, Raw: msg.Text}
	if a := msg.Attachment; a != nil {
		if a.Type != "template" {
			s.Files = []string{a.Payload.URL}
		}
		lines := []string{a.Payload.Text}
		s.Buttons = pressesOf(a.Payload.Buttons)
		for _, e := range a.Payload.Elements {
			lines = append(lines, e.Title, e.Subtitle)
			if s.Buttons = append(s.Buttons, pressesOf(e.Buttons)...); e.Image != "" {
				s.Files = append(s.Files, e.Image)
			}
			if e.Default != nil {
				lines = append(lines, e.Default.URL)
			}
		}
		s.Text = strings.Join(slices.DeleteFunc(lines, func(l string) bool { return l == "" }), "\n")
	}
	for _, q := range msg.Replies {
		s.Buttons = append(s.Buttons, Press{Title: q.Title, Data: "quick:" + q.Payload})
	}
	if persona != "" {
		s.Text = "(" + persona + ") " + s.Text
	}
	u.Show(s)
}

// pressesOf are buttons of templates.
func pressesOf(buttons []messengerButton) (all []Press) {
	for _, b := range buttons {
		all = append(all, Press{Title: b.Title, Data: b.Payload, URL: b.URL})
	}
	return all
}

// Signs are the signs of typing that were shown.
func (u *MessengerUser) Signs() []string {
	u.of.mu.Lock()
	defer u.of.mu.Unlock()
	return slices.Clone(u.signs)
}

// Block has the user block the page, or no longer.
func (u *MessengerUser) Block(on bool) {
	u.of.mu.Lock()
	defer u.of.mu.Unlock()
	u.gone = on
}

// Write implements Platform.
func (u *MessengerUser) Write(text string) { u.say(text, nil, map[string]any{"text": text}) }

// Press implements Platform: the newest quick reply or button with this title.
func (u *MessengerUser) Press(title string) bool {
	_, b, ok := u.Find(title)
	switch payload, quick := strings.CutPrefix(b.Data, "quick:"); {
	case !ok || b.URL != "":
		return false
	case quick:
		u.say(title, nil, map[string]any{"text": title, "quick_reply": map[string]string{"payload": payload}})
	default:
		u.event(map[string]any{"postback": map[string]string{"mid": u.said(title), "title": title, "payload": payload}})
	}
	return true
}

// Send has the user send a file: kind is image, audio, video or file.
func (u *MessengerUser) Send(kind, url string) {
	u.say("", []string{url}, map[string]any{"attachments": []any{map[string]any{"type": kind, "payload": map[string]string{"url": url}}}})
}

// Edit has the user edit their newest message, for the nth time.
func (u *MessengerUser) Edit(text string, n int) {
	all := slices.DeleteFunc(u.Seen(), func(s Seen) bool { return !s.User })
	if len(all) == 0 {
		return
	}
	id := all[len(all)-1].ID
	u.Change(id, func(s *Seen) { s.Text, s.Edited = text, true })
	u.event(map[string]any{"message_edit": map[string]any{"mid": id, "text": text, "num_edit": n}})
}

// say posts a message.
func (u *MessengerUser) say(text string, files []string, message map[string]any) {
	message["mid"] = u.said(text, files...)
	u.event(map[string]any{"message": message})
}

// said notes what the user said, and returns its id.
func (u *MessengerUser) said(text string, files ...string) (mid string) {
	u.of.mu.Lock()
	defer u.of.mu.Unlock()
	u.wrote = time.Now()
	return u.Show(Seen{ID: u.of.newID("m_u"), User: true, Text: text, Raw: text, Files: files}).ID
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
func (u *MessengerUser) event(members map[string]any) { u.of.deliver(u.Event(members)) }

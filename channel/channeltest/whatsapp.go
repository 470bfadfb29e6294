package channeltest

import (
	"encoding/json"
	"fmt"
	"net/http"
	"regexp"
	"slices"
	"strings"
	"time"
)

// whatsAppHost is where the fake's Cloud API is: nowhere but in its client.
const whatsAppHost = "graph.whatsapp.invalid"

// WhatsApp is a fake of WhatsApp with one phone number: the Cloud API, which refuses what Meta refuses, and users who
// write and press, whose messages go to the number's web hook, signed, until they are taken.
type WhatsApp struct {
	meta
	number string
	users  map[string]*WhatsAppUser
	files  map[string]*whatsAppFile
}

// whatsAppFile is a file that a user has sent.
type whatsAppFile struct {
	kind    string // the MIME type
	content []byte
}

// NewWhatsApp returns a fake with random secrets.
func NewWhatsApp() *WhatsApp {
	return &WhatsApp{meta: newMeta(), number: "2002", users: map[string]*WhatsAppUser{}, files: map[string]*whatsAppFile{}}
}

// PhoneNumberID is the number's.
func (a *WhatsApp) PhoneNumberID() string { return a.number }

// URL is the base URL of the fake's Cloud API. Only Client reaches it.
func (a *WhatsApp) URL() string { return "https://" + whatsAppHost + "/v26.0/" }

// Client reaches the fake and nothing else, without a socket, so that time can be faked.
func (a *WhatsApp) Client() *http.Client { return a.serve(a.answer) }

// User returns the user with this phone number, without "+", or, if it has letters, this business-scoped user id; and
// makes it at first: one who has written just now.
func (a *WhatsApp) User(id string) *WhatsAppUser {
	a.mu.Lock()
	defer a.mu.Unlock()
	u := a.users[id]
	if u == nil {
		u = &WhatsAppUser{of: a, id: id, Name: "Joe", wrote: time.Now(), said: map[string]bool{}}
		a.users[id] = u
	}
	return u
}

// WhatsAppUser is a user of WhatsApp: a Platform.
type WhatsAppUser struct {
	Wall
	Name string // of the profile

	of    *WhatsApp
	id    string
	wrote time.Time
	gone  bool
	said  map[string]bool // ids of messages
	signs []string
}

// see shows a message. Its caller holds the lock.
func (u *WhatsAppUser) see(id string, in *whatsAppCall) {
	s := Seen{ID: id}
	for _, f := range []*whatsAppMedia{in.Image, in.Audio, in.Video, in.Document} {
		if f != nil {
			s.Text, s.Files = f.Caption, []string{strings.TrimSpace(f.Filename + " " + f.Link)}
		}
	}
	if in.Text != nil {
		s.Text = in.Text.Body
	}
	if i := in.Interactive; i != nil {
		s.Text = i.Body.Text
		for _, f := range i.files() {
			s.Files = append(s.Files, f.Link)
		}
		for _, b := range i.Action.Buttons {
			s.Buttons = append(s.Buttons, Press{Title: b.Reply.Title, Data: "button_reply:" + b.Reply.ID})
		}
		for _, section := range i.Action.Sections {
			for _, r := range section.Rows {
				s.Buttons = append(s.Buttons, Press{Title: r.Title, Data: "list_reply:" + r.ID})
			}
		}
	}
	s.Raw = s.Text
	s.Text = whatsAppMarks.ReplaceAllString(s.Text, "$1$3$4")
	u.Show(s)
}

// whatsAppMarks are what WhatsApp shows as bold, italic, struck and code.
var whatsAppMarks = regexp.MustCompile("(^|[\\s(\"'])([*_~`])([^\\s*_~`](?:[^*_~`\n]*[^\\s*_~`])?)[*_~`]")

// Signs are what was shown besides: "typing", and "read".
func (u *WhatsAppUser) Signs() []string {
	u.of.mu.Lock()
	defer u.of.mu.Unlock()
	return slices.Clone(u.signs)
}

// Leave has the user become unreachable, or no longer.
func (u *WhatsAppUser) Leave(on bool) {
	u.of.mu.Lock()
	defer u.of.mu.Unlock()
	u.gone = on
}

// Write implements Platform.
func (u *WhatsAppUser) Write(text string) { u.say(text, "text", map[string]any{"body": text}) }

// Press implements Platform: the newest button or row with this title.
func (u *WhatsAppUser) Press(title string) bool {
	_, b, ok := u.Find(title)
	if ok {
		kind, id, _ := strings.Cut(b.Data, ":")
		u.say(title, "interactive", map[string]any{"type": kind, kind: whatsAppReply{id, title}})
	}
	return ok
}

// Send has the user send a file: kind is image, audio, video, document or sticker.
func (u *WhatsAppUser) Send(kind, mimeType, name string, content []byte) {
	u.of.mu.Lock()
	file := u.of.newID("media")
	u.of.files[file] = &whatsAppFile{mimeType, content}
	u.of.mu.Unlock()
	members := map[string]any{"id": file, "mime_type": mimeType}
	if name != "" {
		members["filename"] = name
	}
	u.say("<"+kind+">", kind, members)
}

// Edit has the user edit their newest message.
func (u *WhatsAppUser) Edit(text string) {
	all := slices.DeleteFunc(u.Seen(), func(s Seen) bool { return !s.User })
	if len(all) == 0 {
		return
	}
	u.say(text, "edit", map[string]any{"original_message_id": all[len(all)-1].ID, "message": map[string]any{"type": "text", "text": map[string]any{"body": text}}})
}

// say posts a message until it is taken.
func (u *WhatsAppUser) say(shown, kind string, content any) {
	u.of.mu.Lock()
	u.wrote = time.Now()
	id := u.Show(Seen{ID: u.of.newID("wamid.u"), User: true, Text: shown, Raw: shown}).ID
	u.of.mu.Unlock()
	u.of.deliver(u.Message(id, map[string]any{"type": kind, kind: content}))
}

// Message is the body of a post with one message of the user, which has these members besides.
func (u *WhatsAppUser) Message(id string, members map[string]any) []byte {
	u.of.mu.Lock()
	u.said[id] = true
	u.of.mu.Unlock()
	message := map[string]any{"id": id, "timestamp": fmt.Sprint(time.Now().Unix())}
	contact := map[string]any{"profile": map[string]string{"name": u.Name}}
	if strings.ContainsFunc(u.id, func(r rune) bool { return r < '0' || r > '9' }) {
		message["from_user_id"], contact["user_id"] = u.id, u.id
	} else {
		message["from"], contact["wa_id"] = u.id, u.id
	}
	for name, value := range members {
		message[name] = value
	}
	return u.of.notification(map[string]any{"contacts": []any{contact}, "messages": []any{message}})
}

// Failed posts that a message which was taken could not be delivered after all.
func (u *WhatsAppUser) Failed(id string, code int) {
	u.of.deliver(u.of.notification(map[string]any{"statuses": []any{map[string]any{
		"id": id, "status": "failed", "timestamp": fmt.Sprint(time.Now().Unix()), "recipient_id": u.id,
		"errors": []any{map[string]any{"code": code, "title": "failed"}},
	}}}))
}

// notification is the body of a post with these members.
func (a *WhatsApp) notification(members map[string]any) []byte {
	value := map[string]any{"messaging_product": "whatsapp", "metadata": map[string]string{"display_phone_number": "15550000000", "phone_number_id": a.number}}
	for name, v := range members {
		value[name] = v
	}
	body, err := json.Marshal(map[string]any{"object": "whatsapp_business_account", "entry": []any{map[string]any{
		"id": "account", "changes": []any{map[string]any{"field": "messages", "value": value}},
	}}})
	if err != nil {
		panic(err) // of a test's own members
	}
	return body
}

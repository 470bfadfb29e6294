package channeltest

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
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
	faults []string
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
func (a *WhatsApp) URL() string { return "https://" + whatsAppHost + "/v23.0/" }

// Client reaches the fake and nothing else, without a socket, so that time can be faked.
func (a *WhatsApp) Client() *http.Client { return a.serve(a.answer) }

// Faults are what was wrong with messages that the fake refused since they cannot be.
func (a *WhatsApp) Faults() []string {
	a.mu.Lock()
	defer a.mu.Unlock()
	return slices.Clone(a.faults)
}

// fault notes what was wrong. Its caller holds the lock.
func (a *WhatsApp) fault(what string) { a.faults = append(a.faults, what) }

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

// WhatsAppUser is a user of WhatsApp.
type WhatsAppUser struct {
	Name string // of the profile

	of      *WhatsApp
	id      string
	wrote   time.Time
	gone    bool
	said    map[string]bool // ids of messages
	signs   []string
	chat    []string
	seen    int
	buttons []whatsAppReply
	rows    []whatsAppReply
}

// see shows a message. Its caller holds the lock.
func (u *WhatsAppUser) see(id string, in *whatsAppCall) {
	line := ""
	switch {
	case in.Text != nil:
		line = in.Text.Body
	case in.Image != nil:
		line = in.Image.shown("image")
	case in.Audio != nil:
		line = in.Audio.shown("audio")
	case in.Video != nil:
		line = in.Video.shown("video")
	case in.Document != nil:
		line = in.Document.shown("document")
	case in.Interactive != nil:
		line = u.interactive(in.Interactive)
	}
	u.chat = append(u.chat, line)
}

func (f *whatsAppMedia) shown(kind string) string {
	return strings.Join(nonEmpty("<"+strings.Join(nonEmpty(kind, f.Filename, f.Link), " ")+">", f.Caption), " ")
}

// interactive shows buttons, a list in braces, or a link.
func (u *WhatsAppUser) interactive(i *whatsAppInteractive) string {
	line := i.Body.Text
	if i.Header != nil && i.Header.Image != nil {
		line = i.Header.Image.shown("image") + " " + line
	}
	for _, b := range i.Action.Buttons {
		u.buttons = append(u.buttons, b.Reply)
		line += " [" + b.Reply.Title + "]"
	}
	for _, s := range i.Action.Sections {
		for _, r := range s.Rows {
			u.rows = append(u.rows, whatsAppReply{r.ID, r.Title})
			line += " {" + strings.Join(nonEmpty(r.Title, r.Description), " | ") + "}"
		}
	}
	if p := i.Action.Parameters; p != nil {
		line += " [" + p.Text + " " + p.URL + "]"
	}
	return line
}

// Seen is what the user has seen and said since the last call; "> …" is what they said.
func (u *WhatsAppUser) Seen() []string {
	u.of.mu.Lock()
	defer u.of.mu.Unlock()
	news := slices.Clone(u.chat[u.seen:])
	u.seen = len(u.chat)
	return news
}

// Signs are what was shown besides: "typing", and "read".
func (u *WhatsAppUser) Signs() []string {
	u.of.mu.Lock()
	defer u.of.mu.Unlock()
	return slices.Clone(u.signs)
}

// Leave has the user become unreachable, Return ends that.
func (u *WhatsAppUser) Leave()  { u.set(func() { u.gone = true }) }
func (u *WhatsAppUser) Return() { u.set(func() { u.gone = false }) }

func (u *WhatsAppUser) set(change func()) {
	u.of.mu.Lock()
	defer u.of.mu.Unlock()
	change()
}

// Write has the user write. It returns the id of the message once its hook was taken.
func (u *WhatsAppUser) Write(ctx context.Context, text string) (id string, err error) {
	return u.say(ctx, text, "text", map[string]any{"body": text})
}

// Press has the user press the newest button or choose the newest row with this title.
func (u *WhatsAppUser) Press(ctx context.Context, title string) (id string, err error) {
	u.of.mu.Lock()
	kind, choices := "button_reply", u.buttons
	if !slices.ContainsFunc(choices, func(c whatsAppReply) bool { return c.Title == title }) {
		kind, choices = "list_reply", u.rows
	}
	choices = slices.Clone(choices)
	u.of.mu.Unlock()
	slices.Reverse(choices)
	i := slices.IndexFunc(choices, func(c whatsAppReply) bool { return c.Title == title })
	if i < 0 {
		return "", fmt.Errorf("channeltest: nothing that can be pressed is called %q", title)
	}
	return u.say(ctx, title, "interactive", map[string]any{"type": kind, kind: choices[i]})
}

// Send has the user send a file: kind is image, audio, video, document or sticker.
func (u *WhatsAppUser) Send(ctx context.Context, kind, mimeType, name string, content []byte) (id string, err error) {
	u.of.mu.Lock()
	file := u.of.newID("media")
	u.of.files[file] = &whatsAppFile{mimeType, content}
	u.of.mu.Unlock()
	members := map[string]any{"id": file, "mime_type": mimeType}
	if name != "" {
		members["filename"] = name
	}
	return u.say(ctx, "<"+kind+">", kind, members)
}

// Edit has the user edit a message.
func (u *WhatsAppUser) Edit(ctx context.Context, id, text string) (edit string, err error) {
	return u.say(ctx, text, "edit", map[string]any{"original_message_id": id, "message": map[string]any{"type": "text", "text": map[string]any{"body": text}}})
}

// say posts a message until it is taken.
func (u *WhatsAppUser) say(ctx context.Context, shown, kind string, content any) (id string, err error) {
	u.of.mu.Lock()
	u.wrote = time.Now()
	u.chat = append(u.chat, "> "+shown)
	id = u.of.newID("wamid.u")
	u.said[id] = true
	u.of.mu.Unlock()
	if !u.of.deliver(ctx, u.Message(id, map[string]any{"type": kind, kind: content})) {
		return id, errors.New("channeltest: the web hook did not take what the user did")
	}
	return id, nil
}

// Message is the body of a post with one message of the user, which has these members besides.
func (u *WhatsAppUser) Message(id string, members map[string]any) []byte {
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
func (u *WhatsAppUser) Failed(ctx context.Context, id string, code int) bool {
	return u.of.deliver(ctx, u.of.notification(map[string]any{"statuses": []any{map[string]any{
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

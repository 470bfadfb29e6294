package main

import (
	"bytes"
	"cmp"
	"context"
	"embed"
	"encoding/json"
	"errors"
	"fmt"
	"html/template"
	"io"
	"log"
	"net/http"
	"net/url"
	"slices"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"github.com/crisphandover/handover"
	"github.com/crisphandover/handover/channel/webchat"
	"github.com/crisphandover/handover/handovertest"
)

// This file is the site around the chat, and what agents have in Crisp, played on the fake: it is there so that the
// example can be tried without an account. A host needs nothing of it.

// desk is the page with the widget, and beside it the agents' inbox if the Crisp is the fake.
type desk struct {
	crisp *handovertest.Crisp // nil with a real Crisp
	files *webchat.MemoryFiles
	site  *url.URL
	away  atomic.Bool
	users atomic.Int64 // who came so far

	mu     sync.Mutex
	typing map[string]bool // the users who are, by the session's id
	detach func()
}

// crisp says which Crisp there is, and whatever is missing for it: a real one, or else the fake.
func crisp(getenv func(string) string, site string, files *webchat.MemoryFiles) (config handover.Config, d *desk) {
	d = &desk{files: files, typing: map[string]bool{}}
	d.site, _ = url.Parse(site) // webchat.New has seen it
	live := false
	get := func(name string) string {
		value := getenv("CRISP_" + name)
		live = live || value != ""
		return value
	}
	config.WebsiteID, config.BaseURL = get("WEBSITE_ID"), get("URL")
	config.Token = handover.Token{Tier: handover.Tier(cmp.Or(get("TIER"), string(handover.TierPlugin))), Identifier: handover.NewSecret(get("IDENTIFIER")), Key: handover.NewSecret(get("KEY"))}
	if secret := get("WEBHOOK_SECRET"); secret != "" {
		config.Webhook.Secrets = handover.NewSecrets(secret)
	}
	if key := get("WEBHOOK_KEY"); key != "" {
		config.Webhook.URLKeys = map[string][]handover.Secret{config.WebsiteID: handover.NewSecrets(key)}
	}
	if !live {
		log.Print("webchat: CRISP_WEBSITE_ID, CRISP_IDENTIFIER, CRISP_KEY and CRISP_WEBHOOK_SECRET are not set: this is a fake Crisp")
		d.crisp = handovertest.New(handovertest.Options{Operators: operators})
		config = d.crisp.Config()
		config.Presence, config.Policy.LocalFiles = d.there, true // the agents are on this machine
		return config, d
	}
	if len(config.Webhook.Secrets)+len(config.Webhook.URLKeys) == 0 {
		log.Print("webchat: without CRISP_WEBHOOK_SECRET or CRISP_WEBHOOK_KEY every hook is refused")
	}
	for _, name := range []string{"PUBLIC_URL", "CHAT_KEY"} {
		if getenv(name) == "" {
			log.Printf("webchat: %s is not set: see go doc ./examples/webchat", name)
		}
	}
	return config, d
}

// mount adds the page and, on the fake, the inbox. Hooks of the fake come from within the process: nobody else can
// post them.
func (d *desk) mount(mux *http.ServeMux, chat *webchat.Chat, h *handover.Handover) {
	mux.HandleFunc("GET /{$}", func(w http.ResponseWriter, r *http.Request) { d.page(w, r, chat) })
	if d.crisp == nil {
		mux.Handle("POST /crisp/hooks", h)
		return
	}
	d.detach = d.crisp.Attach(d.listen(h))
	guard := http.NewCrossOriginProtection()
	guarded := func(next http.HandlerFunc) http.Handler { return d.here(guard.Handler(next)) }
	mux.Handle("GET /inbox/events", guarded(d.events))
	mux.Handle("POST /inbox/presence", guarded(d.presence))
	mux.Handle("POST /inbox/files", guarded(d.upload))
	mux.Handle("POST /inbox/conversations/{number}", guarded(d.act))
	mux.Handle("GET /inbox/{name}", guarded(d.static))
}

// here refuses requests for another host: a page elsewhere whose name leads to this machine must not read the inbox.
func (d *desk) here(next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.Host != d.site.Host {
			http.Error(w, "this inbox is at "+d.site.String(), http.StatusMisdirectedRequest)
			return
		}
		next.ServeHTTP(w, r)
	})
}

// close ends the fake.
func (d *desk) close() {
	if d.detach != nil {
		d.detach()
	}
	if d.crisp != nil {
		d.crisp.Close()
	}
}

//go:embed desk
var deskFiles embed.FS

var deskPage = template.Must(template.ParseFS(deskFiles, "desk/index.html.tmpl"))

// people are who visits the shop, one browser after the other: what its site knows of them.
var people = []handover.UserData{
	{FirstName: "Anakin", LastName: "Skywalker", Email: "anakin@example.com", Phone: "0605776995",
		Data: map[string]any{"gtu_accepted": "false", "comments": "in this guy, the force is strong"}},
	{FirstName: "Leia", LastName: "Organa", Email: "leia@example.com"},
	{FirstName: "Han", LastName: "Solo", Email: "han@example.com"},
	{FirstName: "Padmé", LastName: "Amidala", Email: "padme@example.com"},
	{FirstName: "Lando", LastName: "Calrissian", Email: "lando@example.com"},
}

// user signs in whoever visits the demonstration: with a browser's cookie the same as before. /?guest is nobody.
func (d *desk) user(w http.ResponseWriter, r *http.Request, chat *webchat.Chat) (token string, err error) {
	if d.crisp == nil || r.URL.Query().Has("guest") || r.URL.Query().Has("inbox") {
		return "", nil
	}
	n := int64(0)
	if cookie, err := r.Cookie("shop"); err == nil {
		n, _ = strconv.ParseInt(cookie.Value, 10, 64)
	}
	if n < 1 || n > d.users.Load() {
		n = d.users.Add(1)
		http.SetCookie(w, &http.Cookie{Name: "shop", Value: strconv.FormatInt(n, 10), Path: "/", HttpOnly: true, SameSite: http.SameSiteLaxMode})
	}
	user := people[(n-1)%int64(len(people))]
	if round := (n - 1) / int64(len(people)); round > 0 {
		user.LastName += " " + strconv.FormatInt(round+1, 10)
	}
	return chat.Token(webchat.Login{UserID: strconv.FormatInt(n, 10), User: user})
}

// page is any page of the host's, with the widget, and the strict policy that it has anyhow. With /?inbox there is
// the inbox alone.
func (d *desk) page(w http.ResponseWriter, r *http.Request, chat *webchat.Chat) {
	token, err := d.user(w, r, chat)
	if err != nil {
		http.Error(w, "the shop is closed", http.StatusInternalServerError)
		return
	}
	h := w.Header()
	h.Set("Content-Type", "text/html; charset=utf-8")
	h.Set("Cache-Control", "no-store")
	h.Set("X-Content-Type-Options", "nosniff")
	h.Set("Content-Security-Policy", "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self'; media-src 'self'; connect-src 'self'; "+
		"frame-src 'self'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'; require-trusted-types-for 'script'; trusted-types 'none'")
	err = deskPage.Execute(w, struct {
		Inbox, Widget bool
		Token         string
	}{d.crisp != nil, !r.URL.Query().Has("inbox"), token})
	if err != nil {
		log.Print("webchat: the page was not sent: ", err)
	}
}

// static serves the inbox's script and style, and nothing else.
func (d *desk) static(w http.ResponseWriter, r *http.Request) {
	if name := r.PathValue("name"); name == "inbox.js" || name == "inbox.css" {
		w.Header().Set("Cache-Control", "no-cache")
		http.ServeFileFS(w, r, deskFiles, "desk/"+name)
		return
	}
	http.NotFound(w, r)
}

// operators are the people on the team.
var operators = []string{"Ann", "Bob"}

// inboxView is all that the pane shows.
type inboxView struct {
	Online        bool               `json:"online"`
	Operators     []string           `json:"operators"`
	Conversations []conversationView `json:"conversations"` // newest first
}

type conversationView struct {
	Number   int            `json:"number"`
	Name     string         `json:"name"`
	State    string         `json:"state"`
	Assigned string         `json:"assigned"`
	Email    string         `json:"email"`
	Phone    string         `json:"phone"`
	Segments []string       `json:"segments"`
	Data     map[string]any `json:"data"`
	Typing   bool           `json:"typing"` // the user is
	Messages []messageView  `json:"messages"`
}

type messageView struct {
	Fingerprint string `json:"fingerprint"`
	Type        string `json:"type"`
	From        string `json:"from"`
	Name        string `json:"name"`
	Content     any    `json:"content"`
	At          int64  `json:"at"` // milliseconds
	Edited      bool   `json:"edited,omitempty"`
	Read        bool   `json:"read,omitempty"`
}

// there knows at once when the team comes or goes; what Crisp said is remembered for 10 s, which is
// long when one pane waits for the other.
func (d *desk) there(context.Context, handover.Session, handover.Presence) handover.Presence {
	if d.away.Load() {
		return handover.PresenceAway
	}
	return handover.PresenceOnline
}

// events streams the whole inbox, at once and after each change.
func (d *desk) events(w http.ResponseWriter, r *http.Request) {
	w.Header().Set("Content-Type", "text/event-stream")
	w.Header().Set("Cache-Control", "no-store")
	controller, last := http.NewResponseController(w), ""
	_ = d.crisp.Await(r.Context(), func() bool {
		now, err := json.Marshal(d.view())
		if err != nil || string(now) == last {
			return err != nil
		}
		last = string(now)
		_ = controller.SetWriteDeadline(time.Now().Add(10 * time.Second)) // not all can
		_, err = fmt.Fprintf(w, "event: inbox\ndata: %s\n\n", now)
		return errors.Join(err, controller.Flush()) != nil
	})
}

func (d *desk) view() inboxView {
	v := inboxView{Online: !d.away.Load(), Operators: operators, Conversations: []conversationView{}}
	for _, c := range slices.Backward(d.crisp.Conversations()) {
		messages := c.Messages()
		if len(messages) == 0 || c.Removed() {
			continue // Crisp's lists hide them as well
		}
		meta := c.Meta()
		one := conversationView{
			Number: c.Number(), Name: meta.Nickname, State: c.State(), Assigned: c.Assigned(),
			Typing: d.isTyping(c.ID()), Email: meta.Email, Phone: meta.Phone, Segments: meta.Segments, Data: meta.Data,
		}
		if one.Name == "" {
			one.Name = "Visitor " + strconv.Itoa(c.Number()+1)
		}
		for _, m := range messages {
			one.Messages = append(one.Messages, messageView{
				Fingerprint: strconv.FormatInt(m.Fingerprint, 10), Type: m.Type, From: m.From, Name: m.Nickname,
				Content: m.Content, At: m.Timestamp, Edited: m.Edited, Read: m.Read != "",
			})
		}
		v.Conversations = append(v.Conversations, one)
	}
	return v
}

// listen passes hooks on to the bot, and notes from them which users are typing.
func (d *desk) listen(bot http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		body, err := io.ReadAll(r.Body)
		if err != nil {
			return
		}
		if ev, err := handover.ParseEvent(body); err == nil && ev.Name == "message:compose:send" {
			var typing struct{ Data struct{ Type string } }
			if err := json.Unmarshal(ev.Raw, &typing); err == nil {
				d.mu.Lock()
				d.typing[ev.SessionID] = typing.Data.Type == "start"
				d.mu.Unlock()
			}
		}
		r.Body = io.NopCloser(bytes.NewReader(body))
		bot.ServeHTTP(w, r)
	})
}

func (d *desk) isTyping(session string) bool {
	d.mu.Lock()
	defer d.mu.Unlock()
	return d.typing[session]
}

// maxPosted bounds what the page posts.
const maxPosted = 1 << 20

// upload takes a file of an agent's, as the chat takes a user's. It answers with its id.
func (d *desk) upload(w http.ResponseWriter, r *http.Request) {
	content, err := io.ReadAll(http.MaxBytesReader(w, r.Body, 5*maxPosted))
	if err == nil {
		var id string
		kind, _, _ := strings.Cut(http.DetectContentType(content), ";")
		if id, err = d.files.Save(r.Context(), webchat.Upload{Conversation: "agents", Name: r.URL.Query().Get("name"), MIMEType: kind, Content: content}); err == nil {
			_, _ = io.WriteString(w, id)
			return
		}
	}
	http.Error(w, "files of up to 5 MB, please", http.StatusRequestEntityTooLarge)
}

// presence takes {"online": true} or false: the whole team comes or goes.
func (d *desk) presence(w http.ResponseWriter, r *http.Request) {
	var body struct{ Online bool }
	if json.NewDecoder(http.MaxBytesReader(w, r.Body, maxPosted)).Decode(&body) != nil {
		http.Error(w, "not what this page posts", http.StatusBadRequest)
		return
	}
	d.away.Store(!body.Online)
	if body.Online {
		d.crisp.Online()
	} else {
		d.crisp.Away()
	}
	w.WriteHeader(http.StatusNoContent)
}

// action is what an operator does in a conversation.
type action struct {
	As          string `json:"as"` // the operator's name
	Do          string `json:"do"`
	Text        string `json:"text"`
	Lines       string `json:"lines"` // choices of a picker, cards of a carousel: one a line
	File        string `json:"file"`  // of an upload
	Fingerprint int64  `json:"fingerprint,string"`
}

// act lets an operator do something in a conversation.
func (d *desk) act(w http.ResponseWriter, r *http.Request) {
	number, err := strconv.Atoi(r.PathValue("number"))
	all := d.crisp.Conversations()
	var a action
	if err != nil || number < 0 || number >= len(all) || json.NewDecoder(http.MaxBytesReader(w, r.Body, maxPosted)).Decode(&a) != nil || !slices.Contains(operators, a.As) {
		http.Error(w, "not what this page posts", http.StatusBadRequest)
		return
	}
	if err := d.do(all[number], all[number].Operator(a.As), a); err != nil {
		http.Error(w, err.Error(), http.StatusBadRequest)
		return
	}
	w.WriteHeader(http.StatusNoContent)
}

var errAction = errors.New("nothing to be done")

func (d *desk) do(c *handovertest.Conversation, o *handovertest.Operator, a action) error {
	_, known := c.Message(a.Fingerprint)
	said := strings.TrimSpace(a.Text) != ""
	switch {
	case a.Do == "say" && said:
		o.Say(a.Text)
	case a.Do == "note" && said:
		o.Note(a.Text)
	case a.Do == "field" && said:
		o.Field(a.Text, a.Lines)
	case a.Do == "picker" && said:
		o.Picker(a.Text, lines(a.Lines)...)
	case a.Do == "carousel":
		o.Carousel(a.Text, slides(a.Lines)...)
	case a.Do == "file":
		f, err := d.files.Open(context.Background(), a.File)
		if err != nil {
			return errAction
		}
		o.File(f.Name, d.site.String()+"/chat/files/"+a.File+"/"+url.PathEscape(f.Name), f.MIMEType)
	case a.Do == "edit" && known && said:
		o.Edit(a.Fingerprint, a.Text)
	case a.Do == "remove" && known:
		o.Remove(a.Fingerprint)
	case a.Do == "type":
		o.Type(true)
	case a.Do == "stop":
		o.Type(false)
	case a.Do == "assign":
		o.Assign()
	case a.Do == "resolve":
		o.Resolve()
	case a.Do == "reopen":
		o.Reopen()
	default:
		return errAction
	}
	return nil
}

// lines returns the lines that are not blank.
func lines(text string) (all []string) {
	for line := range strings.Lines(text) {
		if line = strings.TrimSpace(line); line != "" {
			all = append(all, line)
		}
	}
	return all
}

// slides reads cards of the form "title | description | label of a link | its URL".
func slides(text string) (all []handovertest.Slide) {
	for _, line := range lines(text) {
		parts := append(strings.Split(line, "|"), "", "", "")
		for i := range parts {
			parts[i] = strings.TrimSpace(parts[i])
		}
		s := handovertest.Slide{Title: parts[0], Description: parts[1]}
		if parts[3] != "" {
			s.Links = []handovertest.Link{{Label: parts[2], URL: parts[3]}}
		}
		all = append(all, s)
	}
	return all
}

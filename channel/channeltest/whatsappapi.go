package channeltest

import (
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"strings"
	"time"
)

// Limits of WhatsApp's Cloud API, from its reference: "Text messages", "Interactive reply buttons messages",
// "Interactive list messages", "Media messages".
const (
	whatsAppText     = 4096
	whatsAppBody     = 1024 // of a message with reply buttons, and captions
	whatsAppList     = 4096 // of the text of a list
	whatsAppButtons  = 3
	whatsAppTitle    = 20
	whatsAppID       = 256
	whatsAppRows     = 10
	whatsAppRowTitle = 24
	whatsAppRowID    = 200
	whatsAppRowText  = 72
	whatsAppWindow   = 24 * time.Hour
)

// Refusals of the Cloud API, from Meta's list of error codes.
var (
	// WhatsAppOutside is for a message outside of the 24 hours after the user's last.
	WhatsAppOutside = MetaRefusal{Status: http.StatusBadRequest, Code: 131047}
	// WhatsAppGone is for a user who cannot be reached.
	WhatsAppGone = MetaRefusal{Status: http.StatusBadRequest, Code: 131026}
	// WhatsAppLimit is for too many messages.
	WhatsAppLimit = MetaRefusal{Status: http.StatusBadRequest, Code: 130429}
	// WhatsAppPair is for too many messages to one user.
	WhatsAppPair = MetaRefusal{Status: http.StatusBadRequest, Code: 131056}
	// WhatsAppFormat is for a message that cannot be.
	WhatsAppFormat = MetaRefusal{Status: http.StatusBadRequest, Code: 131009}
	// WhatsAppToken is for a token that is wrong.
	WhatsAppToken = MetaRefusal{Status: http.StatusUnauthorized, Code: 190}
)

// whatsAppRefusals are how WhatsApp words what Wall.Fail says.
var whatsAppRefusals = map[Refusal]MetaRefusal{
	Down: {Status: http.StatusBadGateway}, Busy: {Code: 130429, RetryAfter: RetryAfter * time.Second}, Away: WhatsAppOutside, Format: WhatsAppFormat,
}

// whatsAppCall is the body of a call of messages.
type whatsAppCall struct {
	Product   string `json:"messaging_product"`
	Kind      string `json:"recipient_type"`
	To        string `json:"to"`
	Recipient string `json:"recipient"`
	Type      string `json:"type"`
	Text      *struct {
		Body    string `json:"body"`
		Preview bool   `json:"preview_url"`
	} `json:"text"`
	Image       *whatsAppMedia       `json:"image"`
	Audio       *whatsAppMedia       `json:"audio"`
	Video       *whatsAppMedia       `json:"video"`
	Document    *whatsAppMedia       `json:"document"`
	Interactive *whatsAppInteractive `json:"interactive"`
	// a sign of typing
	Status string `json:"status"`
	ID     string `json:"message_id"`
	Typing *struct {
		Type string `json:"type"`
	} `json:"typing_indicator"`
}

type whatsAppMedia struct {
	Link     string `json:"link"`
	Caption  string `json:"caption"`
	Filename string `json:"filename"`
}

type whatsAppInteractive struct {
	Type   string `json:"type"`
	Header *struct {
		Type     string         `json:"type"`
		Image    *whatsAppMedia `json:"image"`
		Video    *whatsAppMedia `json:"video"`
		Document *whatsAppMedia `json:"document"`
	} `json:"header"`
	Body *struct {
		Text string `json:"text"`
	} `json:"body"`
	Action struct {
		Name    string `json:"name"`
		Button  string `json:"button"`
		Buttons []struct {
			Type  string        `json:"type"`
			Reply whatsAppReply `json:"reply"`
		} `json:"buttons"`
		Sections []struct {
			Title string        `json:"title"`
			Rows  []whatsAppRow `json:"rows"`
		} `json:"sections"`
		Parameters *struct {
			Text string `json:"display_text"`
			URL  string `json:"url"`
		} `json:"parameters"`
	} `json:"action"`
}

type whatsAppReply struct {
	ID    string `json:"id"`
	Title string `json:"title"`
}

type whatsAppRow struct {
	ID          string `json:"id"`
	Title       string `json:"title"`
	Description string `json:"description"`
}

// fits says what of a message the Cloud API would not take; "" if it takes it.
func (c *whatsAppCall) fits() string {
	if c.Product != "whatsapp" || c.Kind != "" && c.Kind != "individual" {
		return "messaging_product is whatsapp, and recipient_type individual"
	}
	for kind, file := range map[string]*whatsAppMedia{"image": c.Image, "audio": c.Audio, "video": c.Video, "document": c.Document} {
		if c.Type == kind {
			return file.fits(kind)
		}
	}
	switch {
	case c.Type == "text" && c.Text != nil && c.Text.Body != "" && units(c.Text.Body) <= whatsAppText:
		return ""
	case c.Type == "text":
		return "a text has up to 4096 characters"
	case c.Type == "interactive" && c.Interactive != nil:
		return c.Interactive.fits()
	}
	return "the message is of an unknown type"
}

func (f *whatsAppMedia) fits(kind string) string {
	if f == nil {
		return "a file is missing"
	}
	u, err := url.Parse(f.Link)
	switch {
	case err != nil || u.Scheme != "https" && u.Scheme != "http" || u.Host == "":
		return "a file has a link"
	case units(f.Caption) > whatsAppBody || f.Caption != "" && kind == "audio":
		return "a caption has up to 1024 characters, and audio has none"
	case f.Filename != "" && kind != "document":
		return "only documents have a name"
	}
	return ""
}

func (i *whatsAppInteractive) fits() string {
	text := ""
	if i.Body != nil {
		text = i.Body.Text
	}
	switch {
	case text == "":
		return "an interactive message has a text"
	case i.Type == "button" && i.Header != nil && len(i.files()) != 1:
		return "a header is a picture, a film or a document"
	case i.Type == "button":
		return i.buttonsFit(text)
	case i.Header != nil:
		return "only buttons stand under a file"
	case i.Type == "list":
		return i.listFits(text)
	case i.Type == "cta_url":
		p := i.Action.Parameters
		if units(text) > whatsAppBody || i.Action.Name != "cta_url" || p == nil || p.URL == "" || p.Text == "" || units(p.Text) > whatsAppTitle {
			return "a link button has a title of up to 20 characters and an URL"
		}
		return ""
	}
	return "the interactive message is of an unknown type"
}

// files are what a header shows.
func (i *whatsAppInteractive) files() (all []*whatsAppMedia) {
	if i.Header == nil {
		return nil
	}
	for kind, f := range map[string]*whatsAppMedia{"image": i.Header.Image, "video": i.Header.Video, "document": i.Header.Document} {
		if f != nil && kind == i.Header.Type && f.fits(kind) == "" && f.Caption == "" {
			all = append(all, f)
		}
	}
	return all
}

func (i *whatsAppInteractive) buttonsFit(text string) string {
	titles, ids := map[string]bool{}, map[string]bool{}
	for _, b := range i.Action.Buttons {
		r := b.Reply
		if b.Type != "reply" || r.Title == "" || units(r.Title) > whatsAppTitle || r.ID == "" || r.ID != strings.TrimSpace(r.ID) || units(r.ID) > whatsAppID {
			return "a reply button has a title of up to 20 characters and an id of up to 256"
		}
		titles[r.Title], ids[r.ID] = true, true
	}
	switch n := len(i.Action.Buttons); {
	case n == 0 || n > whatsAppButtons || len(titles) != n || len(ids) != n:
		return "there are 1 to 3 reply buttons, with titles and ids of their own"
	case units(text) > whatsAppBody:
		return "the text of reply buttons has up to 1024 characters"
	}
	return ""
}

func (i *whatsAppInteractive) listFits(text string) string {
	rows, ids := 0, map[string]bool{}
	for _, s := range i.Action.Sections {
		if len(i.Action.Sections) > 1 && s.Title == "" || units(s.Title) > whatsAppRowTitle {
			return "a section has a title of up to 24 characters"
		}
		for _, r := range s.Rows {
			if r.Title == "" || units(r.Title) > whatsAppRowTitle || r.ID == "" || units(r.ID) > whatsAppRowID || units(r.Description) > whatsAppRowText {
				return "a row has a title of up to 24 characters, an id of up to 200, and 72 of a description"
			}
			rows++
			ids[r.ID] = true
		}
	}
	switch {
	case rows == 0 || rows > whatsAppRows || len(ids) != rows:
		return "a list has 1 to 10 rows, with ids of their own"
	case i.Action.Button == "" || units(i.Action.Button) > whatsAppTitle:
		return "a list has a button with a title of up to 20 characters"
	case units(text) > whatsAppList:
		return "the text of a list has up to 4096 characters"
	}
	return ""
}

// answer is the Cloud API. The lock is held.
func (a *WhatsApp) answer(w http.ResponseWriter, r *http.Request) {
	path, ours := strings.CutPrefix(r.URL.Path, "/v26.0/")
	media, isMedia := strings.CutPrefix(r.URL.Path, "/media/")
	switch {
	case r.URL.Host != whatsAppHost || !ours && !isMedia:
		a.refuse(w, MetaRefusal{Status: http.StatusNotFound, Code: 100, Subcode: 33})
	case !a.authorized(r):
		a.refuse(w, WhatsAppToken)
	case ours && !a.proven(r):
		a.refuse(w, MetaProof)
	case isMedia && r.Method == http.MethodGet:
		a.download(w, media)
	case r.Method == http.MethodPost && path == a.number+"/messages":
		a.take(w, r)
	case r.Method == http.MethodGet && a.files[path] != nil:
		f := a.files[path]
		_ = json.NewEncoder(w).Encode(map[string]any{
			"messaging_product": "whatsapp", "id": path, "url": "https://" + whatsAppHost + "/media/" + path, "mime_type": f.kind, "file_size": len(f.content),
		})
	default:
		a.refuse(w, MetaRefusal{Status: http.StatusBadRequest, Code: 100, Subcode: 33})
	}
}

func (a *WhatsApp) download(w http.ResponseWriter, id string) {
	f := a.files[id]
	if f == nil {
		w.WriteHeader(http.StatusNotFound)
		return
	}
	w.Header().Set("Content-Type", f.kind)
	_, _ = w.Write(f.content)
}

// take takes a message or a sign.
func (a *WhatsApp) take(w http.ResponseWriter, r *http.Request) {
	var in whatsAppCall
	if !strict(r, &in) {
		a.fault("a call has members that the Cloud API does not know")
		a.refuse(w, MetaRefusal{Status: http.StatusBadRequest, Code: 100})
		return
	}
	if in.Status != "" {
		a.sign(w, in)
		return
	}
	u := a.users[in.To]
	if in.To == "" {
		u = a.users[in.Recipient]
	}
	if u == nil {
		a.refuse(w, WhatsAppGone)
		return
	}
	if refusal, ok := a.refusal(&u.Wall, whatsAppRefusals); ok {
		a.refuse(w, refusal)
		return
	}
	switch {
	case u.gone:
		a.refuse(w, WhatsAppGone)
		return
	case time.Since(u.wrote) >= whatsAppWindow:
		a.refuse(w, WhatsAppOutside)
		return
	}
	if fault := in.fits(); fault != "" {
		a.fault(fault)
		a.refuse(w, WhatsAppFormat)
		return
	}
	id := a.newID("wamid.")
	u.see(id, &in)
	fmt.Fprintf(w, `{"messaging_product":"whatsapp","contacts":[{"input":%q,"wa_id":%q}],"messages":[{"id":%q}]}`, in.To, in.To, id)
}

// sign marks a message of the user's as read, and shows that somebody is typing.
func (a *WhatsApp) sign(w http.ResponseWriter, in whatsAppCall) {
	for _, u := range a.users {
		if in.Status == "read" && u.said[in.ID] {
			if u.signs = append(u.signs, map[bool]string{true: "typing", false: "read"}[in.Typing != nil]); in.Typing != nil {
				u.Types()
			}
			_, _ = io.WriteString(w, `{"success":true}`)
			return
		}
	}
	a.refuse(w, WhatsAppFormat)
}

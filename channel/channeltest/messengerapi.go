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

// Limits of Messenger's Send API, from its reference: "Message object", "Quick replies", "Generic template", "Button
// template", "Buttons", "Personas".
const (
	messengerText      = 2000
	messengerReplies   = 13
	messengerTitle     = 20
	messengerPayload   = 1000
	messengerElements  = 10
	messengerElement   = 80
	messengerButtons   = 3
	messengerTemplate  = 640
	messengerWindow    = 24 * time.Hour
	messengerForAgents = 7 * 24 * time.Hour
)

// Refusals of the Send API, from Meta's list of error codes.
var (
	// MessengerOutside is for a message outside of the 24 hours after the user's last.
	MessengerOutside = MetaRefusal{Status: http.StatusBadRequest, Code: 10, Subcode: 2018278}
	// MessengerGone is for a user who has blocked the page, or has left.
	MessengerGone = MetaRefusal{Status: http.StatusBadRequest, Code: 551, Subcode: 1545041}
	// MessengerLimit is for too many calls.
	MessengerLimit = MetaRefusal{Status: http.StatusBadRequest, Code: 613}
	// MessengerFormat is for a message that cannot be.
	MessengerFormat = MetaRefusal{Status: http.StatusBadRequest, Code: 100, Subcode: 2018034}
	// MessengerToken is for a token that is wrong.
	MessengerToken = MetaRefusal{Status: http.StatusUnauthorized, Code: 190}
)

// messengerRefusals are how Messenger words what Wall.Fail says.
var messengerRefusals = map[Refusal]MetaRefusal{
	Down: {Status: http.StatusBadGateway}, Busy: {Code: 613, RetryAfter: RetryAfter * time.Second}, Away: MessengerOutside, Format: MessengerFormat,
}

// messengerReply is a quick reply.
type messengerReply struct {
	Type    string `json:"content_type"`
	Title   string `json:"title"`
	Payload string `json:"payload"`
	Image   string `json:"image_url"`
}

// messengerButton is a button of a template.
type messengerButton struct {
	Type    string `json:"type"`
	URL     string `json:"url"`
	Title   string `json:"title"`
	Payload string `json:"payload"`
}

type messengerElementOf struct {
	Title    string            `json:"title"`
	Subtitle string            `json:"subtitle"`
	Image    string            `json:"image_url"`
	Default  *messengerButton  `json:"default_action"`
	Buttons  []messengerButton `json:"buttons"`
}

// messengerCall is the body of a call of me/messages.
type messengerCall struct {
	Recipient struct {
		ID string `json:"id"`
	} `json:"recipient"`
	Type    string            `json:"messaging_type"`
	Tag     string            `json:"tag"`
	Action  string            `json:"sender_action"`
	Persona string            `json:"persona_id"`
	Message *messengerMessage `json:"message"`
}

type messengerMessage struct {
	Text       string `json:"text"`
	Attachment *struct {
		Type    string `json:"type"`
		Payload struct {
			URL      string               `json:"url"`
			Reusable *bool                `json:"is_reusable"`
			Template string               `json:"template_type"`
			Text     string               `json:"text"`
			Buttons  []messengerButton    `json:"buttons"`
			Elements []messengerElementOf `json:"elements"`
		} `json:"payload"`
	} `json:"attachment"`
	Replies []messengerReply `json:"quick_replies"`
}

// fits says what of a message the Send API would not take; "" if it takes it.
func (m *messengerMessage) fits() string {
	switch {
	case (m.Text == "") == (m.Attachment == nil):
		return "a message has a text or an attachment"
	case units(m.Text) > messengerText:
		return "the text is too long"
	case len(m.Replies) > messengerReplies:
		return "there are too many quick replies"
	}
	for _, q := range m.Replies {
		plain := q.Type == "text"
		switch {
		case !plain && q.Type != "user_email" && q.Type != "user_phone_number":
			return "a quick reply has no known content_type"
		case plain && (q.Title == "" || q.Payload == "" && q.Image == ""), units(q.Title) > messengerTitle, units(q.Payload) > messengerPayload:
			return "a quick reply has no title or payload, or too long ones"
		}
	}
	if m.Attachment == nil {
		return ""
	}
	switch p := m.Attachment.Payload; {
	case m.Attachment.Type == "template" && p.Template == "button":
		if p.Text == "" || units(p.Text) > messengerTemplate || len(p.Buttons) == 0 {
			return "a button template has a text of up to 640 characters, and buttons"
		}
		return buttonsFit(p.Buttons)
	case m.Attachment.Type == "template" && p.Template == "generic":
		return elementsFit(p.Elements)
	case m.Attachment.Type == "image", m.Attachment.Type == "video", m.Attachment.Type == "audio", m.Attachment.Type == "file":
		if u, err := url.Parse(p.URL); err != nil || u.Scheme != "https" && u.Scheme != "http" || u.Host == "" {
			return "an attachment has an URL"
		}
		return ""
	}
	return "the attachment is of an unknown type"
}

func elementsFit(all []messengerElementOf) string {
	if len(all) == 0 || len(all) > messengerElements {
		return "a generic template has 1 to 10 elements"
	}
	for _, e := range all {
		if e.Title == "" || units(e.Title) > messengerElement || units(e.Subtitle) > messengerElement {
			return "an element has a title, and no more than 80 characters of it and of a subtitle"
		}
		if e.Subtitle == "" && e.Image == "" && e.Default == nil && len(e.Buttons) == 0 {
			return "an element has more than a title"
		}
		if d := e.Default; d != nil && (d.Type != "web_url" || d.Title != "" || d.URL == "") {
			return "a default action is a link without a title"
		}
		if fault := buttonsFit(e.Buttons); fault != "" {
			return fault
		}
	}
	return ""
}

func buttonsFit(all []messengerButton) string {
	if len(all) > messengerButtons {
		return "there are too many buttons"
	}
	for _, b := range all {
		switch {
		case b.Title == "", units(b.Title) > messengerTitle:
			return "a button has a title of up to 20 characters"
		case b.Type == "web_url" && b.URL == "", b.Type == "postback" && b.Payload == "", b.Type == "phone_number" && !strings.HasPrefix(b.Payload, "+"):
			return "a button lacks what it is for"
		case b.Type != "web_url" && b.Type != "postback" && b.Type != "phone_number", units(b.Payload) > messengerPayload:
			return "a button is of an unknown type, or its payload is too long"
		}
	}
	return ""
}

// answer is the Graph API. The lock is held.
func (m *Messenger) answer(w http.ResponseWriter, r *http.Request) {
	path, ours := strings.CutPrefix(r.URL.Path, "/v26.0/")
	switch {
	case !ours || r.URL.Host != messengerHost:
		m.refuse(w, MetaRefusal{Status: http.StatusNotFound, Code: 100, Subcode: 33})
	case !m.authorized(r):
		m.refuse(w, MessengerToken)
	case !m.proven(r):
		m.refuse(w, MetaProof)
	case r.Method == http.MethodPost && path == "me/messages":
		m.take(w, r)
	case r.Method == http.MethodPost && path == "me/personas":
		m.addPersona(w, r)
	case r.Method == http.MethodGet:
		m.tellProfile(w, path)
	default:
		m.refuse(w, MetaRefusal{Status: http.StatusNotFound, Code: 100, Subcode: 33})
	}
}

// take takes a message or a sign.
func (m *Messenger) take(w http.ResponseWriter, r *http.Request) {
	var in messengerCall
	if !strict(r, &in) {
		m.fault("a call has members that the Send API does not know")
		m.refuse(w, MetaRefusal{Status: http.StatusBadRequest, Code: 100})
		return
	}
	u := m.users[in.Recipient.ID]
	switch {
	case u == nil:
		m.refuse(w, MetaRefusal{Status: http.StatusBadRequest, Code: 100, Subcode: 2018001})
		return
	case in.Persona != "" && m.personas[in.Persona] == "":
		m.refuse(w, MetaRefusal{Status: http.StatusBadRequest, Code: 100})
		return
	case in.Action != "":
		if u.signs = append(u.signs, in.Action); in.Action == "typing_on" {
			u.Types()
		}
		_, _ = io.WriteString(w, `{"recipient_id":"x"}`)
		return
	case in.Message == nil:
		m.refuse(w, MessengerFormat)
		return
	}
	if refusal, ok := m.refusal(&u.Wall, messengerRefusals); ok {
		m.refuse(w, refusal)
		return
	}
	if refusal, ok := u.reachable(in.Type, in.Tag); !ok {
		m.refuse(w, refusal)
		return
	}
	if fault := in.Message.fits(); fault != "" {
		m.fault(fault)
		m.refuse(w, MessengerFormat)
		return
	}
	id := m.newID("m_")
	u.see(id, m.personas[in.Persona], in.Message)
	_ = json.NewEncoder(w).Encode(map[string]string{"recipient_id": in.Recipient.ID, "message_id": id})
}

// reachable says how a message to this user is refused, if it is.
func (u *MessengerUser) reachable(kind, tag string) (MetaRefusal, bool) {
	since := time.Since(u.wrote)
	switch {
	case u.gone:
		return MessengerGone, false
	case kind == "MESSAGE_TAG" && tag == "HUMAN_AGENT" && !u.of.HumanAgent:
		return MetaRefusal{Status: http.StatusForbidden, Code: 10, Subcode: 2018199}, false
	case kind == "MESSAGE_TAG" && tag == "HUMAN_AGENT" && since < messengerForAgents:
		return MetaRefusal{}, true
	case kind == "RESPONSE" && tag == "" && since < messengerWindow:
		return MetaRefusal{}, true
	case kind == "RESPONSE" || kind == "MESSAGE_TAG":
		return MessengerOutside, false
	}
	return MetaRefusal{Status: http.StatusBadRequest, Code: 100}, false
}

func (m *Messenger) addPersona(w http.ResponseWriter, r *http.Request) {
	if m.PersonasDown {
		m.refuse(w, MetaRefusal{Status: http.StatusBadGateway})
		return
	}
	var in struct {
		Name    string `json:"name"`
		Picture string `json:"profile_picture_url"`
	}
	if !strict(r, &in) || m.NoPersonas || in.Name == "" || in.Picture == "" {
		m.refuse(w, MetaRefusal{Status: http.StatusBadRequest, Code: 100})
		return
	}
	id := m.newID("persona_")
	m.personas[id] = in.Name
	fmt.Fprintf(w, `{"id":%q}`, id)
}

func (m *Messenger) tellProfile(w http.ResponseWriter, id string) {
	u := m.users[id]
	if u == nil {
		m.refuse(w, MetaRefusal{Status: http.StatusBadRequest, Code: 100, Subcode: 33})
		return
	}
	_ = json.NewEncoder(w).Encode(map[string]string{"id": id, "first_name": u.First, "last_name": u.Last, "profile_pic": u.Picture})
}

package whatsapp

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"strconv"
	"strings"
	"time"

	"github.com/crisphandover/handover"
	"github.com/crisphandover/handover/internal/graphapi"
)

// errBody is for a body that is not what Meta posts.
var errBody = errors.New("whatsapp: the body is not a web hook of Meta's")

// hook is what Meta posts, as far as it concerns a bot.
type hook struct {
	Object string `json:"object"`
	Entry  []struct {
		Changes []change `json:"changes"`
	} `json:"entry"`
}

// change is one notification. Only those of the field "messages" are read.
type change struct {
	Field string `json:"field"`
	Value struct {
		Metadata struct {
			PhoneNumberID string `json:"phone_number_id"`
		} `json:"metadata"`
		Contacts each[contact]     `json:"contacts"`
		Messages []json.RawMessage `json:"messages"`
		Statuses each[status]      `json:"statuses"`
	} `json:"value"`
}

// each is a list of which the odd elements are left out: one of them stops nothing.
type each[T any] []T

// UnmarshalJSON reads what is as Meta documents it.
func (e *each[T]) UnmarshalJSON(data []byte) error {
	var all []json.RawMessage
	if err := json.Unmarshal(data, &all); err != nil {
		return err
	}
	for _, raw := range all {
		var one T
		if json.Unmarshal(raw, &one) == nil {
			*e = append(*e, one)
		}
	}
	return nil
}

// contact says who wrote. The phone number is missing where the user has a user name instead.
type contact struct {
	Phone   string `json:"wa_id"`
	UserID  string `json:"user_id"`
	Profile struct {
		Name string `json:"name"`
	} `json:"profile"`
}

// status says what became of a message of ours.
type status struct {
	ID        string          `json:"id"`
	Status    string          `json:"status"`
	Timestamp graphapi.Number `json:"timestamp"`
	Recipient string          `json:"recipient_id"`
	UserID    string          `json:"recipient_user_id"`
	Errors    []struct {
		Code int `json:"code"`
	} `json:"errors"`
}

// user is the conversation that the message was sent to.
func (s status) user() string {
	if s.Recipient != "" {
		return s.Recipient
	}
	return s.UserID
}

// message is a user's. What it replies to, context, is known by its id only, and left out.
type message struct {
	From      string          `json:"from"`         // the phone number, without "+"
	UserID    string          `json:"from_user_id"` // the business-scoped user id
	Group     string          `json:"group_id"`
	ID        string          `json:"id"`
	Timestamp graphapi.Number `json:"timestamp"` // in seconds
	content
	Edit *struct {
		Of      string  `json:"original_message_id"`
		Message content `json:"message"`
	} `json:"edit"`
}

type content struct {
	Type string `json:"type"`
	Text *struct {
		Body string `json:"body"`
	} `json:"text"`
	Image    *media    `json:"image"`
	Audio    *media    `json:"audio"`
	Video    *media    `json:"video"`
	Document *media    `json:"document"`
	Sticker  *media    `json:"sticker"`
	Location *location `json:"location"`
	Contacts []card    `json:"contacts"`
	Button   *struct { // of a template
		Text    string `json:"text"`
		Payload string `json:"payload"`
	} `json:"button"`
	Interactive *struct {
		Button *choice `json:"button_reply"`
		List   *choice `json:"list_reply"`
	} `json:"interactive"`
	Order *struct {
		Text  string `json:"text"`
		Items []struct {
			ID       string          `json:"product_retailer_id"`
			Quantity graphapi.Number `json:"quantity"`
		} `json:"product_items"`
	} `json:"order"`
}

type choice struct {
	ID    string `json:"id"`
	Title string `json:"title"`
}

// media is a file at Meta, by id. Voice messages are audio.
type media struct {
	ID       string `json:"id"`
	MIMEType string `json:"mime_type"`
	Caption  string `json:"caption"`
	Filename string `json:"filename"`
	Voice    bool   `json:"voice"`
}

type location struct {
	Latitude  float64 `json:"latitude"`
	Longitude float64 `json:"longitude"`
	Name      string  `json:"name"`
	Address   string  `json:"address"`
	URL       string  `json:"url"`
}

// card is a contact that the user shares.
type card struct {
	Name struct {
		Formatted string `json:"formatted_name"`
	} `json:"name"`
	Org struct {
		Company string `json:"company"`
	} `json:"org"`
	Phones []struct {
		Phone string `json:"phone"`
	} `json:"phones"`
	Emails []struct {
		Email string `json:"email"`
	} `json:"emails"`
}

// Incoming returns the messages of users that one post of Meta's brings, in their order: none for what is of another
// number, of a group, or no message, such as a status or a reaction. It does not verify anything: use it for hooks
// that another handler verified, also for the value that an SDK made of one, as JSON.
//
// The conversation is the user's phone number without "+", or, if they have a user name in its place, their
// business-scoped user id, such as "US.13491208655302741918".
//
// A text that is the number or the title of a choice that was listed last has the payload of that.
//
// The error is for what is no hook of Meta's, or that of Config.Sent, without which it is not known what was chosen: then
// take it all again later.
func (c *Channel) Incoming(ctx context.Context, body []byte) ([]handover.Incoming, error) {
	changes, err := c.changes(body)
	if err != nil {
		return nil, err
	}
	var all []handover.Incoming
	for _, change := range changes {
		for _, raw := range change.Value.Messages {
			var m message
			if json.Unmarshal(raw, &m) != nil { // one odd message stops nothing
				c.log.Warn("whatsapp: a message is not as Meta documents it, and is left out")
				continue
			}
			in, ok := m.incoming()
			if !ok {
				continue
			}
			in.Conversation.Source = c.source
			if err := c.people.heard(ctx, in.Conversation.ID, last{heardAt(in), m.ID}, change.nameOf(m)); err != nil {
				c.log.Warn("whatsapp: Sent.Keep failed: whether the user may be written to is not known", "error", err)
			}
			if in, err = c.chosen(ctx, in); err != nil {
				return nil, err
			}
			all = append(all, in)
		}
	}
	return all, nil
}

// chosen finds what the user has chosen: by a button, or in words. The error is that of Config.Sent.
func (c *Channel) chosen(ctx context.Context, m handover.Incoming) (_ handover.Incoming, err error) {
	switch {
	case m.Payload != "":
		m.Payload, _, err = c.screen.Payload(ctx, m.Payload)
	case m.Text != "" && m.Edits == "" && len(m.Files) == 0:
		m.Payload, _, err = c.screen.Chosen(ctx, m.Conversation.ID, m.Text)
	}
	return m, err
}

// changes returns what a post says of our number.
func (c *Channel) changes(body []byte) (ours []change, err error) {
	var in hook
	if json.Unmarshal(body, &in) != nil {
		return nil, errBody
	}
	if in.Object != "" && in.Object != "whatsapp_business_account" {
		return nil, nil
	}
	for _, entry := range in.Entry {
		for _, change := range entry.Changes {
			if (change.Field == "" || change.Field == "messages") && change.Value.Metadata.PhoneNumberID == c.number {
				ours = append(ours, change)
			}
		}
	}
	return ours, nil
}

// nameOf is the profile name of who wrote a message, or "".
func (c change) nameOf(m message) string {
	for _, p := range c.Value.Contacts {
		if p.Phone == m.From && m.From != "" || p.UserID == m.UserID && m.UserID != "" {
			return p.Profile.Name
		}
	}
	return ""
}

// incoming returns what a user said.
func (m message) incoming() (in handover.Incoming, ok bool) {
	if in.Conversation.ID = m.From; in.Conversation.ID == "" {
		in.Conversation.ID = m.UserID
	}
	if in.Conversation.ID == "" || m.ID == "" || m.Group != "" {
		return in, false
	}
	in.ID = m.ID
	if at, ok := unix(string(m.Timestamp)); ok {
		in.At, in.Seq = at, at.Unix()
	}
	if m.Edit != nil {
		m.content, in.Edits = m.Edit.Message, m.Edit.Of
	}
	m.content.addTo(&in)
	return in, in.Text != "" || in.Payload != "" || len(in.Files) > 0
}

// heardAt is when a user wrote: now, if they wrote at a time that is not told.
func heardAt(in handover.Incoming) time.Time {
	if in.At.IsZero() {
		return time.Now()
	}
	return in.At
}

// unix reads a time in seconds.
func unix(text string) (time.Time, bool) {
	seconds, err := strconv.ParseInt(text, 10, 64)
	return time.Unix(seconds, 0), err == nil && seconds > 0
}

// addTo adds what is said: files as such, choices with their payloads, all else in words.
func (c content) addTo(in *handover.Incoming) {
	switch {
	case c.Text != nil:
		in.Text = c.Text.Body
	case c.Button != nil:
		in.Text, in.Payload = c.Button.Text, c.Button.Payload
	case c.Interactive != nil && c.Interactive.Button != nil:
		in.Text, in.Payload = c.Interactive.Button.Title, c.Interactive.Button.ID
	case c.Interactive != nil && c.Interactive.List != nil:
		in.Text, in.Payload = c.Interactive.List.Title, c.Interactive.List.ID
	case c.Location != nil:
		in.Text = c.Location.words()
	case len(c.Contacts) > 0:
		in.Text = cards(c.Contacts)
	case c.Order != nil:
		in.Text = c.order()
	default:
		c.addFile(in)
	}
}

// addFile adds a file, or says in words what cannot be passed on. What is no message is left out.
func (c content) addFile(in *handover.Incoming) {
	for _, f := range []*media{c.Image, c.Audio, c.Video, c.Document, c.Sticker} {
		if f == nil {
			continue
		}
		in.Text = f.Caption
		if f.ID != "" {
			in.Files = append(in.Files, f.file())
			return
		}
	}
	switch c.Type {
	case "", "reaction", "revoke", "system", "ephemeral", "request_welcome":
	case "unsupported", "unknown":
		in.Text = joined(in.Text, "(a message that WhatsApp does not pass on)")
	default:
		in.Text = joined(in.Text, "("+c.Type+")")
	}
}

// words is a location as a text, with a link to a map.
func (l location) words() string {
	at := fmt.Sprintf("Location: %.6f, %.6f", l.Latitude, l.Longitude)
	return joined(at, l.Name, l.Address, l.URL)
}

// cards are shared contacts as a text.
func cards(contacts []card) string {
	var lines []string
	for _, c := range contacts {
		line := []string{c.Name.Formatted, c.Org.Company}
		for _, p := range c.Phones {
			line = append(line, p.Phone)
		}
		for _, e := range c.Emails {
			line = append(line, e.Email)
		}
		lines = append(lines, "Contact: "+strings.Join(filled(line), ", "))
	}
	return strings.Join(lines, "\n")
}

// order is an order from a catalog as a text.
func (c content) order() string {
	lines := []string{c.Order.Text, "Order:"}
	for _, item := range c.Order.Items {
		lines = append(lines, string(item.Quantity)+" × "+item.ID)
	}
	return joined(lines...)
}

// joined puts texts on lines of their own.
func joined(texts ...string) string { return strings.Join(filled(texts), "\n") }

func filled(texts []string) (filled []string) {
	for _, t := range texts {
		if t != "" {
			filled = append(filled, t)
		}
	}
	return filled
}

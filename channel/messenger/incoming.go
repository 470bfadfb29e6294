package messenger

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"mime"
	"net/url"
	"path"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/crisphandover/handover"
	"github.com/crisphandover/handover/internal/graphapi"
	"github.com/crisphandover/handover/internal/jsonplace"
)

// errBody is for a body that is not what Meta posts.
var errBody = errors.New("messenger: the body is not a web hook of Meta's")

// hook is what Meta posts, as far as it concerns a bot. What another app that has the conversation hears, "standby",
// is not read.
type hook struct {
	Object string `json:"object"` // page, instagram, …
	Entry  []struct {
		ID        string            `json:"id"` // of the page
		Messaging []json.RawMessage `json:"messaging"`
	} `json:"entry"`
}

type person struct {
	ID string `json:"id"`
}

// event is one thing that happened. Echoes, receipts, reactions, opt-ins and referrals have other members.
type event struct {
	Sender    person   `json:"sender"`
	Recipient person   `json:"recipient"`
	Timestamp int64    `json:"timestamp"` // milliseconds
	Message   *message `json:"message"`
	Edit      *struct {
		ID    string          `json:"mid"`
		Text  string          `json:"text"`
		Count graphapi.Number `json:"num_edit"`
	} `json:"message_edit"`
	Postback *struct {
		ID      string `json:"mid"`
		Title   string `json:"title"`
		Payload string `json:"payload"`
	} `json:"postback"`
}

// message is a user's. What it replies to, reply_to, is known by its id only, and left out.
type message struct {
	ID         string `json:"mid"`
	Text       string `json:"text"`
	Echo       bool   `json:"is_echo"`
	Deleted    bool   `json:"is_deleted"`
	QuickReply *struct {
		Payload string `json:"payload"`
	} `json:"quick_reply"`
	Attachments []attachment `json:"attachments"`

	unknown bool // it holds something else
}

// knownMembers are those of a message that tell nothing more of what the user says than message has.
var knownMembers = []string{"mid", "seq", "text", "is_echo", "is_deleted", "quick_reply", "attachments", "reply_to", "app_id", "metadata", "nlp"}

// UnmarshalJSON reads a message, and notes whether it holds what is not known.
func (m *message) UnmarshalJSON(raw []byte) error {
	type known message
	if err := json.Unmarshal(raw, (*known)(m)); err != nil {
		return err
	}
	others, err := jsonplace.Others(raw, knownMembers)
	m.unknown = len(others) > 0
	return err
}

type attachment struct {
	Type    string `json:"type"`
	Title   string `json:"title"`
	URL     string `json:"url"`
	Payload struct {
		URL         string `json:"url"`
		Title       string `json:"title"`
		Coordinates *struct {
			Lat  float64 `json:"lat"`
			Long float64 `json:"long"`
		} `json:"coordinates"`
	} `json:"payload"`
}

// Incoming returns the messages of users that one post of Meta's brings, in their order: none for what is not of this
// page, was not said by a user, or is no message, such as a receipt, a reaction or an echo. It does not verify
// anything: use it for hooks that another handler verified, also for the value that an SDK made of one, as JSON.
//
// A text that is the number or the title of a choice that was listed last has the payload of that.
//
// The error is for what is no hook of Meta's, or that of Config.Sent, without which it is not known what was chosen: then
// take it all again later.
func (c *Channel) Incoming(ctx context.Context, body []byte) ([]handover.Incoming, error) {
	var in hook
	if json.Unmarshal(body, &in) != nil {
		return nil, errBody
	}
	var all []handover.Incoming
	if in.Object != "" && in.Object != "page" {
		return nil, nil
	}
	for _, entry := range in.Entry {
		if entry.ID != "" && entry.ID != c.page {
			continue
		}
		for _, raw := range entry.Messaging {
			var e event
			if json.Unmarshal(raw, &e) != nil { // one odd event stops nothing
				c.log.Warn("messenger: an event is not as Meta documents it, and is left out")
				continue
			}
			m, ok := e.incoming(c.page)
			if !ok {
				continue
			}
			m.Conversation.Source = c.source
			m, err := c.chosen(ctx, m)
			if err != nil {
				return nil, err
			}
			all = append(all, m)
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

// incoming returns the message of a user to this page that an event brings.
func (e event) incoming(page string) (m handover.Incoming, ok bool) {
	if e.Sender.ID == "" || e.Sender.ID == page || e.Recipient.ID != page {
		return m, false
	}
	m.Conversation.ID = e.Sender.ID
	m.At, m.Seq = time.UnixMilli(e.Timestamp), max(e.Timestamp, 0)
	switch {
	case e.Postback != nil:
		m.ID, m.Text, m.Payload = e.Postback.ID, e.Postback.Title, e.Postback.Payload
		if m.ID == "" { // before version 11 of the API
			m.ID = "postback " + strconv.FormatInt(e.Timestamp, 10)
		}
	case e.Edit != nil:
		m.ID, m.Text, m.Edits = e.Edit.ID+" edit "+string(e.Edit.Count), e.Edit.Text, e.Edit.ID
		return m, m.Edits != "" && m.Text != ""
	case e.Message != nil && !e.Message.Echo && !e.Message.Deleted:
		m.ID, m.Text = e.Message.ID, e.Message.Text
		if e.Message.QuickReply != nil {
			m.Payload = e.Message.QuickReply.Payload
		}
		for _, a := range e.Message.Attachments {
			a.addTo(&m)
		}
		if e.Message.unknown && m.Text == "" && m.Payload == "" && len(m.Files) == 0 {
			m.Text = "(a message that Messenger does not pass on)"
		}
	}
	return m, m.ID != "" && (m.Text != "" || m.Payload != "" || len(m.Files) > 0)
}

// addTo adds an attachment: a file that has an address as such, all else in words.
func (a attachment) addTo(m *handover.Incoming) {
	switch a.Type {
	case "image", "audio", "video", "file", "sticker":
		if a.Payload.URL != "" {
			m.Files = append(m.Files, handover.File{URL: a.Payload.URL, MIMEType: a.mimeType()})
			return
		}
	}
	var words []string
	if at := a.Payload.Coordinates; at != nil {
		words = append(words, fmt.Sprintf("Location: %.6f, %.6f", at.Lat, at.Long))
	}
	words = append(words, a.Title, a.Payload.Title, a.URL, a.Payload.URL)
	if joined(words) == "" {
		words = []string{"(" + a.Type + ")"}
	}
	m.Text = joined(append([]string{m.Text}, words...))
}

// joined puts different texts on lines of their own. A link that stands in one already is not repeated.
func joined(texts []string) string {
	var lines []string
	for _, t := range texts {
		if t != "" && !slices.ContainsFunc(lines, func(l string) bool { return strings.Contains(l, t) }) {
			lines = append(lines, t)
		}
	}
	return strings.Join(lines, "\n")
}

// kinds are the types of files whose names tell none: what Messenger makes of pictures, voice and videos.
var kinds = map[string]string{"image": "image/jpeg", "sticker": "image/png", "audio": "audio/mp4", "video": "video/mp4"}

// mimeType guesses the type of a file, which Meta does not tell, from its name and kind.
func (a attachment) mimeType() string {
	if u, err := url.Parse(a.Payload.URL); err == nil {
		kind, _, _ := strings.Cut(mime.TypeByExtension(path.Ext(u.Path)), ";")
		family, _, _ := strings.Cut(kinds[a.Type], "/")
		if family == "" || strings.HasPrefix(kind, family+"/") {
			return kind
		}
	}
	return kinds[a.Type]
}

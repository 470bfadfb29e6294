package slack

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"math"
	"regexp"
	"strconv"
	"strings"
	"time"

	"github.com/crisphandover/handover"
	"github.com/crisphandover/handover/internal/textsplit"
)

// envelope is what the Events API posts, as far as it concerns a bot.
type envelope struct {
	Type      string `json:"type"`
	Challenge string `json:"challenge"`
	TeamID    string `json:"team_id"`
	Bots      []struct {
		UserID string `json:"user_id"`
	} `json:"authorizations"`
	Event json.RawMessage `json:"event"`
}

type event struct {
	Type        string `json:"type"`
	Subtype     string `json:"subtype"`
	Channel     string `json:"channel"`
	ChannelType string `json:"channel_type"`
	EventTS     string `json:"event_ts"`
	message
	Message  *message `json:"message"`          // of an edit: as it is now
	Previous *message `json:"previous_message"` // of an edit: as it was
}

type message struct {
	User   string   `json:"user"`
	BotID  string   `json:"bot_id"`
	TS     string   `json:"ts"`
	Thread string   `json:"thread_ts"`
	Text   string   `json:"text"`
	Files  []file   `json:"files"`
	Shared []shared `json:"attachments"`
	Blocks []struct {
		Type string `json:"type"`
	} `json:"blocks"`
	Edited *struct {
		TS string `json:"ts"`
	} `json:"edited"`
}

// shared is a message that the user passed on, or the preview of a link.
type shared struct {
	IsShare  bool   `json:"is_share"`
	Author   string `json:"author_name"`
	Text     string `json:"text"`
	Fallback string `json:"fallback"`
	Files    []file `json:"files"`
}

type file struct {
	ID         string  `json:"id"`
	Name       string  `json:"name"`
	MIMEType   string  `json:"mimetype"`
	Size       int64   `json:"size"`
	Mode       string  `json:"mode"`
	URL        string  `json:"url_private"`
	External   string  `json:"external_url"`
	DurationMS float64 `json:"duration_ms"`
}

// interaction is what Slack posts when somebody presses a button.
type interaction struct {
	Type string `json:"type"`
	Team struct {
		ID string `json:"id"`
	} `json:"team"`
	User struct {
		ID string `json:"id"`
	} `json:"user"`
	Channel struct {
		ID string `json:"id"`
	} `json:"channel"`
	Message struct {
		Thread string `json:"thread_ts"`
		TS     string `json:"ts"`
	} `json:"message"`
	Actions []struct {
		Type     string `json:"type"`
		ActionID string `json:"action_id"`
		Value    string `json:"value"`
		TS       string `json:"action_ts"`
		Text     text   `json:"text"`
	} `json:"actions"`
}

// errNotJSON is returned by Incoming.
var errNotJSON = errors.New("slack: it is not what Slack documents")

// Incoming returns the message of a user that Slack posts: the JSON of an event, or of an interaction (the form's
// payload). It is a message, an edit of one, or a button that was pressed. ok is false for all else: what bots write,
// this one too, other events, and channels unless Config.Channels. The error is for what is none of Slack's, or that of
// Config.Sent, without which it is not known whether a thread is the bot's, or what was chosen: then take it again later.
// It does not verify: Webhook does.
func (c *Channel) Incoming(ctx context.Context, raw []byte) (in handover.Incoming, ok bool, err error) {
	var e envelope
	if json.Unmarshal(raw, &e) != nil {
		return in, false, errNotJSON
	}
	switch e.Type {
	case "event_callback":
		in, ok, err = c.event(ctx, e)
	case "block_actions":
		var i interaction
		if json.Unmarshal(raw, &i) != nil {
			return in, false, errNotJSON
		}
		in, ok, err = c.pressed(ctx, i)
	}
	return in, ok && (!textsplit.Blank(in.Text) || in.Payload != "" || len(in.Files) > 0), err
}

// concerns reports whether a workspace is the bot's.
func (c *Channel) concerns(team string) bool {
	return c.config.TeamID == "" || team == c.config.TeamID
}

// isMessage reports whether an event may be a message. Others have members of the same names and of other kinds.
func (e envelope) isMessage() bool {
	var of struct {
		Type string `json:"type"`
	}
	return json.Unmarshal(e.Event, &of) == nil && (of.Type == "message" || of.Type == "app_mention")
}

// event reads a message, or an edit of one.
func (c *Channel) event(ctx context.Context, e envelope) (in handover.Incoming, ok bool, err error) {
	if !e.isMessage() || !c.concerns(e.TeamID) {
		return in, false, nil
	}
	var v event
	if json.Unmarshal(e.Event, &v) != nil {
		return in, false, errNotJSON
	}
	m, edits, ok := v.said()
	if !ok {
		return in, false, nil
	}
	if in.Conversation.ID, ok, err = c.place(ctx, v, m); !ok || err != nil {
		return in, false, err
	}
	in.Conversation.Source = c.config.Source
	in.ID, in.At = m.TS, timeOf(m.TS)
	if edits != "" {
		in.Edits, in.ID = edits, "edit "+v.EventTS
		if m.Edited != nil {
			in.At = timeOf(m.Edited.TS)
		}
	} else {
		in.Seq = in.At.UnixMicro()
	}
	m.read(&in, e.self())
	if edits == "" {
		in.Payload, _, err = c.screen.Chosen(ctx, in.Conversation.ID, in.Text)
	}
	return in, err == nil, err
}

// read takes what a message says. What is not known comes in words.
func (m message) read(in *handover.Incoming, self string) {
	in.Text = words(m.Text, self)
	for _, f := range m.Files {
		f.addTo(in)
	}
	for _, s := range m.Shared {
		if s.IsShare || textsplit.Blank(in.Text) && len(in.Files) == 0 { // else a preview
			s.addTo(in)
		}
	}
	switch {
	case !textsplit.Blank(in.Text) || len(in.Files) > 0:
	case len(m.Files) > 0:
		in.Text = "(file)" // that Slack does not give any more
	case len(m.Blocks) > 0 && textsplit.Blank(m.Text):
		in.Text = "(" + strings.ReplaceAll(m.Blocks[0].Type, "_", " ") + ")"
	}
}

// addTo adds a message that the user passed on.
func (s shared) addTo(in *handover.Incoming) {
	text := words(s.Text, "")
	if textsplit.Blank(text) {
		text = words(s.Fallback, "")
	}
	if s.Author != "" && !textsplit.Blank(text) {
		text = s.Author + ": " + text
	}
	in.Text = strings.TrimSpace(in.Text + "\n" + text)
	for _, f := range s.Files {
		f.addTo(in)
	}
}

// said is what a user said by an event, and which message that edits; ok is false if no user said anything.
func (v event) said() (m message, edits string, ok bool) {
	m = v.message
	switch {
	case v.Type == "app_mention" || v.Subtype == "" || v.Subtype == "file_share" || v.Subtype == "thread_broadcast" || v.Subtype == "me_message":
	case v.Subtype == "message_changed" && v.Message != nil:
		if v.Previous != nil && v.Previous.Text == v.Message.Text {
			return m, "", false // a link got a preview
		}
		m, edits = *v.Message, v.Message.TS
	default:
		return m, "", false
	}
	return m, edits, v.Channel != "" && m.User != "" && m.User != "USLACKBOT" && m.BotID == "" && m.TS != ""
}

// self is the bot's own user id.
func (e envelope) self() string {
	if len(e.Bots) > 0 {
		return e.Bots[0].UserID
	}
	return ""
}

// place is the id of the conversation that a message belongs to; false if that is none of the bot's. The error is that
// of Config.Sent. A thread is kept anew with each message: what is old may be dropped there.
func (c *Channel) place(ctx context.Context, v event, m message) (id string, ok bool, err error) {
	if v.ChannelType == "im" || v.ChannelType == "" && strings.HasPrefix(v.Channel, "D") {
		return v.Channel, true, nil
	}
	thread := m.Thread
	if thread == "" {
		thread = m.TS
	}
	id = v.Channel + "/" + thread
	if !c.config.Channels {
		return "", false, nil
	}
	key, ok := c.config.Source+"/thread/"+id, v.Type == "app_mention"
	if !ok {
		_, ok, err = c.config.Sent.Recall(ctx, key)
	}
	if ok && err == nil {
		err = c.config.Sent.Keep(ctx, key, "1")
	}
	if err != nil {
		return "", false, fmt.Errorf("slack: Config.Sent: %w", err)
	}
	return id, ok, nil
}

// pressed reads the press of a button. The error is that of Config.Sent.
func (c *Channel) pressed(ctx context.Context, i interaction) (in handover.Incoming, ok bool, err error) {
	if len(i.Actions) == 0 || i.Channel.ID == "" || i.User.ID == "" || !c.concerns(i.Team.ID) {
		return in, false, nil
	}
	a := i.Actions[0]
	if a.Type != "button" || strings.HasPrefix(a.ActionID, linkAction) {
		return in, false, nil
	}
	in.Conversation = handover.Conversation{Source: c.config.Source, ID: i.Channel.ID}
	if !strings.HasPrefix(i.Channel.ID, "D") {
		if !c.config.Channels || i.Message.Thread == "" {
			return in, false, nil
		}
		in.Conversation.ID += "/" + i.Message.Thread
	}
	in.ID, in.At, in.Text = "press "+i.User.ID+" "+a.TS, timeOf(a.TS), a.Text.Text
	in.Seq = in.At.UnixMicro()
	in.Payload, _, err = c.screen.Payload(ctx, a.Value)
	return in, a.TS != "" && err == nil, err
}

// timeOf is the time of Slack's "1700000000.000100"; the zero time if it is none.
func timeOf(ts string) time.Time {
	seconds, micros, _ := strings.Cut(ts, ".")
	s, err := strconv.ParseInt(seconds, 10, 64)
	if err != nil || s <= 0 || s > math.MaxInt32*2 {
		return time.Time{}
	}
	us, err := strconv.ParseInt(micros, 10, 64)
	if err != nil || us < 0 || len(micros) != 6 {
		us = 0
	}
	return time.Unix(s, us*1000)
}

// addTo adds a file, for Config.OpenFile. One that is elsewhere is a link.
func (f file) addTo(in *handover.Incoming) {
	switch {
	case f.Mode == "tombstone" || f.Mode == "hidden_by_limit" || f.ID == "":
		return
	case f.Mode == "external":
		in.Text = strings.TrimSpace(in.Text + "\n" + f.Name + " " + f.External)
		return
	}
	ms := min(max(f.DurationMS, 0), 1e12)
	in.Files = append(in.Files, handover.File{ID: f.ID, Name: f.Name, MIMEType: f.MIMEType, Size: max(f.Size, 0), Duration: time.Duration(ms) * time.Millisecond})
}

// reference is what stands between < and > in a text of Slack's.
var reference = regexp.MustCompile(`<([^<>]*)>`)

var unescapes = strings.NewReplacer("&lt;", "<", "&gt;", ">", "&amp;", "&")

// words is a text of Slack's as its user wrote it: links, mentions and channels written out. A mention of the bot
// itself, at the beginning, is left out.
func words(s, self string) string {
	if self != "" {
		s = strings.TrimSpace(strings.TrimPrefix(strings.TrimSpace(s), "<@"+self+">"))
	}
	s = reference.ReplaceAllStringFunc(s, func(ref string) string {
		target, label, labeled := strings.Cut(ref[1:len(ref)-1], "|")
		switch {
		case target == "":
			return ref
		case target[0] == '@' || target[0] == '#':
			if labeled && label != "" {
				return target[:1] + label
			}
			return target
		case target[0] == '!':
			if labeled {
				return label
			}
			return "@" + target[1:]
		case !labeled || target == label || strings.HasSuffix(target, "://"+label) || target == "mailto:"+label || target == "tel:"+label:
			if strings.HasPrefix(target, "mailto:") || strings.HasPrefix(target, "tel:") {
				_, target, _ = strings.Cut(target, ":")
			}
			return target
		}
		return label + " (" + target + ")"
	})
	return unescapes.Replace(s)
}

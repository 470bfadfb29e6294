package telegram

import (
	"cmp"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"strconv"
	"strings"
	"time"

	"github.com/crisphandover/handover"
	"github.com/crisphandover/handover/internal/textsplit"
)

// update is what the Bot API tells of, as far as it concerns a bot.
type update struct {
	ID       int64     `json:"update_id"`
	Message  *message  `json:"message"`
	Edited   *message  `json:"edited_message"`
	Callback *callback `json:"callback_query"`
}

type user struct {
	ID    int64  `json:"id"`
	IsBot bool   `json:"is_bot"`
	First string `json:"first_name"`
	Last  string `json:"last_name"`
}

type chat struct {
	ID   int64  `json:"id"`
	Type string `json:"type"`
}

type message struct {
	ID       int64     `json:"message_id"`
	From     *user     `json:"from"`
	Chat     chat      `json:"chat"`
	Date     int64     `json:"date"`
	EditDate int64     `json:"edit_date"`
	Text     string    `json:"text"`
	Caption  string    `json:"caption"`
	Reply    *message  `json:"reply_to_message"`
	Keyboard *keyboard `json:"reply_markup"`
	Photo    []photo   `json:"photo"`
	Document *file     `json:"document"`
	Motion   *file     `json:"animation"` // comes with a document that is the same
	Video    *file     `json:"video"`
	Note     *file     `json:"video_note"`
	Voice    *file     `json:"voice"`
	Audio    *file     `json:"audio"`
	Sticker  *sticker  `json:"sticker"`
	Location *location `json:"location"`
	Venue    *venue    `json:"venue"`
	Contact  *contact  `json:"contact"`
	Dice     *sticker  `json:"dice"`
	Poll     *poll     `json:"poll"`
	List     *list     `json:"checklist"`
	Game     *list     `json:"game"`

	MovedFrom int64 `json:"migrate_from_chat_id"` // the group that became this one

	unknown string // what else the message holds, such as "story"
}

type photo struct {
	file
	Width  int `json:"width"`
	Height int `json:"height"`
}

type file struct {
	ID       string `json:"file_id"`
	Name     string `json:"file_name"`
	MIMEType string `json:"mime_type"`
	Size     int64  `json:"file_size"`
	Duration int64  `json:"duration"` // seconds
}

type sticker struct {
	Emoji string `json:"emoji"`
}

type location struct {
	Latitude  float64 `json:"latitude"`
	Longitude float64 `json:"longitude"`
}

type venue struct {
	Title   string `json:"title"`
	Address string `json:"address"`
}

type contact struct {
	Phone string `json:"phone_number"`
	First string `json:"first_name"`
	Last  string `json:"last_name"`
}

type poll struct {
	Question string `json:"question"`
	Options  []line `json:"options"`
}

// list is a checklist, or a game, which has no tasks.
type list struct {
	Title string `json:"title"`
	Tasks []line `json:"tasks"`
}

type line struct {
	Text string `json:"text"`
}

type callback struct {
	ID      string   `json:"id"`
	From    *user    `json:"from"`
	Data    string   `json:"data"`
	Message *message `json:"message"`
}

// errNotJSON is returned by Incoming.
var errNotJSON = errors.New("telegram: the update is not as the Bot API documents it")

// Incoming returns the message of a user that an update brings: a message, an edit of one, or a button that was
// pressed. ok is false for all else: messages of bots, in channels and, unless Config.Groups, in groups, and what says
// nothing. The error is for what is no update, or that of Config.Sent, without which it is not known what was chosen, or
// whether a group moved: then take it again later. Poll and Webhook answer the press of a button; a bot that calls
// Incoming itself calls answerCallbackQuery.
//
// Incoming.Seq is the update's number, with which Handle keeps the order where updates are taken at the same time.
func (c *Channel) Incoming(ctx context.Context, raw []byte) (in handover.Incoming, ok bool, err error) {
	u, err := parse(raw)
	if err != nil {
		return handover.Incoming{}, false, err
	}
	return c.incoming(ctx, u)
}

// parse reads an update. With an error it may have its number, and nothing else.
func parse(raw []byte) (u update, err error) {
	if json.Unmarshal(raw, &u) == nil {
		return u, nil
	}
	var number struct {
		ID int64 `json:"update_id"`
	}
	_ = json.Unmarshal(raw, &number)
	return update{ID: number.ID}, errNotJSON
}

// incoming reads an update. The error is that of Config.Sent.
func (c *Channel) incoming(ctx context.Context, u update) (in handover.Incoming, ok bool, err error) {
	in.Seq = u.ID
	chat := strconv.FormatInt(u.chat().ID, 10)
	conversation, err := c.conversation(ctx, u, chat)
	if err != nil {
		return handover.Incoming{}, false, err
	}
	number := func(id int64) string { return idIn(conversation, chat, strconv.FormatInt(id, 10)) }
	switch {
	case u.Message != nil && c.concerns(u.Message.From, u.Message.Chat):
		m := u.Message
		in.ID, in.At = number(m.ID), time.Unix(m.Date, 0)
		m.read(&in)
		err = c.chosen(ctx, m, conversation, &in)
	case u.Edited != nil && c.concerns(u.Edited.From, u.Edited.Chat):
		m := u.Edited
		in.ID, in.Edits, in.At = "edit "+strconv.FormatInt(u.ID, 10), number(m.ID), time.Unix(max(m.EditDate, m.Date), 0)
		m.read(&in)
		if c.config.Quotes {
			in.Text = m.quote() + in.Text
		}
	case u.Callback != nil && u.Callback.Message != nil && c.concerns(u.Callback.From, u.Callback.Message.Chat):
		in.ID = "press " + u.Callback.ID
		in.Text, in.Payload, err = c.pressed(ctx, u.Callback)
	default:
		return handover.Incoming{}, false, nil
	}
	if err != nil {
		return handover.Incoming{}, false, err
	}
	in.Conversation = handover.Conversation{Source: c.config.Source, ID: conversation}
	return in, !textsplit.Blank(in.Text) || in.Payload != "" || len(in.Files) > 0, nil
}

// conversation is that of a chat, which is another one where a group has moved.
func (c *Channel) conversation(ctx context.Context, u update, chat string) (string, error) {
	if !c.config.Groups || !isGroup(chat) {
		return chat, nil
	}
	if m := u.Message; m != nil && m.MovedFrom != 0 {
		if err := c.groups.moved(ctx, strconv.FormatInt(m.MovedFrom, 10), chat); err != nil {
			return "", err
		}
	}
	return c.groups.was(ctx, chat)
}

// chat is where an update comes from.
func (u update) chat() chat {
	switch {
	case u.Message != nil:
		return u.Message.Chat
	case u.Edited != nil:
		return u.Edited.Chat
	case u.Callback != nil && u.Callback.Message != nil:
		return u.Callback.Message.Chat
	}
	return chat{}
}

// concerns reports whether what somebody does in a chat is for this bot.
func (c *Channel) concerns(from *user, in chat) bool {
	if from == nil || from.IsBot || in.ID == 0 {
		return false
	}
	return in.Type == "private" || c.config.Groups && (in.Type == "group" || in.Type == "supergroup")
}

// chosen says which choice a text means, and quotes what it replies to.
func (c *Channel) chosen(ctx context.Context, m *message, conversation string, in *handover.Incoming) error {
	if m.Text != "" {
		if payload, ok, err := c.screen.Chosen(ctx, conversation, m.Text); ok || err != nil {
			in.Payload = payload
			return err
		}
	}
	if c.config.Quotes {
		in.Text = m.quote() + in.Text
	}
	return nil
}

// pressed is what a button says that was pressed. A payload that is forgotten leaves the title.
func (c *Channel) pressed(ctx context.Context, b *callback) (title, payload string, err error) {
	if b.Message.Keyboard != nil {
		for _, row := range b.Message.Keyboard.Rows {
			for _, x := range row {
				if x.Data == b.Data {
					title = x.Text
				}
			}
		}
	}
	payload, _, err = c.screen.Payload(ctx, b.Data)
	return title, payload, err
}

// maxQuote is how much of a message is quoted, in UTF-16 units.
const maxQuote = 120

// quote is the beginning of the message that this one replies to.
func (m *message) quote() string {
	if m.Reply == nil {
		return ""
	}
	text := textsplit.OneLine(m.Reply.Text + m.Reply.Caption)
	if textsplit.Blank(text) {
		return ""
	}
	text, _ = textsplit.Shorten(text, maxQuote)
	return "> " + text + "\n"
}

// read takes what a message says. What is no text and no file comes in words.
func (m *message) read(in *handover.Incoming) {
	in.Files = m.files()
	lines := []string{m.Text, m.Caption}
	if m.Sticker != nil {
		lines = append(lines, m.Sticker.Emoji)
	}
	if m.Dice != nil {
		lines = append(lines, m.Dice.Emoji)
	}
	if v := m.Venue; v != nil {
		lines = append(lines, v.Title, v.Address)
	}
	if p := m.Location; p != nil {
		at := fmt.Sprintf("%.6f,%.6f", p.Latitude, p.Longitude)
		lines = append(lines, "📍 "+at, "https://maps.google.com/?q="+at)
	}
	if p := m.Contact; p != nil {
		lines = append(lines, "👤 "+strings.TrimSpace(p.First+" "+p.Last), p.Phone)
	}
	if m.Poll != nil {
		lines = append(lines, m.Poll.Question)
		for _, o := range m.Poll.Options {
			lines = append(lines, "- "+o.Text)
		}
	}
	for _, l := range []*list{m.List, m.Game} {
		if l == nil {
			continue
		}
		lines = append(lines, l.Title)
		for _, task := range l.Tasks {
			lines = append(lines, "- "+task.Text)
		}
	}
	var all []string
	for _, line := range lines {
		if !textsplit.Blank(line) {
			all = append(all, line)
		}
	}
	if len(all) == 0 && len(in.Files) == 0 && m.unknown != "" {
		all = []string{"(" + strings.ReplaceAll(m.unknown, "_", " ") + ")"}
	}
	in.Text = strings.Join(all, "\n")
}

// files are the files of a message, for Config.OpenFile.
func (m *message) files() (all []handover.File) {
	add := func(f *file, mimeType string) {
		if f != nil && f.ID != "" {
			all = append(all, handover.File{
				ID: f.ID, Name: f.Name, MIMEType: cmp.Or(f.MIMEType, mimeType), Size: max(f.Size, 0),
				Duration: time.Duration(min(max(f.Duration, 0), 1<<20)) * time.Second,
			})
		}
	}
	if n := len(m.Photo); n > 0 { // the sizes of one picture
		largest := &m.Photo[0]
		for i := range m.Photo {
			if p := &m.Photo[i]; p.Width*p.Height > largest.Width*largest.Height {
				largest = p
			}
		}
		add(&largest.file, "image/jpeg")
	}
	if m.Motion != nil {
		add(m.Motion, "video/mp4")
	} else {
		add(m.Document, "")
	}
	add(m.Video, "video/mp4")
	add(m.Note, "video/mp4")
	add(m.Voice, "audio/ogg")
	add(m.Audio, "audio/mpeg")
	return all
}

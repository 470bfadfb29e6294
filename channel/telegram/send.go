package telegram

import (
	"context"
	"encoding/json"
	"net/http"
	"strings"
	"unicode/utf8"

	"github.com/crisphandover/handover"
	"github.com/crisphandover/handover/channel"
)

const (
	maxData = 64   // bytes of a button
	emptied = "🗑️" // a message that Telegram does not remove any more
)

// sentMessage is what the Bot API returns of a message that was sent.
type sentMessage struct {
	ID json.Number `json:"message_id"`
}

// idIn is the id of a message that was sent to a conversation by a call with in.
func (m sentMessage) idIn(conversation string, in map[string]any) string {
	chat, _ := in["chat_id"].(string)
	if m.ID == "" {
		return ""
	}
	return idIn(conversation, chat, m.ID.String())
}

// send shows a part. Where Telegram refuses the markup it is plain text, and where it refuses a file a link.
func (c *Channel) send(ctx context.Context, chat string, p channel.Part) (id string, err error) {
	var out sentMessage
	if p.File != nil {
		method, field := methodOf(p)
		in := map[string]any{"chat_id": chat, field: p.File.URL}
		err = c.try(ctx, method, in, "caption", p, &out)
		if !refused(err) {
			return out.idIn(chat, in), meant(err)
		}
		link := strings.TrimSpace(p.Plain + "\n" + p.File.URL)
		p = channel.Part{Text: link, Plain: link, Buttons: p.Buttons}
		return c.plain(ctx, chat, p)
	}
	in := map[string]any{"chat_id": chat}
	err = c.try(ctx, "sendMessage", in, "text", p, &out)
	if refused(err) {
		return c.plain(ctx, chat, p)
	}
	return out.idIn(chat, in), meant(err)
}

// plain shows a part without markup.
func (c *Channel) plain(ctx context.Context, chat string, p channel.Part) (id string, err error) {
	var out sentMessage
	in := map[string]any{"chat_id": chat, "text": p.Plain}
	if err = c.keyboard(ctx, in, p); err == nil {
		err = c.call(ctx, "sendMessage", in, &out)
	}
	return out.idIn(chat, in), meant(err)
}

// try shows a part with its markup.
func (c *Channel) try(ctx context.Context, method string, in map[string]any, field string, p channel.Part, out any) error {
	if p.Text != "" {
		in[field], in["parse_mode"] = p.Text, "HTML"
	}
	if err := c.keyboard(ctx, in, p); err != nil {
		return err
	}
	return c.call(ctx, method, in, out)
}

// refused reports whether Telegram did not take what it was given, so that something simpler may do.
func refused(err error) bool {
	e := saysOf(err)
	return e.code == http.StatusBadRequest && (e.known == "" || e.known == badMarkup)
}

// methodOf is how a file is sent.
func methodOf(p channel.Part) (method, field string) {
	switch p.Kind {
	case handover.AttachmentImage:
		if path, _, _ := strings.Cut(p.File.URL, "?"); strings.HasSuffix(strings.ToLower(path), ".gif") {
			return "sendAnimation", "animation"
		}
		return "sendPhoto", "photo"
	case handover.AttachmentVideo:
		return "sendVideo", "video"
	case handover.AttachmentAudio:
		return "sendAudio", "audio"
	}
	return "sendDocument", "document"
}

// button is a button of an inline keyboard.
type button struct {
	Text string `json:"text"`
	Data string `json:"callback_data,omitempty"`
	URL  string `json:"url,omitempty"`
}

type keyboard struct {
	Rows [][]button `json:"inline_keyboard"`
}

// keyboard adds the buttons. The error is that of Config.Sent.
func (c *Channel) keyboard(ctx context.Context, in map[string]any, p channel.Part) (err error) {
	if len(p.Buttons) > 0 {
		in["reply_markup"], err = c.rows(ctx, p.Buttons)
	}
	return err
}

// rowLength is how many characters stand side by side, which a narrow telephone shows whole.
const rowLength = 24

// rows lays buttons out.
func (c *Channel) rows(ctx context.Context, buttons []channel.Button) (k keyboard, err error) {
	used := rowLength
	for _, b := range buttons {
		one := button{Text: b.Title, URL: b.URL}
		if b.URL == "" {
			payload := b.Payload
			if payload == "" {
				payload = b.Title
			}
			if one.Data, err = c.screen.Data(ctx, payload, maxData); err != nil {
				return k, err
			}
		}
		n := utf8.RuneCountInString(b.Title) + 4
		if used+n > rowLength {
			k.Rows = append(k.Rows, nil)
			used = 0
		}
		used += n
		last := len(k.Rows) - 1
		k.Rows[last] = append(k.Rows[last], one)
	}
	return k, nil
}

// edit changes a message that was shown, unless the group has moved since.
func (c *Channel) edit(ctx context.Context, conversation, id string, p channel.Part) error {
	chat, number, err := c.groups.place(ctx, conversation, id)
	if err != nil {
		return err
	}
	in := map[string]any{"chat_id": chat, "message_id": json.Number(number)}
	err = c.try(ctx, "editMessageText", in, "text", p, nil)
	if saysOf(err).known == badMarkup {
		delete(in, "parse_mode")
		in["text"] = p.Plain
		err = c.call(ctx, "editMessageText", in, nil)
	}
	if saysOf(err).known == notModified { // the answer to the first attempt was lost
		return nil
	}
	return meant(err)
}

// remove removes a message that was shown, unless the group has moved since.
func (c *Channel) remove(ctx context.Context, conversation, id string) error {
	chat, number, err := c.groups.place(ctx, conversation, id)
	if err != nil {
		return err
	}
	in := map[string]any{"chat_id": chat, "message_id": json.Number(number)}
	err = c.call(ctx, "deleteMessage", in, nil)
	switch saysOf(err).known {
	case deleteGone:
		return nil
	case cannotDelete:
		return c.edit(ctx, conversation, id, channel.Part{Text: emptied, Plain: emptied})
	}
	return meant(err)
}

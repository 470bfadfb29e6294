package slack

import (
	"context"
	"slices"
	"strconv"
	"strings"

	"github.com/crisphandover/handover"
	"github.com/crisphandover/handover/channel"
)

// The limits of Block Kit, and of a text without it.
const (
	maxPlain   = 4000 // characters
	maxText    = 3000 // of a section
	maxButtons = 25   // of one block of actions
	maxTitle   = 75
	maxValue   = 2000
	maxURL     = 3000
)

const emptied = "🗑️" // a message that Slack does not remove any more

// post is a call of chat.postMessage or chat.update.
type post struct {
	Channel string  `json:"channel"`
	Thread  string  `json:"thread_ts,omitempty"`
	TS      string  `json:"ts,omitempty"`       // of the message that is changed
	Text    string  `json:"text"`               // what notifications show, and who cannot show blocks
	Blocks  []block `json:"blocks"`             // none: the text is shown
	Name    string  `json:"username,omitempty"` // Config.Customize
	Icon    string  `json:"icon_url,omitempty"`
}

type block struct {
	Type     string    `json:"type"`
	Text     *text     `json:"text,omitempty"`
	ImageURL string    `json:"image_url,omitempty"`
	Alt      string    `json:"alt_text,omitempty"`
	Elements []element `json:"elements,omitempty"`
}

type element struct {
	Type     string `json:"type"`
	Text     text   `json:"text"`
	ActionID string `json:"action_id"`
	Value    string `json:"value,omitempty"`
	URL      string `json:"url,omitempty"`
}

type text struct {
	Type string `json:"type"`
	Text string `json:"text"`
}

// linkAction begins the ids of buttons that open a link, of which Slack tells as well.
const linkAction = "link-"

// to is where a conversation is.
func to(conversation string) (in, thread string) {
	in, thread, _ = strings.Cut(conversation, "/")
	return in, thread
}

// send shows a part. Where Slack refuses blocks it is text, and where it refuses a picture a link.
func (c *Channel) send(ctx context.Context, conversation string, m handover.Message, p channel.Part) (ts string, err error) {
	p = linked(p)
	out := struct {
		TS string `json:"ts"`
	}{}
	in, err := c.post(ctx, p)
	if err != nil {
		return "", err
	}
	in.Channel, in.Thread = to(conversation)
	if c.config.Customize && m.From == handover.FromAgent {
		in.Name, in.Icon = m.Agent.Name, m.Agent.Avatar
	}
	err = c.call(ctx, "chat.postMessage", in, &out)
	if slices.Contains(badFormat, codeOf(err)) {
		in.Text, in.Blocks = escaped(p.Plain), nil
		if p.File != nil {
			in.Text = strings.TrimSpace(in.Text + "\n" + escaped(p.File.URL))
		}
		if len(p.Buttons) > 0 {
			simple, err := c.post(ctx, channel.Part{Text: in.Text, Buttons: p.Buttons})
			if err != nil {
				return "", err
			}
			in.Blocks = simple.Blocks
		}
		err = c.call(ctx, "chat.postMessage", in, &out)
	}
	return out.TS, meant(err)
}

// linked has a file that is no picture as a link.
func linked(p channel.Part) channel.Part {
	if p.File == nil || p.Kind == handover.AttachmentImage && len(p.File.URL) <= maxURL {
		return p
	}
	name := p.File.Name
	if name == "" {
		name = p.File.URL
	}
	link := "<" + strings.ReplaceAll(escaped(p.File.URL), "|", "%7C") + "|" + escaped(strings.ReplaceAll(name, "|", "/")) + ">"
	p.Text = strings.TrimSpace(p.Text + " " + link)
	p.Plain = strings.TrimSpace(p.Plain + " " + p.File.URL)
	p.File = nil
	return p
}

var escapes = strings.NewReplacer("&", "&amp;", "<", "&lt;", ">", "&gt;")

// escaped is plain text as Slack takes it.
func escaped(s string) string { return escapes.Replace(s) }

// post is what shows a part. The error is that of Config.Sent.
func (c *Channel) post(ctx context.Context, p channel.Part) (in post, err error) {
	in = post{Text: p.Text, Blocks: []block{}}
	if p.File == nil && len(p.Buttons) == 0 {
		return in, nil
	}
	if p.Text != "" {
		in.Blocks = append(in.Blocks, block{Type: "section", Text: &text{"mrkdwn", p.Text}})
	}
	if p.File != nil {
		alt := p.File.Name
		if alt == "" {
			alt = "🖼️"
		}
		in.Text = strings.TrimSpace(in.Text + " " + escaped(p.File.URL))
		in.Blocks = append(in.Blocks, block{Type: "image", ImageURL: p.File.URL, Alt: alt})
	}
	if len(p.Buttons) == 0 {
		return in, nil
	}
	actions := block{Type: "actions"}
	for i, b := range p.Buttons {
		e := element{Type: "button", Text: text{"plain_text", b.Title}, ActionID: "choice-" + strconv.Itoa(i+1), URL: b.URL}
		if b.URL != "" {
			e.ActionID = linkAction + strconv.Itoa(i+1)
		} else {
			payload := b.Payload
			if payload == "" {
				payload = b.Title
			}
			if e.Value, err = c.screen.Data(ctx, payload, maxValue); err != nil {
				return in, err
			}
		}
		actions.Elements = append(actions.Elements, e)
	}
	in.Blocks = append(in.Blocks, actions)
	return in, nil
}

// edit changes a message that was shown.
func (c *Channel) edit(ctx context.Context, conversation, ts string, p channel.Part) error {
	in, err := c.post(ctx, p)
	if err != nil {
		return err
	}
	in.Channel, _ = to(conversation)
	in.TS = ts
	err = c.call(ctx, "chat.update", in, nil)
	if slices.Contains(badFormat, codeOf(err)) {
		in.Text, in.Blocks = escaped(p.Plain), []block{}
		err = c.call(ctx, "chat.update", in, nil)
	}
	return meant(err)
}

// remove removes a message that was shown.
func (c *Channel) remove(ctx context.Context, conversation, ts string) error {
	in, _ := to(conversation)
	err := c.call(ctx, "chat.delete", map[string]string{"channel": in, "ts": ts}, nil)
	switch code := codeOf(err); {
	case code == messageGone:
		return nil
	case slices.Contains(cannotChange, code):
		return c.edit(ctx, conversation, ts, channel.Part{Text: emptied, Plain: emptied})
	}
	return meant(err)
}

package whatsapp

import (
	"fmt"
	"slices"
	"strings"

	"github.com/crisphandover/handover"
	"github.com/crisphandover/handover/channel"
	"github.com/crisphandover/handover/internal/textsplit"
)

// Limits of the Cloud API, from Meta's reference: "Text messages", "Interactive reply buttons messages", "Interactive
// list messages" and "Media messages". Meta does not say what a character is there; UTF-16 units are on the safe side.
const (
	maxText    = 4096
	maxBody    = 1024 // of a message with buttons, and of a caption
	maxButtons = 3
	maxTitle   = 20
	maxRows    = 10
	maxRow     = 24 // of a row's title
	maxRowText = 72 // of a row's description
	maxPayload = 200
	moreText   = "…" // of a message that only has buttons
)

// Capabilities is what WhatsApp can show: up to three choices are buttons, up to ten a list.
func (c *Channel) Capabilities() channel.Capabilities {
	return channel.Capabilities{
		Unit: channel.UTF16, Text: maxText, ButtonText: maxBody, Markup: channel.WhatsApp,
		Buttons: maxRows, Title: maxRow,
		Files: channel.FilesByURL, Caption: maxBody, Typing: true,
	}
}

// render returns a message as parts, each of which is one call of the Cloud API: with buttons if they hold all
// choices whole, else with a list.
func (c *Channel) render(m handover.Message) (parts []channel.Part) {
	can := c.Capabilities()
	can.Buttons, can.Title = maxButtons, maxTitle
	all := can.Render(m)
	if slices.ContainsFunc(all, func(p channel.Part) bool { return len(p.Listed) > len(p.Buttons) || isCut(p) }) {
		all = c.Capabilities().Render(m)
	}
	for _, p := range all {
		parts = append(parts, fit(p)...)
	}
	return parts
}

// isCut reports whether a button shows only the beginning of its choice.
func isCut(p channel.Part) bool {
	return slices.ContainsFunc(p.Buttons, func(b channel.Button) bool { return strings.HasSuffix(b.Title, "…") })
}

// fit returns a part as parts that are one call each.
func fit(p channel.Part) []channel.Part {
	if p.File == nil {
		return []channel.Part{p}
	}
	text, file, choices := p, channel.Part{File: p.File, Kind: p.Kind}, p
	text.File, text.Kind = nil, ""
	switch {
	case !takes(p): // a file that WhatsApp does not take is a link
		return withLink(text, p.File.URL)
	case len(p.Buttons) == 0 && (p.Kind != handover.AttachmentAudio || p.Text == ""):
		return []channel.Part{p}
	case len(p.Buttons) == 0: // a recording has no caption
		return []channel.Part{text, file}
	case p.Kind != handover.AttachmentAudio && areButtons(p): // which stand under the file
		if p.Text == "" {
			p.Text, p.Plain = moreText, moreText
		}
		return []channel.Part{p}
	}
	choices.File, choices.Kind, choices.Text, choices.Plain = nil, "", moreText, moreText
	text.Buttons, text.Listed = nil, nil
	switch {
	case p.Text == "":
		return []channel.Part{file, choices}
	case p.Kind == handover.AttachmentAudio:
		return []channel.Part{text, file, choices}
	}
	file.Text, file.Plain = p.Text, p.Plain
	return []channel.Part{file, choices}
}

// withLink adds a link to a text, or, where there is no room, before it.
func withLink(p channel.Part, link string) []channel.Part {
	text, limit := joined(p.Text, link), maxText
	if len(p.Buttons) > 0 {
		limit = maxBody
	}
	if channel.UTF16.Len(text) > limit {
		return []channel.Part{{Text: link, Plain: link}, p}
	}
	p.Text, p.Plain = text, joined(p.Plain, link)
	return []channel.Part{p}
}

// areButtons reports whether the choices of a part can be buttons: else they are a list.
func areButtons(p channel.Part) bool {
	return len(p.Buttons) <= maxButtons && !slices.ContainsFunc(p.Buttons, func(b channel.Button) bool { return channel.UTF16.Len(b.Title) > maxTitle })
}

// taken are the types that WhatsApp takes as something else than a document: "Supported media types" of Meta's
// reference.
var taken = map[string][]string{
	handover.AttachmentImage: {"image/jpeg", "image/png"},
	handover.AttachmentVideo: {"video/mp4", "video/3gpp", "video/3gp"},
	handover.AttachmentAudio: {"audio/aac", "audio/amr", "audio/mpeg", "audio/mp4", "audio/ogg"},
}

// takes reports whether WhatsApp takes a file. One whose type is not known is tried.
func takes(p channel.Part) bool {
	mimeType, _, _ := strings.Cut(strings.ToLower(p.File.MIMEType), ";")
	mimeType = strings.TrimSpace(mimeType)
	return mimeType == "" || p.Kind == handover.AttachmentFile || slices.Contains(taken[p.Kind], mimeType)
}

// outgoing is the body of a call.
type outgoing struct {
	Product     string       `json:"messaging_product"`
	Kind        string       `json:"recipient_type,omitempty"`
	To          string       `json:"to,omitempty"`
	Recipient   string       `json:"recipient,omitempty"` // in place of To, for a business-scoped user id
	Type        string       `json:"type,omitempty"`
	Text        *body        `json:"text,omitempty"`
	Image       *link        `json:"image,omitempty"`
	Audio       *link        `json:"audio,omitempty"`
	Video       *link        `json:"video,omitempty"`
	Document    *link        `json:"document,omitempty"`
	Interactive *interactive `json:"interactive,omitempty"`
	Status      string       `json:"status,omitempty"`
	MessageID   string       `json:"message_id,omitempty"`
	Typing      *typing      `json:"typing_indicator,omitempty"`
}

type body struct {
	Body string `json:"body"`
}

type link struct {
	Link     string `json:"link"`
	Caption  string `json:"caption,omitempty"`
	Filename string `json:"filename,omitempty"`
}

type typing struct {
	Type string `json:"type"`
}

type interactive struct {
	Type   string  `json:"type"`
	Header *header `json:"header,omitempty"`
	Body   text    `json:"body"`
	Action action  `json:"action"`
}

// header is a file above a text with buttons.
type header struct {
	Type     string `json:"type"`
	Image    *link  `json:"image,omitempty"`
	Video    *link  `json:"video,omitempty"`
	Document *link  `json:"document,omitempty"`
}

type text struct {
	Text string `json:"text"`
}

type action struct {
	Button   string    `json:"button,omitempty"`
	Buttons  []button  `json:"buttons,omitempty"`
	Sections []section `json:"sections,omitempty"`
}

type button struct {
	Type  string `json:"type"`
	Reply choice `json:"reply"`
}

type section struct {
	Rows []row `json:"rows"`
}

type row struct {
	ID          string `json:"id"`
	Title       string `json:"title"`
	Description string `json:"description,omitempty"`
}

// message is a part as the Cloud API takes it. data is what a button sends for a payload.
func (c *Channel) message(p channel.Part, data func(payload string) string) outgoing {
	out := outgoing{Product: "whatsapp", Kind: "individual"}
	switch {
	case len(p.Buttons) > 0:
		out.Type, out.Interactive = "interactive", c.interactive(p, data)
	case p.File == nil:
		out.Type, out.Text = "text", &body{p.Text}
	case p.Kind == handover.AttachmentImage:
		out.Type, out.Image = "image", fileOf(p)
	case p.Kind == handover.AttachmentAudio:
		out.Type, out.Audio = "audio", fileOf(p)
	case p.Kind == handover.AttachmentVideo:
		out.Type, out.Video = "video", fileOf(p)
	default:
		out.Type, out.Document = "document", fileOf(p)
	}
	return out
}

// fileOf is the file of a part. Its text is the caption, unless it has buttons, which stand under that.
func fileOf(p channel.Part) *link {
	l := &link{Link: p.File.URL}
	if len(p.Buttons) == 0 {
		l.Caption = p.Text
	}
	if p.Kind == handover.AttachmentFile {
		l.Filename = p.File.Name
	}
	return l
}

// headerOf is the file above a text with buttons.
func headerOf(p channel.Part) *header {
	switch {
	case p.File == nil:
		return nil
	case p.Kind == handover.AttachmentImage:
		return &header{Type: "image", Image: fileOf(p)}
	case p.Kind == handover.AttachmentVideo:
		return &header{Type: "video", Video: fileOf(p)}
	}
	return &header{Type: "document", Document: fileOf(p)}
}

// interactive shows choices as buttons if they fit, else as a list.
func (c *Channel) interactive(p channel.Part, data func(string) string) *interactive {
	rows, same := rowsOf(p, data)
	i := &interactive{Header: headerOf(p), Body: text{p.Text}}
	if said := joined(append([]string{p.Text}, same...)...); channel.UTF16.Len(said) <= maxBody {
		i.Body.Text = said
	}
	if len(rows) > maxButtons || slices.ContainsFunc(rows, func(r row) bool { return channel.UTF16.Len(r.Title) > maxTitle }) {
		i.Type, i.Action.Button, i.Action.Sections = "list", c.listTitle, []section{{rows}}
		return i
	}
	i.Type = "button"
	for _, r := range rows {
		i.Action.Buttons = append(i.Action.Buttons, button{"reply", choice{r.ID, r.Title}})
	}
	return i
}

// rowsOf returns the buttons of a part with ids and titles that differ from each other, as the Cloud API demands, and,
// where a title is cut, with the whole of it beside. same are the titles of those that mean the same as another.
func rowsOf(p channel.Part, data func(string) string) (rows []row, same []string) {
	ids, titles := map[string]bool{}, map[string]bool{}
	for i, b := range p.Buttons {
		r := row{ID: b.Payload, Title: b.Title}
		if r.ID == "" {
			r.ID = whole(p, i)
		}
		if r.ID = data(r.ID); ids[r.ID] {
			same = append(same, b.Title)
			continue
		}
		for n := 2; titles[r.Title]; n++ {
			number := fmt.Sprintf(" (%d)", n)
			short, _ := textsplit.Shorten(b.Title, maxTitle-len(number))
			r.Title = short + number
		}
		ids[r.ID], titles[r.Title] = true, true
		if title := whole(p, i); strings.HasSuffix(b.Title, "…") && channel.UTF16.Len(title) <= maxRowText {
			r.Description = title
		}
		rows = append(rows, r)
	}
	return rows, same
}

// whole is the title of a button, not shortened and without a number.
func whole(p channel.Part, i int) string {
	if i < len(p.Listed) {
		return p.Listed[i].Title
	}
	return p.Buttons[i].Title
}

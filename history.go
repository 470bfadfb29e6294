package handover

import (
	"context"
	"fmt"
	"io"
	"log/slog"
	"net/http"
	"runtime"
	"runtime/debug"
	"strings"
	"time"

	"github.com/crisphandover/handover/internal/historypage"
	"github.com/crisphandover/handover/internal/signedlink"
	"github.com/crisphandover/handover/internal/worker"
)

// History is the page that shows agents what was said before they came. Its link stands in the
// opening message in Crisp. It is signed and expires; within that time whoever has the link can
// read the conversation, as often as they want (Crisp itself opens links, to preview them).
//
// The page shows the newest 100 messages, the oldest of them first, and leads to older ones. Its title
// is the value of HistoryHead's field "Name", if there is one, else the conversation's Source and ID. Pictures
// are loaded once the reader asks for them: until then nobody but the bot's server hears that somebody reads.
type History struct {
	// URL is where Handover.HistoryHandler is to be found from outside, such as
	// "https://bot.example.com/handover/history". Empty means that there is no page of ours.
	URL string
	// SigningKey signs the links. At least 32 random bytes, the same on each replica. Required with URL.
	SigningKey Secret
	// OldSigningKeys are former keys whose links still open.
	OldSigningKeys []Secret
	// TTL is how long a link opens, rounded down to seconds. The default, 0, is 30 days.
	TTL time.Duration
}

// String returns the settings without keys.
func (h History) String() string { return "history at " + h.URL }

// Format writes String, whatever the verb.
func (h History) Format(f fmt.State, _ rune) { _, _ = io.WriteString(f, h.String()) }

// LogValue keeps keys out of logs.
func (h History) LogValue() slog.Value { return slog.StringValue(h.String()) }

// MarshalText keeps keys out of JSON.
func (h History) MarshalText() ([]byte, error) { return []byte(h.String()), nil }

const (
	transcriptTime = 10 * time.Second
	historyPurpose = "handover history link" // what the links are signed for
)

// links are its links, without their defaults.
func (h History) links() signedlink.Page {
	return linksOf(historyPurpose, h.URL, h.SigningKey, h.OldSigningKeys, h.TTL)
}

// linksOf are links that open without a login, for a limited time.
func linksOf(purpose, url string, key Secret, old []Secret, ttl time.Duration) signedlink.Page {
	return signedlink.Page{Purpose: purpose, URL: url, Keys: append([]string{key.Reveal()}, textsOf(old)...), TTL: ttl}
}

// link returns the link to the conversation's page, or "" if there is no page.
func (h History) link(c Conversation, now time.Time) string {
	return h.links().Link(now, c.WebsiteID, c.Source, c.ID)
}

// open returns the conversation that a link's token was made for. Its errors are those of signedlink; only a token with
// a good signature can have expired.
func (h History) open(token string, now time.Time) (Conversation, error) {
	fields, err := h.links().Open(token, now, 3)
	if err != nil {
		return Conversation{}, err
	}
	return Conversation{WebsiteID: fields[0], Source: fields[1], ID: fields[2]}, nil
}

// historyPage serves the page that links lead to.
type historyPage struct {
	history    History
	transcript func(context.Context, Conversation) ([]Message, error)
	// head returns what stands above the messages. Nil, unless the host wants user data there:
	// the link is all that protects the page.
	head     func(context.Context, Conversation) ([]HistoryField, error)
	logger   *slog.Logger
	observed func(Activity) // gets the errors of both, which may hold words
	bulkhead *worker.Bulkhead
}

// maxPagesHung is how many calls for the page may hang until no more are made.
const maxPagesHung = 64

// HistoryField is a line above the messages, such as "Email: anakin@example.com".
type HistoryField struct{ Name, Value string }

// ServeHTTP implements http.Handler: the page, or one that says why there is none.
func (p historyPage) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	historypage.Handler{Load: p.load, Broken: func(ctx context.Context, err error) {
		p.logger.ErrorContext(ctx, "handover: the history page cannot be rendered", "error", err)
	}}.ServeHTTP(w, r)
}

// load returns the conversation that a link's token opens.
func (p historyPage) load(ctx context.Context, token string) (historypage.Conversation, error) {
	c, err := p.history.open(token, time.Now())
	if err == nil && p.transcript == nil {
		err = signedlink.ErrWrong
	}
	if err != nil {
		return historypage.Conversation{}, err
	}
	ctx, cancel := context.WithTimeout(ctx, transcriptTime)
	defer cancel()
	messages, err := ask(ctx, p, c, p.transcript)
	if err != nil {
		p.logger.ErrorContext(ctx, "handover: Config.Transcript failed; the history page shows nothing: Config.Observe gets the error")
		p.observed(Activity{Kind: ActivityFault, Conversation: c, Effect: "transcript", Err: err, At: time.Now()})
		return historypage.Conversation{}, fmt.Errorf("the transcript cannot be had: %w", err)
	}
	var head []HistoryField
	if p.head != nil {
		if head, err = ask(ctx, p, c, p.head); err != nil {
			p.logger.ErrorContext(ctx, "handover: Config.HistoryHead failed; the history page is shown without it: Config.Observe gets the error")
			p.observed(Activity{Kind: ActivityFault, Conversation: c, Effect: "history head", Err: err, At: time.Now()})
		}
	}
	return historyOf(c, head, messages), nil
}

// ask calls f for at most transcriptTime. One that does not return is left alone.
func ask[T any](ctx context.Context, p historyPage, c Conversation, f func(context.Context, Conversation) (T, error)) (T, error) {
	return worker.Call(ctx, p.bulkhead, "", transcriptTime, func(ctx context.Context) (T, error) { return guarded(ctx, c, f) })
}

// guarded calls f and turns a panic into an error. What f panicked with may hold what people
// wrote, so the error has it only if it comes from the Go runtime.
func guarded[T any](ctx context.Context, c Conversation, f func(context.Context, Conversation) (T, error)) (result T, err error) {
	defer func() {
		switch cause := recover().(type) {
		case nil:
		case runtime.Error:
			err = fmt.Errorf("panic: %w\n%s", cause, debug.Stack())
		default:
			err = fmt.Errorf("panic with a %T\n%s", cause, debug.Stack())
		}
	}()
	return f(ctx, c)
}

// historyOf is a conversation as the history page shows it.
func historyOf(c Conversation, head []HistoryField, all []Message) historypage.Conversation {
	h := historypage.Conversation{Title: c.Source + " " + c.ID, Count: len(all), Message: func(i int) historypage.Message { return onPage(all[i]) }}
	for _, f := range head {
		h.Head = append(h.Head, historypage.Field(f))
	}
	return h
}

// onPage is a message as the history page shows it.
func onPage(m Message) historypage.Message {
	p := historypage.Message{At: m.At, Text: m.WithoutMarkdown().Content.Text, File: fileOnPage(m)}
	p.Author, p.Class = authorOnPage(m)
	for _, q := range m.Content.QuickReplies {
		p.Choices = append(p.Choices, historypage.Choice{Title: choiceOnPage(q), Picture: q.ImageURL})
	}
	if a := m.Content.Attachment; a != nil && a.Type == "template" {
		p.Panel = &historypage.Panel{Text: a.Payload.Text, Buttons: buttonsOnPage(a.Payload.Buttons)}
		for _, e := range a.Payload.Elements {
			card := historypage.Card{Title: e.Title, Subtitle: e.Subtitle, Picture: e.ImageURL, Buttons: buttonsOnPage(e.Buttons)}
			if e.DefaultAction != nil {
				card.URL = e.DefaultAction.URL
			}
			p.Panel.Cards = append(p.Panel.Cards, card)
		}
	}
	return p
}

// authorOnPage returns who wrote the message, and the class that the page shows it in.
func authorOnPage(m Message) (name, class string) {
	switch m.From {
	case FromUser:
		return "User", "user"
	case FromBot:
		return "Bot", "bot"
	case FromSystem:
		return "System", "system"
	case FromAgent:
		if name := strings.TrimSpace(m.Agent.Name); name != "" {
			return name + " (agent)", "agent"
		}
		return "Agent", "agent"
	}
	return "Unknown", "other"
}

// choiceOnPage returns what a quick reply says.
func choiceOnPage(q QuickReply) string {
	switch {
	case q.Title != "":
		return q.Title
	case q.ContentType == ReplyEmail:
		return "(the user's email address)"
	case q.ContentType == "user_phone_number":
		return "(the user's phone number)"
	}
	return q.Payload
}

func buttonsOnPage(all []Button) (buttons []historypage.Button) {
	for _, b := range all {
		buttons = append(buttons, historypage.Button{Title: b.Title, URL: b.URL})
	}
	return buttons
}

// fileOnPage returns the file that a message shows, or nil.
func fileOnPage(m Message) *historypage.File {
	var f File
	kind := AttachmentFile
	if a := m.Content.Attachment; a != nil {
		f.URL, kind = a.Payload.URL, a.Type
	}
	if m.File != nil {
		f = *m.File
	}
	if f == (File{}) {
		return nil
	}
	return &historypage.File{URL: f.URL, Name: f.Name, MIMEType: f.MIMEType, Kind: kind, Size: f.Size, Duration: f.Duration, Picture: kind == AttachmentImage}
}

package handover

import (
	"bytes"
	"context"
	"crypto/rand"
	_ "embed"
	"errors"
	"fmt"
	"html/template"
	"io"
	"log/slog"
	"net/http"
	"net/url"
	"path"
	"runtime"
	"runtime/debug"
	"strconv"
	"strings"
	"time"

	"github.com/crisphandover/handover/internal/weblink"
	"github.com/crisphandover/handover/internal/worker"
)

// History is the page that shows agents what was said before they came. Its link stands in the
// opening message in Crisp. It is signed and expires; within that time whoever has the link can
// read the conversation, as often as they want (Crisp itself opens links, to preview them).
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

// links are the settings of its links.
func (h History) links() signedLinks {
	return signedLinks{field: "History", purpose: historyPurpose, url: h.URL, key: h.SigningKey, old: h.OldSigningKeys, ttl: h.TTL}
}

// link returns the link to the conversation's page, or "" if there is no page.
func (h History) link(c Conversation, now time.Time) string {
	return h.links().page().Link(now, c.WebsiteID, c.Source, c.ID)
}

// open returns the conversation that a link's token was made for. Its errors are errLinkWrong and
// errLinkExpired; only a token with a good signature can have expired.
func (h History) open(token string, now time.Time) (Conversation, error) {
	fields, err := h.links().open(token, now, 3)
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

// pageData is what the template shows: a conversation, or a notice in its place with what to do.
type pageData struct {
	Nonce    string
	Notice   string
	Hint     string
	Head     []HistoryField
	Messages []Message
}

// ServeHTTP implements http.Handler: the page, or one that says why there is none.
func (p historyPage) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	data, status := p.answer(r)
	data.Nonce = rand.Text()
	var body bytes.Buffer
	if err := historyTemplate.Execute(&body, data); err != nil {
		p.logger.ErrorContext(r.Context(), "handover: the history page cannot be rendered", "error", err)
		status = http.StatusInternalServerError
		body.Reset()
		body.WriteString("The conversation cannot be shown.\n")
	}
	h := w.Header()
	h.Set("Content-Type", "text/html; charset=utf-8")
	h.Set("Content-Length", strconv.Itoa(body.Len()))
	h.Set("Content-Security-Policy", "default-src 'none'; img-src https: http: data:; style-src 'nonce-"+data.Nonce+
		"'; script-src 'nonce-"+data.Nonce+"'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'")
	h.Set("Referrer-Policy", "no-referrer")
	h.Set("X-Robots-Tag", "noindex, nofollow, noarchive")
	h.Set("Cache-Control", "no-store")
	h.Set("X-Content-Type-Options", "nosniff")
	h.Set("X-Frame-Options", "DENY")
	if status == http.StatusMethodNotAllowed {
		h.Set("Allow", "GET, HEAD")
	}
	w.WriteHeader(status)
	if r.Method != http.MethodHead {
		w.Write(body.Bytes()) // whoever asked has gone, if this fails
	}
}

// answer decides what to show. A wrong link gets the same answer whether the conversation that it
// names exists or not.
func (p historyPage) answer(r *http.Request) (pageData, int) {
	if r.Method != http.MethodGet && r.Method != http.MethodHead {
		return pageData{Notice: "This page can only be read."}, http.StatusMethodNotAllowed
	}
	c, err := p.history.open(r.URL.Query().Get("t"), time.Now())
	switch {
	case errors.Is(err, errLinkExpired):
		return pageData{Notice: "This link has expired.", Hint: "Links open for a limited time. Each handover brings a new one."}, http.StatusGone
	case err != nil || p.transcript == nil:
		return pageData{Notice: "This link does not lead anywhere.", Hint: "Check that it was copied whole."}, http.StatusNotFound
	}
	ctx, cancel := context.WithTimeout(r.Context(), transcriptTime)
	defer cancel()
	messages, err := ask(ctx, p, c, p.transcript)
	if err != nil {
		p.logger.ErrorContext(ctx, "handover: Config.Transcript failed; the history page shows nothing: Config.Observe gets the error")
		p.observed(Activity{Kind: ActivityFault, Conversation: c, Effect: "transcript", Err: err, At: time.Now()})
		return pageData{Notice: "The conversation cannot be shown right now.", Hint: "Try again in a minute."}, http.StatusServiceUnavailable
	}
	data := pageData{Messages: messages}
	if p.head != nil {
		if data.Head, err = ask(ctx, p, c, p.head); err != nil {
			p.logger.ErrorContext(ctx, "handover: Config.HistoryHead failed; the history page is shown without it: Config.Observe gets the error")
			p.observed(Activity{Kind: ActivityFault, Conversation: c, Effect: "history head", Err: err, At: time.Now()})
		}
	}
	return data, http.StatusOK
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

//go:embed history.html.tmpl
var historyHTML string

var historyTemplate = template.Must(template.New("history").Funcs(template.FuncMap{
	"author": pageAuthor,
	"choice": pageChoice,
	"file":   newPageFile,
	"image":  func(s string) string { return pageURL(s, "https", "http") },
	"link":   func(s string) template.URL { return template.URL(pageURL(s, "https", "http", "mailto", "tel")) },
}).Parse(historyHTML))

// pageAuthor returns who wrote the message, and the class that the page shows it in.
func pageAuthor(m Message) struct{ Name, Class string } {
	a := struct{ Name, Class string }{"Unknown", "other"}
	switch m.From {
	case FromUser:
		a.Name, a.Class = "User", "user"
	case FromBot:
		a.Name, a.Class = "Bot", "bot"
	case FromSystem:
		a.Name, a.Class = "System", "system"
	case FromAgent:
		a.Name, a.Class = "Agent", "agent"
		if name := strings.TrimSpace(m.Agent.Name); name != "" {
			a.Name = name + " (agent)"
		}
	}
	return a
}

// pageChoice returns what a quick reply says.
func pageChoice(q QuickReply) string {
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

// pageFile is a file as the page shows it.
type pageFile struct {
	URL     string // empty if it must not be shown
	Name    string
	About   string // type, size and duration, as far as they are known
	IsImage bool
}

// newPageFile returns the file that a message shows, or nil.
func newPageFile(m Message) *pageFile {
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
	p := &pageFile{URL: pageURL(f.URL, "https", "http"), Name: f.Name}
	p.IsImage = p.URL != "" && (kind == AttachmentImage || strings.HasPrefix(f.MIMEType, "image/"))
	if u, err := url.Parse(p.URL); err == nil && p.Name == "" && p.URL != "" {
		p.Name = strings.Trim(path.Base(u.Path), "/.")
	}
	if p.Name == "" {
		p.Name = kind
	}
	var about []string
	if f.MIMEType != "" {
		about = append(about, f.MIMEType)
	}
	switch {
	case f.Size >= 1e6:
		about = append(about, fmt.Sprintf("%.1f MB", float64(f.Size)/1e6))
	case f.Size > 0:
		about = append(about, fmt.Sprintf("%.1f kB", float64(f.Size)/1e3))
	}
	if f.Duration > 0 {
		about = append(about, f.Duration.Round(time.Second).String())
	}
	p.About = strings.Join(about, ", ")
	return p
}

// pageURL returns the URL if it is absolute, has one of the schemes and shows no secret; else "".
func pageURL(s string, schemes ...string) string {
	u, err := url.Parse(strings.TrimSpace(s))
	if err != nil || u.User != nil || weblink.HoldsToken(u) {
		return ""
	}
	if u.Host == "" && (u.Scheme == "https" || u.Scheme == "http") {
		return ""
	}
	for _, scheme := range schemes {
		if u.Scheme == scheme {
			return u.String()
		}
	}
	return ""
}

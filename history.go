package handover

import (
	"context"
	"fmt"
	"io"
	"log/slog"
	"net/http"
	"runtime"
	"runtime/debug"
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

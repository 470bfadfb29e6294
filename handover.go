package handover

import (
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net/http"
	"time"

	"github.com/crisphandover/handover/internal/testhook"
	"github.com/crisphandover/handover/internal/website"
	"github.com/crisphandover/handover/internal/worker"
)

// Handover hands conversations over and takes them back. Make it with New: the methods of any other one only
// return an error, and its handlers answer 503. All methods may be called concurrently.
type Handover struct{ *engine }

// New checks the configuration and names all its faults at once, each with what to do: it refuses what nobody
// can mean. It says in the log, once, that hooks cannot be verified (Config.Webhook), and that the state dies
// with the process (Config.Store). It does no I/O and starts nothing: call Run to have deadlines and retries
// kept. Check finds out about all that is outside of the configuration.
func New(c Config) (*Handover, error) {
	cfg, err := c.prepare()
	if err != nil {
		return nil, err
	}
	cfg.warn(c.Store != nil)
	return &Handover{newEngine(&cfg)}, nil
}

// errNotMade is what a Handover says that New did not make.
var errNotMade = errors.New("handover: nothing can be done with a zero Handover: make it with New")

// made returns an error if New did not make this Handover.
func (h *Handover) made() error {
	if h == nil || h.engine == nil {
		return errNotMade
	}
	return nil
}

// checkConversation refuses conversations that cannot be.
func (h *Handover) checkConversation(c Conversation) error {
	if err := h.made(); err != nil {
		return err
	}
	return h.cfg.checkConversation(c)
}

// unmade answers what a Handover that New did not make is asked for.
func unmade(w http.ResponseWriter, _ *http.Request) {
	http.Error(w, errNotMade.Error(), http.StatusServiceUnavailable)
}

// Tests take parts of the engine away, and wait until it is at rest.
func init() {
	testhook.Set = func(h any, hooks testhook.Hooks) {
		e := h.(*Handover).engine
		e.hooks, e.store.skew, e.crisp.noLookUp = hooks, hooks.Skew, hooks.NoLookUp
	}
	testhook.ChangeCell = changeCell
	testhook.Drain = func(ctx context.Context, h any) error {
		if h, ok := h.(interface{ drain(context.Context) error }); ok { // also a host's type that embeds a Handover
			return h.drain(ctx)
		}
		return nil
	}
}

// drain waits until nothing is under way in this process.
func (h *engine) drain(ctx context.Context) error { return h.pool.Drain(ctx) }

// String returns what may be printed of a Handover: its website.
func (h *Handover) String() string {
	if h.made() != nil {
		return "handover"
	}
	return "handover of website " + h.cfg.WebsiteID
}

// Format writes String, whatever the verb.
func (h *Handover) Format(f fmt.State, _ rune) { _, _ = io.WriteString(f, h.String()) }

// LogValue keeps the configuration out of logs.
func (h *Handover) LogValue() slog.Value { return slog.StringValue(h.String()) }

// EndOptions say how End ends.
type EndOptions struct {
	// UserLeft says that the user went: the reason is EndUserLeft. Else it is EndHostEnded.
	UserLeft bool
	// Note is for the agents. Default: Texts.NoteLeft.
	Note string
	// Resolve resolves the conversation in Crisp as well.
	Resolve bool
	// HandoverID ends only the handover with this id: a late End does not end the next one.
	HandoverID string
	// Epoch, unless 0, is the Epoch that the conversation must still have (Session, ConversationStatus). If it got another
	// owner since, End changes nothing and returns ErrNotYourTurn.
	Epoch int64
}

// End gives the conversation back to the bot: it ends a handover, a mute, an offer or a
// follow-up, whatever there is. Without any of them it does nothing. An end of ctx does not stop it:
// it takes as long as its accesses to the store, of 20 s each at the most.
func (h *Handover) End(ctx context.Context, c Conversation, o EndOptions) error {
	if err := h.checkConversation(c); err != nil {
		return err
	}
	if len(o.Note) > h.cfg.Limits.Text {
		return fmt.Errorf("handover: EndOptions.Note is longer than Limits.Text, %d bytes", h.cfg.Limits.Text)
	}
	ctx = context.WithoutCancel(ctx)
	k, err := h.locate(ctx, c)
	if err != nil {
		return err
	}
	_, err = h.update(ctx, k, func(rec *record) error {
		switch {
		case !rec.env.stored && o.Epoch == 0:
			return errKeep
		case o.Epoch != 0 && (!rec.env.stored || o.Epoch != rec.Epoch):
			return ErrNotYourTurn
		case o.HandoverID != "" && !rec.runs(o.HandoverID):
			return errKeep
		}
		t := onHostEnd
		if o.UserLeft && rec.human() { // the user cannot leave whom they do not talk with
			t = onUserLeft
		}
		rec.fire(t, cause{options: o})
		return nil
	})
	return err
}

// Session returns a view of the conversation. One that is not known yet has its bot. It reads the store, for
// 20 s at the most, once for each of Config.Websites.
func (h *Handover) Session(ctx context.Context, c Conversation) (Session, error) {
	if err := h.checkConversation(c); err != nil {
		return Session{}, err
	}
	rec, err := h.loadOf(ctx, c)
	if err != nil {
		return Session{}, err
	}
	if !rec.env.stored {
		rec.Epoch = 0
	}
	return rec.view(), nil
}

// Forget erases what the store holds of a conversation, for requests of erasure. Crisp's own copy
// is not touched. A handover that runs ends with it, without OnEnd. Each access to the store takes 20 s at
// the most; after an error call it again.
func (h *Handover) Forget(ctx context.Context, c Conversation) error {
	if err := h.checkConversation(c); err != nil {
		return err
	}
	k, err := h.locate(ctx, c)
	if err != nil {
		return err
	}
	r, err := h.store.remove(ctx, k.key)
	if err != nil {
		return err
	}
	h.recent.Remove(k.key)
	rec, err := decodeRecord(r, k.key, c, h.store.now())
	if err != nil {
		return nil // what cannot be read names no sessions, and is forgotten all the same
	}
	return h.old.drop(ctx, rec, rec.Sessions)
}

// HistoryLink returns the signed link to the conversation's history, as the opening message has
// it; empty without Config.History.URL. It does not block.
func (h *Handover) HistoryLink(c Conversation) (string, error) {
	if err := h.checkConversation(c); err != nil {
		return "", err
	}
	return h.cfg.History.link(c, time.Now()), nil
}

// HistoryHandler serves the page that history links lead to. Config.Transcript and Config.HistoryHead have 10 s
// each time.
func (h *Handover) HistoryHandler() http.Handler {
	if h.made() != nil {
		return http.HandlerFunc(unmade)
	}
	return historyPage{
		history: h.cfg.History, transcript: h.cfg.Transcript, head: h.cfg.HistoryHead, logger: h.cfg.Logger, observed: h.host.observed,
		bulkhead: worker.NewBulkhead(worker.BulkheadOptions{Abandoned: maxPagesHung}),
	}
}

// FileHandler serves the files that the links of Config.Files lead to: GET and HEAD, parts of files, at most
// FileLinks.MaxSize. Config.OpenFile has 10 s, the file 10 minutes, and whoever reads it 30 s for each piece; 64
// files are read at a time, more are answered 503.
func (h *Handover) FileHandler() http.Handler {
	if h.made() != nil {
		return http.HandlerFunc(unmade)
	}
	return filePage{
		files: h.cfg.Files, open: h.cfg.OpenFile, logger: h.cfg.Logger, observed: h.host.observed,
		bulkhead: worker.NewBulkhead(worker.BulkheadOptions{Abandoned: maxFilesHung}), places: make(chan struct{}, maxFilesOpen),
	}
}

// Available reports whether somebody is there to answer. The answer may be 10 s old; PresenceUnknown comes
// with the error of asking Crisp, or without one when Crisp's answer is not known to us.
// Config.Presence has the last word. It takes as long as the store, one call to Crisp and Config.Presence: 20 s,
// 10 s and Timeouts.Callback at the most.
func (h *Handover) Available(ctx context.Context, c Conversation) (Presence, error) {
	if err := h.checkConversation(c); err != nil {
		return PresenceUnknown, err
	}
	rec, err := h.loadOf(ctx, c)
	if err != nil {
		return PresenceUnknown, err
	}
	there, err := presenceAt(ctx, h.sites.of(rec))
	return h.host.presence(ctx, rec, there), err
}

// Spent is how many calls to Crisp were made on a day, against the token's daily quota.
type Spent struct {
	Day   string // in UTC, such as "2026-11-23"
	Calls int64  // of all replicas; what each did last may be missing
}

// Spent returns what this day has cost so far, in calls to Crisp for all websites. It asks the store for each,
// for 20 s at the most each time.
func (h *Handover) Spent(ctx context.Context) (Spent, error) {
	if err := h.made(); err != nil {
		return Spent{}, err
	}
	now := h.store.now()
	sum := Spent{Day: website.Today(now)}
	for _, s := range h.sites {
		if err := s.Spend(ctx); err != nil {
			return Spent{}, err
		}
		w, err := s.Read(ctx)
		if err != nil {
			return Spent{}, err
		}
		sum.Calls += w.CallsOf(now)
	}
	return sum, nil
}

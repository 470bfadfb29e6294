// Package handover hands a bot's conversation to human agents in Crisp, and takes it back.
//
// The user stays in the channel where they are. A bot's backend gives every message of the user to
// Receive first. As long as the bot is to answer, it speaks through Reply; when the user needs a
// person, it calls Start. From then on messages pass between the user and the agents in Crisp,
// until the agents resolve the conversation there and the bot answers again.
//
//	turn, err := h.Receive(ctx, handover.Incoming{Conversation: conv, ID: msgID, Text: text})
//	if err != nil || !turn.Bot {
//		return err // on an error the channel repeats the message; else a human has it
//	}
//	answer := bot.Answer(ctx, text)
//	err = h.Reply(ctx, turn, func(ctx context.Context) error { return chat.Send(ctx, conv.ID, answer.Text) })
//	if err == nil && answer.NeedHelp {
//		_, err = h.Start(ctx, turn, handover.Request{Segments: []string{"Customer"}})
//	}
//
// # Promises
//
// One voice: the library never starts a bot message given to Reply while it has recorded that a
// human owns the conversation; one that is under way is told to stop. At most one side speaks,
// unless send ignores its ended context beyond Timeouts.Reply.
//
// Agent to user, nothing lost: each message at least once, in the order in which Crisp's log shows
// it, with the same Message.ID at each attempt: exactly once if Deliver is idempotent by that id.
// One that cannot be shown is reported to the agents. One that becomes visible late is delivered
// late, marked so.
//
// User to agent, nil means Crisp has it: never posted twice unless Crisp carries out a request
// later than a fresh read, made after our time-out, said it had not; in the order of the nil
// returns.
//
// Nobody is left hanging: every handover has exactly one end and one un-mute, with a typed reason.
// OnEnd is called at least once, with the same id.
//
// They hold through Crisp's faults, restarts and several replicas, given a durable Store and Run
// on at least one replica. With MemoryStore they end with the process.
//
// # Errors
//
// What is normal is a typed result; errors are faults. A call to Crisp that failed is an APIError:
//
//	var api *handover.APIError
//	if errors.As(err, &api) && api.StatusCode == 401 { … }
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
)

// Handover hands conversations over and takes them back. Make it with New. All methods may be
// called concurrently.
type Handover struct{ *engine }

// New checks the configuration and names all its faults at once. It does no I/O and starts
// nothing: call Run to have deadlines and retries kept.
func New(c Config) (*Handover, error) {
	cfg, err := c.prepare()
	if err != nil {
		return nil, err
	}
	if !cfg.Webhook.proves() {
		cfg.Logger.Warn("handover: Config.Webhook has neither a secret nor a key: ServeHTTP refuses every hook. " +
			"Set Webhook.Secrets or Webhook.Keys, unless you receive hooks with ReadEvent and HandleEvent")
	}
	return &Handover{newEngine(&cfg)}, nil
}

// The tests of this module take parts of the engine away.
func init() {
	testhook.Set = func(h any, hooks testhook.Hooks) {
		h.(*Handover).hooks, h.(*Handover).clock.skew = hooks, hooks.Skew
	}
	testhook.ChangeCell = changeCell
}

// String returns what may be printed of a Handover: its website.
func (h *Handover) String() string {
	if h == nil || h.engine == nil {
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
	// Reason is EndHostEnded, the default, or EndUserLeft.
	Reason EndReason
	// Note is for the agents. Default: Texts.NoteLeft.
	Note string
	// Resolve resolves the conversation in Crisp as well.
	Resolve bool
	// HandoverID ends only the handover with this id: a late End does not end the next one.
	HandoverID string
}

// End gives the conversation back to the bot: it ends a handover, a mute, an offer or a
// follow-up, whatever there is. Without any of them it does nothing.
func (h *Handover) End(ctx context.Context, c Conversation, o EndOptions) error {
	if err := h.checkConversation(c); err != nil {
		return err
	}
	t := onHostEnd
	switch o.Reason {
	case "", EndHostEnded:
	case EndUserLeft:
		t = onUserLeft
	default:
		return errors.New("handover: EndOptions.Reason must be EndHostEnded or EndUserLeft")
	}
	if len(o.Note) > h.cfg.Limits.Text {
		return fmt.Errorf("handover: EndOptions.Note is longer than Limits.Text, %d bytes", h.cfg.Limits.Text)
	}
	ctx = context.WithoutCancel(ctx)
	key, k, err := h.locate(ctx, c)
	if err != nil {
		return err
	}
	_, err = h.updateFrom(ctx, k, key, c, func(rec *record) error {
		t := t
		if !rec.env.stored || o.HandoverID != "" && !rec.runs(o.HandoverID) {
			return errKeep
		}
		if !rec.human() {
			t = onHostEnd // the user cannot leave whom they do not talk with
		}
		rec.fire(t, cause{options: o})
		return nil
	})
	return err
}

// Session returns a view of the conversation. One that is not known yet has its bot.
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
	return h.view(rec), nil
}

// Forget erases what the store holds of a conversation, for requests of erasure. Crisp's own copy
// is not touched. A handover that runs ends with it, without OnEnd.
func (h *Handover) Forget(ctx context.Context, c Conversation) error {
	if err := h.checkConversation(c); err != nil {
		return err
	}
	ctx, cancel := context.WithTimeout(ctx, storeTimeout)
	defer cancel()
	key, _, err := h.locate(ctx, c)
	if err != nil {
		return err
	}
	for {
		r, err := h.cfg.Store.Load(ctx, key)
		if err != nil {
			return fmt.Errorf("handover: load from the store: %w", err)
		}
		// What cannot be read, and names no sessions then, is forgotten all the same.
		rec, unread := decodeRecord(r, key, c, h.clock.now())
		switch err = h.cfg.Store.Delete(ctx, key, r.Version); {
		case err == nil && unread == nil:
			return h.dropOld(ctx, rec, rec.Sessions)
		case err == nil:
			return nil
		case !errors.Is(err, ErrConflict):
			return fmt.Errorf("handover: delete from the store: %w", err)
		}
	}
}

// Check reads each website, to find out whether the token works. It changes nothing.
func (h *Handover) Check(ctx context.Context) error {
	for _, s := range h.sites {
		if err := s.crisp.check(ctx); err != nil {
			return err
		}
	}
	return nil
}

// HistoryLink returns the signed link to the conversation's history, as the opening message has
// it; empty without Config.History.URL.
func (h *Handover) HistoryLink(_ context.Context, c Conversation) (string, error) {
	if err := h.checkConversation(c); err != nil {
		return "", err
	}
	return h.cfg.History.link(c, time.Now()), nil
}

// HistoryHandler serves the page that history links lead to.
func (h *Handover) HistoryHandler() http.Handler {
	return historyPage{
		history: h.cfg.History, transcript: h.cfg.Transcript, head: h.cfg.HistoryHead, logger: h.cfg.Logger, observed: h.observed,
	}
}

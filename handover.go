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
	"sync"
	"sync/atomic"
	"time"

	"github.com/crisphandover/handover/internal/testhook"
	"github.com/crisphandover/handover/internal/worker"
)

// Handover hands conversations over and takes them back. Make it with New. All methods may be
// called concurrently.
type Handover struct {
	cfg      *Config
	sites    map[string]*site
	process  string // names this process in claims
	clock    clock
	pool     *worker.Pool
	given    sync.Map // records that the store gave with a claim, by key
	waiters  worker.Waiters[*record]
	calls    *worker.Bulkhead // of the host's callbacks
	failing  worker.Pushback  // records that cannot be worked on
	watching atomic.Bool      // the store tells of other processes' saves
	speaking speaking
	bodies   *hookBodies    // reads those of hooks
	refusal  atomic.Int64   // when a hook without proof was last logged, in Unix seconds
	hooks    testhook.Hooks // zero but in tests of this module
}

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
	h := &Handover{cfg: &cfg, bodies: newHookBodies()}
	h.sites = newSites(&cfg, &h.clock, func(a Activity) { h.tell([]Activity{a}) })
	h.process = newID()
	h.pool = worker.NewPool(h.work, worker.PoolOptions{Workers: cfg.Limits.Workers, Queue: cfg.Limits.Queue, Panicked: h.panicked})
	h.calls = worker.NewBulkhead(worker.BulkheadOptions{Panicked: func(stack string) {
		h.cfg.Logger.Error("handover: a callback panicked", "stack", stack)
	}})
	return h, nil
}

// String returns what may be printed of a Handover: its website.
func (h *Handover) String() string {
	if h == nil || h.cfg == nil {
		return "handover"
	}
	return "handover of website " + h.cfg.WebsiteID
}

// Format writes String, whatever the verb.
func (h *Handover) Format(f fmt.State, _ rune) { _, _ = io.WriteString(f, h.String()) }

// LogValue keeps the configuration out of logs.
func (h *Handover) LogValue() slog.Value { return slog.StringValue(h.String()) }

// Outcome is what Start came to.
type Outcome string

// The outcomes of Start. The zero value means that nothing was asked.
const (
	Opened      Outcome = "opened"       // the Crisp conversation is open; the user is being told
	Opening     Outcome = "opening"      // the wait ended first; the opening goes on
	AlreadyOpen Outcome = "already_open" // a handover runs already
	NobodyThere Outcome = "nobody_there" // the no-agent messages are on their way; the bot goes on
	NotAllowed  Outcome = "not_allowed"  // Config.Sources does not have the channel
	TooSoon     Outcome = "too_soon"     // nobody came, and Timeouts.CoolDown since then has not passed
	OpenFailed  Outcome = "open_failed"  // Crisp could not be reached; the user is being told; the bot goes on
)

// Start asks for a human. The user is told what comes of it, through Deliver, perhaps after Start has
// returned: the bot need not say anything. ctx bounds the wait: when it ends first the outcome is
// Opening, with ctx's error, and the opening goes on. After Shutdown the outcome is Opening with
// ErrShutdown: another process, or the next start, goes on with it. A turn that does not hold any
// more gives AlreadyOpen while a handover runs, else ErrNotYourTurn; the agent gets its message, as
// after a refused Reply. After any other error without an outcome call Start again with the same turn,
// unless it finds fault with the request.
func (h *Handover) Start(ctx context.Context, t Turn, r Request) (Outcome, error) {
	if err := h.checkStart(t, &r); err != nil {
		return "", err
	}
	key := h.key(t.Conversation)
	scope, wait := scopeOf(ctx, key), ctx
	// What the user asked for is stored even if the caller is gone: only the wait is the caller's.
	ctx = context.WithoutCancel(ctx)
	there := Unknown
	if h.cfg.allows(t.Conversation.Source) {
		there = h.ask(ctx, t, r)
	}
	var outcome Outcome
	var id string
	rec, err := h.update(ctx, key, t.Conversation, func(rec *record) error {
		if scope != nil && scope.reply != "" {
			rec.Replies.end(scope.reply)
		}
		outcome, id = rec.start(t, r, there), ""
		if outcome == Opening {
			id = rec.Handover.ID
		}
		if outcome == "" {
			return rec.passOn(t.MessageID)
		}
		rec.observe(Activity{Kind: ActivityAsked, Outcome: outcome, MessageID: t.MessageID})
		return nil
	})
	if scope != nil && scope.end != nil {
		scope.end(nil)
	}
	if err == nil && outcome == "" {
		err = ErrNotYourTurn
	}
	if err != nil {
		return "", err
	}
	if outcome != Opening || scope != nil {
		return outcome, nil
	}
	if h.pool.Closed() {
		return Opening, fmt.Errorf("handover: the opening goes on elsewhere: %w", ErrShutdown)
	}
	return h.awaitOpening(wait, key, rec, id)
}

// start decides what an asking comes to, and fires it.
func (rec *record) start(t Turn, r Request, there Presence) Outcome {
	holds := rec.holds(t) || rec.State == StateMuted && rec.Mute != nil && t.Epoch == rec.Mute.Turn
	switch {
	case rec.human():
		_ = rec.passOn(t.MessageID) // the bot will not answer it
		return AlreadyOpen
	case !holds:
		return ""
	}
	rec.answer(t)
	switch {
	case !rec.env.cfg.allows(t.Conversation.Source):
		rec.say(textNotAllowed, "").Locale = r.Locale
		return NotAllowed
	case rec.coolsDown(r):
		rec.say(textTooSoon, "").Locale = r.Locale
		return TooSoon
	case there == Away || there == Unknown && rec.env.cfg.Policy.RefuseUnknown:
		rec.fire(onNobody, cause{request: &r})
		return NobodyThere
	}
	rec.fire(onStart, cause{request: &r})
	return Opening
}

// holds reports whether the conversation has the owner that it had when the turn was given. The
// turn of a conversation that was not known yet has no epoch: it holds until the first change.
func (rec *record) holds(t Turn) bool {
	return t.Epoch == rec.Epoch || t.Epoch == 0 && rec.Epoch == rec.First
}

// coolsDown reports whether nobody came so recently that asking again is of no use.
func (rec *record) coolsDown(r Request) bool {
	wait := rec.env.cfg.Timeouts.override(r.Timeouts).CoolDown
	return rec.Handover != nil && rec.Handover.Reason == EndClaimTimeout && wait > 0 && rec.Handover.Ended.Add(wait).After(rec.env.now)
}

// answer notes that the turn's message has its answer.
func (rec *record) answer(t Turn) {
	if in := rec.UserMessages.find(t.MessageID); in != nil && (in.Status == messageTurn || in.Status == messageKept) {
		in.done(messageAnswered)
	}
}

// awaitOpening waits until an opening has succeeded or failed.
func (h *Handover) awaitOpening(ctx context.Context, key string, rec *record, id string) (Outcome, error) {
	outcome := OpenFailed
	err := h.wait(ctx, key, rec, func(rec *record) bool {
		if rec.Handover == nil || rec.Handover.ID != id {
			return true
		}
		if !rec.Handover.Opened.IsZero() {
			outcome = Opened
		}
		return rec.State != StateOpening
	})
	if err != nil {
		return Opening, fmt.Errorf("handover: the opening goes on: %w", err)
	}
	return outcome, nil
}

// checkStart refuses what cannot be asked for.
func (h *Handover) checkStart(t Turn, r *Request) error {
	if err := h.checkConversation(t.Conversation); err != nil {
		return err
	}
	if r.CrispID != "" && !validSessionID(r.CrispID) {
		return errors.New(`handover: Request.CrispID must be a Crisp session id, "session_…"`)
	}
	for _, id := range []string{r.Inbox, r.Operator} {
		if id != "" && !validWebsiteID(id) {
			return errors.New("handover: Request.Inbox and Request.Operator must be Crisp's ids, in lower case, not names")
		}
	}
	var err error
	if r.NoAgent, err = completed("Request.NoAgent", r.NoAgent); err != nil {
		return fmt.Errorf("handover: %w", err)
	}
	if err := r.User.check(); err != nil {
		return fmt.Errorf("handover: Request.User: %w", err)
	}
	timeouts := r.Timeouts
	if err := timeouts.prepare(); err != nil {
		return fmt.Errorf("handover: Request: %w", err)
	}
	return nil
}

// BotOutput is the connector's output object, as bots made for it set it.
type BotOutput struct {
	Muted    bool   `json:"muted,omitempty"`
	NeedHelp bool   `json:"need_help,omitempty"`
	Category string `json:"handover_category_name,omitempty"` // a segment
}

// Apply does what the connector did with a bot's output: NeedHelp is Start, with Category as a
// segment; Muted alone is Mute. A mute that came with NeedHelp ends when nobody is there. The
// zero BotOutput asks for nothing, and gives the zero Outcome.
func (h *Handover) Apply(ctx context.Context, t Turn, out BotOutput, r Request) (Outcome, error) {
	if !out.NeedHelp {
		if !out.Muted {
			return "", nil
		}
		return "", h.Mute(ctx, t)
	}
	if out.Category != "" {
		r.Segments = append([]string{out.Category}, r.Segments...)
	}
	return h.Start(ctx, t, r)
}

// Mute silences the bot without asking for a human, until End, a handover, or Timeouts.Max.
// Messages of the user are kept; the last 20 go along with a handover that comes. The same turn
// may still Start one.
func (h *Handover) Mute(ctx context.Context, t Turn) error {
	if err := h.checkConversation(t.Conversation); err != nil {
		return err
	}
	key := h.key(t.Conversation)
	scope := scopeOf(ctx, key)
	if scope != nil {
		ctx = context.WithoutCancel(ctx)
	}
	_, err := h.update(ctx, key, t.Conversation, func(rec *record) error {
		if scope != nil && scope.reply != "" {
			rec.Replies.end(scope.reply)
		}
		if rec.State == StateMuted {
			return nil
		}
		if rec.State != StateBot || !rec.holds(t) {
			return ErrNotYourTurn
		}
		rec.answer(t)
		rec.fire(onMute, cause{turn: t})
		return nil
	})
	if scope != nil && scope.end != nil {
		scope.end(nil)
	}
	return err
}

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
	_, err := h.update(context.WithoutCancel(ctx), h.key(c), c, func(rec *record) error {
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
	rec, err := h.load(ctx, h.key(c), c)
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
	for {
		r, err := h.cfg.Store.Load(ctx, h.key(c))
		if err != nil {
			return fmt.Errorf("handover: load from the store: %w", err)
		}
		switch err = h.cfg.Store.Delete(ctx, h.key(c), r.Version); {
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

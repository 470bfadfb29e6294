package handover

import (
	"context"
	"errors"
	"fmt"
	"strings"

	"github.com/crisphandover/handover/internal/crispapi"
	"github.com/crisphandover/handover/internal/persondata"
	"github.com/crisphandover/handover/internal/weblink"
)

// Request is what a bot says when it asks for a human.
type Request struct {
	Segments []string `json:"segments,omitempty"` // Crisp's labels for routing and filters; at most 50 of 256 bytes
	User     UserData `json:"user,omitzero"`      // shown to the agents
	Note     string   `json:"note,omitempty"`     // for the agents only: why, what was tried
	Resume   string   `json:"resume,omitempty"`   // comes back in Summary.Resume
	Locale   string   `json:"locale,omitempty"`   // such as "fr"; also Session.Locale, for Texts
	Inbox    string   `json:"inbox,omitempty"`    // Crisp's id of a sub-inbox
	Operator string   `json:"operator,omitempty"` // Crisp's user id of the agent to assign
	// NoAgent overrides Config.NoAgent, in the user's language perhaps. It must carry the payloads of
	// Config.Choices that the host has set.
	NoAgent []RichMessage `json:"no_agent,omitempty"`
	// Timeouts overrides Config.Timeouts where it is set, except Reply, Answer, Unanswered, Callback, Deliver and Late, which
	// are not of one handover.
	Timeouts Timeouts `json:"timeouts,omitzero"`
	// CrispID is a Crisp session that exists, "session_…", to go on with instead of a new one. What
	// was written in it before stays unshown.
	CrispID string `json:"crisp_id,omitempty"`
	// HistoryURL is the host's own link to the history, instead of the library's page.
	HistoryURL string `json:"history_url,omitempty"`
}

// Outcome is what Start came to.
type Outcome string

// Start asks for a human. The user is told what comes of it, through Deliver, perhaps after Start has
// returned: the bot need not say anything. ctx bounds the wait: when it ends first the outcome is
// OutcomeOpening, with ctx's error, and the opening goes on. After Shutdown the outcome is OutcomeOpening with
// ErrShutdown: another process, or the next start, goes on with it. A turn that does not hold any
// more gives OutcomeAlreadyOpen while a handover runs, else ErrNotYourTurn; the agent gets its message, as
// after a refused Reply.
//
// On the context of send or of Config.Answer it does not wait: the outcome is OutcomeOpening, or what keeps the
// conversation with the bot, such as OutcomeNobodyThere, and the bot may go on speaking. What the library says
// then is shown when the bot is silent. So call it there: what it returns an error for makes send fail, the message
// counts as not answered, and its repeat asks again. After Reply has returned, a process that dies before Start
// has asked nobody, and the message counts as answered. The context ends only when the bot has lost the conversation, with
// the cause ErrNotYourTurn. After any other error without an outcome call Start again with the same turn,
// unless it finds fault with the request.
//
// Without an end of ctx the wait ends Timeouts.Open after Limits.CreatesPerMinute let the opening begin, and
// after Timeouts.Max in any case.
func (h *Handover) Start(ctx context.Context, t Turn, r Request) (Outcome, error) {
	if err := h.made(); err != nil {
		return "", err
	}
	if err := h.cfg.checkStart(t, &r); err != nil {
		return "", err
	}
	scope, wait := scopeOf(ctx, h.cfg.key(t.Conversation)), ctx
	// What the user asked for is stored even if the caller is gone: only the wait is the caller's.
	ctx = context.WithoutCancel(ctx)
	k, err := h.locate(ctx, t.Conversation)
	if err != nil {
		return "", err
	}
	there := PresenceUnknown
	if h.cfg.allows(t.Conversation.Source) {
		there = h.ask(ctx, k, r)
	}
	trace := h.cfg.traceOf(wait)
	var outcome Outcome
	var opened opening
	l := h.listen(k.key, opened.read)
	l.works = true
	defer l.stop()
	lost := false // by the bot
	rec, err := h.update(ctx, k, func(rec *record) error {
		outcome = rec.start(t, r, there)
		if lost = rec.State != StateBot || outcome == ""; lost && scope != nil {
			rec.Replies.end(scope.reply)
		}
		if outcome == OutcomeOpening {
			l.stop()
			opened = opening{id: rec.Handover.ID}
			if rec.Handover.Trace == "" { // no message of the user asked
				rec.Handover.Trace = trace
			}
			l.begin(rec)
		}
		if outcome == "" {
			return rec.passOn(t.MessageID)
		}
		rec.observe(Activity{Kind: ActivityAsked, Outcome: outcome, MessageID: t.MessageID})
		return nil
	})
	if err == nil && lost {
		scope.lost()
	}
	if err == nil && outcome == "" {
		err = ErrNotYourTurn
	}
	if err != nil {
		return "", err
	}
	if outcome != OutcomeOpening || scope != nil {
		return outcome, nil
	}
	if h.pool.Closed() {
		return OutcomeOpening, fmt.Errorf("handover: the opening goes on elsewhere: %w", ErrShutdown)
	}
	if err := l.wait(wait, rec); err != nil {
		return OutcomeOpening, fmt.Errorf("handover: the opening goes on: %w", err)
	}
	return opened.outcome(), nil
}

// opening is what is known of an opening that is waited for.
type opening struct {
	id     string // of its handover
	opened bool
}

// read reports whether the opening has succeeded or failed.
func (o *opening) read(rec *record) bool {
	if rec.Handover == nil || rec.Handover.ID != o.id {
		return true
	}
	o.opened = o.opened || !rec.Handover.Opened.IsZero()
	return rec.State != StateOpening
}

func (o *opening) outcome() Outcome {
	if o.opened {
		return OutcomeOpened
	}
	return OutcomeOpenFailed
}

// checkStart refuses what cannot be asked for.
func (c *Config) checkStart(t Turn, r *Request) error {
	if err := c.checkConversation(t.Conversation); err != nil {
		return err
	}
	if r.CrispID != "" && !crispapi.ValidSessionID(r.CrispID) {
		return errors.New(`handover: Request.CrispID must be a Crisp session id, "session_…"`)
	}
	for _, id := range []string{r.Inbox, r.Operator} {
		if id != "" && !validWebsiteID(id) {
			return errors.New("handover: Request.Inbox and Request.Operator must be Crisp's ids, in lower case, not names")
		}
	}
	if err := c.checkSize(r); err != nil {
		return err
	}
	if r.HistoryURL != "" && !weblink.Web(r.HistoryURL) {
		return errors.New("handover: Request.HistoryURL must be an http or https URL: agents open it")
	}
	noAgent, err := completed("Request.NoAgent", r.NoAgent)
	if err != nil {
		return fmt.Errorf("handover: %w", err)
	}
	if r.NoAgent = noAgent; len(noAgent) > 0 {
		if err := c.Choices.own().check(r.NoAgent); err != nil {
			return fmt.Errorf("handover: Request: %w", err)
		}
	}
	if err := persondata.Person(r.User).Check(); err != nil {
		return fmt.Errorf("handover: Request.User: %w", err)
	}
	timeouts := r.Timeouts
	if err := timeouts.prepare(); err != nil {
		return fmt.Errorf("handover: Request: %w", err)
	}
	return nil
}

// The bounds of a request, besides Limits.Text and those of its user data.
const (
	maxSegments = 50
	maxSegment  = 256 // bytes
	maxLocale   = 64  // bytes
	maxNoAgent  = 20  // messages
)

// checkSize refuses a request that is larger than anybody means it to be: it is stored with the
// conversation.
func (c *Config) checkSize(r *Request) error {
	text := fmt.Sprintf("Limits.Text, %d bytes", c.Limits.Text)
	for _, f := range []struct {
		name      string
		size, max int
		most      string
	}{
		{"Note is longer", len(r.Note), c.Limits.Text, text},
		{"Resume is longer", len(r.Resume), c.Limits.Text, text},
		{"Locale is longer", len(r.Locale), maxLocale, fmt.Sprintf("%d bytes", maxLocale)},
		{"HistoryURL is longer", len(r.HistoryURL), maxFileURL, fmt.Sprintf("%d bytes", maxFileURL)},
		{"Segments has more", len(r.Segments), maxSegments, fmt.Sprintf("%d", maxSegments)},
		{"NoAgent has more", len(r.NoAgent), maxNoAgent, fmt.Sprintf("%d messages", maxNoAgent)},
	} {
		if f.size > f.max {
			return fmt.Errorf("handover: Request.%s than %s", f.name, f.most)
		}
	}
	for i, s := range r.Segments {
		if len(s) > maxSegment {
			return fmt.Errorf("handover: Request.Segments[%d] is longer than %d bytes", i, maxSegment)
		}
	}
	return nil
}

// usable is a request of Config.Answer without what Start would refuse it for, with the faults and what was left out: the
// bot has spoken, and a repeat would speak again. A Note that is too long is cut.
func (c *Config) usable(t Turn, r Request) (kept Request, faults []error, dropped []string) {
	kept = r
	drop := func(err error, name string) {
		faults, dropped = append(faults, err), append(dropped, name)
	}
	kept.Segments = nil
	for i, s := range r.Segments {
		if len(s) > maxSegment {
			drop(fmt.Errorf("handover: Request.Segments[%d] is longer than %d bytes", i, maxSegment), fmt.Sprintf("Segments[%d]", i))
			continue
		}
		kept.Segments = append(kept.Segments, s)
	}
	if len(kept.Segments) > maxSegments {
		kept.Segments = kept.Segments[:maxSegments]
		drop(fmt.Errorf("handover: Request.Segments has more than %d", maxSegments), "the last Segments")
	}
	if err := c.checkStart(t, &Request{Note: r.Note}); err != nil {
		kept.Note = strings.ToValidUTF8(r.Note[:min(len(r.Note), c.Limits.Text)], "")
		drop(err, "the end of Note")
	}
	for _, f := range []struct {
		name string
		only Request
		zero func()
	}{
		{"User", Request{User: r.User}, func() { kept.User = UserData{} }},
		{"Resume", Request{Resume: r.Resume}, func() { kept.Resume = "" }},
		{"Locale", Request{Locale: r.Locale}, func() { kept.Locale = "" }},
		{"Inbox", Request{Inbox: r.Inbox}, func() { kept.Inbox = "" }},
		{"Operator", Request{Operator: r.Operator}, func() { kept.Operator = "" }},
		{"NoAgent", Request{NoAgent: r.NoAgent}, func() { kept.NoAgent = nil }},
		{"CrispID", Request{CrispID: r.CrispID}, func() { kept.CrispID = "" }},
		{"HistoryURL", Request{HistoryURL: r.HistoryURL}, func() { kept.HistoryURL = "" }},
	} {
		if err := c.checkStart(t, &f.only); err != nil {
			drop(err, f.name)
			f.zero()
		}
	}
	from, to := r.Timeouts.fields(), kept.Timeouts.fields()
	for i := range from {
		var one Timeouts
		*one.fields()[i].value = *from[i].value
		if err := c.checkStart(t, &Request{Timeouts: one}); err != nil {
			drop(err, "Timeouts."+from[i].name)
			*to[i].value = 0
		}
	}
	if err := c.checkStart(t, &kept); err != nil { // the conversation itself
		return Request{}, append(faults, err), append(dropped, "all")
	}
	return kept, faults, dropped
}

// ask asks whether somebody is there to answer a request. A fault is PresenceUnknown.
func (h *engine) ask(ctx context.Context, k known, r Request) Presence {
	asking, cancel := context.WithTimeout(ctx, 2*callTimeout)
	defer cancel()
	website, _, _ := strings.Cut(k.key, "/")
	there, err := presenceAt(withPurpose(asking, Activity{Conversation: k.conversation}), h.sites[website])
	if err != nil {
		h.cfg.Logger.Warn("handover: the agents' presence is unknown", "error", err)
	}
	if h.cfg.Presence == nil {
		return there
	}
	rec, err := h.load(ctx, known{key: k.key, conversation: k.conversation})
	if err != nil {
		return there
	}
	if !rec.human() {
		rec.Handover = &handover{Request: r}
	}
	return h.host.presence(ctx, rec, there)
}

// BotOutput is the connector's output object, as bots made for it set it.
type BotOutput struct {
	Muted    bool   `json:"muted,omitempty"`
	NeedHelp bool   `json:"need_help,omitempty"`
	Category string `json:"handover_category_name,omitempty"` // a segment
}

// Apply does what the connector did with a bot's output: NeedHelp is Start, with Category as a
// segment; Muted alone is Mute. A mute that came with NeedHelp ends when nobody is there. The
// zero BotOutput asks for nothing, and gives the zero Outcome. It blocks as Start and Mute do.
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
// may still Start one. It takes as long as its accesses to the store, of 20 s each
// at the most.
func (h *Handover) Mute(ctx context.Context, t Turn) error {
	if err := h.checkConversation(t.Conversation); err != nil {
		return err
	}
	scope := scopeOf(ctx, h.cfg.key(t.Conversation))
	if scope != nil {
		ctx = context.WithoutCancel(ctx)
	}
	k, err := h.locate(ctx, t.Conversation)
	if err != nil {
		return err
	}
	_, err = h.update(ctx, k, func(rec *record) error {
		if rec.State == StateMuted {
			return nil
		}
		if rec.State != StateBot || !rec.holds(t) {
			return ErrNotYourTurn
		}
		rec.UserMessages.answered(t.MessageID)
		rec.fire(onMute, cause{turn: t})
		if scope != nil {
			rec.Replies.end(scope.reply)
		}
		return nil
	})
	if err == nil || errors.Is(err, ErrNotYourTurn) {
		scope.lost()
	}
	return err
}

// The outcomes of Start. The zero value means that nothing was asked.
const (
	OutcomeOpened      Outcome = "opened"       // the Crisp conversation is open; the user is being told
	OutcomeOpening     Outcome = "opening"      // the wait ended first; the opening goes on
	OutcomeAlreadyOpen Outcome = "already_open" // a handover runs already
	OutcomeNobodyThere Outcome = "nobody_there" // the no-agent messages are on their way; the bot goes on
	OutcomeNotAllowed  Outcome = "not_allowed"  // Config.Sources does not have the channel
	OutcomeTooSoon     Outcome = "too_soon"     // nobody came, and Timeouts.CoolDown since then has not passed
	OutcomeOpenFailed  Outcome = "open_failed"  // Crisp could not be reached; the user is being told; the bot goes on
)

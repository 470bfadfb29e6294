package handover_test

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"math/rand/v2"
	"net/http"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/crisphandover/handover"
	"github.com/crisphandover/handover/handovertest"
)

// subject is one conversation of the real library, beside its model.
type subject struct {
	w         *modelWorld
	id        string
	conv      handover.Conversation
	model     *model
	rnd       *rand.Rand
	calls     []*modelCall
	users     []*userMessage
	turns     []turnOf // that the bot may still use
	trace     []string
	epoch     int64 // at the last comparison
	owner     int   // of the model, then
	said      int   // messages of agents so far
	ended     int   // ends so far, for OnEnd's faults
	after     func()
	what      string        // is being done
	unsettled bool          // what is to be seen comes with time only
	need      time.Duration // that the clock must go on for, until the fault is over

	mu        sync.Mutex
	presence  handover.Presence
	lines     []string
	ids       map[string]bool
	moves     []handover.Activity
	ends      []handover.Summary
	tries     map[string]int  // of OnEnd, by handover
	gone      map[string]bool // texts whose delivery finds the user gone
	failing   int             // deliveries that fail
	refuse    time.Time       // until then Crisp refuses the user's messages
	cut       time.Time       // until then it takes them, and the answer is lost
	unread    time.Time       // until then its log cannot be read
	hookLate  bool            // the next hook comes late
	hookTwice bool
	bodies    [][]byte // of the hooks so far
	crisp     []*handovertest.Conversation
	open      [2]bool // offer and follow-up, at the last comparison
	posted    int     // the user's messages in Crisp, then
	news      bool    // in Crisp, since the last comparison
	notes     []noteOf
}

// modelCall is a call of the library that may still be under way.
type modelCall struct {
	what  string
	mu    sync.Mutex
	over  bool
	said  string
	wants func() string // what it must say; "": it must still be under way
}

func (c *modelCall) finish(format string, args ...any) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.over, c.said = true, fmt.Sprintf(format, args...)
}

// modelWorld is the library, the fake Crisp and many conversations, in one bubble.
type modelWorld struct {
	crisp    *handovertest.Crisp
	h        *handover.Handover
	ctx      context.Context
	subjects []*subject
	byID     map[string]*subject
	owners   sync.Map // *subject by Crisp id
	cover    *coverage
	ops      int
}

// coverage counts the cells that were visited.
type coverage struct {
	mu    sync.Mutex
	cells map[[2]string]int
}

func (c *coverage) visit(s handover.State, what string) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.cells[[2]string{string(s), what}]++
}

// modelTexts are the library's sentences, each as its own name.
func modelTexts(handover.Session) handover.Texts {
	return handover.Texts{
		Opening: "greeting", OpeningByEmail: "greeting by email",
		Waiting: "waiting", StillWaiting: "still_waiting", StillThere: "still_there", Joined: "joined {agent}",
		Transferred: "transferred {agent}", Resolved: "resolved", Left: "left", NobodyCame: "nobody_came", Idle: "idle",
		OpenFailed: "open_failed", RelayFailed: "relay_failed", Closed: "closed", NotAllowed: "not_allowed",
		TooSoon: "too_soon", AskEmail: "ask_email", BadEmail: "bad_email", ByEmail: "by_email", WithBot: "with_bot",
		NotSent: "not_sent", Leave: "Leave", NoteLeft: "note: left", NoteNobodyCame: "note: nobody came",
		NoteNotShown: "note: not shown", NoteOtherFile: "note: file",
	}
}

// newModelWorld makes the library and its conversations. It must be called in a bubble; stop ends
// all of it.
func newModelWorld(seed uint64, conversations int, policy modelPolicy, cover *coverage) (w *modelWorld, stop func(), err error) {
	w = &modelWorld{crisp: handovertest.New(handovertest.Options{Seed: seed, AllowViolations: true, Events: []string{
		"message:send", "message:received", "message:updated", "message:removed",
		"session:set_state", "session:set_routing", "session:set_block", "session:removed",
	}}), byID: make(map[string]*subject), cover: cover}
	ctx, cancel := context.WithCancel(context.Background())
	w.ctx = ctx
	id, key := w.crisp.Token()
	w.h, err = handover.New(handover.Config{
		WebsiteID: w.crisp.WebsiteID(), Token: handover.Token{Tier: handover.TierPlugin, Identifier: id, Key: key},
		Webhook: handover.Webhook{Secrets: []string{w.crisp.Secret()}},
		Deliver: w.deliver, OnEnd: w.onEnd, Observe: w.observe, Texts: modelTexts,
		Presence: func(_ context.Context, s handover.Session, _ handover.Presence) handover.Presence {
			return locked(w.byID[s.Conversation.ID], func(s *subject) handover.Presence { return s.presence })
		},
		NoAgent: []handover.RichMessage{{Text: "no_agent", QuickReplies: []handover.QuickReply{
			{ContentType: "text", Title: choiceEmail, Payload: choiceEmail}, {ContentType: "text", Title: choiceBot, Payload: choiceBot},
		}}},
		Timeouts: modelTimeouts,
		Policy:   handover.Policy{ClaimOnAssign: policy.claimOnAssign, RefuseUnknown: policy.refuseUnknown, TrustHooks: policy.trustHooks, NoMarks: true},
		Limits:   handover.Limits{CreatesPerMinute: -1, DailyCalls: 1}, HTTPClient: w.crisp.Client(), BaseURL: w.crisp.URL(), Logger: slog.New(slog.DiscardHandler),
	})
	if err != nil {
		cancel()
		return nil, nil, err
	}
	for i := range conversations {
		s := &subject{
			w: w, id: fmt.Sprint("user-", i), rnd: rand.New(rand.NewPCG(seed, uint64(i))),
			ids: make(map[string]bool), tries: make(map[string]int), gone: make(map[string]bool),
		}
		s.conv = handover.Conversation{Source: "webchat", ID: s.id}
		s.model = &model{policy: policy, state: handover.StateBot, now: time.Now(), visit: cover.visit}
		w.subjects, w.byID[s.id] = append(w.subjects, s), s
	}
	w.crisp.SetFaults(w.fault)
	w.crisp.SetHookFaults(w.hookFault)
	detach := w.crisp.Attach(hookRecorder{w})
	stopped := make(chan struct{})
	go func() {
		defer close(stopped)
		_ = w.h.Run(ctx)
	}()
	return w, func() {
		cancel()
		<-stopped
		detach()
		_ = w.h.Shutdown(context.Background())
		w.crisp.Close()
	}, nil
}

// locked reads or changes what callbacks share with the test.
func locked[T any](s *subject, do func(*subject) T) T {
	s.mu.Lock()
	defer s.mu.Unlock()
	return do(s)
}

// hookRecorder keeps the hooks on their way to the library, to repeat them later.
type hookRecorder struct{ w *modelWorld }

func (r hookRecorder) ServeHTTP(out http.ResponseWriter, in *http.Request) {
	body, err := io.ReadAll(in.Body)
	if err == nil {
		_, rest, _ := bytes.Cut(body, []byte(`"session_id":"`))
		id, _, _ := bytes.Cut(rest, []byte(`"`))
		if s := r.w.owner(string(id)); s != nil {
			locked(s, func(s *subject) int { s.bodies, s.news = append(s.bodies, body), true; return 0 })
		}
	}
	in.Body = io.NopCloser(bytes.NewReader(body))
	r.w.h.ServeHTTP(out, in)
}

// owner is the subject of a Crisp conversation, which bears its name.
func (w *modelWorld) owner(crispID string) *subject {
	if s, ok := w.owners.Load(crispID); ok {
		return s.(*subject)
	}
	w.discover()
	s, _ := w.owners.Load(crispID)
	owner, _ := s.(*subject)
	return owner
}

// discover finds out whose the new Crisp conversations are.
func (w *modelWorld) discover() {
	for _, c := range w.crisp.Conversations() {
		if _, known := w.owners.Load(c.ID()); known {
			continue
		}
		if s := w.byID[c.Meta().Nickname]; s != nil {
			if _, known := w.owners.LoadOrStore(c.ID(), s); !known {
				locked(s, func(s *subject) int { s.crisp = append(s.crisp, c); return 0 })
			}
		}
	}
}

func (w *modelWorld) fault(i handovertest.CallInfo) (f handovertest.Fault) {
	s := w.byID[i.Nickname]
	if s == nil {
		return f
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	now := time.Now()
	switch i.Route {
	case handovertest.RouteSend:
		f.Refuse, f.CutAfter = now.Before(s.refuse), now.Before(s.cut)
	case handovertest.RouteMessages:
		if now.Before(s.unread) {
			f.Status = http.StatusServiceUnavailable
		}
	}
	return f
}

func (w *modelWorld) hookFault(i handovertest.HookInfo) (f handovertest.HookFault) {
	s := w.byID[i.Nickname]
	if s == nil || i.Event != "message:received" {
		return f
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.hookLate {
		f.Delay = hookDelay
	}
	f.Twice = s.hookTwice
	s.hookLate, s.hookTwice = false, false
	return f
}

// hookDelay is how late a late hook is.
const hookDelay = 2 * time.Second

var errModelFault = errors.New("a fault of the model test")

func (w *modelWorld) deliver(_ context.Context, at handover.Session, m handover.Message) (string, error) {
	s := w.byID[at.Conversation.ID]
	s.mu.Lock()
	defer s.mu.Unlock()
	text := m.Content.Text
	switch {
	case s.gone[text]:
		delete(s.gone, text)
		return "", handover.ErrUserAway
	case s.failing > 0:
		s.failing--
		return "", errModelFault
	}
	who := string(m.From)
	if m.From == handover.FromAgent {
		who += " " + m.Agent.Name
	}
	if m.Late {
		who += " (late)"
	}
	line := who + ": " + text
	if s.ids[m.ID] {
		line += " (shown twice)"
	}
	s.ids[m.ID] = true
	s.lines = append(s.lines, line)
	return m.ID, nil
}

// onEnd fails at the first attempt for every third handover.
func (w *modelWorld) onEnd(_ context.Context, at handover.Session, sum handover.Summary) error {
	s := w.byID[at.Conversation.ID]
	s.mu.Lock()
	defer s.mu.Unlock()
	s.tries[sum.HandoverID]++
	if s.tries[sum.HandoverID] == 1 {
		if s.ended++; s.ended%3 == 0 {
			return errModelFault
		}
	}
	s.ends = append(s.ends, sum)
	return nil
}

func (w *modelWorld) observe(_ context.Context, a handover.Activity) {
	if a.Kind != handover.ActivityState {
		return
	}
	s := w.byID[a.Conversation.ID]
	s.mu.Lock()
	defer s.mu.Unlock()
	s.moves = append(s.moves, a)
}

// call runs a call of the library's, which may block, and notes what must become of it.
func (s *subject) call(what string, wants func() string, run func(c *modelCall)) (act func()) {
	c := &modelCall{what: what, wants: wants}
	s.calls = append(s.calls, c)
	return func() { run(c) }
}

func (s *subject) log(format string, args ...any) {
	s.trace = append(s.trace, time.Now().UTC().Format("15:04:05.000 ")+fmt.Sprintf(format, args...))
}

// bad is a difference between the library and the model, with what led to it.
func (s *subject) bad(format string, args ...any) error {
	trace := s.trace[max(0, len(s.trace)-40):]
	return fmt.Errorf("%s: %s\n%s", s.id, fmt.Sprintf(format, args...), strings.Join(trace, "\n"))
}

// compare holds what was seen since the last time against the model. Ends whose OnEnd failed may
// come a little later.
func (s *subject) compare() error {
	m := s.model
	s.mu.Lock()
	lines, moves, ends, news := s.lines, s.moves, s.ends, s.news
	s.lines, s.moves = nil, nil
	s.mu.Unlock()
	open, posted := [2]bool{m.offer != nil, m.follow != nil}, 0
	for _, c := range m.crisp {
		posted += len(c.texts)
	}
	news = news || posted != s.posted
	s.posted = posted
	whole := len(m.moves)+len(moves) > 0 || open != s.open || s.rnd.IntN(6) == 0
	s.open = open
	defer func() { m.lines, m.moves, m.notes = nil, nil, nil }()
	if len(m.notes) > 0 {
		s.log("  due: %s", strings.Join(m.notes, ", "))
	}
	if len(m.moves)+len(moves) > 0 {
		s.log("  %s", strings.Join(m.moves, "; "))
	}
	var went []string
	for _, a := range moves {
		went = append(went, fmt.Sprint(a.From, " > ", a.To, " ", a.Reason))
	}
	switch {
	case !slices.Equal(went, m.moves):
		return s.bad("moved %q, want %q", went, m.moves)
	case !slices.Equal(order(lines), order(m.lines)):
		return s.bad("the user saw %q, want %q", lines, m.lines)
	}
	if err := s.invariants(lines, moves); err != nil {
		return err
	}
	if err := s.compareEnds(ends); err != nil {
		return err
	}
	if err := s.compareCalls(); err != nil {
		return err
	}
	if news {
		if err := s.compareCrisp(); err != nil {
			return err
		}
	}
	if !whole {
		return nil
	}
	return s.compareSession()
}

// compareSession holds what hosts see of the conversation against the model, and lets the bot try to
// speak: it may in the state bot, and never else.
func (s *subject) compareSession() error {
	m := s.model
	view, err := s.w.h.Session(s.w.ctx, s.conv)
	if err != nil {
		return err
	}
	changed := m.owners > s.owner
	switch {
	case view.State != m.state:
		return s.bad("is %s, want %s", view.State, m.state)
	case view.Offer != (m.offer != nil) || view.FollowUp != (m.follow != nil):
		return s.bad("offer %t, follow-up %t; want %t, %t", view.Offer, view.FollowUp, m.offer != nil, m.follow != nil)
	case s.epoch != 0 && (view.Epoch < s.epoch || (view.Epoch > s.epoch) != changed):
		return s.bad("epoch %d after %d, owner changed: %t", view.Epoch, s.epoch, changed)
	}
	s.epoch, s.owner = view.Epoch, m.owners
	s.w.ops++
	spoke := false
	err = s.w.h.Reply(s.w.ctx, view.Turn(), func(context.Context) error { spoke = true; return nil })
	if want := m.state == handover.StateBot; spoke != want || errors.Is(err, handover.ErrNotYourTurn) == want {
		return s.bad("in %s the bot spoke: %t, %v", view.State, spoke, err)
	}
	return nil
}

// order puts lines into an order that does not depend on when the user is told that a message
// could not be sent: nobody promises that.
func order(lines []string) []string {
	if slices.Contains(lines, "system: not_sent") {
		return slices.Sorted(slices.Values(lines))
	}
	return lines
}

// invariants must hold whatever the model says.
func (s *subject) invariants(lines []string, moves []handover.Activity) error {
	for _, l := range lines {
		if strings.Contains(l, "note") || strings.Contains(l, "robot") || strings.Contains(l, "twice") {
			return s.bad("shown: %q", l)
		}
	}
	for _, a := range moves {
		human := a.To != handover.StateBot && a.To != handover.StateMuted
		was := a.From != handover.StateBot && a.From != handover.StateMuted
		if (was && !human) != (a.Reason != "") {
			return s.bad("%s > %s with the reason %q", a.From, a.To, a.Reason)
		}
	}
	return nil
}

// compareEnds checks that OnEnd was told of each end once, in order and in full.
func (s *subject) compareEnds(ends []handover.Summary) error {
	seen := make(map[string]bool)
	for i, e := range ends {
		if seen[e.HandoverID] {
			return s.bad("OnEnd succeeded twice for one handover")
		}
		seen[e.HandoverID] = true
		if i >= len(s.model.ends) {
			return s.bad("OnEnd: an end too many: %s", e.Reason)
		}
		want := s.model.ends[i]
		var agents []string
		for _, a := range e.Agents {
			agents = append(agents, a.Name)
		}
		if e.Reason != want.reason || !slices.Equal(agents, want.agents) || !slices.Equal(e.Unsent, want.unsent) || e.HumanReplied != (len(agents) > 0) {
			return s.bad("OnEnd: %s, agents %q, unsent %q; want %s, %q, %q", e.Reason, agents, e.Unsent, want.reason, want.agents, want.unsent)
		}
	}
	for _, e := range s.model.ends[len(ends):] {
		if e.at.Add(5 * time.Second).Before(time.Now()) {
			return s.bad("OnEnd was not told of the end %s", e.reason)
		}
	}
	return nil
}

// compareCalls checks that the calls that should be over are, with the right result, and no others.
func (s *subject) compareCalls() error {
	var open []*modelCall
	for _, c := range s.calls {
		c.mu.Lock()
		over, said := c.over, c.said
		c.mu.Unlock()
		want := c.wants()
		if !over {
			said = ""
			open = append(open, c)
		}
		if said != want {
			return s.bad("%s: says %q, want %q", c.what, said, want)
		}
	}
	s.calls = open
	return nil
}

// compareCrisp checks that Crisp has each message of the user that it should have, once and in
// order.
func (s *subject) compareCrisp() error {
	s.w.discover()
	s.mu.Lock()
	crisp := s.crisp
	s.news = false
	s.mu.Unlock()
	if len(crisp) != len(s.model.crisp) {
		return s.bad("%d conversations in Crisp, want %d", len(crisp), len(s.model.crisp))
	}
	for i, c := range s.model.crisp {
		if have := userTexts(crisp[i]); !slices.Equal(have, c.texts) {
			return s.bad("Crisp has %q, want %q in conversation %d", have, c.texts, i)
		}
	}
	return nil
}

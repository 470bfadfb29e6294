package systemtest

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"math/rand/v2"
	"net/http"
	"net/http/httptest"
	"sync"
	"time"

	"github.com/crisphandover/handover"
	"github.com/crisphandover/handover/handovertest"
	"github.com/crisphandover/handover/internal/testhook"
)

// modelWorld is the library, the fake Crisp and many conversations, in one bubble.
type modelWorld struct {
	store    *handover.MemoryStore
	crisp    *handovertest.Crisp
	h        *handover.Handover
	ctx      context.Context
	subjects []*subject
	byID     map[string]*subject
	owners   sync.Map // *subject by Crisp id
	cover    *coverage
	ops      map[doer]int
	clock    int // steps of time, of each conversation
	rnd      *rand.Rand

	hard     hard
	mu       sync.Mutex
	suffered map[hardship]int
}

// modelHardships are those that change nothing of what must be seen. Each run has some of them.
var modelHardships = []hardship{skewedReplicas, skewedCrisp, oddUserTimes, oddHookTimes, panics, parts, adoptions}

// suffers reports whether a hardship is on, and counts that it happens.
func (w *modelWorld) suffers(h hardship) bool {
	if !w.hard[h] {
		return false
	}
	w.mu.Lock()
	defer w.mu.Unlock()
	w.suffered[h]++
	return true
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
func newModelWorld(r modelRun, policy modelPolicy, cover *coverage) (w *modelWorld, stop func(), err error) {
	seed := r.seed
	w = &modelWorld{
		byID: make(map[string]*subject), cover: cover, ops: make(map[doer]int), rnd: rand.New(rand.NewPCG(seed, 1<<32)),
		hard: make(hard), suffered: make(map[hardship]int), store: new(handover.MemoryStore),
	}
	for i, h := range modelHardships {
		w.hard[h] = r.hard[h] && (seed/2+uint64(i))%2 == 0
	}
	// Each conversation has a website of its own: what fails in one would put off the calls of the
	// others.
	websites := make([]string, r.conversations)
	for i := range websites {
		websites[i] = fmt.Sprintf("7a3c5e10-6f0b-4d55-9c1e-%012d", i+1)
	}
	o := handovertest.Options{Seed: seed, AllowViolations: true, WebsiteID: websites[0], Websites: websites[1:], Events: []string{
		"message:send", "message:received", "message:updated", "message:removed",
		"session:set_state", "session:set_routing", "session:set_block", "session:removed",
	}}
	if w.suffers(skewedCrisp) {
		o.Skew = between(-20*time.Minute, 20*time.Minute, seed, "clock of Crisp")
	}
	w.crisp = handovertest.New(o)
	ctx, cancel := context.WithCancel(context.Background())
	w.ctx = ctx
	id, key := w.crisp.Token()
	w.h, err = handover.New(handover.Config{
		WebsiteID: websites[0], Websites: websites[1:], Token: handover.Token{Tier: handover.TierPlugin, Identifier: handover.NewSecret(id), Key: handover.NewSecret(key)},
		Webhook: handover.Webhook{Secrets: handover.NewSecrets(w.crisp.Secret())},
		Store:   w.store,
		Deliver: w.deliver, OnEnd: w.onEnd, Observe: w.observe, Texts: modelTexts,
		Presence: func(_ context.Context, s handover.Session, _ handover.Presence) handover.Presence {
			return locked(w.byID[s.Conversation.ID], func(s *subject) handover.Presence { return s.presence })
		},
		NoAgent: []handover.RichMessage{{Text: "no_agent", QuickReplies: []handover.QuickReply{
			{ContentType: "text", Title: choiceEmail, Payload: choiceEmail}, {ContentType: "text", Title: choiceBot, Payload: choiceBot},
		}}},
		Timeouts: modelTimeouts,
		Policy:   handover.Policy{ClaimOnAssign: policy.claimOnAssign, RefuseUnknown: policy.refuseUnknown, NoMarks: true},
		Limits:   handover.Limits{CreatesPerMinute: -1, DailyCalls: 1}, HTTPClient: w.crisp.Client(), BaseURL: w.crisp.URL(), Logger: slog.New(slog.DiscardHandler),
	})
	if err != nil {
		cancel()
		return nil, nil, err
	}
	if w.suffers(skewedReplicas) {
		testhook.Set(w.h, testhook.Hooks{Skew: between(-time.Hour, time.Hour, seed, "clock")})
	}
	for i := range r.conversations {
		s := &subject{
			w: w, id: fmt.Sprint("user-", i), rnd: rand.New(rand.NewPCG(seed, uint64(i))),
			ids: make(map[string]bool), tries: make(map[string]int), gone: make(map[string]bool), watched: newWatched(),
		}
		s.conv = handover.Conversation{Source: "webchat", ID: s.id, WebsiteID: websites[i]}
		s.model = &model{policy: policy, state: handover.StateBot, now: time.Now(), cover: cover}
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

// hooks says which hooks are genuine.
func (w *modelWorld) hooks() handover.Webhook {
	return handover.Webhook{Secrets: handover.NewSecrets(w.crisp.Secret())}
}

// hookBody is a hook as it came, with its signature.
type hookBody struct {
	header http.Header
	body   []byte
}

// request is the hook once more.
func (b hookBody) request() *http.Request {
	q := httptest.NewRequest(http.MethodPost, "/crisp/hooks", bytes.NewReader(b.body))
	q.Header = b.header
	return q
}

// hookRecorder keeps the hooks on their way to the library, to repeat them later.
type hookRecorder struct{ w *modelWorld }

func (r hookRecorder) ServeHTTP(out http.ResponseWriter, in *http.Request) {
	body, err := io.ReadAll(in.Body)
	if err == nil {
		_, rest, _ := bytes.Cut(body, []byte(`"session_id":"`))
		id, _, _ := bytes.Cut(rest, []byte(`"`))
		if s := r.w.owner(string(id)); s != nil {
			locked(s, func(s *subject) int { s.bodies = append(s.bodies, hookBody{in.Header.Clone(), body}); return 0 })
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
		if f.CutAfter = now.Before(s.cut); now.Before(s.refuse) {
			f.Status = http.StatusNotFound // the one refusal that says nothing of other calls, and is tried again soon
		}
	case handovertest.RouteMessages:
		if now.Before(s.unread) {
			f.Status = http.StatusServiceUnavailable
		}
	}
	return f
}

func (w *modelWorld) hookFault(i handovertest.HookInfo) (f handovertest.HookFault) {
	s := w.byID[i.Nickname]
	if n := i.Ordinal; s != nil && n%3 == 0 && w.suffers(oddHookTimes) {
		f.Rewrite = handovertest.WithoutTime
		if n%2 == 0 {
			f.Rewrite = handovertest.TimeInSeconds
		}
	}
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

// fails is how a callback fails: with an error, or a panic.
func (w *modelWorld) fails() error {
	if w.suffers(panics) {
		panic("a bug of the host's")
	}
	return errModelFault
}

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
		return "", w.fails()
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
			return w.fails()
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

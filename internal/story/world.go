package story

import (
	"context"
	"fmt"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"testing"

	"github.com/crisphandover/handover"
	"github.com/crisphandover/handover/handovertest"
)

// world is where a story happens, as one step sees it: whom it is about, and when it began.
type world struct {
	*stage
	user  *user // whom the step is about
	began int   // grows with each step that does not wait for what comes of it
}

// stage is what all steps share: one bot with its users on one side, the fake Crisp on the other.
type stage struct {
	t        *testing.T
	options  handovertest.Options
	settings []func(*handover.Config)
	texts    map[string]string // of handover.Texts, by field, or by locale and field: "fr Waiting"
	started  bool

	crisp     *handovertest.Crisp
	troubles  troubles
	held      *handovertest.HeldHooks
	channel   channel
	managed   managed
	store     handover.Store
	processes []*process
	turns     atomic.Int64 // of the processes
	users     []*user
	meanwhile int // steps that did not wait

	mu        sync.Mutex
	seen      []sight // by users, since the last report
	facts     []fact  // answers to the bot and its host since then
	ends      []sight
	heard     []handover.Activity
	wanted    []string // kinds of activities that are told
	summaries []handover.Summary
}

// fact is a line that no user sees.
type fact struct {
	began int // of its step
	line  string
}

// sight is something that happened to a user.
type sight struct {
	conversation handover.Conversation
	line         string
}

func newWorld(t *testing.T) *world {
	w := &world{stage: &stage{t: t, texts: map[string]string{}, store: &handover.MemoryStore{}}}
	w.meet("", "webchat")
	return w
}

// aside is the world of a step that nobody waits for.
func (w *world) aside() *world {
	w.meanwhile++
	return &world{stage: w.stage, user: w.user, began: w.meanwhile}
}

// start makes Crisp and the first process, once the settings are known.
func (w *world) start() {
	if w.started {
		return
	}
	w.started = true
	w.crisp = handovertest.NewCrisp(w.t, w.options)
	w.crisp.SetFaults(w.troubles.ofCall)
	w.crisp.SetHookFaults(w.troubles.ofHook)
	w.launch()
}

// see adds a line to what a user sees.
func (w *world) see(c handover.Conversation, line string) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.seen = append(w.seen, sight{c, fold(line)})
}

// of returns the lines about one user. Those about another one than the steps name them.
func (w *world) of(u *user, all []sight) (lines []string) {
	for _, s := range all {
		if u.is(s.conversation) {
			line := s.line
			if u != w.user {
				line = fmt.Sprintf("%s sees: %s", u, line)
			}
			lines = append(lines, line)
		}
	}
	return lines
}

// hear notes an end that the host hears of.
func (w *world) hear(c handover.Conversation, line string) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.ends = append(w.ends, sight{c, line})
}

// tell adds a line about something that no user sees.
func (w *world) tell(format string, args ...any) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.facts = append(w.facts, fact{w.began, "(" + fold(fmt.Sprintf(format, args...)) + ")"})
}

// show adds lines of what was asked for.
func (w *world) show(lines ...string) {
	w.mu.Lock()
	defer w.mu.Unlock()
	if len(lines) == 0 {
		lines = []string{"(nothing)"}
	}
	for _, line := range lines {
		w.facts = append(w.facts, fact{w.began, line})
	}
}

// failed tells of an error, and whether there is one.
func (w *world) failed(err error) bool {
	if err != nil {
		w.tell("error: %s", strings.TrimPrefix(err.Error(), "handover: "))
	}
	return err != nil
}

// report returns what happened since the last one, once nothing happens any more.
func (w *world) report() []string {
	if !w.started {
		return nil
	}
	w.crisp.Settle()
	states := map[*user]handover.State{}
	for _, u := range w.users {
		states[u] = w.stateOf(u)
	}
	w.mu.Lock()
	defer w.mu.Unlock()
	var seen, facts, ends, owners []string
	for _, u := range w.users {
		seen = append(seen, w.of(u, w.seen)...)
		ends = append(ends, w.of(u, w.ends)...)
		if states[u] != u.state {
			u.state = states[u]
			owners = append(owners, w.of(u, []sight{{u.conversation, fmt.Sprintf("(now %s)", u.state)}})...)
		}
	}
	slices.SortStableFunc(w.facts, func(a, b fact) int { return a.began - b.began })
	for _, f := range w.facts {
		facts = append(facts, f.line)
	}
	lines := slices.Concat(seen, facts, ends)
	slices.SortStableFunc(w.heard, func(a, b handover.Activity) int { return int(a.N - b.N) })
	for _, a := range w.heard {
		lines = append(lines, "("+strings.TrimSpace(fmt.Sprintf("activity: %s %s", a.Kind, a.Why))+")")
	}
	w.seen, w.facts, w.ends, w.heard = nil, nil, nil, nil
	return append(lines, owners...)
}

// stateOf returns who may speak with a user, or what it was when nobody can tell.
func (w *world) stateOf(u *user) handover.State {
	if len(w.processes) == 0 {
		return u.state
	}
	s, err := w.h().Session(context.Background(), u.conversation)
	if err != nil {
		return u.state
	}
	return s.State
}

// conversation is the user's in Crisp.
func (w *world) conversation() *handovertest.Conversation {
	if len(w.processes) > 0 {
		if s, err := w.h().Session(context.Background(), w.user.conversation); err == nil && s.CrispID != "" {
			for _, c := range w.crisp.Conversations() {
				if c.ID() == s.CrispID {
					return c
				}
			}
		}
	}
	return w.crisp.Last()
}

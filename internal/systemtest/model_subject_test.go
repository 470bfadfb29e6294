package systemtest

import (
	"fmt"
	"math/rand/v2"
	"strings"
	"sync"
	"time"

	"github.com/crisphandover/handover"
	"github.com/crisphandover/handover/handovertest"
)

// subject is one conversation of the real library, beside its model.
type subject struct {
	w       *modelWorld
	id      string
	conv    handover.Conversation
	model   *model
	watched watched
	rnd     *rand.Rand
	calls   []*modelCall
	users   []*userMessage
	trace   []string
	said    int   // messages of agents so far
	seen    int64 // the version of the record when it was last looked at
	view    handover.Session

	// Of the operation that is being done.
	what      string
	after     func() error  // when all is quiet
	unsettled bool          // what is to be seen comes with time only
	need      time.Duration // that the clock must go on for, until the fault is over

	mu        sync.Mutex
	presence  handover.Presence
	turns     []turnOf // that the bot may still use
	lines     []string // shown since the last comparison
	moves     []handover.Activity
	ends      []handover.Summary
	ids       map[string]bool // of all that was shown
	tries     map[string]int  // of OnEnd, by handover
	ended     int             // handovers, for OnEnd's faults
	gone      map[string]bool // texts whose delivery finds the user gone
	failing   int             // deliveries that fail
	refuse    time.Time       // until then Crisp refuses messages
	cut       time.Time       // until then it takes them, and the answer is lost
	unread    time.Time       // until then its log cannot be read
	hookLate  bool            // the next hook comes late
	hookTwice bool
	bodies    []hookBody // the hooks so far
	crisp     []*handovertest.Conversation
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

// locked reads or changes what callbacks share with the test.
func locked[T any](s *subject, do func(*subject) T) T {
	s.mu.Lock()
	defer s.mu.Unlock()
	return do(s)
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

package story

import (
	"context"
	"errors"
	"strings"
	"sync"
	"time"

	"github.com/crisphandover/handover"
)

// With "given the library calls the bot" the user's messages go to Handle, and the bot is behind
// Config.Answer: it says "You said: …", and asks for a human when the user names one.
var managedVerbs = []verb{
	{"given the library calls the bot", func(w *world, _ []string) { w.managed.on = true }},
	{"the bot's answers take <time>", func(w *world, a []string) {
		w.managed.set(func(m *managed) { m.takes, m.fails = duration(a[0]), false })
	}},
	{"the bot's answers fail", func(w *world, _ []string) { w.managed.set(func(m *managed) { m.fails = true }) }},
	{"the bot's answers work", func(w *world, _ []string) { w.managed.set(func(m *managed) { m.takes, m.fails = 0, false }) }},
}

// managed is the bot that the library calls.
type managed struct {
	on bool

	mu    sync.Mutex
	takes time.Duration
	fails bool
}

func (m *managed) set(change func(*managed)) {
	m.mu.Lock()
	defer m.mu.Unlock()
	change(m)
}

// now is how the bot answers now.
func (m *managed) now() (takes time.Duration, fails bool) {
	m.mu.Lock()
	defer m.mu.Unlock()
	return m.takes, m.fails
}

// answer is Config.Answer of a process.
func (w *world) answer(ctx context.Context, p *process, m handover.Incoming) (*handover.Request, error) {
	takes, fails := w.managed.now()
	select {
	case <-p.gone:
	case <-time.After(takes):
	case <-ctx.Done():
		if !p.dead.Load() {
			w.tell("the bot is cut short")
		}
		return nil, context.Cause(ctx)
	}
	switch {
	case p.dead.Load():
		return nil, errDead
	case fails:
		return nil, errors.New("no model")
	}
	w.see(m.Conversation, "bot: You said: "+m.Text)
	if strings.Contains(m.Text, "human") {
		return &handover.Request{Segments: []string{"Customer"}}, nil
	}
	return nil, nil
}

package rig

import (
	"context"
	"fmt"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/crisphandover/handover"
)

// Brain is a bot behind Config.Answer: it says "You said: …", and asks for a human when the user does.
type Brain struct {
	R *Rig
	// Think stands in front of an answer; it may take its time, fail or ask by itself.
	Think Thought
	// After stands behind the bot's words.
	After func(ctx context.Context) error

	mu    sync.Mutex
	turns []handover.Turn
	heard string // the words of the newest message
	now   int    // answers under way
	most  int
}

// Thought is a Config.Answer.
type Thought func(ctx context.Context, t handover.Turn, m handover.Incoming) (*handover.Request, error)

// Answer is the bot's Config.Answer.
func (b *Brain) Answer(ctx context.Context, t handover.Turn, m handover.Incoming) (*handover.Request, error) {
	b.mu.Lock()
	b.turns, b.heard = append(b.turns, t), m.Text
	b.now++
	b.most = max(b.most, b.now)
	think := b.Think
	b.mu.Unlock()
	defer func() {
		b.mu.Lock()
		defer b.mu.Unlock()
		b.now--
	}()
	if think != nil {
		if r, err := think(ctx, t, m); r != nil || err != nil {
			return r, err
		}
	}
	if ctx.Err() != nil {
		return nil, context.Cause(ctx)
	}
	b.R.Spoke("You said: " + m.Text)
	if b.After != nil {
		if err := b.After(ctx); err != nil {
			return nil, err
		}
	}
	if strings.Contains(m.Text, "human") {
		return &handover.Request{Segments: []string{"Customer"}}, nil
	}
	return nil, nil
}

// Thinks sets Think while answers may be under way.
func (b *Brain) Thinks(think Thought) {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.Think = think
}

// Turns are those of the calls so far.
func (b *Brain) Turns() []handover.Turn {
	b.mu.Lock()
	defer b.mu.Unlock()
	return append([]handover.Turn(nil), b.turns...)
}

// Heard are the words of the newest message.
func (b *Brain) Heard() string {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.heard
}

// Most is how many answers were under way at once.
func (b *Brain) Most() int {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.most
}

// Attempts are those of the calls so far, by the message's id.
func (b *Brain) Attempts() (all []string) {
	for _, t := range b.Turns() {
		all = append(all, fmt.Sprintf("%s #%d", t.MessageID, t.Attempt))
	}
	return all
}

// Takes is an answer that takes its time, unless its context ends.
func Takes(d time.Duration) Thought {
	return func(ctx context.Context, _ handover.Turn, _ handover.Incoming) (*handover.Request, error) {
		select {
		case <-ctx.Done():
			return nil, context.Cause(ctx)
		case <-time.After(d):
			return nil, nil
		}
	}
}

// Managed runs a test with a bot behind Config.Answer.
func Managed(t *testing.T, o Options, test func(r *Rig, b *Brain)) {
	t.Helper()
	b := &Brain{}
	config := o.Config
	o.Config = func(r *Rig, c *handover.Config) {
		b.R, c.Answer = r, b.Answer
		if config != nil {
			config(r, c)
		}
	}
	Bubble(t, o, func(r *Rig) { test(r, b) })
}

// Handles gives the library a message with a new id.
func (r *Rig) Handles(text string) {
	r.T.Helper()
	r.must(r.TryHandle(handover.Incoming{Text: text}))
}

// TryHandle gives the library a message, with a new id if it has none.
func (r *Rig) TryHandle(m handover.Incoming) error {
	m.Conversation = r.Conv
	if m.ID == "" {
		r.Sent++
		m.ID = fmt.Sprintf("m%d", r.Sent)
	}
	return r.H.Handle(context.Background(), m)
}

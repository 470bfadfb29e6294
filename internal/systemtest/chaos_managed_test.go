package systemtest

import (
	"context"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/crisphandover/handover"
	"github.com/crisphandover/handover/handovertest"
)

// managedShare is how many of the users talk with a bot that is wired through Handle and Config.Answer; the others'
// bots use Receive, Reply and Start.
const managedShare = 1.0 / 3

// spoken is one time that the bot answered a message.
type spoken struct {
	by     *replica
	at     time.Time
	id     string // of the message
	failed bool   // the bot said so, although the user saw its answer
}

// handles gives the library a message of the user, until it is taken.
func (c *chat) handles(id, text string) bool {
	message := handover.Incoming{Conversation: c.conv, ID: id, Text: text, At: c.writtenAt(id)}
	ok := c.until(id, func(ctx context.Context, h *handover.Handover) error { return h.Handle(ctx, message) })
	c.note("the user's, taken %t: %.60s", ok, text)
	if ok {
		c.change(func() { c.taken = append(c.taken, id) })
	}
	return ok
}

// managedUser talks with the bot, with an agent, and with the bot again.
func (c *chat) managedUser() {
	if !c.handles("hello", "hello") {
		return
	}
	c.pause("user")
	q := c.request()
	c.change(func() { c.asking = &q })
	if !c.handles("ask", "I want a human") || !c.until("opened", c.finds) {
		return
	}
	for n := range c.messages {
		c.pause("user")
		text := c.text("message", n)
		if !c.handles(fmt.Sprintf("m%d", n), text) {
			return
		}
		c.change(func() { c.accepted = append(c.accepted, text) })
		c.w.proceeded()
	}
	c.change(func() { c.ready = true })
	if !c.await(c.w.ctx, c.heard) || !c.handles("thanks", "thank you") {
		return
	}
	over := c.await(c.w.ctx, func() bool { return c.answered("thanks") })
	c.change(func() { c.over = over })
}

// hasty reports whether the agent of a managed bot resolves the conversation although Crisp may not have all that the
// user wrote: Handle has stored it, and nobody waits for more.
func (c *chat) hasty() bool {
	return c.managed && fraction(c.w.o.seed, c.name, "resolves over messages") < 0.3
}

// reads has the agent of a managed bot wait until Crisp has what the user wrote, for some minutes.
func (c *chat) reads() {
	if !c.managed || c.hasty() {
		return
	}
	words := strings.Fields(c.accepted[len(c.accepted)-1])
	for range 300 {
		if slices.ContainsFunc(c.crisp.Messages(), func(m handovertest.Message) bool {
			return slices.Contains(strings.Fields(m.Text()), words[len(words)-1])
		}) {
			return
		}
		c.sleep(time.Second)
	}
}

// tidies has the agent of a managed bot resolve the conversation again when a message of the user's, which came to Crisp after
// that, has opened it.
func (c *chat) tidies(ann *handovertest.Operator) {
	for c.managed && c.w.ctx.Err() == nil {
		over := false
		c.change(func() { over = c.over })
		if over {
			return
		}
		if c.crisp.State() != "resolved" {
			ann.Resolve()
			c.note("resolved again")
		}
		c.sleep(20 * time.Second)
	}
}

// answered reports whether the bot has answered a message, and said so. It is called under the lock.
func (c *chat) answered(id string) bool {
	return slices.ContainsFunc(c.spoken, func(s spoken) bool { return s.id == id && !s.failed })
}

// answer is the bot of a replica.
func (r *replica) answer(ctx context.Context, t handover.Turn, m handover.Incoming) (*handover.Request, error) {
	c := r.w.chat(m.Conversation)
	n := c.ordinal("answer")
	fault, when, _ := strings.Cut(c.w.callbackFault(c.name, "answer", n), " ")
	c.begins(r, t, m)
	defer c.falls(r)
	if err := c.thinks(ctx, n); err != nil {
		return nil, err
	}
	if fault != "" {
		c.w.count("answer " + fault + " " + when)
	}
	var request *handover.Request
	if when == "after" || fault == "" {
		err := r.outside(atDeliver, func() error { c.speaks(r, m, fault != ""); return nil })
		if err == nil && m.ID == "ask" && fault == "" {
			if request, err = c.asks(ctx, r, t); err != nil {
				c.change(func() { c.spoken[len(c.spoken)-1].failed = true }) // one bot speaks at a time
			}
		}
		if err != nil || fault == "" {
			return request, err
		}
	}
	c.note("the bot %s %s its answer", fault, when)
	switch fault {
	case "hangs":
		c.w.suffers(hungCallbacks)
		c.falls(r)
		<-c.w.ctx.Done()
	case "panics":
		c.w.suffers(panics)
		panic("a bug of the bot's")
	}
	return nil, errChannelDown
}

// thinks takes its time: mostly moments, and now and then longer than a claim holds.
func (c *chat) thinks(ctx context.Context, n int) error {
	takes := between(0, 2*time.Second, c.w.o.seed, c.name, "thinks", n)
	if handovertest.Chance(0.05, c.w.o.seed, c.name, "thinks long", n) {
		takes = 40 * time.Second
	}
	select {
	case <-time.After(takes):
		return nil
	case <-ctx.Done():
		return context.Cause(ctx)
	}
}

// asks asks for a human, in one of the two ways.
func (c *chat) asks(ctx context.Context, r *replica, t handover.Turn) (*handover.Request, error) {
	if handovertest.Chance(0.5, c.w.o.seed, c.name, "asks by its result") {
		return c.asking, nil
	}
	outcome, err := r.h.Start(ctx, t, *c.asking)
	if err == nil && outcome != handover.OutcomeOpening && outcome != handover.OutcomeAlreadyOpen {
		c.fault("Start within Answer comes to %q", outcome)
	}
	return nil, err
}

// begins notes that the bot is called: one at a time, and never for what the agent has.
func (c *chat) begins(r *replica, t handover.Turn, m handover.Incoming) {
	c.note("replica %d answers %s, attempt %d", r.n, m.ID, t.Attempt)
	c.change(func() {
		if c.speaking != nil && !c.speaking.dead() && !r.dead() {
			c.wrong = append(c.wrong, fmt.Sprintf("two answers at a time, of replicas %d and %d", c.speaking.n, r.n))
		}
		c.speaking = r
		if strings.HasPrefix(m.ID, "m") && !c.resolved && !r.dead() {
			c.wrong = append(c.wrong, "the bot got "+m.ID)
		}
	})
}

// falls notes that the bot is silent.
func (c *chat) falls(r *replica) {
	c.change(func() {
		if c.speaking == r {
			c.speaking = nil
		}
	})
}

// speaks shows the user the bot's answer.
func (c *chat) speaks(r *replica, m handover.Incoming, failed bool) {
	c.note("the bot of replica %d answers %s, failed %t", r.n, m.ID, failed)
	c.change(func() { c.spoken = append(c.spoken, spoken{r, time.Now(), m.ID, failed}) })
}

// judgeManaged requires that the bot answered once, in order, and nothing that the agents have.
func (c *chat) judgeManaged(inCrisp func(word string) bool) {
	last, times := -1, make(map[string]spoken)
	for _, s := range c.spoken {
		before, again := times[s.id]
		if again && !excused(before.by, before.at, before.failed) {
			c.wrong = append(c.wrong, "the bot answered twice: "+s.id)
		}
		times[s.id] = s
		if at := slices.Index(c.taken, s.id); !again && at < last {
			c.wrong = append(c.wrong, "the bot answered out of order: "+s.id)
		} else {
			last = max(last, at)
		}
	}
	for n, text := range c.accepted {
		s, ok := times[fmt.Sprintf("m%d", n)]
		if ok && inCrisp(strings.Fields(text)[0]) && !excused(s.by, s.at, s.failed) {
			c.wrong = append(c.wrong, fmt.Sprintf("both the bot and the agent got m%d", n))
		}
	}
	for _, id := range []string{"hello", "ask"} {
		if _, ok := times[id]; !ok {
			c.wrong = append(c.wrong, "nobody answered "+id)
		}
	}
}

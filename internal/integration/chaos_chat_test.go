package integration

import (
	"context"
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/crisphandover/handover"
	"github.com/crisphandover/handover/handovertest"
)

// chat is one conversation: its user, and the agent in Crisp. The world's lock guards it.
type chat struct {
	w        *world
	name     string
	conv     handover.Conversation
	calls    int     // of callbacks
	saw      []sight // what the channel showed, or was told
	accepted []string
	said     []string
	err      error
}

// sight is a callback that was carried out.
type sight struct {
	callbackCall
	end    bool
	failed bool // so the replica was told
	at     time.Time
}

// call calls replicas, one after the other, until one answers, as channels repeat messages.
func (c *chat) call(what, path string, in, out any) error {
	for n := 0; ; n++ {
		c.w.mu.Lock()
		url := c.w.processes[handovertest.Hash(c.w.seed, c.name, what, n)%replicas].url
		c.w.mu.Unlock()
		ctx, cancel := context.WithTimeout(c.w.ctx, 15*time.Second)
		err := postJSON(ctx, url+path, in, out)
		cancel()
		if err == nil {
			return nil
		}
		if c.w.ctx.Err() != nil {
			return fmt.Errorf("%s: %s: the run took too long: %w", c.name, what, err)
		}
		time.Sleep(200 * time.Millisecond)
	}
}

// says is a message of the user's.
func (c *chat) says(id, text string) (turn handover.Turn, err error) {
	return turn, c.call(id, "/receive", handover.Incoming{Conversation: c.conv, ID: id, Text: text}, &turn)
}

// live is the whole conversation: the user asks for a human, both write, the agent resolves it, and
// the user has the bot again.
func (c *chat) live() error {
	turn, err := c.says("ask", "I want a human")
	if err != nil {
		return err
	}
	var outcome handover.Outcome
	request := handover.Request{User: handover.UserData{Nickname: c.name}}
	if err := c.call("start", "/start", startCall{turn, request}, &outcome); err != nil {
		return err
	}
	var view handover.Session
	for view.State != handover.StateWaiting {
		if err := c.call("session", "/session", c.conv, &view); err != nil {
			return err
		}
	}
	all := c.w.crisp.Conversations()
	conv := all[slices.IndexFunc(all, func(v *handovertest.Conversation) bool { return v.ID() == view.CrispID })]
	agent := make(chan error, 1)
	go func() { agent <- c.agent(conv.Operator("Ann")) }()
	if err := c.user(); err != nil {
		return err
	}
	if err := <-agent; err != nil {
		return err
	}
	if err := c.w.until(c.heard); err != nil {
		return fmt.Errorf("%s: %w: the user saw %d of %d", c.name, err, len(c.saw), c.w.messages)
	}
	if turn, err = c.says("thanks", "thank you"); err == nil && !turn.Bot {
		err = fmt.Errorf("%s: the bot is still mute", c.name)
	}
	return err
}

// user writes the user's messages, each when Crisp has the one before.
func (c *chat) user() error {
	for n := range c.w.messages {
		text := fmt.Sprintf("message %d of %s", n, c.name)
		turn, err := c.says(fmt.Sprintf("m%d", n), text)
		if err != nil {
			return err
		}
		if turn.Bot {
			return fmt.Errorf("%s: the bot got message %d", c.name, n)
		}
		c.w.mu.Lock()
		c.accepted = append(c.accepted, text)
		c.w.progress++
		c.w.mu.Unlock()
	}
	return nil
}

const secret = "not for the user"

// agent writes the agent's messages between the user's, notes, and resolves the conversation.
func (c *chat) agent(ann *handovertest.Operator) error {
	for n := range c.w.messages {
		if err := c.w.until(func() bool { return len(c.accepted) >= n }); err != nil {
			return err
		}
		if n%3 == 0 {
			note := ann.Note(secret)
			ann.Edit(note, secret+", edited")
		}
		text := fmt.Sprintf("answer %d to %s", n, c.name)
		ann.Say(text)
		c.w.mu.Lock()
		c.said = append(c.said, text)
		c.w.progress++
		c.w.mu.Unlock()
	}
	if err := c.w.until(func() bool { return len(c.accepted) == c.w.messages }); err != nil {
		return err
	}
	ann.Resolve()
	return nil
}

// heard reports whether the user saw all answers and the end was told. The caller holds the lock.
func (c *chat) heard() bool {
	seen, ended := make(map[string]bool), false
	for _, s := range c.saw {
		seen[s.Message.Content.Text] = true
		ended = ended || s.end
	}
	return ended && len(c.said) == c.w.messages && !slices.ContainsFunc(c.said, func(text string) bool { return !seen[text] })
}

// tally counts what a run came to.
type tally struct{ accepted, arrived, lost, doubled, reordered, endsTwice int }

// judge compares both ends of every conversation.
func (w *world) judge(t *testing.T) {
	t.Helper()
	var sum tally
	inCrisp := make(map[string][]*handovertest.Conversation)
	for _, v := range w.crisp.Conversations() {
		if len(v.Messages()) > 0 {
			inCrisp[v.Meta().Nickname] = append(inCrisp[v.Meta().Nickname], v)
		}
	}
	require.Len(t, inCrisp, len(w.chats))
	for _, c := range w.chats {
		require.NoError(t, c.err)
		require.Len(t, inCrisp[c.name], 1, "Crisp conversations of %s with messages", c.name)
		c.judgeUser(t, &sum)
		c.judgeCrisp(t, &sum, inCrisp[c.name][0])
	}
	faults := w.failed + 1 // and the kill
	counts := w.crisp.FaultCounts()
	for kind, n := range counts {
		if kind != "delay" {
			faults += n
		}
	}
	fmt.Printf("chaos: seed=%d conversations=%d accepted=%d arrived=%d lost=%d doubled=%d reordered=%d ends_twice=%d faults=%d\n",
		w.seed, len(w.chats), sum.accepted, sum.arrived, sum.lost, sum.doubled, sum.reordered, sum.endsTwice, faults)
	all := 2 * len(w.chats) * w.messages
	require.Equal(t, tally{accepted: all, arrived: all}, sum)
	require.Positive(t, w.failed)
	if all < 200 {
		return // too little happens for each kind of fault
	}
	for _, kind := range []string{
		"status 429", "status 502", "cut before", "cut after", "stale", "hook dropped", "hook twice", "hook delayed", "hook swapped",
	} {
		require.Positive(t, counts[kind], "no fault of the kind %q", kind)
	}
}

// toStore is how long a replica may take, on a machine that does other things too, to store that a
// callback is done. One that was killed within it is excused for what is seen again.
const toStore = 2 * time.Second

// judgeUser counts what the user saw: each answer once, in order. What was seen again had failed,
// or the replica was killed.
func (c *chat) judgeUser(t *testing.T, sum *tally) {
	t.Helper()
	sum.accepted += len(c.said)
	last := make(map[string]sight) // by what it is
	var order []string
	for _, s := range c.saw {
		id := s.Message.ID
		if s.end {
			id = "the end"
			require.Equal(t, handover.EndResolved, s.Summary.Reason, c.name)
		}
		before, again := last[id]
		last[id] = s
		if again {
			fine := before.failed || before.Replica == c.w.dead && c.w.died.Sub(before.at) < toStore
			switch {
			case s.end && !(fine && s.Summary.HandoverID == before.Summary.HandoverID):
				sum.endsTwice++
			case !s.end && !(fine && s.Message.Attempt > 1):
				sum.doubled++
			}
			continue
		}
		if s.Message.From == handover.FromAgent {
			order = append(order, s.Message.Content.Text)
		}
	}
	count(sum, c.said, order)
}

// judgeCrisp counts what Crisp has: each message of the user once, in order.
func (c *chat) judgeCrisp(t *testing.T, sum *tally, v *handovertest.Conversation) {
	t.Helper()
	sum.accepted += len(c.accepted)
	var order []string
	for i, m := range v.Messages() {
		switch {
		case m.From == "user" && i > 0:
			order = append(order, m.Text())
		case m.Type == "note":
			require.True(t, strings.HasPrefix(m.Text(), secret), "%s: the agents were told: %s", c.name, m.Text())
		}
	}
	count(sum, c.accepted, order)
}

// count compares what was sent with what arrived. What was never sent counts as doubled.
func count(sum *tally, sent, arrived []string) {
	highest := -1
	seen := make(map[string]bool)
	for _, text := range arrived {
		at := slices.Index(sent, text)
		switch {
		case at < 0 || seen[text]:
			sum.doubled++
		case at < highest:
			sum.reordered++
		}
		seen[text] = true
		highest = max(highest, at)
	}
	for _, text := range sent {
		if seen[text] {
			sum.arrived++
		} else {
			sum.lost++
		}
	}
}

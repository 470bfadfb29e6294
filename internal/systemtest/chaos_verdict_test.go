package systemtest

import (
	"fmt"
	"maps"
	"slices"
	"strings"
	"time"

	"github.com/crisphandover/handover"
	"github.com/crisphandover/handover/handovertest"
)

// verdict is what came of a run.
type verdict struct {
	seed                                                   uint64
	conversations                                          int
	accepted, arrived, lost, doubled, reordered, endsTwice int
	faults                                                 map[string]int
	traps                                                  map[string]int
	caught                                                 []int64  // what else each killed replica had under way
	wrong                                                  []string // what else must not be
	story                                                  []string // of the first conversation with a fault
}

// String is the line that a run prints.
func (v verdict) String() string {
	faults := 0
	for _, n := range v.faults {
		faults += n
	}
	return fmt.Sprintf("chaos: seed=%d conversations=%d accepted=%d arrived=%d lost=%d doubled=%d reordered=%d ends_twice=%d faults=%d",
		v.seed, v.conversations, v.accepted, v.arrived, v.lost, v.doubled, v.reordered, v.endsTwice, faults)
}

// bad counts all that must not be.
func (v verdict) bad() int { return v.lost + v.doubled + v.reordered + v.endsTwice + len(v.wrong) }

// undue are the faults that are no faults but the time that a call takes.
var undue = []string{"delay", "delayed answer"}

// judge counts what arrived, and what is wrong.
func (w *world) judge() verdict {
	v := verdict{seed: w.o.seed, conversations: len(w.chats), faults: w.crisp.FaultCounts(), traps: w.traps}
	maps.Copy(v.faults, w.failed)
	for _, kind := range undue {
		delete(v.faults, kind)
	}
	for _, r := range w.killed {
		v.faults["killed"]++
		v.caught = append(v.caught, r.caught)
	}
	inCrisp := make(map[string][]*handovertest.Conversation)
	for _, c := range w.crisp.Conversations() {
		if len(c.Messages()) > 0 {
			inCrisp[c.Meta().Nickname] = append(inCrisp[c.Meta().Nickname], c)
		}
	}
	for _, c := range w.chats {
		before := v.bad()
		c.judgeUser(&v)
		c.judgeCrisp(&v, inCrisp[c.name])
		c.judgeEnds(&v)
		for _, s := range c.wrong {
			v.wrong = append(v.wrong, c.name+": "+s)
		}
		delete(inCrisp, c.name)
		if v.bad() > before && v.story == nil {
			v.story = append([]string{c.name}, c.story...)
		}
	}
	for name := range inCrisp {
		v.wrong = append(v.wrong, fmt.Sprintf("Crisp has messages in a conversation of %q", name))
	}
	return v
}

// excused reports whether a repeat of what a replica did is allowed: the channel said that it had
// failed, or the replica was killed before it could write down that it had not, which takes a load
// and a save.
func excused(by *replica, at time.Time, failed bool) bool {
	killed, dead := by.killedAt()
	return failed || dead && killed.Sub(at) < 20*storeTime
}

// judgeUser compares what the user saw with Crisp's log.
func (c *chat) judgeUser(v *verdict) {
	place := make(map[string]int)
	if c.crisp != nil {
		for _, m := range c.crisp.Messages() {
			if m.From == "operator" && m.Type == "text" {
				place[m.Text()] = len(place)
			}
		}
	}
	v.accepted += len(c.said)
	first := make(map[string]showing) // by Message.ID
	ids := make(map[string]string)    // of each content
	highest := -1
	for _, s := range c.shown {
		m, text := s.message, s.message.Content.Text
		if before, again := first[m.ID]; again {
			if m.Attempt < 2 || !excused(before.by, before.at, before.failed) || before.message.Content.Text != text {
				v.doubled++
				c.note("DOUBLED: %s", m.ID)
			}
			first[m.ID] = s
			continue
		}
		first[m.ID] = s
		if id, again := ids[text]; again && !strings.Contains(m.ID, "/still_waiting/") {
			v.doubled++
			c.note("DOUBLED: %s as %s", id, m.ID)
		}
		ids[text] = m.ID
		if m.From == handover.FromSystem {
			continue
		}
		at, known := place[text]
		if m.From != handover.FromAgent || !known || m.Agent.Name != "Ann" {
			c.wrong = append(c.wrong, fmt.Sprintf("the user saw a message from %s that is not for them: %s", m.From, m.ID))
			continue
		}
		if at < highest {
			v.reordered++
			c.note("REORDERED: %s", text)
		}
		highest = max(highest, at)
	}
	for _, text := range c.said {
		if ids[text] == "" {
			v.lost++
			c.note("LOST: %s", text)
			continue
		}
		v.arrived++
	}
}

// judgeCrisp compares what Crisp has with what the user was told that it has.
func (c *chat) judgeCrisp(v *verdict, in []*handovertest.Conversation) {
	v.accepted += len(c.accepted)
	if len(in) != 1 {
		c.wrong = append(c.wrong, fmt.Sprintf("%d Crisp conversations have messages", len(in)))
	}
	var texts []string
	for _, conv := range in {
		for i, m := range conv.Messages() {
			switch {
			case m.From == "user" && strings.HasPrefix(m.Text(), "message "):
				texts = append(texts, m.Text())
			case m.From == "user" && (i > 0 || m.Text() != "Hi, this user need your help."):
				c.wrong = append(c.wrong, "Crisp has a message that the user did not write to the agent: "+m.Text())
			case m.Type == "note" && !strings.HasPrefix(m.Text(), secret):
				c.wrong = append(c.wrong, "the agents were told: "+m.Text())
			}
		}
	}
	highest := -1
	seen := make(map[string]bool)
	for _, text := range texts {
		at := slices.Index(c.accepted, text)
		switch {
		case seen[text]:
			v.doubled++
			c.note("DOUBLED in Crisp: %s", text)
		case at >= 0 && at < highest:
			v.reordered++
			c.note("REORDERED in Crisp: %s", text)
		}
		seen[text] = true
		highest = max(highest, at)
	}
	for _, text := range c.accepted {
		if !seen[text] {
			v.lost++
			c.note("LOST, not in Crisp: %s", text)
			continue
		}
		v.arrived++
	}
}

// judgeEnds requires one end, told once unless something went wrong.
func (c *chat) judgeEnds(v *verdict) {
	if !c.over {
		c.wrong = append(c.wrong, "the bot did not get the conversation back")
	}
	for i, e := range c.ends {
		if e.summary.Reason != handover.EndResolved {
			c.wrong = append(c.wrong, fmt.Sprintf("ended because %s", e.summary.Reason))
		}
		if i == 0 {
			continue
		}
		before := c.ends[i-1]
		if e.summary.HandoverID != before.summary.HandoverID || !excused(before.by, before.at, before.failed) {
			v.endsTwice++
			c.note("ENDS TWICE")
		}
	}
}

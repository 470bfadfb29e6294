package systemtest

import (
	"bytes"
	"context"
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
	expected                                               int
	accepted, arrived, lost, doubled, reordered, endsTwice int
	// late are the messages that came after newer ones, marked Late: their hook was lost, and Crisp's log
	// was out of reach for so long that other hooks in hand were shown without it. They are few.
	late         int
	lateOf       []int         // those of each conversation that has some
	calls, early int           // to Crisp; those that came before Retry-After had passed
	slowest      time.Duration // from an agent to the user
	faults       map[string]int
	traps        map[string]int
	caught       []int64  // what else each killed replica had under way
	wrong        []string // what else must not be
	kinds        []string // of faults, each with the story of one conversation
	story        []string
}

// String is the line that a run prints.
func (v verdict) String() string {
	faults := 0
	for _, n := range v.faults {
		faults += n
	}
	return fmt.Sprintf("chaos: seed=%d conversations=%d accepted=%d arrived=%d lost=%d doubled=%d reordered=%d late=%d ends_twice=%d faults=%d",
		v.seed, v.conversations, v.accepted, v.arrived, v.lost, v.doubled, v.reordered, v.late, v.endsTwice, faults)
}

// bad counts all that must not be.
func (v verdict) bad() int {
	bad := v.lost + v.doubled + v.reordered + v.endsTwice + len(v.wrong)
	if v.tooLate() {
		bad += v.late
	}
	return bad
}

// tooLate reports whether so many messages came late that something must be wrong. One message that lags makes all
// before it late, so the conversations with most of them do not count: a hundredth of all, and one at least. While
// no log can be read for two minutes, a lost hook makes one late in many conversations at once.
func (v verdict) tooLate() bool {
	of := slices.Sorted(slices.Values(v.lateOf))
	rest := 0
	for _, n := range of[:max(0, len(of)-max(1, v.conversations/100))] {
		rest += n
	}
	return rest > max(3, v.accepted/200)
}

// tooSlow is longer than a message of an agent may take: what no hook tells of, catch-up finds every three
// minutes, unless its calls fail or are not made because others failed just before.
const tooSlow = 20 * time.Minute

// undue are the faults that are no faults but the time that a call takes.
var undue = []string{"delay", "delayed answer"}

// judge counts what arrived, and what is wrong.
func (w *world) judge() verdict {
	v := verdict{seed: w.o.seed, conversations: len(w.chats), expected: w.expected(), faults: w.crisp.FaultCounts(), traps: w.traps}
	maps.Copy(v.faults, w.failed)
	for _, kind := range undue {
		delete(v.faults, kind)
	}
	for _, r := range w.killed {
		v.faults["killed"]++
		v.caught = append(v.caught, r.caught)
	}
	inCrisp := make(map[*chat][]*handovertest.Conversation)
	for _, conv := range w.crisp.Conversations() {
		if c := w.owner(conv); c != nil {
			inCrisp[c] = append(inCrisp[c], conv)
		} else if len(conv.Messages()) > 0 {
			v.wrong = append(v.wrong, fmt.Sprintf("Crisp has messages in a conversation of %q", conv.Meta().Nickname))
		}
	}
	for _, c := range w.chats {
		before := v
		c.judgeUser(&v)
		c.judgeCrisp(&v, inCrisp[c])
		c.judgeEnds(&v)
		for _, s := range c.wrong {
			v.wrong = append(v.wrong, c.name+": "+s)
		}
		v.tell(c, before)
	}
	return v
}

// tell keeps the story of a conversation in which something was wrong that was not in those before.
func (v *verdict) tell(c *chat, before verdict) {
	var kinds []string
	for _, s := range c.wrong {
		kinds = append(kinds, strings.Map(withoutDigits, s))
	}
	for kind, n := range map[string]int{
		"lost": v.lost - before.lost, "doubled": v.doubled - before.doubled, "reordered": v.reordered - before.reordered,
		"ends twice": v.endsTwice - before.endsTwice, "late": v.late - before.late,
	} {
		if n > 0 {
			kinds = append(kinds, kind)
		}
	}
	told := len(v.kinds)
	for _, kind := range kinds {
		if !slices.Contains(v.kinds, kind) {
			v.kinds = append(v.kinds, kind)
		}
	}
	if len(v.kinds) > told {
		v.story = append(append(v.story, c.name), c.story...)
	}
}

// withoutDigits makes one kind of what differs in numbers alone.
func withoutDigits(r rune) rune {
	if r >= '0' && r <= '9' {
		return -1
	}
	return r
}

// owner is whose conversation it is, if that can be told.
func (w *world) owner(conv *handovertest.Conversation) *chat {
	for _, c := range w.chats {
		if c.crisp == conv || c.name == conv.Meta().Nickname {
			return c
		}
	}
	return nil
}

// excused reports whether a repeat of what a replica did is allowed: the channel said that it had
// failed, or the replica was killed before it could write down that it had not. That takes a load and a
// save; while the store is away it waits for that, and up to storePause more.
func excused(by *replica, at time.Time, failed bool) bool {
	killed, dead := by.killedAt()
	written := at.Add(20 * storeTime)
	for _, t := range []time.Time{at, written} {
		if s, on := by.w.away(t); on {
			written = by.w.begun.Add(s.end + storePause + 20*storeTime)
			break
		}
	}
	return failed || dead && killed.Before(written)
}

// storePause is how long the library waits at most between two attempts to write down what it did.
const storePause = 5 * time.Second

// judgeUser compares what the user saw with Crisp's log, word by word.
func (c *chat) judgeUser(v *verdict) {
	place := make(map[string]int) // of each word in Crisp's log
	if c.crisp != nil {
		for _, m := range c.crisp.Messages() {
			if m.From == "operator" && m.Type == "text" {
				for _, word := range strings.Fields(m.Text()) {
					place[word] = len(place)
				}
			}
		}
	}
	meant := make(map[string]bool)
	for _, text := range c.said {
		for _, word := range strings.Fields(text) {
			meant[word] = true
		}
	}
	first := make(map[string]showing)          // by Message.ID
	at := make(map[string]time.Time)           // of each word
	ids := make(map[string]string)             // of each word, or text of the library's
	highest, late := -1, make(map[string]bool) // those that came late, in any of their parts
	var newest time.Time                       // when the message at the highest place was shown
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
		words := strings.Fields(text)
		if m.From == handover.FromSystem {
			words = []string{text}
		}
		for _, word := range words {
			if id, again := ids[word]; again && !strings.Contains(m.ID, "/still_waiting/") {
				v.doubled++
				c.note("DOUBLED: %s as %s", id, m.ID)
			}
			ids[word], at[word] = m.ID, s.at
			if m.From == handover.FromSystem {
				continue
			}
			if m.From == handover.FromAgent && strings.HasPrefix(word, oddly) {
				continue // at any place
			}
			n, known := place[word]
			if m.From != handover.FromAgent || !known || !meant[word] || m.Agent.Name != "Ann" {
				c.wrong = append(c.wrong, fmt.Sprintf("the user saw a message from %s that is not for them: %s", m.From, m.ID))
				break
			}
			switch {
			case n >= highest:
			case m.Late && !c.w.o.hooks.NoLog:
				whole, _, _ := strings.Cut(m.ID, ".")
				late[whole] = true
				// Of a conversation with more hooks than a record keeps whole, some only say what to read.
				if at, ok := c.w.taken[whole]; ok && at.Before(newest) && c.messages <= 50 {
					c.wrong = append(c.wrong, fmt.Sprintf("%s came late, and its hook was taken %v before what overtook it was shown", word, newest.Sub(at)))
				}
			default:
				v.reordered++
				c.note("REORDERED: %s", word)
			}
			if n > highest {
				highest, newest = n, s.at
			}
		}
	}
	v.late += len(late)
	if len(late) > 0 {
		v.lateOf = append(v.lateOf, len(late))
	}
	c.judgeOdd(func(text string) bool { return ids[text] != "" })
	v.accepted += len(c.said)
	for i, text := range c.said {
		if shown := at[strings.Fields(text)[0]]; !shown.IsZero() {
			took := shown.Sub(c.saidAt[i])
			v.slowest = max(v.slowest, took)
			if took > tooSlow {
				c.wrong = append(c.wrong, fmt.Sprintf("%s was shown after %v", strings.Fields(text)[0], took))
			}
		}
		c.arrived(v, text, func(word string) bool { return ids[word] != "" })
	}
}

// judgeOdd requires that what was written oddly and not shown was reported: to the agents, unless Crisp refuses
// their notes, and to the host, unless a save was stored of which the library was told that it failed.
func (c *chat) judgeOdd(shown func(text string) bool) {
	missing := 0
	for _, m := range c.oddly {
		if shown(m.text) {
			continue
		}
		missing++
		c.note("not shown: %s", m.text)
		if !c.noted(m.at) && !c.toNote() && (c.refused == nil || c.refused.name != "note") {
			c.wrong = append(c.wrong, fmt.Sprintf("no agent was told that %s was not shown", m.text))
			for _, n := range c.crisp.Messages() {
				c.note("in Crisp: %s %d at %v: %.40s", n.Type, n.Fingerprint, time.UnixMilli(n.Timestamp).Add(-c.w.skew()), n.Text())
			}
			c.note("its record: %s", c.record())
		}
	}
	if missing > c.reported && c.untold == 0 {
		c.wrong = append(c.wrong, fmt.Sprintf("%d odd messages were not shown, and %d were reported", missing, c.reported))
	}
}

// toNote reports whether the agents are still to be told that something was not shown: once Crisp has refused
// the notes of three conversations in a row, none are tried for up to an hour.
func (c *chat) toNote() bool {
	return bytes.Contains(c.record(), []byte(`"text":"note_not_shown"`))
}

// record is the stored record of the chat's conversation.
func (c *chat) record() []byte {
	record, err := c.w.store.Load(context.Background(), c.w.crisp.WebsiteID()+"/"+c.conv.Source+"/"+c.conv.ID)
	if err != nil {
		return nil
	}
	return record.Data
}

// noted reports whether the agents were told, after this time, that something was not shown.
func (c *chat) noted(at time.Time) bool {
	after := at.Add(c.w.skew()).UnixMilli()
	return slices.ContainsFunc(c.crisp.Messages(), func(m handovertest.Message) bool {
		return m.Type == "note" && m.Text() == handover.DefaultTexts().NoteNotShown && m.Timestamp >= after
	})
}

// arrived counts a message that arrived whole, or was lost in part.
func (c *chat) arrived(v *verdict, text string, there func(word string) bool) {
	for _, word := range strings.Fields(text) {
		if !there(word) {
			v.lost++
			c.note("LOST: %s", word)
			return
		}
	}
	v.arrived++
}

// judgeCrisp compares what Crisp has with what the user was told that it has, word by word.
func (c *chat) judgeCrisp(v *verdict, in []*handovertest.Conversation) {
	var words []string
	filled := 0
	for _, conv := range in {
		all := conv.Messages()
		if len(all) > 0 {
			filled++
		}
		opened, odd := false, slices.ContainsFunc(all, func(m handovertest.Message) bool { return strings.HasPrefix(m.Text(), oddly) })
		for _, m := range all {
			switch {
			case m.From == "user" && strings.HasPrefix(m.Text(), "message-"):
				words = append(words, strings.Fields(m.Text())...)
			case m.From == "user" && (opened || m.Text() != "Hi, this user need your help."):
				c.wrong = append(c.wrong, "Crisp has a message that the user did not write to the agent: "+m.Text())
			case m.From == "user":
				opened = true
			case m.Type == "note" && !strings.HasPrefix(m.Text(), secret) && !odd:
				c.wrong = append(c.wrong, "the agents were told: "+m.Text())
			}
		}
	}
	if filled != 1 {
		c.wrong = append(c.wrong, fmt.Sprintf("%d Crisp conversations have messages", filled))
	}
	place := make(map[string]int)
	for _, text := range c.accepted {
		for _, word := range strings.Fields(text) {
			place[word] = len(place)
		}
	}
	highest := -1
	seen := make(map[string]bool)
	for _, word := range words {
		at, accepted := place[word]
		switch {
		case seen[word]:
			v.doubled++
			c.note("DOUBLED in Crisp: %s", word)
		case accepted && at < highest:
			v.reordered++
			c.note("REORDERED in Crisp: %s", word)
		}
		seen[word] = true
		if accepted {
			highest = max(highest, at)
		}
	}
	v.accepted += len(c.accepted)
	for n, text := range c.accepted {
		answered := c.managed && c.answered(fmt.Sprintf("m%d", n))
		c.arrived(v, text, func(word string) bool { return seen[word] || answered })
	}
	if c.managed {
		c.judgeManaged(func(word string) bool { return seen[word] })
	}
}

// judgeEnds requires one end, told once unless something went wrong.
func (c *chat) judgeEnds(v *verdict) {
	if !c.over {
		c.wrong = append(c.wrong, "the bot did not get the conversation back")
		c.note("its record: %s", c.record())
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

package llm

import (
	"fmt"
	"slices"
	"strings"

	"github.com/crisphandover/handover"
	"github.com/crisphandover/handover/internal/textsplit"
)

// Role says who speaks to the model.
type Role string

// The roles of messages. Gemini calls the assistant "model".
const (
	RoleUser      Role = "user"
	RoleAssistant Role = "assistant"
)

// Message is a message for a model, as every SDK has one.
type Message struct {
	Role Role   `json:"role"`
	Text string `json:"text"`
}

// User is a message of the user: its text, else the payload of the button that was pressed, and a mark for each
// file, with its name and type quoted below it. What looks like a mark of the library's is altered, so that users cannot pretend
// that a human agent had the conversation. Give the files themselves to the model as its SDK takes them.
func User(m handover.Incoming) Message {
	text := m.Text
	if textsplit.Blank(text) {
		text = m.Payload
	}
	lines := []string{unmarked(text)}
	for _, f := range m.Files {
		lines = append(lines, mark("the user sent a file")) // its name is the user's own words
		if name := strings.TrimSpace(inMark(f.Name) + " " + inMark(f.MIMEType)); name != "" {
			lines = append(lines, "> "+name)
		}
	}
	return Message{RoleUser, strings.TrimSpace(strings.Join(lines, "\n"))}
}

// Transcript turns what people said into messages for a model. The zero value is ready for use.
//
// What was said while a human had the conversation becomes one message of the role user: these are no words of
// the model's. Its first and last lines are marks, "[Handover: …]", which say where it began and how it ended.
// Between them each line that somebody wrote begins with "> ", and a bracket that looks like the beginning of a
// mark becomes a round one. So no words of a user or an agent pass for a mark, nor for words of somebody else.
// Rich messages are plain text.
type Transcript struct {
	// Limit is how long all that people said may be together, with their names, in UTF-16 units; the marks come
	// on top. The oldest messages are left out first, and a mark says so. Of a message that is longer than half
	// of Limit the beginning stays. Default: 20,000, some 5,000 tokens of English. At least 200.
	Limit int
}

// HumanPart is what the user and the agents said in a handover that has ended, and how it ended: append it to the
// model's history in [handover.Config.OnEnd]. It tells as well that nobody answered.
//
// OnEnd may be called again for the same Summary.HandoverID: add it once. The bot may answer the next message
// before OnEnd is called. A host that cannot bear this uses Messages.
func (t Transcript) HumanPart(sum handover.Summary) Message {
	said, left := t.cut(sum.Messages)
	b := newBlock(begun(sum, len(said) > 0), left)
	for _, m := range said {
		b.say(m)
	}
	if sum.Unread {
		b.mark("some or all of what they said cannot be read")
	}
	return b.end(ended(sum.Reason))
}

// Messages is the whole of a conversation, for a host that keeps it as [handover.Config.Transcript] returns it,
// oldest message first: the user's messages, the bot's, and those that Deliver showed. Call it when the bot is to
// answer. What lies between an agent's first message and their last one before the bot speaks again is a human
// part: where it ended is guessed, and not why; HumanPart knows both. The library's own sentences are quoted, each under
// a mark. An edit takes the place of what it corrects.
func (t Transcript) Messages(all []handover.Message) []Message {
	said, left := t.cut(corrected(all))
	var out []Message
	if left > 0 {
		out = append(out, Message{RoleUser, mark(leftOut(left))})
	}
	for len(said) > 0 {
		if n := humanRun(said); n > 0 {
			b := newBlock(fmt.Sprintf(hadIt, agentNames(said[:n]))+quoted, 0)
			for _, m := range said[:n] {
				b.say(m)
			}
			out, said = append(out, b.end(back)), said[n:]
			continue
		}
		out, said = append(out, single(said[0])), said[1:]
	}
	return out
}

// single is a message that stands for itself.
func single(m handover.Message) Message {
	switch m.From {
	case handover.FromBot:
		return Message{RoleAssistant, m.Content.Text}
	case handover.FromUser:
		return Message{RoleUser, m.Content.Text}
	}
	b := &block{}
	b.say(m)
	return b.end(shown) // SDKs may join it with the user's next message
}

// humanRun is how many messages from the first one on are of a human part.
func humanRun(all []handover.Message) (n int) {
	if all[0].From != handover.FromAgent {
		return 0
	}
	for i, m := range all {
		switch m.From {
		case handover.FromAgent:
			n = i + 1
		case handover.FromBot:
			return n
		}
	}
	return n
}

// corrected puts edits in the place of what they correct.
func corrected(all []handover.Message) []handover.Message {
	var out []handover.Message
	for _, m := range all {
		i := slices.IndexFunc(out, func(old handover.Message) bool { return m.Corrects != "" && old.ID == m.Corrects })
		if i < 0 {
			out = append(out, m)
			continue
		}
		out[i].Content, out[i].File = m.Content, m.File
	}
	return out
}

const (
	defaultLimit = 20_000
	minLimit     = 200
)

// cut returns the newest messages within the limit, as plain text, and how many older ones it leaves out.
func (t Transcript) cut(all []handover.Message) (kept []handover.Message, left int) {
	limit := t.Limit
	if limit == 0 {
		limit = defaultLimit
	}
	limit = max(limit, minLimit)
	room := limit
	for i, m := range slices.Backward(all) {
		m.Content = handover.RichMessage{Text: unmarked(m.Content.PlainText())}
		if m.Content.Text == "" {
			continue
		}
		for n := limit / 2; ; n /= 2 { // many short lines are longer when they are quoted
			m.Content.Text, _ = textsplit.Shorten(m.Content.Text, n)
			if length(m) <= limit {
				break
			}
		}
		if room -= length(m); room < 0 && len(kept) > 0 {
			left = i + 1
			break
		}
		kept = append(kept, m)
	}
	slices.Reverse(kept)
	return kept, left
}

// length is how long a message is with the name of who wrote it.
func length(m handover.Message) int {
	b := &block{}
	b.say(m)
	return textsplit.Units(b.String())
}

package main

import (
	"context"
	"fmt"
	"sync"

	"github.com/crisphandover/handover"
	"github.com/crisphandover/handover/llm"
)

// system is the model's system prompt.
const system = "You answer the customers of a shop. " + llm.Instructions

// maxCalls is how often the model is called for one message of the user.
const maxCalls = 4

// bot answers users by a language model, until a human does.
type bot struct {
	*handover.Handover
	model model
	tool  *llm.Tool
	print func(who, text string) // to the user, and here also to whoever watches

	mu      sync.Mutex
	history map[handover.Conversation][]message // a real bot keeps it in its database
	ended   map[string]bool                     // the handovers that the history tells of
}

func newBot(c handover.Config, m model, print func(who, text string)) (*bot, error) {
	tool, err := llm.NewTool(llm.Options{Categories: []string{"billing", "orders", "other"}})
	if err != nil {
		return nil, err
	}
	b := &bot{model: m, tool: tool, print: print, history: map[handover.Conversation][]message{}, ended: map[string]bool{}}
	c.Answer, c.Deliver, c.OnEnd = b.answer, b.deliver, b.onEnd
	c.Store = &handover.MemoryStore{} // a real bot keeps its state in a database: see package sqlstore
	b.Handover, err = handover.New(c)
	return b, err
}

// answer answers a message of the user. An error has the library call it again.
func (b *bot) answer(ctx context.Context, t handover.Turn, m handover.Incoming) (*handover.Request, error) {
	said := []message{{Role: "user", Text: llm.User(m).Text}}
	for range maxCalls {
		reply, err := b.model.complete(ctx, system, b.tool, append(b.known(m.Conversation), said...))
		if err != nil {
			return nil, err
		}
		said = append(said, reply)
		if reply.Text != "" {
			b.print("bot", reply.Text)
		}
		if reply.Call == nil {
			break
		}
		b.print("(the model calls "+reply.Call.Name, reply.Call.Arguments+")")
		result, err := b.tool.Ask(ctx, b, t, []byte(reply.Call.Arguments), handover.Request{
			User: handover.UserData{FirstName: "Anakin", LastName: "Skywalker"},
		})
		if err != nil {
			return nil, err // nobody was asked; or the bot has lost the conversation, and the agent gets the message
		}
		b.print("(the model hears", result.Text+")")
		b.remember(m.Conversation, append(said, message{Role: "tool", Text: result.Text})...)
		said = nil
		if !result.GoOn {
			return nil, nil
		}
	}
	b.remember(m.Conversation, said...)
	return nil, nil
}

// onEnd tells the model what the user and the agents said, once for each handover.
func (b *bot) onEnd(_ context.Context, s handover.Session, sum handover.Summary) error {
	part := llm.Transcript{}.HumanPart(sum)
	b.mu.Lock()
	defer b.mu.Unlock()
	if !b.ended[sum.HandoverID] {
		b.ended[sum.HandoverID] = true
		b.history[s.Conversation] = append(b.history[s.Conversation], message{Role: string(part.Role), Text: part.Text})
	}
	return nil
}

// deliver shows the user what agents and the library say.
func (b *bot) deliver(_ context.Context, _ handover.Session, m handover.Message) (string, error) {
	who := string(m.From)
	if m.From == handover.FromAgent {
		who = fmt.Sprintf("agent %s", m.Agent.Name)
	}
	b.print(who, m.PlainText())
	return "", nil
}

func (b *bot) known(c handover.Conversation) []message {
	b.mu.Lock()
	defer b.mu.Unlock()
	return append([]message{}, b.history[c]...)
}

func (b *bot) remember(c handover.Conversation, said ...message) {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.history[c] = append(b.history[c], said...)
}

package main

import (
	"context"
	"errors"
	"strings"

	"github.com/crisphandover/handover/llm"
)

// message is a message of a model's history, as SDKs have one. In a real bot it is the SDK's own type.
type message struct {
	Role string // user, assistant or tool
	Text string
	Call *call // of the assistant
}

// call is a call of a tool. Its arguments are JSON.
type call struct{ Name, Arguments string }

// model is what this bot needs of an SDK.
type model interface {
	complete(ctx context.Context, system string, tool *llm.Tool, history []message) (message, error)
}

// scripted is a model that needs no network: rules take the place of what it has learned. It sees what a real
// one sees, and nothing else.
type scripted struct{}

func (scripted) complete(ctx context.Context, system string, tool *llm.Tool, history []message) (message, error) {
	if ctx.Err() != nil {
		return message{}, context.Cause(ctx)
	}
	if !strings.Contains(system, llm.Instructions) {
		return message{}, errors.New("the model does not know what the marks mean")
	}
	last := history[len(history)-1]
	answer := message{Role: "assistant"}
	switch {
	case last.Role == "tool" && strings.Contains(last.Text, "You still have the conversation"):
		answer.Text = "Nobody is there at the moment, so let me try: which amount is wrong?"
	case last.Role == "tool":
		return message{}, errors.New("the model is called though it has lost the conversation")
	case strings.Contains(last.Text, "human"):
		answer.Text = "I will ask for a person."
		answer.Call = &call{tool.Name, `{"reason": "The user wants a human.", "summary": "Invoice 42 has a wrong amount.", "category": "billing"}`}
	case strings.Contains(last.Text, "invoice"):
		answer.Text = "I know nothing of your invoice."
		if said := agentSaid(history, "invoice"); said != "" {
			answer.Text = "It is settled, you need no person for it. The agent wrote: " + said
		}
	default:
		answer.Text = "Thank you. I cannot change that myself, but I will remember it."
	}
	return answer, nil
}

// agentSaid finds what an agent said, in the parts of the history in which one had the conversation.
func agentSaid(history []message, word string) (said string) {
	for _, m := range history {
		if !strings.HasPrefix(m.Text, "[Handover: ") {
			continue
		}
		agent := false
		for line := range strings.Lines(m.Text) {
			line = strings.TrimSpace(line)
			quoted, ok := strings.CutPrefix(line, "> ")
			if !ok {
				agent = strings.HasPrefix(line, "Agent ")
			} else if agent && strings.Contains(quoted, word) {
				said = quoted
			}
		}
	}
	return said
}

package llm_test

import (
	"context"
	"errors"
	"fmt"
	"log"
	"sync"

	"github.com/crisphandover/handover"
	"github.com/crisphandover/handover/handovertest"
	"github.com/crisphandover/handover/llm"
)

var user = handover.Conversation{Source: "webchat", ID: "user-1"}

// sdk stands for the SDK of a model, with messages of its own. This one always calls the tool first.
type sdk struct{}

type turn struct{ role, text, call string }

func (sdk) complete(_ context.Context, system string, tool *llm.Tool, history []turn) (turn, error) {
	if last := history[len(history)-1]; last.role == "tool" {
		return turn{role: "assistant", text: "Nobody is there, so let me try."}, nil
	}
	return turn{role: "assistant", call: `{"reason": "The user wants a refund.", "summary": "They paid invoice 42 twice.", "category": "billing"}`}, nil
}

var model sdk

func say(_ context.Context, _ handover.Conversation, text string) error {
	if text != "" {
		fmt.Println("bot:", text)
	}
	return nil
}

// chats is the host's history.
type chats struct {
	mu   sync.Mutex
	all  map[handover.Conversation][]turn
	done map[string]bool
}

func (c *chats) of(conv handover.Conversation) []turn {
	c.mu.Lock()
	defer c.mu.Unlock()
	return append([]turn(nil), c.all[conv]...)
}

func (c *chats) add(conv handover.Conversation, turns ...turn) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.all[conv] = append(c.all[conv], turns...)
}

func (c *chats) addOnce(id string, conv handover.Conversation, turns ...turn) {
	if c.mu.Lock(); !c.done[id] {
		c.done[id], c.all[conv] = true, append(c.all[conv], turns...)
	}
	c.mu.Unlock()
}

// start makes a bot on a model, as docs/llm.md shows it, and on a fake Crisp. It prints what its user sees.
func start(crisp *handovertest.Crisp, tool *llm.Tool, chats *chats) *handover.Handover {
	var h *handover.Handover
	id, key := crisp.Token()
	c := handover.Config{
		WebsiteID:  crisp.WebsiteID(),
		Token:      handover.Token{Tier: handover.TierPlugin, Identifier: handover.NewSecret(id), Key: handover.NewSecret(key)},
		Webhook:    handover.Webhook{Secrets: handover.NewSecrets(crisp.Secret())},
		HTTPClient: crisp.Client(),
		BaseURL:    crisp.URL(),
		Deliver: func(_ context.Context, _ handover.Session, m handover.Message) (string, error) {
			fmt.Println(string(m.From)+":", m.Content.Text)
			return "", nil
		},
		NoAgentText: "Nobody is there now.",
		Answer: func(ctx context.Context, t handover.Turn, m handover.Incoming) (*handover.Request, error) {
			said := []turn{{role: "user", text: llm.User(m).Text}}
			for range 4 { // calls of the model for one message, at most
				reply, err := model.complete(ctx, llm.Instructions, tool, append(chats.of(m.Conversation), said...))
				if err != nil {
					return nil, err // Answer is called again
				}
				if err := say(ctx, m.Conversation, reply.text); err != nil {
					return nil, err
				}
				if said = append(said, reply); reply.call == "" {
					break
				}
				result, err := tool.Ask(ctx, h, t, []byte(reply.call), handover.Request{})
				if err != nil {
					return nil, err // nobody was asked; or the bot has lost the conversation
				}
				chats.add(m.Conversation, append(said, turn{role: "tool", text: result.Text})...)
				if said = nil; !result.GoOn {
					return nil, nil // the human has the conversation now
				}
			}
			chats.add(m.Conversation, said...)
			return nil, nil
		},
		OnEnd: func(ctx context.Context, s handover.Session, sum handover.Summary) error {
			part := llm.Transcript{}.HumanPart(sum)
			chats.addOnce(sum.HandoverID, s.Conversation, turn{role: string(part.Role), text: part.Text})
			return nil
		},
	}
	var err error
	if h, err = handover.New(c); err != nil {
		log.Fatal(err)
	}
	crisp.Attach(h)
	return h
}

// reply is the same in a loop of the host's own, which streams the answer into the request that brought the question.
func reply(ctx context.Context, h *handover.Handover, tool *llm.Tool, t handover.Turn, arguments []byte) error {
	err := h.Reply(ctx, t, func(ctx context.Context) error {
		// … the model calls the tool:
		result, err := tool.Ask(ctx, h, t, arguments, handover.Request{})
		if err != nil || !result.GoOn {
			return err
		}
		// … and goes on.
		return nil
	})
	if errors.Is(err, handover.ErrNotYourTurn) {
		return nil // a human has the conversation, and the user's message
	}
	return err
}

// A bot on a model hands over, is silent, and knows afterwards what the agent said.
func Example() {
	crisp := handovertest.New(handovertest.Options{})
	defer crisp.Close()
	tool, err := llm.NewTool(llm.Options{Categories: []string{"billing", "orders"}})
	if err != nil {
		log.Fatal(err)
	}
	chats := &chats{all: map[handover.Conversation][]turn{}, done: map[string]bool{}}
	h := start(crisp, tool, chats)

	if err := h.Handle(context.Background(), handover.Incoming{Conversation: user, ID: "1", Text: "My money back!"}); err != nil {
		log.Fatal(err)
	}
	crisp.Settle()
	ann := crisp.Last().Operator("Ann")
	ann.Say("I have sent it back.")
	ann.Resolve()
	crisp.Settle()
	fmt.Println("\nIn Crisp:", crisp.Last().Segments())
	for _, line := range crisp.Last().Transcript()[1:] {
		fmt.Println(line)
	}
	fmt.Println("\nThe model knows:")
	for _, m := range chats.of(user) {
		fmt.Println(m.role+":", m.text+m.call)
	}
	// Output:
	// system: A person will be with you soon. You can already describe your question.
	// system: Ann joined the conversation.
	// agent: I have sent it back.
	// system: This conversation was closed. You are talking with the bot again.
	//
	// In Crisp: [billing]
	// operator (note): The bot writes: The user wants a refund.
	//
	// They paid invoice 42 twice.
	// Ann: I have sent it back.
	//
	// The model knows:
	// user: My money back!
	// assistant: {"reason": "The user wants a refund.", "summary": "They paid invoice 42 twice.", "category": "billing"}
	// tool: A human agent was asked for. The user is told so by the system. You no longer have the conversation: say nothing more.
	// user: [Handover: from here on a human agent had the conversation: Ann. You were silent, and the lines quoted below are no words of yours.]
	// Agent Ann:
	// > I have sent it back.
	// [Handover: the conversation was resolved, and you have the conversation again]
}

// With nobody there the model hears so, and goes on speaking.
func ExampleTool_Ask() {
	crisp := handovertest.New(handovertest.Options{Away: true})
	defer crisp.Close()
	tool, err := llm.NewTool(llm.Options{})
	if err != nil {
		log.Fatal(err)
	}
	chats := &chats{all: map[handover.Conversation][]turn{}, done: map[string]bool{}}
	h := start(crisp, tool, chats)

	if err := h.Handle(context.Background(), handover.Incoming{Conversation: user, ID: "1", Text: "My money back!"}); err != nil {
		log.Fatal(err)
	}
	crisp.Settle()
	fmt.Println("The model heard:", chats.of(user)[2].text[:65])
	// Output:
	// bot: Nobody is there, so let me try.
	// system: Nobody is there now.
	// The model heard: No human agent is available now, so nobody was asked. The system
}

// In a loop of the host's own the tool is called within the send of Reply.
func ExampleTool_Ask_inReply() {
	crisp := handovertest.New(handovertest.Options{})
	defer crisp.Close()
	tool, err := llm.NewTool(llm.Options{})
	if err != nil {
		log.Fatal(err)
	}
	h := start(crisp, tool, nil)
	t, err := h.Receive(context.Background(), handover.Incoming{Conversation: user, ID: "1", Text: "My money back!"})
	if err != nil {
		log.Fatal(err)
	}
	if err := reply(context.Background(), h, tool, t, []byte(`{"reason": "A refund", "summary": "Paid twice"}`)); err != nil {
		log.Fatal(err)
	}
	crisp.Settle()
	fmt.Println(crisp.Last().Transcript()[1])
	// Output:
	// system: A person will be with you soon. You can already describe your question.
	// operator (note): The bot writes: A refund
	//
	// Paid twice
}

// What a model writes is understood as far as that goes.
func ExampleTool_Parse() {
	tool, err := llm.NewTool(llm.Options{Categories: []string{"billing", "orders"}})
	if err != nil {
		log.Fatal(err)
	}
	a := tool.Parse([]byte("```json\n{\"reason\": \"A refund\", \"category\": \"Money\", \"summary\": \"They paid invoice 42 tw"))
	fmt.Printf("%q %q %q\n%q\n", a.Reason, a.Summary, a.Category, a.Faults)
	// Output:
	// "A refund" "They paid invoice 42 tw\ncategory: Money" ""
	// ["category must be one of those in the schema" "category is missing"]
}

// A host that keeps the whole conversation makes the model's history of it.
func ExampleTranscript_Messages() {
	message := func(from handover.From, text string) handover.Message {
		return handover.Message{From: from, Content: handover.RichMessage{Text: text}}
	}
	answer := message(handover.FromAgent, "I have sent it back.")
	answer.Agent.Name = "Ann"
	for _, m := range (llm.Transcript{}).Messages([]handover.Message{
		message(handover.FromUser, "My money back!"),
		message(handover.FromBot, "I will ask for a person."),
		answer,
		message(handover.FromUser, "When do you open?"),
	}) {
		fmt.Printf("%s: %s\n", m.Role, m.Text)
	}
	// Output:
	// user: My money back!
	// assistant: I will ask for a person.
	// user: [Handover: from here on a human agent had the conversation: Ann. You were silent, and the lines quoted below are no words of yours.]
	// Agent Ann:
	// > I have sent it back.
	// [Handover: you have the conversation again]
	// user: When do you open?
}

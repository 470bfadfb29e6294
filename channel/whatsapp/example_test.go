package whatsapp_test

import (
	"context"
	"fmt"
	"net/http"
	"os"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/crisphandover/handover"
	"github.com/crisphandover/handover/channel"
	"github.com/crisphandover/handover/channel/channeltest"
	"github.com/crisphandover/handover/channel/whatsapp"
	"github.com/crisphandover/handover/internal/guide"
)

// What an agent says, as a user of the fake sees it.
func ExampleChannel_Deliver() {
	fake := channeltest.NewWhatsApp()
	number, err := whatsapp.New(whatsapp.Config{
		PhoneNumberID: fake.PhoneNumberID(), Token: handover.NewSecret(fake.Token()), Client: fake.Client(), BaseURL: fake.URL(),
	})
	if err != nil {
		panic(err)
	}
	user := fake.User("4915112345678")
	conv := handover.Conversation{Source: "whatsapp", ID: "4915112345678"}
	_, err = number.Deliver(context.Background(), handover.Session{Conversation: conv}, handover.Message{
		ID: "1", From: handover.FromAgent, Agent: handover.Agent{Name: "Ann"},
		Content: handover.RichMessage{Text: "Which **bike**?", QuickReplies: []handover.QuickReply{{Title: "The red one"}, {Title: "The blue one"}}},
	})
	fmt.Println(err, user.New())
	// Output: <nil> [Ann: Which bike? [The red one] [The blue one]]
}

// wire is the code of docs/whatsapp.md.
func wire(config handover.Config, sent channel.Sent, key handover.Secret) error {
	number, err := whatsapp.New(whatsapp.Config{
		PhoneNumberID: os.Getenv("WHATSAPP_PHONE_NUMBER_ID"),
		Token:         handover.NewSecret(os.Getenv("WHATSAPP_TOKEN")),
		AppSecret:     handover.NewSecret(os.Getenv("WHATSAPP_APP_SECRET")),
		VerifyToken:   handover.NewSecret(os.Getenv("WHATSAPP_VERIFY_TOKEN")),
		Sent:          sent, // a table of yours: what was shown, and when users wrote last
	})
	if err != nil {
		return err
	}
	config.Files = handover.FileLinks{URL: "https://bot.example.com/files", SigningKey: key} // before Attach
	chats, err := channel.Attach(&config, number)
	if err != nil {
		return err
	}
	config.Answer = func(ctx context.Context, t handover.Turn, m handover.Incoming) (*handover.Request, error) {
		if m.Text == "human" {
			return &handover.Request{Note: "The user writes: " + m.Text, User: number.User(m.Conversation)}, nil
		}
		return nil, chats.Send(ctx, m.Conversation, handover.TextMessage("I am only a bot."))
	}
	h, err := handover.New(config)
	if err != nil {
		return err
	}
	http.Handle("/whatsapp", number.Webhook(h.Handle))
	http.Handle("GET /files", h.FileHandler())
	return nil
}

// TestGuide finds each block of code of docs/whatsapp.md in wire, and runs that.
func TestGuide(t *testing.T) {
	http.DefaultServeMux = http.NewServeMux() // the guide's, in this run
	for _, block := range guide.Compiled(t, "../../docs/whatsapp.md", "go", "example_test.go") {
		before, bot, _ := strings.Cut(block, "config.Answer = ")
		_, after, _ := strings.Cut(bot, "h, err := ")
		require.LessOrEqual(t, strings.Count(before+after, "\n"), 24, "lines that a host writes beside its bot")
	}
	require.ErrorContains(t, wire(handover.Config{}, &channel.Memory{}, handover.Secret{}), "PhoneNumberID must be set")
	t.Setenv("WHATSAPP_PHONE_NUMBER_ID", "1")
	t.Setenv("WHATSAPP_TOKEN", "access-token")
	require.NoError(t, wire(handover.Config{
		WebsiteID: "8c842203-7ed8-4e29-a608-7cf78a7d2fcc", Store: &handover.MemoryStore{},
		Token: handover.Token{Tier: handover.TierPlugin, Identifier: handover.NewSecret("an-identifier"), Key: handover.NewSecret("a-long-key")},
	}, &channel.Memory{}, handover.NewSecret(strings.Repeat("x", 32))))
}

package messenger_test

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
	"github.com/crisphandover/handover/channel/messenger"
	"github.com/crisphandover/handover/internal/guide"
)

// What an agent says, as a user of the fake sees it.
func ExampleChannel_Deliver() {
	fake := channeltest.NewMessenger()
	page, err := messenger.New(messenger.Config{
		PageID: fake.PageID(), Token: handover.NewSecret(fake.Token()), Client: fake.Client(), BaseURL: fake.URL(),
	})
	if err != nil {
		panic(err)
	}
	user := fake.User("1234")
	conv := handover.Conversation{Source: "messenger", ID: "1234"}
	_, err = page.Deliver(context.Background(), handover.Session{Conversation: conv}, handover.Message{
		ID: "1", From: handover.FromAgent, Agent: handover.Agent{Name: "Ann"},
		Content: handover.RichMessage{Text: "Which **bike**?", QuickReplies: []handover.QuickReply{{Title: "The red one"}, {Title: "The blue one"}}},
	})
	fmt.Println(err, user.New())
	// Output: <nil> [Ann: Which bike? [The red one] [The blue one]]
}

// wire is the code of docs/messenger.md.
func wire(config handover.Config, sent channel.Sent) error {
	page, err := messenger.New(messenger.Config{
		PageID:      os.Getenv("MESSENGER_PAGE_ID"),
		Token:       handover.NewSecret(os.Getenv("MESSENGER_TOKEN")),
		AppSecret:   handover.NewSecret(os.Getenv("MESSENGER_APP_SECRET")),
		VerifyToken: handover.NewSecret(os.Getenv("MESSENGER_VERIFY_TOKEN")),
		Sent:        sent, // a table of yours, so that nothing is shown twice after a restart
	})
	if err != nil {
		return err
	}
	chats, err := channel.Attach(&config, page)
	if err != nil {
		return err
	}
	config.Answer = func(ctx context.Context, t handover.Turn, m handover.Incoming) (*handover.Request, error) {
		if m.Text == "human" {
			return &handover.Request{Note: "The user writes: " + m.Text, User: page.User(ctx, m.Conversation)}, nil
		}
		return nil, chats.Send(ctx, m.Conversation, handover.TextMessage("I am only a bot."))
	}
	h, err := handover.New(config)
	if err != nil {
		return err
	}
	http.Handle("/messenger", page.Webhook(h.Handle))
	return nil
}

// TestGuide finds each block of code of docs/messenger.md in wire, and runs that.
func TestGuide(t *testing.T) {
	http.DefaultServeMux = http.NewServeMux() // the guide's, in this run
	for _, block := range guide.Compiled(t, "../../docs/messenger.md", "go", "example_test.go") {
		before, bot, _ := strings.Cut(block, "config.Answer = ")
		_, after, _ := strings.Cut(bot, "h, err := ")
		require.LessOrEqual(t, strings.Count(before+after, "\n"), 24, "lines that a host writes beside its bot")
	}
	require.ErrorContains(t, wire(handover.Config{}, &channel.Memory{}), "PageID must be set")
	t.Setenv("MESSENGER_PAGE_ID", "1")
	t.Setenv("MESSENGER_TOKEN", "page-token")
	require.NoError(t, wire(handover.Config{
		WebsiteID: "8c842203-7ed8-4e29-a608-7cf78a7d2fcc", Store: &handover.MemoryStore{},
		Token: handover.Token{Tier: handover.TierPlugin, Identifier: handover.NewSecret("an-identifier"), Key: handover.NewSecret("a-long-key")},
	}, &channel.Memory{}))
}

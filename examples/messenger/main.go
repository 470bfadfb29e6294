// Messenger is a bot for Facebook Messenger that hands its conversations over to human agents.
//
//	go run ./examples/messenger
//
// Without settings it plays on a fake Messenger and a fake Crisp: you are the user, in the terminal. It needs, from the
// app's settings at developers.facebook.com (docs/messenger.md says where),
//
//	MESSENGER_PAGE_ID       the page's id
//	MESSENGER_TOKEN         the page's access token
//	MESSENGER_APP_SECRET    which Meta signs with
//	MESSENGER_VERIFY_TOKEN  a text of your own, to be given to Meta with the web hook's address
//
// and takes Meta's web hooks at ADDR (127.0.0.1:8080) under /messenger. CRISP_WEBSITE_ID, CRISP_TIER (website or
// plugin), CRISP_IDENTIFIER, CRISP_KEY and CRISP_WEBHOOK_SECRET or CRISP_WEBHOOK_KEY lead to a Crisp.
package main

import (
	"context"
	"errors"
	"net/http"
	"strings"

	"github.com/crisphandover/handover"
	"github.com/crisphandover/handover/channel"
	"github.com/crisphandover/handover/channel/channeltest"
	"github.com/crisphandover/handover/channel/messenger"
	"github.com/crisphandover/handover/examples/internal/demo"
)

func main() { demo.Main("messenger", run) }

// run serves until ctx ends.
func run(ctx context.Context, d *demo.Demo) error {
	set := d.Settings("MESSENGER_PAGE_ID", "MESSENGER_TOKEN", "MESSENGER_APP_SECRET", "MESSENGER_VERIFY_TOKEN")
	config := messenger.Config{
		PageID: set["MESSENGER_PAGE_ID"].Reveal(), Token: set["MESSENGER_TOKEN"],
		AppSecret: set["MESSENGER_APP_SECRET"], VerifyToken: set["MESSENGER_VERIFY_TOKEN"],
	}
	fake := channeltest.NewMessenger()
	if d.Fake {
		config = messenger.Config{
			PageID: fake.PageID(), Token: handover.NewSecret(fake.Token()), AppSecret: handover.NewSecret(fake.AppSecret()),
			VerifyToken: handover.NewSecret(fake.VerifyToken()), Client: fake.Client(), BaseURL: fake.URL(),
		}
	}
	page, err := messenger.New(config)
	if err != nil {
		return err
	}
	crisp := d.Crisp()
	chats, err := channel.Attach(&crisp, page)
	if err != nil {
		return err
	}
	crisp.Answer = func(ctx context.Context, _ handover.Turn, m handover.Incoming) (*handover.Request, error) {
		if strings.Contains(strings.ToLower(m.Text), "human") {
			return &handover.Request{Segments: []string{"Messenger"}, Note: "The user writes: " + m.Text, User: page.User(ctx, m.Conversation)}, nil
		}
		return nil, chats.Send(ctx, m.Conversation, handover.RichMessage{Text: "You said " + m.Text, QuickReplies: []handover.QuickReply{{Title: "Talk to a human"}}})
	}
	h, err := handover.New(crisp)
	if err != nil {
		return err
	}
	if d.Fake {
		return errors.Join(fake.Hook(page.Webhook(h.Handle)), d.Play(ctx, h, fake.User("you")))
	}
	http.Handle("/messenger", page.Webhook(h.Handle))
	return d.Serve(ctx, h)
}

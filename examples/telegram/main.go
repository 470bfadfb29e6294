// Telegram is a bot for Telegram that hands its conversations over to human agents.
//
//	go run ./examples/telegram
//
// Without settings it plays on a fake Telegram and a fake Crisp: you are the user, in the terminal. It needs
//
//	TELEGRAM_TOKEN  the bot's token, from @BotFather
//	PUBLIC_URL      where this program is found from outside: agents open users' files there
//
// and asks Telegram for messages; Crisp's web hooks come to ADDR (127.0.0.1:8080) under /crisp/hooks. CRISP_WEBSITE_ID,
// CRISP_TIER (website or plugin), CRISP_IDENTIFIER, CRISP_KEY and CRISP_WEBHOOK_SECRET or CRISP_WEBHOOK_KEY lead to a
// Crisp.
package main

import (
	"context"
	"crypto/rand"
	"net/http"
	"strings"

	"github.com/crisphandover/handover"
	"github.com/crisphandover/handover/channel"
	"github.com/crisphandover/handover/channel/channeltest"
	"github.com/crisphandover/handover/channel/telegram"
	"github.com/crisphandover/handover/examples/internal/demo"
)

func main() { demo.Main("telegram", run) }

// run serves until ctx ends.
func run(ctx context.Context, d *demo.Demo) error {
	set := d.Settings("TELEGRAM_TOKEN", "PUBLIC_URL")
	config := telegram.Config{Token: set["TELEGRAM_TOKEN"]}
	fake := channeltest.NewTelegram()
	if d.Fake {
		config = telegram.Config{Token: handover.NewSecret(fake.Token()), Client: fake.Client(), BaseURL: fake.URL()}
	}
	tg, err := telegram.New(config)
	if err != nil {
		return err
	}
	crisp := d.Crisp()
	if !d.Fake { // a key that survives a restart is better: links open no longer than it lasts
		crisp.Files = handover.FileLinks{URL: set["PUBLIC_URL"].Reveal() + "/files", SigningKey: handover.NewSecret(rand.Text() + rand.Text())}
	}
	chats, err := channel.Attach(&crisp, tg)
	if err != nil {
		return err
	}
	crisp.Answer = func(ctx context.Context, _ handover.Turn, m handover.Incoming) (*handover.Request, error) {
		if strings.Contains(strings.ToLower(m.Text), "human") {
			return &handover.Request{Segments: []string{"Telegram"}, Note: "The user writes: " + m.Text, User: tg.User(ctx, m.Conversation)}, nil
		}
		return nil, chats.Send(ctx, m.Conversation, handover.RichMessage{Text: "You said " + m.Text, QuickReplies: []handover.QuickReply{{Title: "Talk to a human"}}})
	}
	h, err := handover.New(crisp)
	if err != nil {
		return err
	}
	ctx, stop := context.WithCancel(ctx)
	polled := make(chan error, 1)
	go func() { polled <- tg.Poll(ctx, h.Handle); stop() }()
	if d.Fake {
		err = d.Play(ctx, h, fake)
	} else {
		http.Handle("GET /files", h.FileHandler())
		err = d.Serve(ctx, h)
	}
	if stop(); err != nil {
		return err
	}
	return <-polled
}

// Slack is a bot for Slack that hands its conversations over to human agents.
//
//	go run ./examples/slack
//
// Without settings it plays on a fake Slack and a fake Crisp: you are the user, in the terminal. It needs, from the
// app's settings at api.slack.com/apps (docs/channels.md says which scopes and events),
//
//	SLACK_TOKEN           the bot user's OAuth token, xoxb-…
//	SLACK_SIGNING_SECRET  with which Slack signs
//	PUBLIC_URL            where this program is found from outside: agents open users' files there
//
// and takes Slack's events and interactions at ADDR (127.0.0.1:8080) under /slack. CRISP_WEBSITE_ID, CRISP_TIER (website
// or plugin), CRISP_IDENTIFIER, CRISP_KEY and CRISP_WEBHOOK_SECRET or CRISP_WEBHOOK_KEY lead to a Crisp.
package main

import (
	"context"
	"crypto/rand"
	"errors"
	"net/http"
	"strings"

	"github.com/crisphandover/handover"
	"github.com/crisphandover/handover/channel"
	"github.com/crisphandover/handover/channel/channeltest"
	"github.com/crisphandover/handover/channel/slack"
	"github.com/crisphandover/handover/examples/internal/demo"
)

func main() { demo.Main("slack", run) }

// run serves until ctx ends.
func run(ctx context.Context, d *demo.Demo) error {
	set := d.Settings("SLACK_TOKEN", "SLACK_SIGNING_SECRET", "PUBLIC_URL")
	config := slack.Config{Token: set["SLACK_TOKEN"], SigningSecret: set["SLACK_SIGNING_SECRET"]}
	fake := channeltest.NewSlack()
	if d.Fake {
		config = slack.Config{Token: handover.NewSecret(fake.Token()), SigningSecret: handover.NewSecret(fake.SigningSecret()), Client: fake.Client(), BaseURL: fake.URL()}
	}
	app, err := slack.New(config)
	if err != nil {
		return err
	}
	crisp := d.Crisp()
	if !d.Fake { // a key that survives a restart is better: links open no longer than it lasts
		crisp.Files = handover.FileLinks{URL: set["PUBLIC_URL"].Reveal() + "/files", SigningKey: handover.NewSecret(rand.Text() + rand.Text())}
	}
	chats, err := channel.Attach(&crisp, app)
	if err != nil {
		return err
	}
	crisp.Answer = func(ctx context.Context, _ handover.Turn, m handover.Incoming) (*handover.Request, error) {
		if strings.Contains(strings.ToLower(m.Text), "human") {
			return &handover.Request{Segments: []string{"Slack"}, Note: "The user writes: " + m.Text}, nil
		}
		return nil, chats.Send(ctx, m.Conversation, handover.RichMessage{Text: "You said " + m.Text, QuickReplies: []handover.QuickReply{{Title: "Talk to a human"}}})
	}
	h, err := handover.New(crisp)
	if err != nil {
		return err
	}
	if d.Fake {
		return errors.Join(fake.Hook(app.Webhook(h.Handle)), d.Play(ctx, h, fake))
	}
	http.Handle("POST /slack", app.Webhook(h.Handle))
	http.Handle("GET /files", h.FileHandler())
	return d.Serve(ctx, h)
}

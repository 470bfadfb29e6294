// WhatsApp is a bot for WhatsApp's Cloud API that hands its conversations over to human agents.
//
//	go run ./examples/whatsapp
//
// Without settings it plays on a fake WhatsApp and a fake Crisp: you are the user, in the terminal. It needs, from the
// app's settings at developers.facebook.com (docs/whatsapp.md says where),
//
//	WHATSAPP_PHONE_NUMBER_ID  Meta's id of the phone number
//	WHATSAPP_TOKEN            an access token
//	WHATSAPP_APP_SECRET       which Meta signs with
//	WHATSAPP_VERIFY_TOKEN     a text of your own, to be given to Meta with the web hook's address
//	PUBLIC_URL                where this program is found from outside: agents open users' files there
//
// and takes Meta's web hooks at ADDR (127.0.0.1:8080) under /whatsapp. CRISP_WEBSITE_ID, CRISP_TIER (website or
// plugin), CRISP_IDENTIFIER, CRISP_KEY and CRISP_WEBHOOK_SECRET or CRISP_WEBHOOK_KEY lead to a Crisp.
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
	"github.com/crisphandover/handover/channel/whatsapp"
	"github.com/crisphandover/handover/examples/internal/demo"
)

func main() { demo.Main("whatsapp", run) }

// run serves until ctx ends.
func run(ctx context.Context, d *demo.Demo) error {
	set := d.Settings("WHATSAPP_PHONE_NUMBER_ID", "WHATSAPP_TOKEN", "WHATSAPP_APP_SECRET", "WHATSAPP_VERIFY_TOKEN", "PUBLIC_URL")
	config := whatsapp.Config{
		PhoneNumberID: set["WHATSAPP_PHONE_NUMBER_ID"].Reveal(), Token: set["WHATSAPP_TOKEN"],
		AppSecret: set["WHATSAPP_APP_SECRET"], VerifyToken: set["WHATSAPP_VERIFY_TOKEN"],
	}
	fake := channeltest.NewWhatsApp()
	if d.Fake {
		config = whatsapp.Config{
			PhoneNumberID: fake.PhoneNumberID(), Token: handover.NewSecret(fake.Token()), AppSecret: handover.NewSecret(fake.AppSecret()),
			VerifyToken: handover.NewSecret(fake.VerifyToken()), Client: fake.Client(), BaseURL: fake.URL(),
		}
	}
	number, err := whatsapp.New(config)
	if err != nil {
		return err
	}
	crisp := d.Crisp()
	if !d.Fake { // a key that survives a restart is better: links open no longer than it lasts
		crisp.Files = handover.FileLinks{URL: set["PUBLIC_URL"].Reveal() + "/files", SigningKey: handover.NewSecret(rand.Text() + rand.Text())}
	}
	chats, err := channel.Attach(&crisp, number)
	if err != nil {
		return err
	}
	crisp.Answer = func(ctx context.Context, _ handover.Turn, m handover.Incoming) (*handover.Request, error) {
		if strings.Contains(strings.ToLower(m.Text), "human") {
			return &handover.Request{Segments: []string{"WhatsApp"}, Note: "The user writes: " + m.Text, User: number.User(m.Conversation)}, nil
		}
		return nil, chats.Send(ctx, m.Conversation, handover.RichMessage{Text: "You said " + m.Text, QuickReplies: []handover.QuickReply{{Title: "Talk to a human"}}})
	}
	h, err := handover.New(crisp)
	if err != nil {
		return err
	}
	if d.Fake {
		return errors.Join(fake.Hook(number.Webhook(h.Handle)), d.Play(ctx, h, fake.User("4915112345678")))
	}
	http.Handle("/whatsapp", number.Webhook(h.Handle))
	http.Handle("GET /files", h.FileHandler())
	return d.Serve(ctx, h)
}

package main

import (
	"context"
	"strings"

	"github.com/crisphandover/handover"
	"github.com/crisphandover/handover/handovertest"
)

// ann is an agent in a fake Crisp, so that the example can be tried without an account there.
type ann struct{ crisp *handovertest.Crisp }

// hireAnn lets config lead to the fake.
func hireAnn(config *handover.Config) *ann {
	crisp := handovertest.New(handovertest.Options{})
	id, key := crisp.Token()
	config.WebsiteID, config.BaseURL, config.HTTPClient = crisp.WebsiteID(), crisp.URL(), crisp.Client()
	config.Token = handover.Token{Tier: handover.Tier(crisp.Tier()), Identifier: handover.NewSecret(id), Key: handover.NewSecret(key)}
	config.Webhook.Secrets = handover.NewSecrets(crisp.Secret())
	return &ann{crisp}
}

// work answers every user, until ctx ends.
func (a *ann) work(ctx context.Context) {
	_ = a.crisp.Await(ctx, func() bool {
		for _, c := range a.crisp.Conversations() {
			if all := c.Messages(); len(all) > 0 && all[len(all)-1].From == "user" {
				a.answer(c, len(all), all[len(all)-1].Text())
			}
		}
		return false
	})
}

// answer says something, and goodbye to whoever says it.
func (a *ann) answer(c *handovertest.Conversation, n int, text string) {
	o := c.Operator("Ann")
	switch {
	case strings.Contains(strings.ToLower(text), "bye"):
		o.Say("Goodbye! The bot is yours again.")
		o.Resolve()
	case n == 1:
		o.Say("Hello, this is Ann, in a fake Crisp. Say goodbye when you have had enough of me.")
	default:
		o.Say("I see. Tell me more.")
	}
}

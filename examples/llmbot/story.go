package main

import (
	"context"
	"fmt"
	"io"
	"strconv"
	"sync"
	"sync/atomic"

	"github.com/crisphandover/handover"
	"github.com/crisphandover/handover/handovertest"
)

// conversation is the only one that this bot has.
var conversation = handover.Conversation{Source: "terminal", ID: "1"}

// play plays the story to its end.
func play(ctx context.Context, out io.Writer) error {
	crisp := handovertest.New(handovertest.Options{Away: true})
	defer crisp.Close()
	var mu sync.Mutex
	print := func(who, text string) {
		mu.Lock()
		defer mu.Unlock()
		fmt.Fprintf(out, "%s: %s\n", who, text)
	}
	var annIsThere atomic.Bool
	id, key := crisp.Token()
	bot, err := newBot(handover.Config{
		WebsiteID:  crisp.WebsiteID(),
		Token:      handover.Token{Tier: handover.TierPlugin, Identifier: handover.NewSecret(id), Key: handover.NewSecret(key)},
		Webhook:    handover.Webhook{Secrets: handover.NewSecrets(crisp.Secret())},
		HTTPClient: crisp.Client(),
		BaseURL:    crisp.URL(),
		// The library asks Crisp who is there every ten seconds, and this story is shorter.
		Presence: func(_ context.Context, _ handover.Session, p handover.Presence) handover.Presence {
			if annIsThere.Load() {
				return handover.PresenceOnline
			}
			return p
		},
	}, scripted{}, print)
	if err != nil {
		return err
	}
	crisp.Attach(bot.Handover)
	running, stop := context.WithCancel(ctx)
	stopped := make(chan struct{})
	go func() {
		defer close(stopped)
		_ = bot.Run(running)
	}()
	defer func() {
		stop()
		<-stopped
		_ = bot.Shutdown(context.WithoutCancel(ctx))
	}()

	heard := 0
	user := func(text string) error {
		heard++
		print("user", text)
		err := bot.Handle(ctx, handover.Incoming{Conversation: conversation, ID: strconv.Itoa(heard), Text: text})
		crisp.Settle()
		return err
	}
	for _, step := range []func() error{
		func() error { return user("My invoice 42 is wrong. I want a human") },
		func() error { return user("It says 100 and must be 10") },
		func() error { annIsThere.Store(true); return user("Is a human there now?") },
		func() error { return user("Invoice 42 says 100 and must be 10") },
		func() error {
			ann := crisp.Last().Operator("Ann")
			ann.Say("I have corrected invoice 42: it says 10 now.")
			ann.Resolve()
			crisp.Settle()
			return nil
		},
		func() error { return user("What about my invoice?") },
	} {
		if err := step(); err != nil {
			return err
		}
	}
	return nil
}

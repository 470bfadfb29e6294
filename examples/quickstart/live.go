package main

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net"
	"os"
	"time"

	"github.com/crisphandover/handover"
	"github.com/crisphandover/handover/handovertest"
)

// crispOf reads from the environment how to reach a Crisp; false if nothing is set.
func crispOf(getenv func(string) string) (c handover.Config, isLive bool) {
	get := func(name string) string {
		value := getenv("CRISP_" + name)
		isLive = isLive || value != ""
		return value
	}
	c.WebsiteID = get("WEBSITE_ID")
	c.Token = handover.Token{Tier: handover.Tier(get("TIER")), Identifier: handover.NewSecret(get("IDENTIFIER")), Key: handover.NewSecret(get("KEY"))}
	c.BaseURL = get("URL")
	if secret := get("WEBHOOK_SECRET"); secret != "" {
		c.Webhook.Secrets = handover.NewSecrets(secret)
	}
	if key := get("WEBHOOK_KEY"); key != "" {
		c.Webhook.URLKeys = map[string][]handover.Secret{c.WebsiteID: handover.NewSecrets(key)}
	}
	return c, isLive
}

// live is the bot with a real Crisp. The user writes to in; its end is the user who leaves.
func live(ctx context.Context, c handover.Config, listener net.Listener, in io.Reader, out io.Writer) error {
	s := &screen{out: out}
	c.Logger = slog.New(slog.NewTextHandler(os.Stderr, nil))
	c.OnEnd = func(_ context.Context, _ handover.Session, sum handover.Summary) error {
		s.end(sum.Reason)
		return nil
	}
	b, stop, err := newBot(c, s, listener)
	if err != nil {
		return err
	}
	defer stop()
	if err := b.Check(ctx).Err(); err != nil {
		return err
	}
	if len(c.Webhook.Secrets)+len(c.Webhook.URLKeys) == 0 {
		fmt.Fprintln(os.Stderr, "quickstart: without CRISP_WEBHOOK_SECRET or CRISP_WEBHOOK_KEY every hook is refused")
	}
	fmt.Fprintf(os.Stderr, "quickstart: hooks at http://%s/crisp/hooks; write to the bot\n", listener.Addr())

	running, stopRunning := context.WithCancel(ctx)
	defer stopRunning()
	go b.Run(running)
	for text := range lines(ctx, in) {
		s.say(handover.FromUser, text)
		if err := b.hear(ctx, text); err != nil && ctx.Err() == nil {
			fmt.Fprintln(os.Stderr, "quickstart:", err)
		}
	}
	_ = handovertest.Drain(ctx, b.Handover) // the bot answers what was written, unless it is interrupted

	last, cancel := context.WithTimeout(context.WithoutCancel(ctx), 10*time.Second)
	defer cancel()
	err = b.End(last, conversation, handover.EndOptions{UserLeft: true})
	return errors.Join(err, b.Shutdown(last))
}

// lines are the lines that are not empty, until the input or ctx ends.
func lines(ctx context.Context, in io.Reader) <-chan string {
	all := make(chan string)
	go func() {
		defer close(all)
		for scan := bufio.NewScanner(in); scan.Scan(); {
			if scan.Text() == "" {
				continue
			}
			select {
			case all <- scan.Text():
			case <-ctx.Done():
				return
			}
		}
	}()
	return all
}

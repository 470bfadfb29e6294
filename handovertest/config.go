package handovertest

import (
	"context"
	"log/slog"

	"github.com/crisphandover/handover"
)

// Config returns what every test of a bot repeats: how to reach this fake (WebsiteID, Websites, Token,
// Webhook, HTTPClient, BaseURL), Crisp.Store as the store, and a logger that writes to the test's log.
// The host adds what is its own, at least Deliver:
//
//	config := crisp.Config()
//	config.Answer, config.Deliver = bot.answer, chat.deliver
//	h, err := handover.New(config)
//	…
//	crisp.Run(h)
//
// All Handovers that are made of it share the store: two at the same time are two replicas, one after the
// other is a restart.
func (c *Crisp) Config() handover.Config {
	config := handover.Config{
		WebsiteID:  c.options.WebsiteID,
		Websites:   c.options.Websites,
		Token:      handover.Token{Tier: handover.Tier(c.options.Tier), Identifier: handover.NewSecret(c.identifier), Key: handover.NewSecret(c.key)},
		Webhook:    handover.Webhook{Secrets: handover.NewSecrets(c.secret)},
		HTTPClient: c.Client(),
		BaseURL:    c.URL(),
		Store:      c.store,
	}
	if c.options.Hooks == WebsiteHooks {
		config.Webhook = handover.Webhook{URLKeys: map[string][]handover.Secret{}}
		for _, id := range append([]string{c.options.WebsiteID}, c.options.Websites...) {
			config.Webhook.URLKeys[id] = handover.NewSecrets(c.hookKey)
		}
	}
	c.mu.Lock()
	c.configured = true
	c.mu.Unlock()
	if c.tb != nil {
		config.Logger = slog.New(slog.NewTextHandler(testLog{c}, nil))
	}
	return config
}

// Store returns the store of Config. It is in memory, and fails when a test asks it to.
func (c *Crisp) Store() *BrittleStore { return c.store }

// Run attaches h, and calls h.Run, until stop is called, or Close. Both wait for what h has under way.
// Where the hooks have to pass the host's own handler, call Attach with that, and h.Run.
func (c *Crisp) Run(h *handover.Handover) (stop func()) {
	detach := c.Attach(h)
	ctx, cancel := context.WithCancel(context.Background())
	ran := make(chan struct{})
	go func() {
		defer close(ran)
		_ = h.Run(ctx) // it ends with ctx
	}()
	stop = func() {
		detach()
		cancel()
		<-ran
		ctx, cancel := context.WithTimeout(context.Background(), settleTime)
		defer cancel()
		if err := h.Shutdown(ctx); err != nil {
			c.violated("the Handover has work under way after %v: a callback does not return", settleTime)
		}
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	c.running = append(c.running, stop)
	return stop
}

// stopAll stops what Run started.
func (c *Crisp) stopAll() {
	c.mu.Lock()
	running := c.running
	c.running = nil
	c.mu.Unlock()
	for _, stop := range running {
		stop()
	}
}

// testLog writes to the log of the test, until Close: nobody may write to it once the test is over.
type testLog struct{ c *Crisp }

// Write implements io.Writer.
func (l testLog) Write(line []byte) (int, error) {
	l.c.mu.Lock()
	defer l.c.mu.Unlock()
	if l.c.closed {
		return len(line), nil
	}
	return l.c.tb.Output().Write(line)
}

// notePeople says once that people act in Crisp and no hook can be sent, which is easily forgotten. For a bot that
// was made of Config that is a violation; a test of something else may mean it. Not for callers that hold the lock.
func (c *Crisp) notePeople(who string) {
	c.mu.Lock()
	unheard := !c.acted && !c.attached
	c.acted = true
	const text = "%s acts, and no hook can be sent, since nothing was ever attached: call Crisp.Run or Crisp.Attach first"
	violation := unheard && c.configured
	if unheard && !violation {
		c.note(text, who)
		if c.tb != nil && !c.closed {
			c.tb.Logf("handovertest: "+text, who)
		}
	}
	c.mu.Unlock()
	if violation {
		c.violated(text, who)
	}
}

// noteIdle says that people acted in Crisp, and that the bot, which uses the store of Config, never took up what
// was due.
func (c *Crisp) noteIdle() {
	c.mu.Lock()
	acted := c.acted
	c.mu.Unlock()
	if acted && c.store.Saves() > 0 && !c.store.everClaimed() {
		c.violated("people acted in Crisp, and nobody ran the bot: no deadline passes, and nothing is tried again: call Crisp.Run, or Handover.Run")
	}
}

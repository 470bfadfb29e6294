package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"regexp"
	"strings"
	"sync/atomic"
	"time"

	"github.com/crisphandover/handover"
	"github.com/crisphandover/handover/handovertest"
)

// story is the bot on a fake Crisp, with a script for its user and for an agent.
type story struct {
	crisp   *handovertest.Crisp
	bot     *bot
	screen  *screen
	browser *http.Client // the agent's
	online  atomic.Bool
	ends    chan handover.EndReason
	stop    func()
	err     error // the first, after which nothing happens any more
}

// newStory sets the stage. The history page is served on the listener.
func newStory(out io.Writer, listener net.Listener, browser *http.Client) (*story, error) {
	crisp := handovertest.New(handovertest.Options{Away: true})
	s := &story{
		crisp: crisp, screen: &screen{out: out, crisp: crisp}, browser: browser,
		ends: make(chan handover.EndReason, 10),
	}
	identifier, key := crisp.Token()
	var err error
	s.bot, s.stop, err = newBot(handover.Config{
		WebsiteID:  crisp.WebsiteID(),
		Token:      handover.Token{Tier: handover.TierPlugin, Identifier: handover.NewSecret(identifier), Key: handover.NewSecret(key)},
		Webhook:    handover.Webhook{Secrets: handover.NewSecrets(crisp.Secret())},
		HTTPClient: crisp.Client(),
		BaseURL:    crisp.URL(),
		Presence:   s.presence,
		OnEnd: func(_ context.Context, _ handover.Session, sum handover.Summary) error {
			s.ends <- sum.Reason
			return nil
		},
	}, s.screen, listener)
	if err != nil {
		crisp.Close()
		return nil, err
	}
	crisp.Attach(s.bot)
	return s, nil
}

// presence knows that Ann came: the library asks Crisp every ten seconds, and this story is shorter.
func (s *story) presence(_ context.Context, _ handover.Session, p handover.Presence) handover.Presence {
	if s.online.Load() {
		return handover.PresenceOnline
	}
	return p
}

// play plays the story to its end.
func (s *story) play(ctx context.Context) error {
	running, stopRunning := context.WithCancel(ctx)
	stopped := make(chan struct{})
	go func() {
		defer close(stopped)
		_ = s.bot.Run(running)
	}()
	s.nobodyThere(ctx)
	s.agentThere(ctx)
	s.nobodyCame(ctx)

	stopRunning()
	<-stopped
	s.stop()
	err := errors.Join(s.err, s.bot.Shutdown(ctx))
	s.crisp.Close()
	switch {
	case ctx.Err() != nil:
		return nil // the reader has seen enough
	case err == nil:
		s.screen.end(handover.EndResolved)
	}
	return err
}

// nobodyThere: nobody is there, and the user goes on with the bot.
func (s *story) nobodyThere(ctx context.Context) {
	s.user(ctx, "Hello")
	s.user(ctx, "I want to talk to a human")
	s.user(ctx, "Continue with the bot")
	s.user(ctx, "When do you open?")
}

// agentThere: an agent takes the user, and gives them back to the bot.
func (s *story) agentThere(ctx context.Context) {
	s.crisp.Online("Ann")
	s.online.Store(true)
	s.user(ctx, "It is nine now. A human, please")
	s.user(ctx, "My invoice 42 is wrong")
	s.step(func() error { return s.openHistory(ctx) })
	s.agent(func(ann *handovertest.Operator) {
		ann.Note("I read what they asked the bot. This note is for the team alone.")
	})
	s.agent(func(ann *handovertest.Operator) { ann.Say("Hello Anakin, I will look at invoice 42.") })
	s.user(ctx, "Thank you, Ann")
	s.agent(func(ann *handovertest.Operator) {
		ann.Say("It is corrected.")
		ann.Resolve()
	})
	s.end(ctx, handover.EndResolved)
	s.user(ctx, "When do you open tomorrow?")
}

// nobodyCame: nobody answers in time, and an agent takes over later.
func (s *story) nobodyCame(ctx context.Context) {
	s.bot.request.Timeouts.Claim = 2 * time.Second
	s.user(ctx, "One more thing for a human")
	s.end(ctx, handover.EndClaimTimeout)
	s.user(ctx, "When do you open on Sunday?")
	s.agent(func(ann *handovertest.Operator) { ann.Say("I am sorry, I was at lunch. What is it?") })
	s.user(ctx, "When is it lunch time? Only you can know")
	s.agent(func(ann *handovertest.Operator) {
		ann.Say("At noon, for people.")
		ann.Resolve()
	})
	s.end(ctx, handover.EndResolved)
	s.user(ctx, "Bye")
}

// user lets the user write.
func (s *story) user(ctx context.Context, text string) {
	s.step(func() error {
		s.screen.say(handover.FromUser, text)
		return s.bot.hear(ctx, text)
	})
}

// agent lets Ann do something in Crisp.
func (s *story) agent(do func(ann *handovertest.Operator)) {
	s.step(func() error {
		conversation := s.crisp.Last()
		if conversation == nil {
			return errors.New("no conversation was opened in Crisp")
		}
		do(conversation.Operator("Ann"))
		return nil
	})
}

// end waits for the end of the handover.
func (s *story) end(ctx context.Context, want handover.EndReason) {
	s.step(func() error {
		select {
		case reason := <-s.ends:
			if reason != want {
				return fmt.Errorf("the handover ended by %q, not by %q", reason, want)
			}
			return nil
		case <-ctx.Done():
			return ctx.Err()
		}
	})
}

// step does something, unless an earlier step failed, and shows what comes of it.
func (s *story) step(do func() error) {
	if s.err != nil {
		return
	}
	if s.err = do(); s.err != nil {
		return
	}
	s.crisp.Settle()
	s.screen.update()
	time.Sleep(readingTime)
}

// readingTime is how long each step stays the last one.
const readingTime = 150 * time.Millisecond

var links = regexp.MustCompile(`http://\S+`)

// openHistory opens the link of the opening message, as Ann does by clicking it.
func (s *story) openHistory(ctx context.Context) error {
	link := links.FindString(strings.Join(s.crisp.Last().Transcript(), "\n"))
	r, err := http.NewRequestWithContext(ctx, http.MethodGet, link, nil)
	if err != nil {
		return err
	}
	answer, err := s.browser.Do(r)
	if err != nil {
		return err
	}
	defer answer.Body.Close()
	page, err := io.ReadAll(answer.Body)
	if err != nil {
		return err
	}
	if !strings.Contains(string(page), "I want to talk to a human") {
		return fmt.Errorf("the history page does not show the conversation: %s", answer.Status)
	}
	return nil
}

// Package rig is a bot with its user on one side and the fake Crisp on the other, in a bubble of
// fake time: what tests need that look at the library from outside.
package rig

import (
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"slices"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/crisphandover/handover"
	"github.com/crisphandover/handover/handovertest"
	"github.com/crisphandover/handover/internal/crispapi"
)

// Rig is the bot, its user and Crisp.
type Rig struct {
	T     *testing.T
	Crisp *handovertest.Crisp
	H     *handover.Handover
	// Conv is the user's conversation. A test may go on in another one.
	Conv  handover.Conversation
	Store *Brittle
	// Locale is that of the requests of Opened.
	Locale string
	// Sent counts the user's messages, which are named after it.
	Sent int

	mu         sync.Mutex
	shown      []handover.Message // what Deliver showed
	lines      []string           // what the user sees: "agent Ann: Hello", "bot: …"
	ends       []handover.Summary
	activities []handover.Activity
	seen       handover.Session               // of the newest message
	failing    func(m handover.Message) error // set to make Deliver fail
}

// Options change what Bubble makes.
type Options struct {
	Crisp  handovertest.Options
	Config func(r *Rig, c *handover.Config)
	Made   func(h *handover.Handover) // called with each Handover before it is used
	Still  bool                       // without Run
}

// Bubble runs a test in fake time.
func Bubble(t *testing.T, o Options, test func(r *Rig)) {
	t.Helper()
	synctest.Test(t, func(t *testing.T) { test(New(t, o)) })
}

// New makes a rig that lasts as long as the test. Call it in a bubble.
func New(t *testing.T, o Options) *Rig {
	r := &Rig{T: t, Conv: handover.Conversation{Source: "webchat", ID: "user-1"}, Store: new(Brittle)}
	r.Crisp = handovertest.NewCrisp(t, o.Crisp)
	r.Replica(o)
	return r
}

// must fails the test on an error.
func (r *Rig) must(err error) {
	r.T.Helper()
	if err != nil {
		r.T.Fatalf("the rig: %v", err)
	}
}

// Config is the configuration of a healthy bot.
func (r *Rig) Config() handover.Config {
	id, key := r.Crisp.Token()
	return handover.Config{
		WebsiteID:  r.Crisp.WebsiteID(),
		Token:      handover.Token{Tier: handover.TierPlugin, Identifier: handover.NewSecret(id), Key: handover.NewSecret(key)},
		Webhook:    handover.Webhook{Secrets: handover.NewSecrets(r.Crisp.Secret())},
		Deliver:    r.Deliver,
		OnEnd:      r.OnEnd,
		Observe:    r.Observe,
		HTTPClient: r.Crisp.Client(),
		BaseURL:    r.Crisp.URL(),
		Logger:     slog.New(slog.NewTextHandler(io.Discard, nil)),
		Store:      r.Store,
	}
}

// HookKeys are the keys of the website's hooks.
func (r *Rig) HookKeys() map[string][]handover.Secret {
	return map[string][]handover.Secret{r.Crisp.WebsiteID(): handover.NewSecrets(r.Crisp.HookKey())}
}

// Replica starts one more Handover of the bot, on the same store.
func (r *Rig) Replica(o Options) *handover.Handover {
	cfg := r.Config()
	if o.Config != nil {
		o.Config(r, &cfg)
	}
	h, err := handover.New(cfg)
	r.must(err)
	if r.H == nil {
		r.H = h // before Run, whose callbacks may read it
	}
	if o.Made != nil {
		o.Made(h)
	}
	detach := r.Crisp.Attach(h)
	ctx, cancel := context.WithCancel(context.Background())
	stopped := make(chan struct{})
	if o.Still {
		close(stopped)
	} else {
		go func() {
			defer close(stopped)
			_ = h.Run(ctx)
		}()
	}
	r.T.Cleanup(func() {
		cancel()
		<-stopped
		detach()
		r.must(h.Shutdown(context.Background()))
	})
	return h
}

// Deliver shows the user a message. It is the bot's Config.Deliver.
func (r *Rig) Deliver(_ context.Context, s handover.Session, m handover.Message) (string, error) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.seen = s
	if r.failing != nil {
		if err := r.failing(m); err != nil {
			return "", err
		}
	}
	r.shown = append(r.shown, m)
	who := string(m.From)
	if m.From == handover.FromAgent {
		who += " " + m.Agent.Name
	}
	if m.Late {
		who += " (late)"
	}
	r.lines = append(r.lines, who+": "+Look(m.Content))
	return fmt.Sprintf("channel-%d", len(r.shown)), nil
}

// Look is what a user sees of a message: its text, then its choices.
func Look(m handover.RichMessage) string {
	text := m.Text
	if text == "" {
		text = m.PlainText()
	}
	for _, q := range m.QuickReplies {
		text += " [" + q.Title + "]"
	}
	return text
}

// OnEnd is the bot's Config.OnEnd.
func (r *Rig) OnEnd(_ context.Context, _ handover.Session, s handover.Summary) error {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.ends = append(r.ends, s)
	return nil
}

// Observe is the bot's Config.Observe. It requires that an error of Crisp's is one that a host can tell.
func (r *Rig) Observe(_ context.Context, a handover.Activity) {
	if inner := (*crispapi.Error)(nil); errors.As(a.Err, &inner) && !errors.As(a.Err, new(*handover.APIError)) {
		r.T.Errorf("the error of %q is no APIError: %v", a.Kind, a.Err)
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	r.activities = append(r.activities, a)
}

// Fails makes Deliver fail as fail says; nil heals it.
func (r *Rig) Fails(fail func(m handover.Message) error) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.failing = fail
}

// Says is a message of the user. If it is the bot's to answer, the bot says "You said: …".
func (r *Rig) Says(text string) handover.Turn {
	r.T.Helper()
	turn, err := r.TrySay(text)
	r.must(err)
	return turn
}

// TrySay is Says with its error.
func (r *Rig) TrySay(text string) (handover.Turn, error) {
	r.T.Helper()
	turn, err := r.Receive(handover.Incoming{Text: text})
	if err != nil || !turn.Bot {
		return turn, err
	}
	return turn, r.Reply(turn, "You said: "+text)
}

// Receive gives the library a message of the user, with a new id if it has none.
func (r *Rig) Receive(m handover.Incoming) (handover.Turn, error) {
	r.Sent++
	m.Conversation = r.Conv
	if m.ID == "" {
		m.ID = fmt.Sprintf("m%d", r.Sent)
	}
	return r.H.Receive(context.Background(), m)
}

// Reply lets the bot speak.
func (r *Rig) Reply(turn handover.Turn, text string) error {
	return r.H.Reply(context.Background(), turn, func(context.Context) error {
		r.mu.Lock()
		defer r.mu.Unlock()
		r.lines = append(r.lines, "bot: "+text)
		return nil
	})
}

// Spoke notes what the bot has said by itself.
func (r *Rig) Spoke(text string) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.lines = append(r.lines, "bot: "+text)
}

// Asks has the user ask for a human.
func (r *Rig) Asks(req handover.Request) handover.Outcome {
	r.T.Helper()
	turn, err := r.Receive(handover.Incoming{Text: "I want a human"})
	r.must(err)
	outcome, err := r.H.Start(context.Background(), turn, req)
	r.must(err)
	r.Crisp.Settle()
	return outcome
}

// Opened begins a handover, which waits for an agent then.
func (r *Rig) Opened() *handovertest.Conversation {
	r.T.Helper()
	if outcome := r.Asks(handover.Request{Locale: r.Locale}); outcome != handover.OutcomeOpened {
		r.T.Fatalf("the rig: no handover began: %s", outcome)
	}
	return r.Crisp.Last()
}

// Session is what the library says of the user's conversation.
func (r *Rig) Session() handover.Session {
	r.T.Helper()
	s, err := r.H.Session(context.Background(), r.Conv)
	r.must(err)
	return s
}

// Saw returns what the user has seen since the last call, once all is quiet.
func (r *Rig) Saw() []string {
	r.Crisp.Settle()
	r.mu.Lock()
	defer r.mu.Unlock()
	lines := r.lines
	r.lines = nil
	return lines
}

// Lines is Saw without waiting and without forgetting.
func (r *Rig) Lines() []string {
	r.mu.Lock()
	defer r.mu.Unlock()
	return slices.Clone(r.lines)
}

// AgentLines are the lines of Lines that agents wrote.
func (r *Rig) AgentLines() []string { return AgentsIn(r.Lines()) }

// Shown returns the messages that Deliver showed.
func (r *Rig) Shown() []handover.Message {
	r.mu.Lock()
	defer r.mu.Unlock()
	return slices.Clone(r.shown)
}

// Last is the newest message shown.
func (r *Rig) Last() handover.Message {
	all := r.Shown()
	return all[len(all)-1]
}

// Seen is the session of the newest message.
func (r *Rig) Seen() handover.Session {
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.seen
}

// Activities returns what Observe was told since the last Forget.
func (r *Rig) Activities() []handover.Activity {
	r.mu.Lock()
	defer r.mu.Unlock()
	return slices.Clone(r.activities)
}

// Forget forgets the activities.
func (r *Rig) Forget() {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.activities = nil
}

// Count returns how many activities there are of a kind.
func (r *Rig) Count(kind handover.ActivityKind) (n int) {
	for _, a := range r.Activities() {
		if a.Kind == kind {
			n++
		}
	}
	return n
}

// After lets fake time pass.
func (r *Rig) After(d time.Duration) {
	time.Sleep(d)
	r.Crisp.Settle()
}

// Ends returns what OnEnd was told so far.
func (r *Rig) Ends() []handover.Summary {
	r.mu.Lock()
	defer r.mu.Unlock()
	return slices.Clone(r.ends)
}

// UserTexts are the texts of the user's messages in a Crisp conversation.
func UserTexts(c *handovertest.Conversation) (texts []string) {
	for _, m := range c.Messages() {
		if m.From == "user" {
			texts = append(texts, fmt.Sprint(m.Content))
		}
	}
	return texts
}

// Active runs a test in fake time in which an agent, Ann, has greeted the user.
func Active(t *testing.T, o Options, test func(r *Rig, conv *handovertest.Conversation, ann *handovertest.Operator)) {
	t.Helper()
	Bubble(t, o, func(r *Rig) {
		conv, ann := r.Greeted()
		test(r, conv, ann)
	})
}

// Greeted begins a handover in which an agent, Ann, has greeted the user.
func (r *Rig) Greeted() (*handovertest.Conversation, *handovertest.Operator) {
	r.T.Helper()
	conv := r.Opened()
	ann := conv.Operator("Ann")
	ann.Say("Hello")
	r.Saw()
	return conv, ann
}

// AgentsIn are those of a user's lines that agents wrote.
func AgentsIn(lines []string) (agents []string) {
	for _, l := range lines {
		if strings.HasPrefix(l, "agent ") {
			agents = append(agents, l)
		}
	}
	return agents
}

// Unlate returns a user's lines without the marks of those that came late.
func Unlate(lines []string) []string {
	for i := range lines {
		lines[i] = strings.Replace(lines[i], " (late)", "", 1)
	}
	return lines
}

// Kinds are the messages of a Crisp conversation, each with what it is: "user: Hi", "note: …".
func Kinds(c *handovertest.Conversation) (all []string) {
	for _, m := range c.Messages() {
		who := m.From
		if m.Type == "note" {
			who = "note"
		}
		all = append(all, who+": "+m.Text())
	}
	return all
}

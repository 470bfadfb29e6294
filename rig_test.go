package handover_test

import (
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/crisphandover/handover"
	"github.com/crisphandover/handover/handovertest"
)

// rig is a bot with its user on one side and the fake Crisp on the other, in a bubble of fake time.
type rig struct {
	t     *testing.T
	crisp *handovertest.Crisp
	h     *handover.Handover
	conv  handover.Conversation
	sent  int
	// locale is that of the requests of opened.
	locale string

	mu         sync.Mutex
	shown      []handover.Message // what Deliver showed
	lines      []string           // what the user sees: "agent Ann: Hello", "bot: …"
	ends       []handover.Summary
	activities []handover.Activity
	seen       handover.Session               // of the newest message
	failing    func(m handover.Message) error // set to make Deliver fail
	store      *brittle
}

// options change what bubble makes.
type options struct {
	crisp  handovertest.Options
	config func(r *rig, c *handover.Config)
	still  bool // without Run
}

// bubble runs a test in fake time.
func bubble(t *testing.T, o options, test func(r *rig)) {
	t.Helper()
	synctest.Test(t, func(t *testing.T) {
		r := newRig(t, o)
		test(r)
	})
}

func newRig(t *testing.T, o options) *rig {
	r := &rig{t: t, conv: handover.Conversation{Source: "webchat", ID: "user-1"}, store: new(brittle)}
	r.crisp = handovertest.NewCrisp(t, o.crisp)
	r.h = r.replica(o)
	return r
}

// config is the configuration of a healthy bot.
func (r *rig) config() handover.Config {
	id, key := r.crisp.Token()
	return handover.Config{
		WebsiteID:  r.crisp.WebsiteID(),
		Token:      handover.Token{Tier: handover.TierPlugin, Identifier: handover.NewSecret(id), Key: handover.NewSecret(key)},
		Webhook:    handover.Webhook{Secrets: handover.NewSecrets(r.crisp.Secret())},
		Deliver:    r.deliver,
		OnEnd:      r.onEnd,
		Observe:    r.observe,
		HTTPClient: r.crisp.Client(),
		BaseURL:    r.crisp.URL(),
		Logger:     slog.New(slog.NewTextHandler(io.Discard, nil)),
		Store:      r.store,
	}
}

// hookKeys are the keys of the website's hooks.
func (r *rig) hookKeys() map[string][]handover.Secret {
	return map[string][]handover.Secret{r.crisp.WebsiteID(): handover.NewSecrets(r.crisp.HookKey())}
}

// replica starts a Handover of the bot.
func (r *rig) replica(o options) *handover.Handover {
	cfg := r.config()
	if o.config != nil {
		o.config(r, &cfg)
	}
	h, err := handover.New(cfg)
	require.NoError(r.t, err)
	detach := r.crisp.Attach(h)
	ctx, cancel := context.WithCancel(context.Background())
	stopped := make(chan struct{})
	if o.still {
		close(stopped)
	} else {
		go func() {
			defer close(stopped)
			_ = h.Run(ctx)
		}()
	}
	r.t.Cleanup(func() {
		cancel()
		<-stopped
		detach()
		require.NoError(r.t, h.Shutdown(context.Background()))
	})
	return h
}

func (r *rig) deliver(_ context.Context, s handover.Session, m handover.Message) (string, error) {
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
	r.lines = append(r.lines, who+": "+look(m.Content))
	return fmt.Sprintf("channel-%d", len(r.shown)), nil
}

// fails makes Deliver fail as fail says; nil heals it.
func (r *rig) fails(fail func(m handover.Message) error) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.failing = fail
}

// last is the newest message shown.
func (r *rig) last() handover.Message {
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.shown[len(r.shown)-1]
}

// look is what a user sees of a message: its text, then its choices.
func look(m handover.RichMessage) string {
	text := m.Text
	if text == "" {
		text = m.PlainText()
	}
	for _, q := range m.QuickReplies {
		text += " [" + q.Title + "]"
	}
	return text
}

func (r *rig) onEnd(_ context.Context, _ handover.Session, s handover.Summary) error {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.ends = append(r.ends, s)
	return nil
}

func (r *rig) observe(_ context.Context, a handover.Activity) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.activities = append(r.activities, a)
}

// says is a message of the user; the bot answers a turn with "You said: …".
func (r *rig) says(text string) handover.Turn {
	r.t.Helper()
	turn, err := r.trySay(text)
	require.NoError(r.t, err)
	return turn
}

func (r *rig) trySay(text string) (handover.Turn, error) {
	r.t.Helper()
	turn, err := r.receive(handover.Incoming{Text: text})
	if err != nil || !turn.Bot {
		return turn, err
	}
	return turn, r.reply(turn, "You said: "+text)
}

// receive gives the library a message with a new id.
func (r *rig) receive(m handover.Incoming) (handover.Turn, error) {
	r.sent++
	m.Conversation = r.conv
	if m.ID == "" {
		m.ID = fmt.Sprintf("m%d", r.sent)
	}
	return r.h.Receive(context.Background(), m)
}

func (r *rig) reply(turn handover.Turn, text string) error {
	return r.h.Reply(context.Background(), turn, func(context.Context) error {
		r.mu.Lock()
		defer r.mu.Unlock()
		r.lines = append(r.lines, "bot: "+text)
		return nil
	})
}

// asks has the user ask for a human.
func (r *rig) asks(req handover.Request) handover.Outcome {
	r.t.Helper()
	turn, err := r.receive(handover.Incoming{Text: "I want a human"})
	require.NoError(r.t, err)
	outcome, err := r.h.Start(context.Background(), turn, req)
	require.NoError(r.t, err)
	r.crisp.Settle()
	return outcome
}

// opened is a rig with a handover that waits for an agent.
func (r *rig) opened() *handovertest.Conversation {
	r.t.Helper()
	require.Equal(r.t, handover.Opened, r.asks(handover.Request{Locale: r.locale}))
	return r.crisp.Last()
}

func (r *rig) session() handover.Session {
	r.t.Helper()
	s, err := r.h.Session(context.Background(), r.conv)
	require.NoError(r.t, err)
	return s
}

// saw returns what the user has seen since the last call.
func (r *rig) saw() []string {
	r.crisp.Settle()
	r.mu.Lock()
	defer r.mu.Unlock()
	lines := r.lines
	r.lines = nil
	return lines
}

// rawLines is saw without waiting and without forgetting.
func (r *rig) rawLines() []string {
	r.mu.Lock()
	defer r.mu.Unlock()
	return append([]string(nil), r.lines...)
}

// agentLines are the lines of rawLines that agents wrote.
func (r *rig) agentLines() (lines []string) {
	for _, l := range r.rawLines() {
		if strings.HasPrefix(l, "agent ") {
			lines = append(lines, l)
		}
	}
	return lines
}

// after lets fake time pass.
func (r *rig) after(d time.Duration) {
	time.Sleep(d)
	r.crisp.Settle()
}

func (r *rig) allEnds() []handover.Summary {
	r.mu.Lock()
	defer r.mu.Unlock()
	return append([]handover.Summary(nil), r.ends...)
}

func (r *rig) count(kind handover.ActivityKind) (n int) {
	r.mu.Lock()
	defer r.mu.Unlock()
	for _, a := range r.activities {
		if a.Kind == kind {
			n++
		}
	}
	return n
}

// brittle is a store that fails on request.
type brittle struct {
	handover.MemoryStore
	fails atomic.Bool
}

func (s *brittle) Find(ctx context.Context, id string) (handover.Record, error) {
	if s.fails.Load() {
		return handover.Record{}, errStoreDown
	}
	return s.MemoryStore.Find(ctx, id)
}

func (s *brittle) Load(ctx context.Context, key string) (handover.Record, error) {
	if s.fails.Load() {
		return handover.Record{}, errStoreDown
	}
	return s.MemoryStore.Load(ctx, key)
}

func (s *brittle) Save(ctx context.Context, rec handover.Record) (int64, error) {
	if s.fails.Load() {
		return 0, errStoreDown
	}
	return s.MemoryStore.Save(ctx, rec)
}

func (r *rig) storeFails(on bool) { r.store.fails.Store(on) }

// texts are the contents of a Crisp conversation's text messages by the user.
func userTexts(c *handovertest.Conversation) (texts []string) {
	for _, m := range c.Messages() {
		if m.From == "user" {
			texts = append(texts, fmt.Sprint(m.Content))
		}
	}
	return texts
}

var errStoreDown = errors.New("the store is down")

var errChannelDown = errors.New("the channel is down")

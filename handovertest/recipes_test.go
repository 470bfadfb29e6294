package handovertest_test

import (
	"context"
	"fmt"
	"net/http"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/crisphandover/handover"
	"github.com/crisphandover/handover/handovertest"
	"github.com/crisphandover/handover/internal/guide"
)

// docs/testing.md shows the code of this file.

// bot is a bot with its user and a fake Crisp. answer and deliver stand for the host's own.
type bot struct {
	t     *testing.T
	crisp *handovertest.Crisp
	h     *handover.Handover
	user  handover.Conversation
	sent  int           // messages of the user
	think time.Duration // that an answer takes

	mu     sync.Mutex
	screen []string        // what the user sees
	shown  map[string]bool // by Message.ID
}

func newBot(t *testing.T, o handovertest.Options) *bot {
	b := &bot{t: t, crisp: handovertest.NewCrisp(t, o), shown: map[string]bool{}}
	b.user = handover.Conversation{Source: "chat", ID: "joe"}
	config := b.crisp.Config()
	config.Answer, config.Deliver = b.answer, b.deliver
	var err error
	b.h, err = handover.New(config)
	require.NoError(t, err)
	b.crisp.Run(b.h)
	return b
}

func (b *bot) answer(ctx context.Context, _ handover.Turn, m handover.Incoming) (*handover.Request, error) {
	if strings.Contains(m.Text, "human") {
		return &handover.Request{Note: "The user writes: " + m.Text}, nil
	}
	select {
	case <-time.After(b.think):
		b.show(m.ID, "bot: You said "+m.Text)
		return nil, nil
	case <-ctx.Done(): // a human takes over
		return nil, ctx.Err()
	}
}

func (b *bot) deliver(_ context.Context, _ handover.Session, m handover.Message) (string, error) {
	b.show(m.ID, string(m.From)+": "+m.Content.Text)
	return "", nil
}

// show shows the user a line, once for each id.
func (b *bot) show(id, line string) {
	b.mu.Lock()
	defer b.mu.Unlock()
	if !b.shown[id] {
		b.shown[id], b.screen = true, append(b.screen, line)
	}
}

// hears is a message of the user, which the channel repeats until it is taken.
func (b *bot) hears(text string) {
	b.sent++
	m := handover.Incoming{Conversation: b.user, ID: fmt.Sprint(b.sent), Text: text}
	for b.h.Handle(b.t.Context(), m) != nil {
		time.Sleep(time.Second)
	}
	b.crisp.Settle()
}

// saw is what the user saw since the last time.
func (b *bot) saw(want ...string) {
	b.t.Helper()
	b.crisp.Settle()
	b.mu.Lock()
	defer b.mu.Unlock()
	require.Equal(b.t, want, b.screen)
	b.screen = nil
}

// neverSaid requires that the user did not see a line.
func (b *bot) neverSaid(line string) {
	b.mu.Lock()
	defer b.mu.Unlock()
	require.NotContains(b.t, b.screen, line)
}

const comes = "system: A person will be with you soon. You can already describe your question."

func TestAgentAnswers(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		bot := newBot(t, handovertest.Options{})
		bot.hears("a human, please")
		bot.saw(comes)
		bot.crisp.Last().Operator("Ann").Say("Hello")
		bot.saw("system: Ann joined the conversation.", "agent: Hello")
		bot.hears("My parcel is lost")
		require.Contains(t, bot.crisp.Last().Transcript(), "user: My parcel is lost")
	})
}

func TestAgentResolves(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		bot := newBot(t, handovertest.Options{})
		bot.hears("a human, please")
		bot.saw(comes)
		bot.crisp.Last().Operator("Ann").Resolve()
		bot.saw("system: This conversation was closed. You are talking with the bot again.")
		bot.hears("thanks")
		bot.saw("bot: You said thanks")
	})
}

func TestNobodyIsThere(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		bot := newBot(t, handovertest.Options{Away: true})
		bot.hears("a human, please")
		bot.saw("system: It seems that nobody is available right now ")
		require.Empty(t, bot.crisp.Conversations())
		bot.hears("hello")
		bot.saw("bot: You said hello")
	})
}

func TestNobodyAnswers(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		bot := newBot(t, handovertest.Options{})
		bot.hears("a human, please")
		time.Sleep(9 * time.Minute) // with three reminders
		bot.saw(comes, waits, waits, waits)
		time.Sleep(2 * time.Minute) // Timeouts.Claim is ten minutes
		bot.saw("system: I am sorry, nobody could answer in time.", "system: It seems that nobody is available right now ")
		bot.hears("hello")
		bot.saw("bot: You said hello")
	})
}

const waits = "system: We are still looking for somebody. Thank you for your patience."

func TestAgentTakesOver(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		bot := newBot(t, handovertest.Options{})
		bot.hears("a human, please")
		time.Sleep(11 * time.Minute) // the bot has the conversation again
		bot.think = 30 * time.Second
		bot.hears("Where is my parcel?")
		bot.crisp.Last().Operator("Ann").Say("I look for it") // while the bot thinks
		time.Sleep(time.Minute)
		bot.neverSaid("bot: You said Where is my parcel?")
		require.Contains(t, bot.crisp.Last().Transcript(), "user: Where is my parcel?")
	})
}

func TestAgentReopens(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		bot := newBot(t, handovertest.Options{})
		bot.hears("a human, please")
		ann := bot.crisp.Last().Operator("Ann")
		ann.Resolve()
		bot.saw(comes, "system: This conversation was closed. You are talking with the bot again.")
		ann.Say("Goodbye")
		bot.saw("agent: Goodbye")
		bot.hears("thanks")
		bot.saw("bot: You said thanks")
		ann.Reopen()
		ann.Say("One more thing")
		bot.saw("system: Ann joined the conversation.", "agent: One more thing")
	})
}

func TestCrispIsDownForAMinute(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		bot := newBot(t, handovertest.Options{})
		bot.hears("a human, please")
		bot.crisp.Fail(handovertest.Always, handovertest.Fault{Status: http.StatusBadGateway, For: time.Minute})
		bot.hears("My parcel is lost")
		bot.crisp.Last().Operator("Ann").Say("Hello")
		time.Sleep(2 * time.Minute)
		bot.saw(comes, "system: Ann joined the conversation.", "agent: Hello")
		require.Contains(t, bot.crisp.Last().Transcript(), "user: My parcel is lost")
	})
}

func TestTheStoreFailsAtAnyStep(t *testing.T) {
	for n, failed := 1, true; failed; n++ {
		synctest.Test(t, func(t *testing.T) {
			bot := newBot(t, handovertest.Options{})
			store := bot.crisp.Store()
			store.BreakAfterSave(n)
			time.AfterFunc(2*time.Second, func() { failed = store.Broken(); store.Mend() })
			bot.hears("a human, please")
			time.Sleep(2 * time.Minute)
			bot.saw(comes)
			require.Len(t, bot.crisp.Conversations(), 1)
		})
	}
}

// TestGuide finds each block of code of docs/testing.md in this file.
func TestGuide(t *testing.T) {
	guide.Compiled(t, "../docs/testing.md", "go", "recipes_test.go")
}

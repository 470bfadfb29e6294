package scenarios

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"slices"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/crisphandover/handover"
	"github.com/crisphandover/handover/handovertest"
	"github.com/crisphandover/handover/internal/systemtest/rig"
)

var errKilled = errors.New("the process is dead")

// killed is a process that dies at a save of its store: nothing that it does later has an effect.
type killed struct {
	handover.Store
	left  atomic.Int64 // saves until it dies
	saves bool         // the last one is carried out, and the process dies after it
	dead  atomic.Bool
}

func (p *killed) Save(ctx context.Context, r handover.Record) (int64, error) {
	if p.dead.Load() {
		return 0, errKilled
	}
	if strings.HasPrefix(r.Key, "website/") || p.left.Add(-1) > 0 {
		return p.Store.Save(ctx, r)
	}
	p.dead.Store(true)
	if p.saves {
		_, _ = p.Store.Save(ctx, r)
	}
	return 0, errKilled
}

func (p *killed) Load(ctx context.Context, key string) (handover.Record, error) {
	if p.dead.Load() {
		return handover.Record{}, errKilled
	}
	return p.Store.Load(ctx, key)
}

func (p *killed) Claim(ctx context.Context, limit int, ttl time.Duration) ([]handover.Record, error) {
	if p.dead.Load() {
		return nil, errKilled
	}
	return p.Store.Claim(ctx, limit, ttl)
}

func (p *killed) Find(ctx context.Context, id string) (handover.Record, error) {
	if p.dead.Load() {
		return handover.Record{}, errKilled
	}
	return p.Store.Find(ctx, id)
}

// through makes no call of a dead process.
func (p *killed) through(to *http.Client) *http.Client {
	return &http.Client{Transport: tripper(func(r *http.Request) (*http.Response, error) {
		if p.dead.Load() {
			return nil, errKilled
		}
		return to.Transport.RoundTrip(r)
	})}
}

type tripper func(*http.Request) (*http.Response, error)

func (f tripper) RoundTrip(r *http.Request) (*http.Response, error) { return f(r) }

// TestHandleThroughACrash kills the process at each of its saves: before it, when all that comes before is
// done, and after it, when nothing is. Another process goes on.
func TestHandleThroughACrash(t *testing.T) {
	for _, saves := range []bool{false, true} {
		reached := true
		for n := 1; reached; n++ {
			t.Run(fmt.Sprintf("saved %v, save %d", saves, n), func(t *testing.T) {
				p := &killed{saves: saves}
				p.left.Store(int64(n))
				crash(t, p)
				reached = p.dead.Load()
			})
			require.Less(t, n, 100)
		}
	}
}

// dying is a bot whose process dies, and another one that goes on.
type dying struct {
	*rig.Rig
	p    *killed
	next rig.Options
	bot  *rig.Brain
	h    *handover.Handover
	over bool
}

// dies runs a test with a bot that dies.
func dies(t *testing.T, p *killed, test func(m *dying)) {
	m := &dying{p: p, bot: &rig.Brain{}}
	config := func(r *rig.Rig, c *handover.Config) {
		m.bot.R, c.Answer = r, m.bot.Answer
		alive := *c
		m.next.Config = func(_ *rig.Rig, c *handover.Config) { *c = alive }
		p.Store = c.Store
		c.Store, c.HTTPClient = p, p.through(c.HTTPClient)
		answer, deliver := c.Answer, c.Deliver
		c.Answer = func(ctx context.Context, turn handover.Turn, in handover.Incoming) (*handover.Request, error) {
			if p.dead.Load() {
				return nil, errKilled
			}
			return answer(ctx, turn, in)
		}
		c.Deliver = func(ctx context.Context, s handover.Session, msg handover.Message) (string, error) {
			if p.dead.Load() {
				return "", errKilled
			}
			return deliver(ctx, s, msg)
		}
	}
	rig.Bubble(t, rig.Options{Config: config}, func(r *rig.Rig) {
		m.Rig, m.h = r, r.H
		test(m)
	})
}

// passes lets time pass, in which another process takes the place of one that has died.
func (m *dying) passes(d time.Duration) {
	for end := time.Now().Add(d); time.Now().Before(end); m.After(time.Second) {
		if m.p.dead.Load() && !m.over {
			m.h, m.over = m.Replica(m.next), true
			end = end.Add(time.Minute)
		}
	}
}

// hands hands a message over until a process that lives has it, as a channel does.
func (m *dying) hands(in handover.Incoming) {
	in.Conversation = m.Conv
	for {
		h, died := m.h, m.p.dead.Load() && !m.over
		err := h.Handle(context.Background(), in)
		m.passes(2 * time.Second)
		if err == nil && !died {
			return
		}
	}
}

// says is a new message.
func (m *dying) says(id, text string) { m.hands(handover.Incoming{ID: id, Text: text}) }

// crash has a user talk with a bot that dies, with the agent and with the bot again.
func crash(t *testing.T, p *killed) {
	dies(t, p, func(r *dying) {
		r.says("1", "hello")
		r.says("2", "I want a human")
		r.says("3", "my parcel is lost")
		conv := asked(r.Rig)
		require.Equal(t, []string{"my parcel is lost"}, rig.UserTexts(conv)[1:])
		ann := conv.Operator("Ann")
		ann.Say("I look for it")
		r.passes(10 * time.Second)
		ann.Resolve()
		r.passes(10 * time.Second)
		r.says("4", "thanks")
		r.passes(10 * time.Second)
		asked(r.Rig)
		var lines []string
		for _, l := range r.Lines() { // what was under way is repeated
			if len(lines) == 0 || lines[len(lines)-1] != l {
				lines = append(lines, l)
			}
		}
		require.Equal(t, []string{
			"bot: You said: hello",
			"bot: You said: I want a human",
			"system: A person will be with you soon. You can already describe your question. [Back to the bot]",
			"system: Ann joined the conversation.",
			"agent Ann: I look for it",
			"system: This conversation was closed. You are talking with the bot again.",
			"bot: You said: thanks",
		}, lines)
		ids := map[string]bool{}
		for _, turn := range r.bot.Turns() {
			ids[turn.MessageID] = true
			require.LessOrEqual(t, turn.Attempt, 2)
		}
		require.Equal(t, map[string]bool{"1": true, "2": true, "4": true}, ids)
	})
}

// asked is the one Crisp conversation that agents see: those without a message are hidden.
func asked(r *rig.Rig) *handovertest.Conversation {
	r.T.Helper()
	all := slices.DeleteFunc(r.Crisp.Conversations(), func(c *handovertest.Conversation) bool { return len(c.Messages()) == 0 })
	require.Len(r.T, all, 1, "the human is asked once")
	return all[0]
}

// Each save in its turn is stored, and the process hears that it failed; a moment later the store is well again.
func TestHandleThroughASaveWhoseAnswerIsLost(t *testing.T) {
	reached := true
	for n := 1; reached; n++ {
		t.Run(fmt.Sprint("save ", n), func(t *testing.T) {
			store := handovertest.NewBrittleStore(nil)
			rig.Managed(t, rig.Options{Config: func(_ *rig.Rig, c *handover.Config) { c.Store = store }}, func(r *rig.Rig, _ *rig.Brain) {
				store.BreakAfterSave(n)
				time.AfterFunc(2*time.Second, func() { reached = store.Broken(); store.Mend() })
				for r.TryHandle(handover.Incoming{ID: "1", Text: "I want a human"}) != nil {
					time.Sleep(time.Second)
				}
				r.After(2 * time.Minute)
				require.Equal(t, handover.StateWaiting, r.Session().State)
				require.Contains(t, r.Saw(), "system: A person will be with you soon. You can already describe your question. [Back to the bot]")
				require.Len(t, r.Crisp.Conversations(), 1)
			})
		})
		require.Less(t, n, 100)
	}
}

// The library calls the bot, and the process dies at each of its saves: agents have each message once, with its
// newest words.
func TestEditsThroughACrash(t *testing.T) {
	for _, saves := range []bool{false, true} {
		reached := true
		for n := 1; reached; n++ {
			t.Run(fmt.Sprintf("saved %v, save %d", saves, n), func(t *testing.T) {
				p := &killed{saves: saves}
				p.left.Store(int64(n))
				dies(t, p, func(r *dying) {
					r.says("1", "I want a human")
					r.says("2", "my number is 1")
					r.hands(handover.Incoming{ID: "2", Edits: "2", Text: "my number is 12", At: time.Now()})
					r.hands(handover.Incoming{ID: "1", Edits: "1", Text: "I want a person", At: time.Now()})
					r.says("3", "are you there?")
					r.hands(handover.Incoming{ID: "2", Edits: "2", Text: "my number is 123", At: time.Now()})
					r.passes(time.Minute)
					require.Equal(t, []string{"my number is 123", "Edited: I want a person", "are you there?"}, rig.UserTexts(asked(r.Rig))[1:])
				})
				reached = p.dead.Load()
			})
			require.Less(t, n, 100)
		}
	}
}

package integration

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net/http"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/crisphandover/handover"
	"github.com/crisphandover/handover/handovertest"
	"github.com/crisphandover/handover/sqlstore"
)

// TestHandleThroughACrashOnPostgres kills a process at each of its saves, before it and after it; another process goes
// on. It is the root's TestHandleThroughACrash with PostgreSQL and real time, all kills at once. A killed process's
// claim lasts half a minute, and so does the test, twice.
func TestHandleThroughACrashOnPostgres(t *testing.T) {
	t.Parallel()
	const steps = 48 // more than a whole handover takes
	db := openPostgres(t, postgresSchema(t, postgresConfig(t), nil))
	db.SetMaxOpenConns(24)
	db.SetMaxIdleConns(24)
	ctx, cancel := context.WithTimeout(t.Context(), 8*time.Minute)
	defer cancel()
	var all sync.WaitGroup
	reached := make([]bool, 2*steps)
	for i := range reached {
		c := &crash{ctx: ctx, t: t, name: fmt.Sprintf("save %d, stored %t", i/2+1, i%2 == 1)}
		store, err := sqlstore.New(db, sqlstore.PostgreSQL, sqlstore.Options{Prefix: fmt.Sprintf("crash%d_", i)})
		require.NoError(t, err)
		require.NoError(t, store.Migrate(ctx))
		c.store = store
		all.Go(func() {
			if err := c.live(i/2+1, i%2 == 1); err != nil {
				t.Errorf("%s: %v\n%s\n%s", c.name, err, strings.Join(c.lines, "\n"), strings.Join(c.crisp.Record(), "\n"))
			}
			reached[i] = c.over
		})
	}
	all.Wait()
	killed := 0
	for _, r := range reached {
		if r {
			killed++
		}
	}
	fmt.Printf("handle on PostgreSQL: killed at %d saves\n", killed)
	require.Greater(t, killed, 32)
	require.False(t, reached[2*steps-1], "there are more saves than were tried")
}

// crash is a conversation with a bot whose process dies.
type crash struct {
	ctx   context.Context
	t     *testing.T
	name  string
	store handover.Store // that all processes share
	crisp *handovertest.Crisp

	mu    sync.Mutex
	lines []string // what the user sees
	h     *handover.Handover
	at    *handovertest.BrittleStore // of the process that is to die
	stop  func()
	over  bool // it has died, and another one is in its place
}

var errDead = errors.New("the process is dead")

// start starts a process with a store of its own.
func (c *crash) start() error {
	store := handovertest.NewBrittleStore(c.store)
	alive := func(do func() error) error {
		if store.Broken() {
			return errDead
		}
		return do()
	}
	config := c.crisp.Config()
	config.Store, config.Logger = store, slog.New(slog.DiscardHandler)
	config.HTTPClient = &http.Client{Transport: dying{config.HTTPClient.Transport, store}}
	config.Answer = func(_ context.Context, _ handover.Turn, m handover.Incoming) (request *handover.Request, err error) {
		return request, alive(func() error {
			c.show("bot: You said " + m.Text)
			if strings.Contains(m.Text, "human") {
				request = &handover.Request{}
			}
			return nil
		})
	}
	config.Deliver = func(_ context.Context, _ handover.Session, m handover.Message) (string, error) {
		return "", alive(func() error { c.show(string(m.From) + ": " + m.Content.Text); return nil })
	}
	h, err := handover.New(config)
	if err != nil {
		return err
	}
	c.h, c.at, c.stop = h, store, c.crisp.Run(h)
	return nil
}

// dying is the network of a process that may be dead.
type dying struct {
	http.RoundTripper
	store *handovertest.BrittleStore
}

func (d dying) RoundTrip(r *http.Request) (*http.Response, error) {
	if d.store.Broken() {
		return nil, errDead
	}
	return d.RoundTripper.RoundTrip(r)
}

// show shows the user a line. What was under way in a process that died comes again.
func (c *crash) show(line string) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if len(c.lines) == 0 || c.lines[len(c.lines)-1] != line {
		c.lines = append(c.lines, line)
	}
}

// until waits for something, and puts another process in the place of one that has died.
func (c *crash) until(what string, ok func() bool) error {
	for !ok() {
		if c.at.Broken() && !c.over {
			c.over = true
			go c.stop()
			if err := c.start(); err != nil {
				return err
			}
		}
		select {
		case <-time.After(50 * time.Millisecond):
		case <-c.ctx.Done():
			return fmt.Errorf("%s: the run took too long", what)
		}
	}
	return nil
}

// saw waits until the user has seen a line.
func (c *crash) saw(line string) error {
	return c.until(line, func() bool {
		c.mu.Lock()
		defer c.mu.Unlock()
		return slices.Contains(c.lines, line)
	})
}

// says hands a message over until a process that lives has it, as a channel does.
func (c *crash) says(id, text string) error {
	return c.until(text, func() bool {
		m := handover.Incoming{Conversation: handover.Conversation{Source: "chat", ID: "joe"}, ID: id, Text: text}
		return c.h.Handle(c.ctx, m) == nil && !c.at.Broken()
	})
}

// live is a whole handover, in which a process dies at its n-th save.
func (c *crash) live(n int, stored bool) error {
	c.crisp = handovertest.New(handovertest.Options{Seed: uint64(n)})
	defer c.crisp.Close()
	if err := c.start(); err != nil {
		return err
	}
	if stored {
		c.at.BreakAfterSave(n)
	} else {
		c.at.BreakBeforeSave(n)
	}
	const comes = "system: A person will be with you soon. You can already describe your question."
	conv := func() (conv *handovertest.Conversation) {
		for _, v := range c.crisp.Conversations() {
			if len(v.Messages()) > 0 {
				conv = v
			}
		}
		return conv
	}
	for _, step := range []func() error{
		func() error { return c.says("1", "hello") },
		func() error { return c.saw("bot: You said hello") },
		func() error { return c.says("2", "I want a human") },
		func() error { return c.saw(comes) },
		func() error { return c.says("3", "my parcel is lost") },
		func() error {
			return c.until("in Crisp", func() bool { return conv() != nil && slices.Contains(userTexts(conv()), "my parcel is lost") })
		},
		func() error { conv().Operator("Ann").Say("I look for it"); return c.saw("agent: I look for it") },
		func() error {
			conv().Operator("Ann").Resolve()
			return c.saw("system: This conversation was closed. You are talking with the bot again.")
		},
		func() error { return c.says("4", "thanks") },
		func() error { return c.saw("bot: You said thanks") },
	} {
		if err := step(); err != nil {
			return err
		}
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	want := []string{
		"bot: You said hello", "bot: You said I want a human", comes, "system: Ann joined the conversation.", "agent: I look for it",
		"system: This conversation was closed. You are talking with the bot again.", "bot: You said thanks",
	}
	switch asked := slices.DeleteFunc(c.crisp.Conversations(), func(v *handovertest.Conversation) bool { return len(v.Messages()) == 0 }); {
	case !slices.Equal(c.lines, want):
		return errors.New("the user saw something else")
	case len(asked) != 1:
		return fmt.Errorf("a human was asked for %d times", len(asked))
	case !slices.Equal(userTexts(asked[0])[1:], []string{"my parcel is lost"}):
		return fmt.Errorf("the agents see %q", userTexts(asked[0]))
	}
	return nil
}

// TestHandleRepeatedOnPostgres has the channel repeat a message on three replicas, while one of them answers it for
// longer than a claim holds: it is answered once, and the messages after it in their order.
func TestHandleRepeatedOnPostgres(t *testing.T) {
	t.Parallel()
	config := postgresSchema(t, postgresConfig(t), nil)
	crisp := handovertest.NewCrisp(t, handovertest.Options{})
	said, begun := make(chan string, 100), time.Now()
	var replicas []*handover.Handover
	for range 3 {
		c := crisp.Config()
		c.Store = postgresStore(t, openPostgres(t, config))
		c.Deliver = func(context.Context, handover.Session, handover.Message) (string, error) { return "", nil }
		c.Answer = func(ctx context.Context, turn handover.Turn, m handover.Incoming) (*handover.Request, error) {
			if m.Text == "hello" {
				select {
				case <-time.After(time.Until(begun.Add(35 * time.Second))):
				case <-ctx.Done():
					return nil, ctx.Err()
				}
			}
			said <- fmt.Sprint(m.Text, " #", turn.Attempt)
			return nil, nil
		}
		h, err := handover.New(c)
		require.NoError(t, err)
		crisp.Run(h)
		replicas = append(replicas, h)
	}
	conv := handover.Conversation{Source: "chat", ID: "joe"}
	for i := 0; len(said) == 0; i++ {
		for id, text := range []string{"hello", "one", "two", "three"} {
			require.NoError(t, replicas[(i+id)%3].Handle(t.Context(), handover.Incoming{Conversation: conv, ID: fmt.Sprint(id), Text: text}))
		}
		time.Sleep(500 * time.Millisecond)
	}
	for _, text := range []string{"hello", "one", "two", "three"} {
		require.Equal(t, text+" #1", <-said)
	}
	crisp.Settle()
	require.Empty(t, said)
}

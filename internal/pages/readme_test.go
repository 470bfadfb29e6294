package pages

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"net/http"
	"os"
	"os/exec"
	"os/signal"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/crisphandover/handover"
	"github.com/crisphandover/handover/admin"
	"github.com/crisphandover/handover/internal/crispapi"
	"github.com/crisphandover/handover/internal/guide"
	"github.com/crisphandover/handover/internal/systemtest/rig"
	"github.com/crisphandover/handover/sqlstore"
)

// The code of README.md, and of the guides that have no test of their own, stands in the functions below, so that it
// compiles.

var (
	_ = readmeObserve
	_ = readmeCheck
	_ = readmeButton
	_ = readmeServe
	_ = readmeDatabase
	_ = readmeAdmin
	_ = readmeSignatures{handover.Config{}.Answer, handover.Config{}.Deliver, handover.Config{}.OnEnd}
)

func readmeMessage(ctx context.Context, h *handover.Handover, bot readmeBot, conv handover.Conversation, messageID, text string) error {
	turn, err := h.Receive(ctx, handover.Incoming{Conversation: conv, ID: messageID, Text: text})
	if err != nil || !turn.Bot {
		return err // on an error the channel repeats the message; else turn.Why says who has it
	}
	err = h.Reply(ctx, turn, func(ctx context.Context) error {
		needHelp, err := bot.Stream(ctx, text) // may take seconds
		if err == nil && needHelp {
			_, err = h.Start(ctx, turn, handover.Request{Segments: []string{"Customer"}})
		}
		return err
	})
	if errors.Is(err, handover.ErrNotYourTurn) {
		return nil // a human has the conversation, and the user's message
	}
	return err // on an error the channel repeats the message
}

// scripted is a bot that always asks for a human.
type scripted func()

func (say scripted) Stream(context.Context, string) (bool, error) {
	say()
	return true, nil
}

// README's own loop asks for a human although the store failed at the first try.
func TestReadmeLoop(t *testing.T) {
	rig.Bubble(t, rig.Options{}, func(r *rig.Rig) {
		message := func(say scripted) error {
			return readmeMessage(r.T.Context(), r.H, say, r.Conv, "m1", "a human!")
		}
		require.Error(r.T, message(func() {
			r.Spoke("I ask")
			r.Store.Fails(true)
		}))
		r.Store.Fails(false)
		r.After(time.Minute)
		require.NoError(r.T, message(func() { r.Spoke("I ask once more") }))
		require.NoError(r.T, message(func() { r.Spoke("not again") }))
		r.After(time.Minute)
		require.Equal(r.T, handover.StateWaiting, r.Session().State)
		require.Len(r.T, r.Crisp.Conversations(), 1)
		require.Equal(r.T, []string{"bot: I ask", "bot: I ask once more"}, r.Saw()[:2])
		require.Len(r.T, rig.UserTexts(r.Crisp.Last()), 1, "the opening message alone")
	})
}

func readmeObserve(states readmeHistogram, faults readmeCounter) handover.Config {
	return handover.Config{
		Observe: func(_ context.Context, a handover.Activity) {
			switch a.Kind {
			case handover.ActivityState:
				states.WithLabelValues(string(a.From), string(a.To), string(a.Reason)).Observe(a.Took.Seconds())
			case handover.ActivityFault:
				faults.WithLabelValues(a.Effect).Inc()
			}
		},
	}
}

// What the code in README.md takes from its host, and from Prometheus.
type (
	readmeBot interface {
		Stream(ctx context.Context, text string) (needHelp bool, err error)
	}
	readmeHistogram interface {
		WithLabelValues(...string) interface{ Observe(float64) }
	}
	readmeCounter interface {
		WithLabelValues(...string) interface{ Inc() }
	}
)

func readmeButton(ctx context.Context, h *handover.Handover, conv handover.Conversation) error {
	s, err := h.Session(ctx, conv)
	if err != nil {
		return err
	}
	outcome, err := h.Start(ctx, s.Turn(), handover.Request{}) // up to Timeouts.Open, 30 seconds
	_ = outcome
	return err
}

func readmeCheck(ctx context.Context, h *handover.Handover) {
	fmt.Print(h.Check(ctx))
}

func readmeServe(h *handover.Handover, srv *http.Server, db *sql.DB) error {
	ctx, stop := signal.NotifyContext(context.Background(), syscall.SIGTERM, os.Interrupt)
	defer stop()
	go h.Run(ctx)
	go srv.ListenAndServe()
	<-ctx.Done()
	end, cancel := context.WithTimeout(context.Background(), 20*time.Second)
	defer cancel()
	err := errors.Join(srv.Shutdown(end), h.Shutdown(end), db.Close())
	return err
}

func readmeProbes(mux *http.ServeMux, h *handover.Handover, db *sql.DB) {
	mux.HandleFunc("GET /alive", func(http.ResponseWriter, *http.Request) {}) // 200
	mux.HandleFunc("GET /ready", func(w http.ResponseWriter, r *http.Request) {
		if db.PingContext(r.Context()) != nil || h.Health().ShutDown {
			w.WriteHeader(http.StatusServiceUnavailable)
		}
	})
}

func readmeDatabase(ctx context.Context, config *handover.Config) error {
	db, err := sql.Open("pgx", os.Getenv("DATABASE_URL"))
	if err != nil {
		return err
	}
	db.SetMaxOpenConns(32)
	db.SetMaxIdleConns(32)
	store, err := sqlstore.New(db, sqlstore.PostgreSQL, sqlstore.Options{})
	if err != nil {
		return err
	}
	if err := store.Migrate(ctx); err != nil {
		return err
	}
	config.Store = store
	config.History.SigningKey = handover.NewSecret(os.Getenv("HISTORY_KEY")) // the same on all replicas
	return nil
}

func readmeAdmin(mux *http.ServeMux, h *handover.Handover, requireOperator func(http.Handler) http.Handler) {
	mux.Handle("/admin/", requireOperator(admin.New(h, admin.Options{})))
}

// readmeSignatures are those of llms.txt.
type readmeSignatures struct {
	Answer  func(ctx context.Context, t handover.Turn, m handover.Incoming) (*handover.Request, error)
	Deliver func(ctx context.Context, s handover.Session, m handover.Message) (channelID string, err error)
	OnEnd   func(ctx context.Context, s handover.Session, sum handover.Summary) error
}

// README.md has one block of Go, a program of fewer than 45 lines, which examples/firstbot runs.
func TestReadmeProgram(t *testing.T) {
	program := guide.Compiled(t, "README.md", "go", "examples/firstbot/main.go")
	require.Len(t, program, 1)
	require.Less(t, strings.Count(program[0], "\n"), 45)
}

// The blocks of Go of these guides are in this file.
func TestReadmeCode(t *testing.T) {
	for _, page := range []string{"docs/bot.md", "docs/own-loop.md", "docs/kubernetes.md", "docs/troubleshooting.md", "docs/admin.md", "llms.txt"} {
		guide.Compiled(t, page, "go", "internal/pages/readme_test.go")
	}
}

// README.md shows lines that the quickstart prints, in their order.
func TestReadmeOutput(t *testing.T) {
	readme, err := os.ReadFile("README.md")
	require.NoError(t, err)
	_, shown, found := strings.Cut(string(readme), "```text\n")
	require.True(t, found)
	shown, _, _ = strings.Cut(shown, "```")
	out, err := exec.CommandContext(t.Context(), "go", "run", "./examples/quickstart").Output()
	require.NoError(t, err)
	printed := string(out)
	for line := range strings.Lines(shown) {
		if line == "…\n" {
			continue
		}
		_, after, found := strings.Cut(printed, line)
		require.True(t, found, "the quickstart does not print %q there:\n%s", line, printed)
		printed = after
	}
}

// README.md names each scope that some call needs.
func TestReadmeNamesTheScopes(t *testing.T) {
	readme, err := os.ReadFile("README.md")
	require.NoError(t, err)
	for op, scope := range crispapi.Scopes() {
		if scope == "" {
			continue
		}
		name, access, _ := strings.Cut(strings.TrimSuffix(scope, ")"), " (")
		_, accesses, found := strings.Cut(string(readme), "`"+name+" (")
		require.True(t, found, "%s needs %s", op, scope)
		accesses, _, _ = strings.Cut(accesses, ")")
		require.Contains(t, accesses, access, "%s needs %s", op, scope)
	}
}

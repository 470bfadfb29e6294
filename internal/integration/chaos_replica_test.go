package integration

import (
	"bufio"
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net"
	"net/http"
	"os"
	"os/exec"
	"strings"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/stdlib"
	"github.com/stretchr/testify/require"

	"github.com/crisphandover/handover"
	"github.com/crisphandover/handover/sqlstore"
)

// replicaEnv makes this test binary a replica of the bot's backend.
const replicaEnv = "HANDOVER_TEST_REPLICA"

// cleanups remove what tests share, once all have run.
var cleanups []func()

// TestMain is a replica's process, or runs the tests.
func TestMain(m *testing.M) {
	settings := os.Getenv(replicaEnv)
	if settings == "" {
		code := m.Run()
		for _, f := range cleanups {
			f()
		}
		os.Exit(code)
	}
	if err := serveReplica(settings); err != nil {
		fmt.Fprintln(os.Stderr, "replica:", err)
		os.Exit(1)
	}
}

// replicaSettings are what a replica's process has to know.
type replicaSettings struct {
	Number                           int
	Crisp                            string // URL of the API
	Website, Identifier, Key, Secret string
	Postgres, Schema                 string
	World                            string // URL that callbacks are posted to
}

// callbackCall is what a replica posts for each callback.
type callbackCall struct {
	Replica int
	Session handover.Session
	Message handover.Message
	Summary handover.Summary
}

// startCall is what a replica is posted for Start.
type startCall struct {
	Turn    handover.Turn
	Request handover.Request
}

// serveReplica serves hooks and the host's calls until its standard input ends.
func serveReplica(settings string) error {
	var s replicaSettings
	if err := json.Unmarshal([]byte(settings), &s); err != nil {
		return err
	}
	config, err := pgx.ParseConfig(s.Postgres)
	if err != nil {
		return err
	}
	config.RuntimeParams["search_path"] = s.Schema
	db := stdlib.OpenDB(*config)
	defer db.Close()
	db.SetMaxOpenConns(8)
	store, err := sqlstore.New(db, sqlstore.PostgreSQL, sqlstore.Options{})
	if err != nil {
		return err
	}
	h, err := handover.New(s.config(store))
	if err != nil {
		return err
	}
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return err
	}
	server := &http.Server{Handler: replicaHandler(h)}
	ctx, cancel := context.WithCancel(context.Background())
	ended := make(chan error, 2)
	go func() { ended <- server.Serve(listener) }()
	go func() { ended <- h.Run(ctx) }()
	fmt.Println(listener.Addr())
	_, _ = io.Copy(io.Discard, os.Stdin)
	cancel()
	_ = server.Shutdown(context.Background())
	_, _ = <-ended, <-ended
	return h.Shutdown(context.Background())
}

func (s *replicaSettings) config(store handover.Store) handover.Config {
	call := func(ctx context.Context, path string, c callbackCall) error {
		c.Replica = s.Number
		return postJSON(ctx, s.World+path, c, nil)
	}
	return handover.Config{
		WebsiteID: s.Website,
		Token:     handover.Token{Tier: handover.TierPlugin, Identifier: handover.NewSecret(s.Identifier), Key: handover.NewSecret(s.Key)},
		Webhook:   handover.Webhook{Secrets: handover.NewSecrets(s.Secret)},
		BaseURL:   s.Crisp,
		Store:     store,
		Logger:    slog.New(slog.DiscardHandler),
		Deliver: func(ctx context.Context, v handover.Session, m handover.Message) (string, error) {
			return m.ID, call(ctx, "/deliver", callbackCall{Session: v, Message: m})
		},
		OnEnd: func(ctx context.Context, v handover.Session, sum handover.Summary) error {
			return call(ctx, "/end", callbackCall{Session: v, Summary: sum})
		},
		// Catch-up every other second, so that a hook that never came costs seconds of this test;
		// no pace and no early ends, which have tests of their own.
		Limits:   handover.Limits{CreatesPerMinute: -1, DailyCalls: 10 * 24 * 60 * 60 / 2},
		Timeouts: handover.Timeouts{Open: 15 * time.Minute, Relay: 15 * time.Minute},
	}
}

// replicaHandler serves hooks and the host's calls.
func replicaHandler(h *handover.Handover) http.Handler {
	mux := http.NewServeMux()
	mux.Handle("POST /hooks", h)
	mux.Handle("POST /receive", answer(func(ctx context.Context, m handover.Incoming) (any, error) { return h.Receive(ctx, m) }))
	mux.Handle("POST /start", answer(func(ctx context.Context, s startCall) (any, error) { return h.Start(ctx, s.Turn, s.Request) }))
	mux.Handle("POST /session", answer(func(ctx context.Context, c handover.Conversation) (any, error) { return h.Session(ctx, c) }))
	return mux
}

// answer serves a call with JSON both ways; an error is a 503.
func answer[In any](call func(context.Context, In) (any, error)) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		var in In
		if err := json.NewDecoder(r.Body).Decode(&in); err != nil {
			http.Error(w, err.Error(), http.StatusBadRequest)
			return
		}
		out, err := call(r.Context(), in)
		if err != nil {
			http.Error(w, err.Error(), http.StatusServiceUnavailable)
			return
		}
		_ = json.NewEncoder(w).Encode(out)
	})
}

// postJSON posts in and decodes the answer into out, unless out is nil.
func postJSON(ctx context.Context, url string, in, out any) error {
	body, err := json.Marshal(in)
	if err != nil {
		return err
	}
	r, err := http.NewRequestWithContext(ctx, http.MethodPost, url, bytes.NewReader(body))
	if err != nil {
		return err
	}
	resp, err := http.DefaultClient.Do(r)
	if err != nil {
		return err
	}
	defer resp.Body.Close()
	answer, err := io.ReadAll(resp.Body)
	if err != nil {
		return err
	}
	if resp.StatusCode != http.StatusOK {
		return fmt.Errorf("HTTP %d: %s", resp.StatusCode, bytes.TrimSpace(answer))
	}
	if out == nil {
		return nil
	}
	return json.Unmarshal(answer, out)
}

// process is a replica's process, as the test sees it.
type process struct {
	number int
	cmd    *exec.Cmd
	stdin  io.Closer
	url    string
	detach func() // no hooks come any more
}

// startReplica starts this test binary as a replica, and waits until it serves.
func startReplica(t *testing.T, s replicaSettings) *process {
	t.Helper()
	settings, err := json.Marshal(s)
	require.NoError(t, err)
	binary, err := os.Executable()
	require.NoError(t, err)
	p := &process{number: s.Number, cmd: exec.Command(binary)}
	p.cmd.Env = append(os.Environ(), replicaEnv+"="+string(settings))
	p.cmd.Stderr = os.Stderr
	p.stdin, err = p.cmd.StdinPipe()
	require.NoError(t, err)
	stdout, err := p.cmd.StdoutPipe()
	require.NoError(t, err)
	require.NoError(t, p.cmd.Start())
	address, err := bufio.NewReader(stdout).ReadString('\n')
	require.NoError(t, err, "the replica did not start")
	p.url = "http://" + strings.TrimSpace(address)
	return p
}

// kill kills the process, as kill -9 does.
func (p *process) kill() error {
	if err := p.cmd.Process.Kill(); err != nil {
		return err
	}
	var exit *exec.ExitError
	if err := p.cmd.Wait(); !errors.As(err, &exit) || exit.Exited() {
		return fmt.Errorf("it was not killed: %w", err)
	}
	return nil
}

// stop lets the process finish its work. Its error tells of data races, too.
func (p *process) stop() error {
	if err := p.stdin.Close(); err != nil {
		return err
	}
	return p.cmd.Wait()
}

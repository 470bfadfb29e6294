package integration

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"runtime"
	"runtime/debug"
	"slices"
	"strconv"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/crisphandover/handover"
	"github.com/crisphandover/handover/handovertest"
	"github.com/crisphandover/handover/internal/systemtest/settings"
)

// soakGrowth is how much the heap may differ between the two halves of a soak: chance, which does
// not depend on how long it takes.
const soakGrowth = 8 << 20

// soakSessions is how many sessions are open: 10,000, but a tenth of it under the race detector,
// with which opening them takes minutes.
func soakSessions() int {
	if info, ok := debug.ReadBuildInfo(); ok && slices.Contains(info.Settings, debug.BuildSetting{Key: "-race", Value: "true"}) {
		return 1_000
	}
	return 10_000
}

// TestSoak keeps 10,000 sessions open, each with an agent, and sends their hooks as fast as this
// machine takes them: memory stays flat, and in the end no goroutine is left.
//
// Each hook is one that Crisp sent before: it goes all the way, from the signature over the store to
// a look at Crisp's log, while there is nothing to remember. What grows would be a leak.
//
// settings.Soak is the time in seconds: 10, or 60 for the whole. The bytes per open session and per
// idle conversation that it prints are the library's with a MemoryStore, without what the fake Crisp
// keeps, and without the decoded records that a process has until its Shutdown, which have a bound together.
func TestSoak(t *testing.T) {
	idle := idleBytes(t, soakSessions())
	goroutines := runtime.NumGoroutine()
	s := openSoak(t, soakSessions())
	seconds := time.Duration(settings.Soak.Int(t, 10)) * time.Second
	looks := s.crisp.CountCalls(handovertest.RouteMessages)
	s.run(t, seconds/2)
	first := heap()
	s.run(t, seconds/2)
	second := heap()
	looks = s.crisp.CountCalls(handovertest.RouteMessages) - looks
	rate := float64(s.taken.Load()) / seconds.Seconds()
	open := s.close(t)
	left := goroutinesLeft(goroutines)
	fmt.Printf("soak: sessions=%d seconds=%.0f hooks=%d per_second=%.0f looks=%d busy=%d heap=%dMiB,%dMiB per_open_session=%dB per_idle_conversation=%dB goroutines=%d,%d\n",
		s.sessions, seconds.Seconds(), s.taken.Load(), rate, looks, s.busy.Load(), first>>20, second>>20, open, idle, goroutines, left)

	require.Zero(t, s.refused.Load())
	require.Positive(t, looks)
	require.InDelta(t, float64(first), float64(second), soakGrowth, "the heap grows")
	require.Equal(t, goroutines, left, "goroutines were left behind")
	require.Less(t, open, int64(mostOpen), "bytes per open session")
	require.Less(t, idle, int64(mostIdle), "bytes per idle conversation")
	require.Equal(t, int64(2*s.sessions), s.shown.Load(), "the user saw something other than the welcome and one answer")
}

// What a session or conversation may take of the memory, in bytes.
const (
	mostOpen = 8 << 10
	mostIdle = 2 << 10
)

// idleBytes returns how much memory a conversation takes in which the bot has answered a message.
func idleBytes(t *testing.T, conversations int) int64 {
	t.Helper()
	s := &soak{crisp: handovertest.New(handovertest.Options{})}
	defer s.crisp.Close()
	s.h = s.newHandover(t)
	before := heap()
	for i := range conversations {
		conv := handover.Conversation{Source: "webchat", ID: strconv.Itoa(i)}
		turn, err := s.h.Receive(t.Context(), handover.Incoming{Conversation: conv, ID: "hello", Text: "Hello, what are your hours?"})
		require.NoError(t, err)
		require.NoError(t, s.h.Reply(t.Context(), turn, func(context.Context) error { return nil }))
	}
	after := heap()
	require.NoError(t, s.h.Shutdown(t.Context()))
	return (int64(after) - int64(before)) / int64(conversations)
}

// soak is a bot with all its sessions open.
type soak struct {
	sessions int

	crisp  *handovertest.Crisp
	h      *handover.Handover
	cancel context.CancelFunc
	ran    chan struct{}

	mu    sync.Mutex
	hooks [][]byte

	next, shown, taken, busy atomic.Int64
	refused                  atomic.Int64 // a status that no hook should be answered with
}

func openSoak(t *testing.T, sessions int) *soak {
	t.Helper()
	s := &soak{sessions: sessions, crisp: handovertest.New(handovertest.Options{}), ran: make(chan struct{})}
	s.h = s.newHandover(t)
	s.open(t)
	ctx, cancel := context.WithCancel(context.Background())
	s.cancel = cancel
	go func() {
		defer close(s.ran)
		_ = s.h.Run(ctx)
	}()
	return s
}

func (s *soak) newHandover(t *testing.T) *handover.Handover {
	t.Helper()
	id, key := s.crisp.Token()
	h, err := handover.New(handover.Config{
		WebsiteID: s.crisp.WebsiteID(),
		Token:     handover.Token{Tier: handover.TierPlugin, Identifier: handover.NewSecret(id), Key: handover.NewSecret(key)},
		Webhook:   handover.Webhook{Secrets: handover.NewSecrets(s.crisp.Secret())},
		Deliver: func(context.Context, handover.Session, handover.Message) (string, error) {
			s.shown.Add(1)
			return "", nil
		},
		Texts:      soakTexts,
		HTTPClient: s.crisp.Client(),
		BaseURL:    s.crisp.URL(),
		Logger:     slog.New(slog.DiscardHandler),
		Limits:     handover.Limits{CreatesPerMinute: -1},
		Policy:     handover.Policy{NoMarks: true},
	})
	require.NoError(t, err)
	return h
}

// soakTexts welcomes the user and says nothing more.
func soakTexts(handover.Session) handover.Texts {
	return handover.Texts{Waiting: "Welcome.", Opening: handover.DefaultTexts().Opening}
}

// batch is how many sessions are opened at a time.
const batch = 64

// open opens all the sessions, lets an agent answer in each, and keeps the hooks of the answers.
func (s *soak) open(t *testing.T) {
	t.Helper()
	detach := s.crisp.Attach(http.HandlerFunc(s.keep))
	defer detach()
	for from := 0; from < s.sessions; from += batch {
		errs := make([]error, batch)
		var work sync.WaitGroup
		for i := range min(batch, s.sessions-from) {
			work.Go(func() { errs[i] = s.openOne(from + i) })
		}
		work.Wait()
		require.NoError(t, errors.Join(errs...))
		for _, v := range s.crisp.Conversations()[from:] {
			v.Operator("Ann").Say("Hello, how can I help?")
		}
	}
	s.crisp.Settle()
	require.NoError(t, handovertest.Drain(t.Context(), s.h))
	require.Equal(t, s.sessions, len(s.hooks), "hooks of answers that came")
}

// keep passes a hook on to the bot, and keeps it if it is an agent's message.
func (s *soak) keep(w http.ResponseWriter, r *http.Request) {
	body, err := io.ReadAll(r.Body)
	if err != nil {
		w.WriteHeader(http.StatusInternalServerError)
		return
	}
	r.Body = io.NopCloser(bytes.NewReader(body))
	s.h.ServeHTTP(w, r)
	if bytes.Contains(body, []byte(`"message:received"`)) {
		s.mu.Lock()
		defer s.mu.Unlock()
		s.hooks = append(s.hooks, body)
	}
}

func (s *soak) openOne(n int) error {
	ctx := context.Background()
	conv := handover.Conversation{Source: "webchat", ID: strconv.Itoa(n)}
	turn, err := s.h.Receive(ctx, handover.Incoming{Conversation: conv, ID: "ask", Text: "I want a human"})
	if err != nil {
		return err
	}
	outcome, err := s.h.Start(ctx, turn, handover.Request{})
	if err == nil && outcome != handover.OutcomeOpened {
		err = fmt.Errorf("session %d: outcome %q", n, outcome)
	}
	return err
}

// run sends hooks for some time, as fast as they are taken, and waits until their work is done.
func (s *soak) run(t *testing.T, d time.Duration) {
	t.Helper()
	ctx, cancel := context.WithTimeout(context.Background(), d)
	defer cancel()
	var work sync.WaitGroup
	for range 2 * runtime.GOMAXPROCS(0) {
		work.Go(func() {
			for ctx.Err() == nil {
				s.send(ctx, s.hooks[int(s.next.Add(1))%len(s.hooks)])
			}
		})
	}
	work.Wait()
	require.NoError(t, handovertest.Drain(context.Background(), s.h))
}

// send sends a hook again, newly signed. One that is refused because too much waits is left out,
// and the next waits for a moment, which is what Retry-After is for.
func (s *soak) send(ctx context.Context, body []byte) {
	stamp := strconv.FormatInt(time.Now().UnixMilli(), 10)
	r := httptest.NewRequest(http.MethodPost, "/crisp/hooks", bytes.NewReader(body))
	r.Header.Set("X-Crisp-Request-Timestamp", stamp)
	r.Header.Set("X-Crisp-Signature", handovertest.Sign(s.crisp.Secret(), stamp, body))
	w := httptest.NewRecorder()
	s.h.ServeHTTP(w, r)
	switch w.Code {
	case http.StatusOK:
		s.taken.Add(1)
	case http.StatusServiceUnavailable:
		s.busy.Add(1)
		select {
		case <-time.After(10 * time.Millisecond):
		case <-ctx.Done():
		}
	default:
		s.refused.Store(int64(w.Code))
	}
}

// close ends the bot and Crisp, and returns how much memory the bot took for each session.
func (s *soak) close(t *testing.T) int64 {
	t.Helper()
	s.cancel()
	<-s.ran
	require.NoError(t, s.h.Shutdown(context.Background()))
	with := heap()
	s.h = nil
	without := heap()
	s.crisp.Close()
	return (int64(with) - int64(without)) / int64(s.sessions)
}

// heap returns how much memory is in use.
func heap() uint64 {
	runtime.GC()
	runtime.GC() // what finalizers held
	var m runtime.MemStats
	runtime.ReadMemStats(&m)
	return m.HeapAlloc
}

// goroutinesLeft returns how many goroutines there are once those that end have ended, which are
// given some seconds.
func goroutinesLeft(want int) int {
	for end := time.Now().Add(10 * time.Second); runtime.NumGoroutine() > want && time.Now().Before(end); {
		time.Sleep(10 * time.Millisecond)
	}
	return runtime.NumGoroutine()
}

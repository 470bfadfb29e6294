//go:build unix

// Package engine measures the engine alone, on the fake Crisp, and the store in memory.
package engine

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"slices"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/crisphandover/handover"
	"github.com/crisphandover/handover/handovertest"
)

// benchBot is a bot on the fake, without fake time.
func benchBot(b *testing.B) (*handovertest.Crisp, *handover.Handover, handover.Conversation) {
	crisp := handovertest.NewCrisp(b, handovertest.Options{})
	return crisp, benchHandover(b, crisp, func(*handover.Config) {}), handover.Conversation{Source: "webchat", ID: "bench"}
}

func benchHandover(b *testing.B, crisp *handovertest.Crisp, change func(*handover.Config)) *handover.Handover {
	id, key := crisp.Token()
	cfg := handover.Config{
		WebsiteID: crisp.WebsiteID(), Token: handover.Token{Tier: handover.TierPlugin, Identifier: handover.NewSecret(id), Key: handover.NewSecret(key)},
		Webhook: handover.Webhook{Secrets: handover.NewSecrets(crisp.Secret())}, HTTPClient: crisp.Client(), BaseURL: crisp.URL(),
		Logger:  slog.New(slog.NewTextHandler(io.Discard, nil)),
		Deliver: func(context.Context, handover.Session, handover.Message) (string, error) { return "", nil },
		Limits:  handover.Limits{CreatesPerMinute: -1, DailyCalls: 1_000_000_000},
	}
	change(&cfg)
	h, err := handover.New(cfg)
	require.NoError(b, err)
	b.Cleanup(crisp.Attach(h))
	return h
}

// BenchmarkBotTurn is what the library costs while only the bot talks.
func BenchmarkBotTurn(b *testing.B) {
	_, h, conv := benchBot(b)
	b.ReportAllocs()
	for i := range b.N {
		turn, err := h.Receive(b.Context(), handover.Incoming{Conversation: conv, ID: fmt.Sprint(i), Text: "hello"})
		require.NoError(b, err)
		require.NoError(b, h.Reply(b.Context(), turn, func(context.Context) error { return nil }))
	}
}

// BenchmarkRelay is a message of the user that reaches Crisp, and its echo.
func BenchmarkRelay(b *testing.B) {
	_, h, conv := benchBot(b)
	benchStart(b, h, conv)
	b.ReportAllocs()
	for i := range b.N {
		_, err := h.Receive(b.Context(), handover.Incoming{Conversation: conv, ID: fmt.Sprint(i), Text: "hello"})
		require.NoError(b, err)
	}
}

// BenchmarkDeliver is a message of an agent: its hook, the read of the log, Deliver and the marks.
func BenchmarkDeliver(b *testing.B) {
	crisp, h, conv := benchBot(b)
	benchStart(b, h, conv)
	b.ReportAllocs()
	for i := range b.N {
		if i%20 == 0 { // a new conversation: each read goes back ten minutes
			b.StopTimer()
			conv.ID = fmt.Sprint("bench", i)
			benchStart(b, h, conv)
			crisp.Settle()
			b.StartTimer()
		}
		crisp.Last().Operator("Ann").Say("hello")
		crisp.Settle()
	}
}

func benchStart(b *testing.B, h *handover.Handover, conv handover.Conversation) {
	s, err := h.Session(b.Context(), conv)
	require.NoError(b, err)
	outcome, err := h.Start(b.Context(), s.Turn(), handover.Request{})
	require.NoError(b, err)
	require.Equal(b, handover.OutcomeOpened, outcome)
}

// shortcut answers what an agent's message costs in calls by itself, so that a benchmark measures the
// library and not the fake; all else goes to the fake.
type shortcut struct {
	http.RoundTripper
	mu       sync.Mutex
	on       bool
	messages [][]byte // a page of Crisp's log, in JSON
}

func (s *shortcut) RoundTrip(r *http.Request) (*http.Response, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if !s.on {
		return s.RoundTripper.RoundTrip(r)
	}
	body := []byte(`{"error":false,"reason":"updated","data":{}}`)
	if strings.HasSuffix(r.URL.Path, "/messages") {
		body = slices.Concat([]byte(`{"error":false,"reason":"listed","data":[`), bytes.Join(s.messages, []byte(",")), []byte("]}"))
	}
	if r.Body != nil {
		_, _ = io.Copy(io.Discard, r.Body)
		_ = r.Body.Close()
	}
	return &http.Response{
		Status: "200 OK", StatusCode: 200, Proto: "HTTP/1.1", ProtoMajor: 1, ProtoMinor: 1, Request: r,
		Header: http.Header{"Content-Type": {"application/json"}}, Body: io.NopCloser(bytes.NewReader(body)), ContentLength: int64(len(body)),
	}, nil
}

// say adds a message to the page.
func (s *shortcut) say(message []byte) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.messages = append(s.messages[max(0, len(s.messages)-19):], message)
}

// agentMessage is the n-th message of an agent: in Crisp's log, and its hook.
func agentMessage(b *testing.B, crisp *handovertest.Crisp, session string, n int) (logged []byte, hook *http.Request) {
	now := time.Now()
	m := map[string]any{
		"website_id": crisp.WebsiteID(), "session_id": session, "fingerprint": 900_000_000_000_000 + n, "timestamp": now.UnixMilli(),
		"type": "text", "from": "operator", "origin": "chat", "content": "Have you tried turning it off and on again?",
		"user": map[string]any{"nickname": "Ann", "user_id": "3f608878-c579-4bd5-b62a-e84dffe3f31c"}, "read": "", "delivered": "", "stamped": true,
	}
	logged, err := json.Marshal(m)
	require.NoError(b, err)
	return logged, handovertest.Hook("/crisp/hooks", crisp.Secret(), now, handovertest.HookBody(crisp.WebsiteID(), "message:received", now, m))
}

// BenchmarkHookToDeliver is what an agent's message costs this process: deliver-cpu-ms/op is its processor
// time from the hook to Deliver, and cpu-ms/op that until the marks are made, with what the shortcut for
// Crisp needs but without the making of the hook. It runs the collector of garbage as often as any process
// of so small a heap.
func BenchmarkHookToDeliver(b *testing.B) {
	for _, before := range []int{0, 1000} {
		b.Run(fmt.Sprint("after=", before), func(b *testing.B) {
			crisp := handovertest.NewCrisp(b, handovertest.Options{})
			direct := &shortcut{RoundTripper: crisp.Client().Transport}
			shown := make(chan time.Duration, 1)
			h := benchHandover(b, crisp, func(c *handover.Config) {
				c.HTTPClient = &http.Client{Transport: direct}
				c.Deliver = func(_ context.Context, _ handover.Session, m handover.Message) (string, error) {
					if m.From == handover.FromAgent {
						shown <- processTime()
					}
					return m.ID, nil
				}
			})
			benchStart(b, h, handover.Conversation{Source: "webchat", ID: "bench"})
			crisp.Settle()
			direct.on = true
			n := 0
			message := func() (toDeliver, whole time.Duration) {
				logged, hook := agentMessage(b, crisp, crisp.Last().ID(), n)
				direct.say(logged)
				n++
				answer := httptest.NewRecorder()
				begun := processTime()
				h.ServeHTTP(answer, hook)
				toDeliver = <-shown - begun
				err := handovertest.Drain(b.Context(), h)
				whole = processTime() - begun
				require.NoError(b, err)
				require.Equal(b, 200, answer.Code)
				return toDeliver, whole
			}
			for range before + 10 {
				message()
			}
			var toDeliver, whole time.Duration
			b.ReportAllocs()
			for b.Loop() {
				d, w := message()
				toDeliver, whole = toDeliver+d, whole+w
			}
			b.ReportMetric(toDeliver.Seconds()*1000/float64(b.N), "deliver-cpu-ms/op")
			b.ReportMetric(whole.Seconds()*1000/float64(b.N), "cpu-ms/op")
		})
	}
}

// processTime is the processor time that this process has used.
func processTime() time.Duration {
	var u syscall.Rusage
	if err := syscall.Getrusage(syscall.RUSAGE_SELF, &u); err != nil {
		return 0
	}
	return time.Duration(u.Utime.Nano() + u.Stime.Nano())
}

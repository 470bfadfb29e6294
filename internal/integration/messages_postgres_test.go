package integration

import (
	"bytes"
	"context"
	"database/sql"
	"encoding/json"
	"fmt"
	"io"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"path"
	"strconv"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/crisphandover/handover"
	"github.com/crisphandover/handover/handovertest"
)

// quickCrisp answers by itself what an agent's message costs in calls, without a network; all else goes to
// the fake.
type quickCrisp struct {
	http.RoundTripper
	mu    sync.Mutex
	pages map[string][][]byte // the newest messages of each session; nil for none yet
}

func (q *quickCrisp) RoundTrip(r *http.Request) (*http.Response, error) {
	session := path.Base(path.Dir(r.URL.Path))
	q.mu.Lock()
	page, on := q.pages[session]
	q.mu.Unlock()
	if !on {
		return q.RoundTripper.RoundTrip(r)
	}
	body := []byte(`{"error":false,"reason":"updated","data":{}}`)
	if strings.HasSuffix(r.URL.Path, "/messages") {
		body = fmt.Appendf(nil, `{"error":false,"reason":"listed","data":[%s]}`, bytes.Join(page, []byte(",")))
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

// said adds a message of an agent, and returns its hook.
func (q *quickCrisp) said(b *testing.B, crisp *handovertest.Crisp, session string, n int) *http.Request {
	now := time.Now()
	m := map[string]any{
		"website_id": crisp.WebsiteID(), "session_id": session, "fingerprint": 900_000_000_000_000 + n, "timestamp": now.UnixMilli(),
		"type": "text", "from": "operator", "origin": "chat", "content": "Have you tried turning it off and on again?",
		"user": map[string]any{"nickname": "Ann", "user_id": "3f608878-c579-4bd5-b62a-e84dffe3f31c"},
	}
	written, err := json.Marshal(m)
	require.NoError(b, err)
	q.mu.Lock()
	page := q.pages[session]
	q.pages[session] = append(page[max(0, len(page)-19):len(page):len(page)], written)
	q.mu.Unlock()
	return handovertest.Hook("/crisp/hooks", crisp.Secret(), now, handovertest.HookBody(crisp.WebsiteID(), "message:received", now, m))
}

// BenchmarkPostgresMessages is how many messages of agents a process passes on in a second, from their
// hooks until their marks are made, in so many conversations at once, each of which goes on by itself: its
// next message comes when all of the last one is stored. Crisp answers at once. It also counts what does not depend on
// what else the machine does: the computing time of this process, its fakes included, without PostgreSQL's; and
// the statements and the write-ahead log. With several replicas, all in this process, each hook goes to the next one. The
// floor of a single conversation is its saves, one after the other: bare-updates/s is how many rows of that size the server stores so.
func BenchmarkPostgresMessages(b *testing.B) {
	for _, of := range []struct{ conversations, replicas int }{{1, 1}, {64, 1}, {64, 3}, {64, 10}} {
		b.Run(fmt.Sprintf("conversations=%d/replicas=%d", of.conversations, of.replicas), func(b *testing.B) {
			conversations, config := of.conversations, postgresSchema(b, postgresConfig(b), nil)
			var sent queryCounter
			config.Tracer = &sent
			var db *sql.DB
			stores := make([]handover.Store, of.replicas)
			for i := range stores {
				db = openPostgres(b, config)
				db.SetMaxOpenConns(max(5, 16/of.replicas)) // the server takes 100
				db.SetMaxIdleConns(max(5, 16/of.replicas)) // opening a connection costs more than a Save
				stores[i] = postgresStore(b, db)
			}
			talk := newTalk(b, conversations, stores...)
			talk(0, 5)
			floor := 0.0
			if conversations == 1 {
				floor = bareUpdates(b, db)
			}
			statements, wal, cpu := sent.n.Load(), postgresWAL(b, db), processTime(b)
			b.ResetTimer()
			begun := time.Now()
			talk(5, b.N)
			b.StopTimer()
			took := time.Since(begun)
			messages := float64(b.N * conversations)
			b.ReportMetric(messages/took.Seconds(), "messages/s")
			b.ReportMetric((processTime(b)-cpu).Seconds()*1000/messages, "CPU-ms/message")
			b.ReportMetric(float64(postgresWAL(b, db)-wal)/messages, "WAL-B/message")
			b.ReportMetric(float64(sent.n.Load()-statements-1)/messages, "statements/message") // one asked for the log's place
			if floor > 0 {
				b.ReportMetric(floor, "bare-updates/s")
			}
		})
	}
}

// newTalk opens so many conversations with agents, for a replica on each store, and returns what has agents write so many messages in each at
// the same time, numbered from the first on, until all of it is stored.
func newTalk(b *testing.B, conversations int, stores ...handover.Store) func(first, messages int) {
	crisp := handovertest.NewCrisp(b, handovertest.Options{})
	quick := &quickCrisp{RoundTripper: crisp.Client().Transport, pages: make(map[string][][]byte)}
	store := newSettledStore(stores[0], conversations)
	h := messagesBot(b, crisp, quick, store)
	bots := []*handover.Handover{h}
	for _, other := range stores[1:] {
		bots = append(bots, messagesBot(b, crisp, quick, &settledStore{Store: other, of: store.of}))
	}
	sessions := make([]string, conversations)
	var opened sync.WaitGroup
	for i := range sessions {
		opened.Go(func() { sessions[i] = openedSession(b, h, fmt.Sprint(i)) })
	}
	opened.Wait()
	crisp.Settle()
	return func(first, messages int) {
		var all sync.WaitGroup
		for i, session := range sessions {
			all.Go(func() {
				for n := range messages {
					store.settled(i) // of before
					answer := httptest.NewRecorder()
					bots[(i+n)%len(bots)].ServeHTTP(answer, quick.said(b, crisp, session, (first+n)*conversations+i))
					if answer.Code != http.StatusOK {
						b.Errorf("the hook was answered %d", answer.Code)
						return
					}
					<-store.of[i]
				}
			})
		}
		all.Wait()
		for _, h := range bots {
			require.NoError(b, handovertest.Drain(b.Context(), h))
		}
	}
}

// bareUpdates returns how often in a second the server updates a row as large as a record, each time in a
// transaction of its own.
func bareUpdates(b *testing.B, db *sql.DB) float64 {
	const updates = 200
	_, err := db.ExecContext(b.Context(), "CREATE TABLE bare (n int PRIMARY KEY, data bytea) WITH (fillfactor = 60)")
	require.NoError(b, err)
	_, err = db.ExecContext(b.Context(), "INSERT INTO bare VALUES (0, '')")
	require.NoError(b, err)
	data := make([]byte, 2500)
	begun := time.Now()
	for range updates {
		_, err := db.ExecContext(b.Context(), "UPDATE bare SET data = $1", data)
		require.NoError(b, err)
	}
	return updates / time.Since(begun).Seconds()
}

// postgresWAL returns how much write-ahead log the server has written, for anybody.
func postgresWAL(b *testing.B, db *sql.DB) (bytes int64) {
	require.NoError(b, db.QueryRowContext(b.Context(), "SELECT pg_current_wal_insert_lsn() - '0/0'::pg_lsn").Scan(&bytes))
	return bytes
}

// processTime returns how long this process has computed.
func processTime(b *testing.B) time.Duration {
	var u syscall.Rusage
	require.NoError(b, syscall.Getrusage(syscall.RUSAGE_SELF, &u))
	return time.Duration(u.Utime.Nano() + u.Stime.Nano())
}

// openedSession asks for a human in a new conversation, and returns the id of its Crisp session.
func openedSession(b testing.TB, h *handover.Handover, id string) string {
	conv := handover.Conversation{Source: "bench", ID: id}
	s, err := h.Session(b.Context(), conv)
	if err == nil {
		_, err = h.Start(b.Context(), s.Turn(), handover.Request{})
	}
	if err == nil {
		s, err = h.Session(b.Context(), conv)
	}
	if err != nil {
		b.Error(err)
	}
	return s.CrispID
}

// settledStore tells when nothing is left to do in a conversation: its record is saved without a claim.
type settledStore struct {
	handover.Store
	of []chan struct{} // by the number of the conversation
}

func newSettledStore(store handover.Store, conversations int) *settledStore {
	s := &settledStore{Store: store, of: make([]chan struct{}, conversations)}
	for i := range s.of {
		s.of[i] = make(chan struct{}, 1)
	}
	return s
}

// settled reports whether a conversation was settled since it was last asked for.
func (s *settledStore) settled(n int) bool {
	select {
	case <-s.of[n]:
		return true
	default:
		return false
	}
}

func (s *settledStore) Save(ctx context.Context, r handover.Record) (int64, error) {
	version, err := s.Store.Save(ctx, r)
	n, numbered := strconv.Atoi(path.Base(r.Key))
	if err == nil && numbered == nil && !bytes.Contains(r.Data, []byte(`"claim":{`)) {
		select {
		case s.of[n] <- struct{}{}:
		default:
		}
	}
	return version, err
}

// messagesBot returns a bot to whom agents write.
func messagesBot(b *testing.B, crisp *handovertest.Crisp, calls http.RoundTripper, store handover.Store) *handover.Handover {
	id, key := crisp.Token()
	h, err := handover.New(handover.Config{
		WebsiteID: crisp.WebsiteID(), Token: handover.Token{Tier: handover.TierPlugin, Identifier: handover.NewSecret(id), Key: handover.NewSecret(key)},
		Webhook: handover.Webhook{Secrets: handover.NewSecrets(crisp.Secret())}, HTTPClient: &http.Client{Transport: calls}, BaseURL: crisp.URL(),
		Logger: slog.New(slog.NewTextHandler(io.Discard, nil)), Store: store,
		Limits: handover.Limits{CreatesPerMinute: -1, DailyCalls: 1_000_000_000},
		Deliver: func(_ context.Context, _ handover.Session, m handover.Message) (string, error) {
			return m.ID, nil
		},
	})
	require.NoError(b, err)
	b.Cleanup(crisp.Attach(h))
	return h
}

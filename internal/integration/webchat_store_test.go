package integration

import (
	"context"
	"database/sql"
	"encoding/json"
	"errors"
	"fmt"
	"strings"
	"sync"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/crisphandover/handover"
	"github.com/crisphandover/handover/channel/webchat"
)

// The code of docs/webchat.md about databases stands here, so that it is tried.

const chatTable = `CREATE TABLE chat (
	conversation text, key text, place bigint, revision bigint, entry text, PRIMARY KEY (conversation, key));
CREATE UNIQUE INDEX ON chat (conversation, revision);
CREATE SEQUENCE chat_revision;`

// chatStore keeps a webchat's log in PostgreSQL.
type chatStore struct{ db *sql.DB }

func (s chatStore) Entry(ctx context.Context, conversation, key string) (e webchat.Entry, ok bool, err error) {
	all, err := s.entries(ctx, `SELECT place, revision, entry FROM chat WHERE conversation = $1 AND key = $2`, conversation, key)
	if err != nil || len(all) == 0 {
		return e, false, err
	}
	return all[0], true, nil
}

func (s chatStore) Since(ctx context.Context, conversation string, revision int64, limit int) ([]webchat.Entry, error) {
	return s.entries(ctx, `SELECT * FROM (SELECT place, revision, entry FROM chat WHERE conversation = $1 AND revision > $2
		ORDER BY revision DESC LIMIT $3) AS newest ORDER BY revision`, conversation, revision, limit)
}

func (s chatStore) Save(ctx context.Context, conversation string, e webchat.Entry) (webchat.Entry, error) {
	body, err := json.Marshal(e)
	if err != nil {
		return e, err
	}
	tx, err := s.db.BeginTx(ctx, nil)
	if err != nil {
		return e, err
	}
	defer tx.Rollback()
	// One writer of a conversation at a time: readers never see a revision before a smaller one.
	if _, err := tx.ExecContext(ctx, `SELECT pg_advisory_xact_lock(hashtextextended($1, 0))`, conversation); err != nil {
		return e, err
	}
	query := `INSERT INTO chat SELECT $1, $2, n, n, $3 FROM nextval('chat_revision') AS n WHERE $4 = 0
		ON CONFLICT DO NOTHING RETURNING place, revision`
	if e.Revision != 0 {
		query = `UPDATE chat SET revision = nextval('chat_revision'), entry = $3
			WHERE conversation = $1 AND key = $2 AND revision = $4 RETURNING place, revision`
	}
	err = tx.QueryRowContext(ctx, query, conversation, e.Key, string(body), e.Revision).Scan(&e.Place, &e.Revision)
	if errors.Is(err, sql.ErrNoRows) {
		return e, webchat.ErrConflict
	}
	if err != nil {
		return e, err
	}
	return e, tx.Commit()
}

func (s chatStore) entries(ctx context.Context, query string, args ...any) (all []webchat.Entry, err error) {
	rows, err := s.db.QueryContext(ctx, query, args...)
	if err != nil {
		return nil, err
	}
	defer rows.Close()
	for rows.Next() {
		var e webchat.Entry
		var place, revision int64
		var body string
		if err := errors.Join(rows.Scan(&place, &revision, &body), json.Unmarshal([]byte(body), &e)); err != nil {
			return nil, err
		}
		e.Place, e.Revision = place, revision
		all = append(all, e)
	}
	return all, rows.Err()
}

func newChatStore(t *testing.T) chatStore {
	t.Helper()
	db := openPostgres(t, postgresSchema(t, postgresConfig(t), nil))
	_, err := db.ExecContext(t.Context(), chatTable)
	require.NoError(t, err)
	return chatStore{db}
}

// TestWebchatStorePostgres does what a webchat.Store must, with many writers and a reader who follows.
func TestWebchatStorePostgres(t *testing.T) {
	s, ctx := newChatStore(t), t.Context()
	first, err := s.Save(ctx, "1", webchat.Entry{Key: "a", Message: handover.Message{ID: "a", Content: handover.TextMessage("one")}})
	require.NoError(t, err)
	require.Positive(t, first.Place)
	_, err = s.Save(ctx, "1", webchat.Entry{Key: "a"})
	require.ErrorIs(t, err, webchat.ErrConflict)
	first.Edited = true
	second, err := s.Save(ctx, "1", first)
	require.NoError(t, err)
	_, err = s.Save(ctx, "1", first)
	require.ErrorIs(t, err, webchat.ErrConflict)
	got, ok, err := s.Entry(ctx, "1", "a")
	require.NoError(t, err)
	require.True(t, ok)
	require.Equal(t, second, got)
	_, ok, err = s.Entry(ctx, "2", "a")
	require.NoError(t, err)
	require.False(t, ok)

	const writers, each = 4, 25
	var all sync.WaitGroup
	for i := range writers {
		all.Go(func() {
			for n := range each {
				_, err := s.Save(ctx, "1", webchat.Entry{Key: fmt.Sprint(i, " ", n)})
				if err != nil {
					t.Error(err)
					return
				}
			}
		})
	}
	seen := map[string]bool{}
	for last := second.Revision; len(seen) < writers*each && !t.Failed(); {
		news, err := s.Since(ctx, "1", last, 1000)
		require.NoError(t, err)
		for _, e := range news {
			require.Greater(t, e.Revision, last)
			require.False(t, seen[e.Key])
			seen[e.Key], last = true, e.Revision
		}
	}
	all.Wait()
	newest, err := s.Since(ctx, "1", 0, 3)
	require.NoError(t, err)
	require.Len(t, newest, 3)
	require.Less(t, newest[0].Revision, newest[2].Revision)
}

// TestWebchatReplicasPostgres delivers at one replica what a second, and a third that is started later, have as well.
func TestWebchatReplicasPostgres(t *testing.T) {
	store := newChatStore(t)
	replica := func() *webchat.Chat {
		chat, err := webchat.New(webchat.Config{URL: "https://shop.example/chat/", Key: handover.NewSecret(strings.Repeat("k", 32)), Store: store})
		require.NoError(t, err)
		return chat
	}
	a, b := replica(), replica()
	s := handover.Session{Conversation: a.Conversation("42")}
	var both sync.WaitGroup
	for _, chat := range []*webchat.Chat{a, b} {
		both.Go(func() {
			for n := range 20 {
				if _, err := chat.Deliver(t.Context(), s, handover.Message{ID: fmt.Sprint(n), From: handover.FromAgent, Content: handover.TextMessage("Hello \U0001F6B2")}); err != nil {
					t.Error(err)
				}
			}
		})
	}
	both.Wait()
	log, err := replica().Transcript(t.Context(), s.Conversation)
	require.NoError(t, err)
	require.Len(t, log, 20, "each once")
	require.Equal(t, "Hello \U0001F6B2", log[0].Content.Text)
}

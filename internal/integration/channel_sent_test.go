package integration

import (
	"context"
	"database/sql"
	"errors"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/crisphandover/handover"
	"github.com/crisphandover/handover/channel"
	"github.com/crisphandover/handover/channel/channeltest"
	"github.com/crisphandover/handover/channel/telegram"
)

// docs/channels.md shows this table.

// sentTable is a channel.Sent in PostgreSQL. Delete from it now and then what is older than a week.
type sentTable struct{ db *sql.DB }

const createSent = `CREATE TABLE IF NOT EXISTS sent (key text PRIMARY KEY, value text NOT NULL, at timestamptz NOT NULL DEFAULT now())`

func (t sentTable) Recall(ctx context.Context, key string) (value string, ok bool, err error) {
	err = t.db.QueryRowContext(ctx, `SELECT value FROM sent WHERE key = $1`, key).Scan(&value)
	if errors.Is(err, sql.ErrNoRows) {
		return "", false, nil
	}
	return value, err == nil, err
}

func (t sentTable) Keep(ctx context.Context, key, value string) error {
	_, err := t.db.ExecContext(ctx, `INSERT INTO sent (key, value) VALUES ($1, $2) ON CONFLICT (key) DO UPDATE SET value = $2, at = now()`, key, value)
	return err
}

// TestChannelSentPostgres tries a channel that remembers in PostgreSQL.
func TestChannelSentPostgres(t *testing.T) {
	db := openPostgres(t, postgresSchema(t, postgresConfig(t), nil))
	_, err := db.ExecContext(t.Context(), createSent)
	require.NoError(t, err)
	sent := sentTable{db}
	channeltest.Run(t, func(t *testing.T) channeltest.Subject {
		_, err := db.ExecContext(t.Context(), `TRUNCATE sent`)
		require.NoError(t, err)
		fake := channeltest.NewTelegram()
		start := func() *telegram.Channel {
			tg, err := telegram.New(telegram.Config{Token: handover.NewSecret(fake.Token()), Client: fake.Client(), BaseURL: fake.URL(), Sent: sent})
			require.NoError(t, err)
			return tg
		}
		tg := start()
		return channeltest.Subject{
			// What needs a Sent that fails, or a clock of its own, says nothing of a database: the channel's tests have it.
			Unknown: func() { fake.User(map[string]any{"hologram": map[string]any{"id": 1}}) },
			Channel: tg, Again: func() channel.Channel { return start() }, Platform: fake, Conversation: channeltest.TelegramChat, Secrets: []string{fake.Token()},
			Take: func(ctx context.Context) (all []handover.Incoming, err error) {
				for _, raw := range fake.Updates() {
					if in, ok, err := tg.Incoming(ctx, raw); err != nil {
						return nil, err
					} else if ok {
						all = append(all, in)
					}
				}
				return all, nil
			},
		}
	})
}

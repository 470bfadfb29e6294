package webchat

import (
	"encoding/json"
	"fmt"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/crisphandover/handover"
)

func entry(key, text string) Entry {
	return Entry{Key: key, Message: handover.Message{ID: key, From: handover.FromBot, Content: handover.TextMessage(text)}}
}

// TestMemoryStore does what a Store must.
func TestMemoryStore(t *testing.T) {
	s, ctx := &MemoryStore{}, t.Context()
	a, err := s.Save(ctx, "1", entry("a", "one"))
	require.NoError(t, err)
	require.Positive(t, a.Place)
	_, err = s.Save(ctx, "1", entry("a", "again"))
	require.ErrorIs(t, err, ErrConflict, "it is there")
	b, err := s.Save(ctx, "1", entry("b", "two"))
	require.NoError(t, err)
	require.Greater(t, b.Place, a.Place)
	first := a
	a.Edited = true
	a, err = s.Save(ctx, "1", a)
	require.NoError(t, err)
	require.Equal(t, first.Place, a.Place)
	require.Greater(t, a.Revision, b.Revision)
	_, err = s.Save(ctx, "1", first)
	require.ErrorIs(t, err, ErrConflict, "another was quicker")
	_, err = s.Save(ctx, "2", first)
	require.ErrorIs(t, err, ErrConflict, "it is not there")
	got, ok, err := s.Entry(ctx, "1", "a")
	require.NoError(t, err)
	require.True(t, ok)
	require.Equal(t, a, got)
	_, ok, err = s.Entry(ctx, "2", "a")
	require.NoError(t, err)
	require.False(t, ok)
	for _, c := range []struct {
		revision int64
		limit    int
		want     []Entry
	}{{0, 10, []Entry{b, a}}, {0, 1, []Entry{a}}, {b.Revision, 10, []Entry{a}}, {a.Revision, 10, []Entry{}}} {
		news, err := s.Since(ctx, "1", c.revision, c.limit)
		require.NoError(t, err)
		require.Equal(t, c.want, append([]Entry{}, news...))
	}
}

// TestMemoryStoreIsBounded drops the oldest, and counts what it has.
func TestMemoryStoreIsBounded(t *testing.T) {
	s, ctx := &MemoryStore{Entries: 5, ConversationBytes: 10_000, Bytes: 50_000}, t.Context()
	_, err := s.Save(ctx, "mine", Entry{Key: visitorKey, Visitor: &Visitor{}})
	require.NoError(t, err)
	for i := range 20 {
		_, err := s.Save(ctx, "mine", entry(fmt.Sprint(i), "x"))
		require.NoError(t, err)
	}
	keys := func() (keys []string) {
		log, err := s.Since(ctx, "mine", 0, 100)
		require.NoError(t, err)
		for _, e := range log {
			keys = append(keys, e.Key)
		}
		return keys
	}
	require.Equal(t, []string{visitorKey, "16", "17", "18", "19"}, keys(), "who it is stays known")
	_, err = s.Save(ctx, "mine", entry("big", strings.Repeat("x", 9_000)))
	require.NoError(t, err)
	require.Contains(t, keys(), "big")
	for i := range 100 {
		_, err := s.Save(ctx, fmt.Sprint(i), entry("a", strings.Repeat("x", 1_000)))
		require.NoError(t, err)
		require.LessOrEqual(t, s.size, 50_000)
	}
	require.Empty(t, keys())
	require.NotEmpty(t, s.logs["99"])
	sum := 0
	for _, log := range s.logs {
		for i, e := range log.entries {
			body, err := json.Marshal(e)
			require.NoError(t, err)
			require.InDelta(t, len(body), log.sizes[i], 60, "about") // its revision came later
			sum += log.sizes[i]
		}
	}
	require.Equal(t, sum, s.size)
}

// TestStoreRace has many writers at once: each is there once, in an order that readers agree on.
func TestStoreRace(t *testing.T) {
	chat := newChat(t)
	var all sync.WaitGroup
	for i := range 8 {
		all.Go(func() {
			for n := range 50 {
				key := fmt.Sprint("shown ", n) // the same of each
				_ = chat.show(t.Context(), "1", entry(key, "x"))
				_ = chat.change(t.Context(), "1", key, func(e *Entry) bool { e.Chosen += fmt.Sprint(i); return true })
			}
		})
	}
	all.Wait()
	log, err := chat.cfg.Store.Since(t.Context(), "1", 0, 1000)
	require.NoError(t, err)
	require.Len(t, log, 50)
	for _, e := range log {
		require.Len(t, e.Chosen, 8, "no change is lost")
	}
}

// TestEntryJSON keeps all of an entry, so that hosts can store it so.
func TestEntryJSON(t *testing.T) {
	e := entry("a", "text")
	e.Place, e.Revision, e.Handover, e.Chosen, e.Edited, e.Removed, e.Failed = 1, 2, "h", "c", true, true, true
	e.At, e.File, e.Agent = time.Unix(1e9, 0).UTC(), &handover.File{URL: "https://a.example/b"}, handover.Agent{Name: "Ann"}
	e.Visitor = &Visitor{UserID: "42", User: handover.UserData{FirstName: "Ann"}, Locale: "fr", Seen: time.Unix(1e9, 0).UTC()}
	text, err := json.Marshal(e)
	require.NoError(t, err)
	var got Entry
	require.NoError(t, json.Unmarshal(text, &got))
	require.Equal(t, e, got)
}

package webchat

import (
	"context"
	"fmt"
	"net/http"
	"net/http/httptest"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/crisphandover/handover"
)

// TestEvents comes back to the stream at each point: no gap, no double.
func TestEvents(t *testing.T) {
	r := newRig(t)
	r.says("a", "one")
	r.says("b", "two")
	r.says("a", "one again") // an attempt that was not needed
	all, ids := messages(t, r.reads(""))
	require.Equal(t, []string{"agent: one", "agent: two"}, all)
	r.says("c", "three")
	r.revises("a", "one!", false)
	r.revises("c", "", true)
	for last, want := range map[string][]string{
		"":     {"agent: two", "agent: one!", "agent: (removed)"},
		ids[0]: {"agent: two", "agent: one!", "agent: (removed)"},
		ids[1]: {"agent: one!", "agent: (removed)"},
	} {
		got, _ := messages(t, r.reads(last))
		require.Equal(t, want, got, "after %q", last)
	}
	_, ids = messages(t, r.reads(""))
	got, _ := messages(t, r.reads(ids[2]))
	require.Empty(t, got)
	require.NotContains(t, fmt.Sprint(r.reads("")), "operator", "Crisp's ids are nobody's business")
}

// TestEventsOfAnotherLog tells a page that what it has is gone.
func TestEventsOfAnotherLog(t *testing.T) {
	r := newRig(t)
	r.says("a", "one")
	for _, last := range []string{"ANOTHER-7", "nonsense", r.chat.logName(), r.chat.logName() + "-x"} {
		events := r.reads(last)
		require.Equal(t, "reset", events[0].Name, "after %q", last)
		got, _ := messages(t, events)
		require.Equal(t, []string{"agent: one"}, got)
	}
	require.NotEqual(t, "reset", r.reads("")[0].Name)
}

// TestEventsLive follows a stream while things happen, and finds what came as the stream was away.
func TestEventsLive(t *testing.T) {
	r := newRig(t)
	response := r.streams("")
	defer response.Body.Close()
	var got []string
	last := ""
	for e := range eventsOf(response.Body) {
		if e.Name == "ready" {
			for i := range 50 {
				r.says(fmt.Sprint(i), fmt.Sprint(i))
			}
		}
		lines, ids := messages(t, []event{e})
		if got = append(got, lines...); len(ids) > 0 {
			last = ids[0]
		}
		if len(got) == 30 {
			break
		}
	}
	response.Body.Close()
	rest, _ := messages(t, r.reads(last))
	got = append(got, rest...)
	require.Len(t, got, 50)
	for i, line := range got {
		require.Equal(t, fmt.Sprint("agent: ", i), line)
	}
}

// shared is a store of several replicas: all that a MemoryStore has, and no process is alone with it.
type shared struct{ *MemoryStore }

// TestReplicas has a page at one replica while the agents' messages come by another.
func TestReplicas(t *testing.T) {
	store := shared{&MemoryStore{}}
	r := newRig(t, func(c *Config) { c.Store = store })
	other, err := New(Config{URL: testURL, Key: handover.NewSecret(testKey), Store: store})
	require.NoError(t, err)
	session := handover.Session{Conversation: r.conversationOf(r.browser)}
	response := r.streams("")
	defer response.Body.Close()
	for e := range eventsOf(response.Body) {
		if e.Name == "ready" {
			_, err := other.Deliver(t.Context(), session, handover.Message{ID: "1", From: handover.FromAgent, Content: handover.TextMessage("Hello")})
			require.NoError(t, err, "the page was opened a moment ago, wherever that was")
		}
		if lines, _ := messages(t, []event{e}); len(lines) > 0 {
			require.Equal(t, []string{"agent: Hello"}, lines)
			return
		}
	}
	t.Fatal("the stream ended")
}

// slowPage is a page behind a connection whose writes fail after their deadline.
type slowPage struct {
	*httptest.ResponseRecorder
	deadline time.Time
	late     int
}

func (p *slowPage) SetWriteDeadline(at time.Time) error {
	p.deadline = at
	return nil
}

func (p *slowPage) Write(b []byte) (int, error) {
	if time.Now().After(p.deadline) {
		p.late++
	}
	return p.ResponseRecorder.Write(b)
}

// TestQuietStream says something after a quiet hour: the stream goes on, and was used meanwhile.
func TestQuietStream(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		chat, err := New(Config{URL: testURL, Key: handover.NewSecret(testKey)})
		require.NoError(t, err)
		s := &server{chat: chat, host: nobody{}}
		p := &slowPage{ResponseRecorder: httptest.NewRecorder()}
		go s.events(p, httptest.NewRequestWithContext(t.Context(), http.MethodGet, "/events", nil), session{id: "1"})
		time.Sleep(time.Hour)
		_, err = chat.Deliver(t.Context(), handover.Session{Conversation: chat.conversation("1")}, handover.Message{ID: "1", From: handover.FromAgent, Content: handover.TextMessage("Hello")})
		require.NoError(t, err)
		synctest.Wait()
		require.Zero(t, p.late)
		require.Contains(t, p.Body.String(), ":\n\n")
		require.Contains(t, p.Body.String(), `"text":"Hello"`)
	})
}

// nobody is a library that knows nobody.
type nobody struct{ Host }

func (nobody) Session(_ context.Context, c handover.Conversation) (handover.Session, error) {
	return handover.Session{Conversation: c, State: handover.StateBot}, nil
}

// TestAway leaves messages in the log while nobody has the page open, and says so to the library.
func TestAway(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		chat, err := New(Config{URL: testURL, Key: handover.NewSecret(testKey)})
		require.NoError(t, err)
		s := handover.Session{Conversation: chat.conversation("user")}
		deliver := func(id string) error {
			kept, err := chat.Deliver(t.Context(), s, handover.Message{ID: id, From: handover.FromAgent, Content: handover.TextMessage(id)})
			require.Equal(t, id, kept)
			return err
		}
		_, leave, ok := chat.enter("user")
		require.True(t, ok)
		time.Sleep(time.Hour)
		require.NoError(t, deliver("open"))
		leave()
		time.Sleep(graceTime)
		require.NoError(t, deliver("being loaded again"))
		time.Sleep(time.Second)
		require.ErrorIs(t, deliver("closed"), handover.ErrUserAway)
		log, err := chat.cfg.Store.Since(t.Context(), "user", 0, 10)
		require.NoError(t, err)
		require.Len(t, log, 3)
		require.NoError(t, chat.Revise(t.Context(), s, handover.Revision{Removed: true, Message: handover.Message{ChannelID: "closed"}}))
		log, err = chat.cfg.Store.Since(t.Context(), "user", log[2].Revision, 10)
		require.NoError(t, err)
		require.True(t, log[0].Removed, "whoever comes back does not see it")
	})
}

// TestRoomOfAnOpenPage is kept while those that nobody is in go.
func TestRoomOfAnOpenPage(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		chat, err := New(Config{URL: testURL, Key: handover.NewSecret(testKey)})
		require.NoError(t, err)
		for i := range manyRooms {
			chat.room(fmt.Sprint(i))
		}
		time.Sleep(idleTime + time.Second)
		room, leave, ok := chat.enter("0")
		require.True(t, ok)
		defer leave()
		chat.room("another")
		require.Same(t, room, chat.room("0"))
		require.Len(t, chat.rooms, 2)
		for range chat.cfg.Limits.Pages - 1 {
			_, leave, ok := chat.enter("0")
			require.True(t, ok)
			defer leave()
		}
		_, _, ok = chat.enter("0")
		require.False(t, ok, "the user has too many pages open")
	})
}

// TestTypingVanishes forgets an agent who types and never says that they stopped.
func TestTypingVanishes(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		chat, err := New(Config{URL: testURL, Key: handover.NewSecret(testKey)})
		require.NoError(t, err)
		s := handover.Session{Conversation: chat.conversation("user")}
		chat.Typing(t.Context(), s, handover.AgentTyping{On: true, Agent: handover.Agent{Name: "Ann"}})
		now, _, _ := chat.room("user").look()
		require.Equal(t, &typing{From: handover.FromAgent, Name: "Ann"}, now.Typing)
		chat.BotTyping(s.Conversation, false)
		now, _, _ = chat.room("user").look()
		require.NotNil(t, now.Typing, "it is the bot that stopped")
		time.Sleep(time.Minute)
		now, _, _ = chat.room("user").look()
		require.Nil(t, now.Typing)
	})
}

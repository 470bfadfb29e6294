package website_test

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/crisphandover/handover/internal/crispapi"
	"github.com/crisphandover/handover/internal/website"
)

// memory is a store. Its clock is ahead of the processes'.
type memory struct {
	mu    sync.Mutex
	data  []byte
	due   time.Time
	saves int
	down  error
	ahead time.Duration
}

func (m *memory) Change(_ context.Context, f func([]byte) ([]byte, time.Time, error)) error {
	m.mu.Lock()
	defer m.mu.Unlock()
	if m.down != nil {
		return m.down
	}
	data, due, err := f(m.data)
	if err == nil {
		m.data, m.due = data, due
		m.saves++
	}
	return err
}

func (m *memory) Now() time.Time { return time.Now().Add(m.ahead) }

// crisp is a transport that answers by the end of the path, and with 429 else.
type crisp struct {
	mu    sync.Mutex
	says  map[string]string
	calls []string
}

func (c *crisp) RoundTrip(req *http.Request) (*http.Response, error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.calls = append(c.calls, req.URL.Path)
	for end, body := range c.says {
		if strings.HasSuffix(req.URL.Path, end) {
			return &http.Response{StatusCode: 200, Header: http.Header{}, Body: io.NopCloser(strings.NewReader(body)), Request: req}, nil
		}
	}
	return &http.Response{StatusCode: 429, Header: http.Header{}, Body: io.NopCloser(strings.NewReader(`{"error":true,"reason":"rate_limited"}`)), Request: req}, nil
}

// process is a process that shares the website.
func process(m *memory, c *crisp, name string) *website.Site {
	return website.New(website.Config{
		API:   crispapi.Config{BaseURL: "https://crisp.example/v1/", WebsiteID: "w", HTTP: &http.Client{Transport: c}},
		Store: m, Process: name, PerMinute: 2, Every: time.Minute, Broken: func(error) {},
	})
}

func TestPlacesAreSharedByAllProcesses(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		m := &memory{ahead: time.Hour}
		a, b := process(m, &crisp{}, "a"), process(m, &crisp{}, "b")
		for i, want := range []time.Duration{0, 0, time.Minute, time.Minute, 2 * time.Minute} {
			s := []*website.Site{a, b}[i%2]
			at, placed, err := s.Place(t.Context())
			require.NoError(t, err)
			require.True(t, placed)
			require.WithinDuration(t, m.Now().Add(want), at, time.Millisecond)
		}
		for placed := true; placed; {
			var err error
			_, placed, err = a.Place(t.Context())
			require.NoError(t, err)
		}
		saves := m.saves
		_, placed, err := a.Place(t.Context())
		require.NoError(t, err)
		require.False(t, placed, "all are taken for ten minutes")
		require.Equal(t, saves, m.saves)
	})
}

func TestCallsAreCountedByTheDayOfTheStore(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		m, c := &memory{ahead: 23 * time.Hour}, &crisp{says: map[string]string{"/website/w": `{"error":false,"data":{}}`}}
		a, b := process(m, c, "a"), process(m, c, "b")
		for _, s := range []*website.Site{a, b, b} {
			require.NoError(t, s.API.Website(t.Context()))
		}
		require.NoError(t, a.Account(t.Context()))
		require.Zero(t, m.saves, "the minute has just begun")
		time.Sleep(time.Minute)
		require.NoError(t, a.Account(t.Context()))
		m.down = errors.New("down")
		require.ErrorIs(t, b.Spend(t.Context()), m.down)
		m.down = nil
		require.NoError(t, b.Spend(t.Context()))
		w, err := a.Read(t.Context())
		require.NoError(t, err)
		require.EqualValues(t, 3, w.CallsOf(m.Now()), "what could not be stored is counted later")
		time.Sleep(time.Hour)
		require.Zero(t, w.CallsOf(m.Now()))
	})
}

func TestOneProcessLearnsForAllThatCrispWantsNoCalls(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		m, c := &memory{ahead: -time.Hour}, &crisp{}
		a, b := process(m, c, "a"), process(m, c, "b")
		for range 10 {
			_ = a.API.Website(t.Context())
		}
		require.False(t, a.API.State().Until.IsZero())
		require.NoError(t, a.Account(t.Context()), "at once")
		require.True(t, b.API.State().Until.IsZero())
		require.NoError(t, b.Refresh(t.Context()))
		require.WithinDuration(t, a.API.State().Until, b.API.State().Until, time.Second, "by this process's clock")
		require.Equal(t, 429, b.Known().Crisp.StatusCode)
	})
}

func TestHooksOfAllProcesses(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		m := &memory{}
		a, b := process(m, &crisp{}, "a"), process(m, &crisp{}, "b")
		w, err := b.Read(t.Context())
		require.NoError(t, err)
		require.Zero(t, b.LastHook(&w))
		a.HookCame()
		came := time.Now()
		require.NoError(t, a.Spend(t.Context()))
		w, err = b.Read(t.Context())
		require.NoError(t, err)
		require.True(t, came.Equal(b.LastHook(&w)))
		time.Sleep(time.Minute)
		a.HookCame()
		saves := m.saves
		require.NoError(t, a.Spend(t.Context()))
		require.Equal(t, saves, m.saves, "others hear of it once an hour")
		require.True(t, time.Now().Equal(a.LastHook(&w)))
	})
}

func TestNoNotesIsRememberedForADay(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		m := &memory{}
		a, b := process(m, &crisp{}, "a"), process(m, &crisp{}, "b")
		require.NoError(t, a.RememberNoNotes(t.Context()))
		none, err := b.NoNotes(t.Context())
		require.NoError(t, err)
		require.True(t, none)
		time.Sleep(25 * time.Hour)
		none, err = b.NoNotes(t.Context())
		require.NoError(t, err)
		require.False(t, none)
	})
}

func TestPresenceIsAskedOnceForAWhile(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c := &crisp{says: map[string]string{"/status": `{"error":false,"data":{"status":"online"}}`}}
		s := process(&memory{}, c, "a")
		for range 3 {
			there, err := s.Presence(t.Context())
			require.NoError(t, err)
			require.Equal(t, "online", there)
			time.Sleep(4 * time.Second)
		}
		require.Len(t, c.calls, 1)
	})
}

func TestAdviseSaysOnceAnHour(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := process(&memory{}, &crisp{}, "a")
		require.True(t, s.Advise("send"))
		require.False(t, s.Advise("send"))
		require.True(t, s.Advise("list"))
		time.Sleep(time.Hour)
		require.True(t, s.Advise("send"))
	})
}

func TestRecordsThatCannotBeRead(t *testing.T) {
	m, broken := &memory{data: []byte(`{"v":1,"list":[`)}, 0
	s := website.New(website.Config{Store: m, PerMinute: 2, Every: time.Minute, Broken: func(err error) { require.Error(t, err); broken++ }})
	_, _, err := s.Place(t.Context())
	require.NoError(t, err)
	require.Equal(t, 1, broken)
	require.Contains(t, string(m.data), `"creates"`, "it began anew")

	later := []byte(`{"v":99,"list":"x"}`)
	m.data = later
	_, _, err = s.Place(t.Context())
	require.ErrorIs(t, err, website.ErrLaterVersion)
	require.Equal(t, later, m.data)

	m.data = []byte(`{"v":1,"colour":"red"}`)
	_, _, err = s.Place(t.Context())
	require.NoError(t, err)
	require.Contains(t, string(m.data), `"colour":"red"`, "what this version does not know is kept")
}

func TestWaitsOfAWrongClockAreMended(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		year := time.Now().AddDate(1, 0, 0).Format(time.RFC3339)
		m := &memory{data: fmt.Appendf(nil, `{"v":1,"next":%[1]q,"list":{"paid":%[1]q},"no_notes":%[1]q,"crisp":{"until":%[1]q,"status":429},"hook":%[1]q,"caught_up":%[1]q,"claim":{"holder":"gone","until":%[1]q}}`, year)}
		s := process(m, &crisp{}, "a")
		w, err := s.Read(t.Context())
		require.NoError(t, err)
		now := time.Now()
		require.Equal(t, 1, m.saves, "it is stored")
		require.True(t, w.Claim.Free())
		require.True(t, w.NoNotes.IsZero() && w.Crisp.Until.IsZero() && s.API.State().Until.IsZero())
		for _, at := range []time.Time{w.Next, w.List.Paid, w.Hook, w.CaughtUp, m.due} {
			require.True(t, at.Equal(now), at)
		}
	})
}

// page is a page of Crisp's list: conversations that changed at these times.
func page(changed ...time.Time) string {
	var rows []string
	for i, at := range changed {
		rows = append(rows, fmt.Sprintf(`{"session_id":"session_%08d-2222-3333-4444-555555555555","state":"resolved","updated_at":%d}`, i, at.UnixMilli()))
	}
	return `{"error":false,"data":[` + strings.Join(rows, ",") + `]}`
}

func TestCatchUp(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		changed := time.Now().Add(-time.Second)
		m, c := &memory{}, &crisp{says: map[string]string{"/conversations/1": page(changed, changed.Add(-time.Minute))}}
		a, b := process(m, c, "a"), process(m, c, "b")
		var listed []int64
		each := func(_ context.Context, row crispapi.Conversation, at int64) error {
			require.True(t, crispapi.ValidSessionID(row.SessionID))
			listed = append(listed, at)
			require.NoError(t, b.CatchUp(t.Context(), nil), "one process at a time")
			return nil
		}
		require.NoError(t, a.CatchUp(t.Context(), each))
		require.Empty(t, c.calls, "nothing is due")

		a.HooksMissed()
		require.NoError(t, a.CatchUpSoon(t.Context()))
		require.NoError(t, a.CatchUp(t.Context(), each))
		require.Equal(t, []int64{changed.UnixMilli(), changed.UnixMilli() - 60_000}, listed)
		require.Len(t, c.calls, 1)
		require.Empty(t, a.Known().Claim.Holder)
		require.True(t, a.Known().CaughtUp.Equal(time.Now()))
		require.True(t, m.due.Equal(time.Now().Add(time.Minute)), "the next look is due then")

		time.Sleep(time.Minute)
		fault := errors.New("the store is down")
		err := b.CatchUp(t.Context(), func(context.Context, crispapi.Conversation, int64) error { return fault })
		require.ErrorIs(t, err, fault)
		require.True(t, b.Known().CaughtUp.Equal(time.Now().Add(-time.Minute)), "not to its end")
		require.Empty(t, b.Known().Claim.Holder)
	})
}

// A look that another process has taken over ends.
func TestCatchUpIsOvertaken(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		now := time.Now()
		full := make([]time.Time, 20)
		for i := range full {
			full[i] = now
		}
		m, c := &memory{}, &crisp{says: map[string]string{"/conversations/1": page(now)}}
		a, b := process(m, c, "a"), process(m, c, "b")
		a.HooksMissed()
		require.NoError(t, a.CatchUpSoon(t.Context()))
		require.NoError(t, a.CatchUp(t.Context(), func(context.Context, crispapi.Conversation, int64) error { return nil }), "now there is a mark")
		time.Sleep(time.Minute)
		c.says["/conversations/1"], c.says["/conversations/2"] = page(full...), page(now)
		first := true
		err := a.CatchUp(t.Context(), func(context.Context, crispapi.Conversation, int64) error {
			if first {
				first = false
				time.Sleep(2 * time.Minute) // its claim ends
				require.NoError(t, b.CatchUp(t.Context(), func(context.Context, crispapi.Conversation, int64) error { return nil }))
			}
			return nil
		})
		require.ErrorContains(t, err, "another process")
		require.Equal(t, []string{"a 1", "b 1", "b 2"}, []string{"a " + end(c.calls[1]), "b " + end(c.calls[2]), "b " + end(c.calls[3])})
		require.Len(t, c.calls, 4)
	})
}

func end(path string) string { return path[strings.LastIndexByte(path, '/')+1:] }

func TestEvery(t *testing.T) {
	require.Equal(t, 24*time.Hour/500, website.Every(5000, 1))
	require.Equal(t, 24*time.Hour/50, website.Every(5000, 10))
	require.Equal(t, 24*time.Hour, website.Every(1, 1))
	require.Equal(t, time.Second, website.Every(1_000_000_000, 1))
}

package crisplog

import (
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/crisphandover/handover/internal/crispapi"
)

func TestAReadGoesBackToWhatIsKnown(t *testing.T) {
	at := now.UnixMilli()
	s := &Session{ID: "s"}
	s.Log.Watermark, s.Log.First, s.Log.Last = at, 1, 9
	require.Equal(t, &Read{Crisp: "s", Since: at - Overlap.Milliseconds(), Upto: 5, Stop: []int64{1, 9}}, NewRead(s, nil, 5, false, now))

	hooks := Hooks{
		{N: 1, Crisp: "s", Raw: []byte("{}"), Want: 2, Got: now},
		{N: 2, Crisp: "s", Want: 3, Edited: true},
		{N: 3, Crisp: "s", Want: 4, Removed: true, Next: now.Add(1)},
		{N: 4, Crisp: "other", State: true},
		{N: 6, Crisp: "s", State: true},
	}
	r := NewRead(s, hooks, 5, false, now)
	require.Equal(t, []int64{3}, r.Singles, "what is not put off")
	require.Equal(t, now.Add(InHandFor), r.Until)
	require.False(t, r.State || r.Ahead, "a later hook, or another session's, asks for the state")
	require.True(t, NewRead(s, hooks, 6, false, now).State)

	hooks[0].Missed = now
	require.True(t, NewRead(s, hooks, 5, false, now).Ahead)
	hooks[0].At = at - Overlap.Milliseconds()*3/2
	r = NewRead(s, hooks, 5, false, now)
	require.Equal(t, []int64{1}, r.Stop, "what became visible late may be before the last one")
	require.Less(t, r.Since, hooks[0].At)

	s.State.Resolved = true
	require.True(t, NewRead(s, hooks, 1, false, now).State)
	s.State.Resolved, s.State.Blocked = false, true
	require.True(t, NewRead(s, hooks, 1, false, now).State)

	for range 2 * maxSingles {
		hooks = append(hooks, Hook{N: 5, Crisp: "s", Want: 7, Edited: true})
	}
	require.Len(t, NewRead(s, hooks, 5, false, now).Singles, maxSingles)

	again := &Session{ID: "s", Log: Log{First: 1}, Bounds: Boundary{Opening: 8}}
	require.Equal(t, []int64{1}, NewRead(again, nil, 5, false, now).Stop, "what was written before the user asked again is for them, too")

	adopted := &Session{ID: "s", Bounds: Boundary{Adopted: true, Opening: 8}}
	r = NewRead(adopted, nil, 5, true, now)
	require.True(t, r.Early && r.State)
	require.Equal(t, []int64{8}, r.Singles)
	require.Equal(t, []int64{8}, r.Stop)
}

func TestReading(t *testing.T) {
	n := &Reading{Of: &Read{}, Messages: []Message{written(1, 5, "a")}, Singles: []Message{written(2, 9, "b")}}
	require.True(t, n.Good())
	require.True(t, n.Shows(1) && n.Shows(2))
	require.False(t, n.Shows(3))
	require.Equal(t, &n.Messages[0], n.Message(1))
	require.Nil(t, n.Message(2), "it was read by itself")
	require.Equal(t, int64(5), n.newest())
	note := written(3, 7, "a note")
	note.Type = "note"
	n.Messages = append(n.Messages, note)
	require.Equal(t, int64(5), n.NewestShown(new(Log), now))
	require.False(t, n.Fresh(0))
	n.State = &crispapi.Conversation{UpdatedAt: []byte("1500000000000")}
	require.True(t, n.Fresh(n.State.Changed()))
	require.False(t, n.Fresh(n.State.Changed()+1))
	require.False(t, (&Reading{Blind: true}).Good() || (&Reading{Err: errEntry}).Good())
}

// The newest edit counts: that which the read shows, or the one that was told of last.
func TestEditsAreConfirmed(t *testing.T) {
	e := &Entry{Position: Position{At: 5, FP: 1}, Status: Shown, Edited: 7}
	n := &Reading{}
	require.True(t, n.Confirms(e, &Told{At: 7}))
	require.False(t, n.Confirms(e, &Told{At: 6}))
	n.Messages = []Message{written(1, 5, "b")}
	require.True(t, n.Confirms(e, &Told{At: 6, Content: []byte(`"b"`)}))
	require.False(t, n.Confirms(e, &Told{At: 9, Content: []byte(`"c"`)}))
}

// What the log has forgotten is taken back from the old log before it is judged.
func TestWhatIsForgottenIsRecalled(t *testing.T) {
	s := &Session{ID: "s"}
	moved := []*Entry{shown(1, 1, "x"), shown(2, 2, "b")}
	for _, e := range moved {
		s.Log.Add(e)
	}
	edited := &Hook{N: 1, Crisp: "s", Want: 2, Edited: true}
	n := &Reading{Of: &Read{}, Messages: []Message{written(1, 1, "a")}}
	require.False(t, n.NeedsOld(s, []*Hook{edited}, now), "all is known")
	s.Log.Move(moved)
	require.True(t, n.NeedsOld(s, nil, now))
	require.True(t, (&Reading{}).NeedsOld(s, []*Hook{edited}, now))
	require.True(t, (&Reading{}).NeedsOld(s, []*Hook{told(1, written(1, 1, "a"))}, now))
	require.False(t, (&Reading{Messages: []Message{written(9, 9, "new")}}).NeedsOld(s, nil, now))

	require.True(t, n.LacksOld(s, nil, now))
	n.Old = &Old{Entries: moved, Cut: 0}
	require.True(t, n.LacksOld(s, nil, now), "it was read before something was moved there")
	n.Moves = s.Log.Moves
	require.False(t, n.LacksOld(s, nil, now))

	n.Messages = append(n.Messages, written(3, 2, "older than all"))
	n.Old.Cut = 2
	lost := n.Recall(s, []*Hook{edited, {N: 2, Crisp: "s", Want: 77, Removed: true}}, now)
	require.Equal(t, 1, lost, "nothing is known of message 77")
	require.Equal(t, Shown, s.Log.Entry(1).Status, "its words are other ones: an edit")
	require.Equal(t, Shown, s.Log.Entry(2).Status, "a hook tells of an edit")
	require.True(t, n.Judged(3))
	require.False(t, n.Judged(1))
	require.Zero(t, (&Reading{Of: &Read{}}).Recall(s, []*Hook{edited}, now))
}

// A message that a hook told of is waited for, and a stream of hooks puts nothing off for ever.
func TestReadsBeforeADeadline(t *testing.T) {
	s := &Session{ID: "s", Reads: ReadHistory{Retry: now.Add(time.Second)}}
	require.Equal(t, now.Add(time.Second), Hooks(nil).ReadDue(s, now))
	for name, tt := range map[string]struct {
		hook Hook
		want time.Duration
	}{
		"a message":            {Hook{Signed: true, Next: now.Add(5 * time.Second)}, 5 * time.Second},
		"for a minute at most": {Hook{Signed: true, Next: now.Add(time.Hour)}, EarlyFor},
		"another session's":    {Hook{Crisp: "x", Signed: true, Next: now.Add(5 * time.Second)}, time.Second},
		"a state":              {Hook{Signed: true, State: true, Next: now.Add(5 * time.Second)}, time.Second},
		"a stranger's":         {Hook{Next: now.Add(5 * time.Second)}, 5 * time.Second},
		"a stranger's later":   {Hook{Got: now.Add(1), Next: now.Add(5 * time.Second)}, time.Second},
		"listed":               {Hook{Listed: true, At: 5 + ListSlack + 1, Missed: now, Next: now.Add(5 * time.Second)}, 5 * time.Second},
		"listed, and was read": {Hook{Listed: true, At: 5, Missed: now, Next: now.Add(5 * time.Second)}, time.Second},
	} {
		s.Log.Newest = 5
		k := tt.hook
		if k.Crisp == "" {
			k.Crisp = "s"
		}
		require.Equal(t, now.Add(tt.want), Hooks{k}.ReadDue(s, now), name)
	}
}

package crisplog

import (
	"testing"
	"time"

	"github.com/stretchr/testify/require"
)

func TestTheBoundaryIsOurLastOpeningOrEnd(t *testing.T) {
	b := &Boundary{}
	require.True(t, b.Newer(1))
	b.Await(7)
	require.False(t, b.Newer(1), "our opening message is not seen yet")
	require.False(t, b.Early(), "nothing is hidden in it")
	b.Rename(8, 9)
	b.Rename(7, 8)
	require.False(t, b.Echoed(7, 50))
	require.True(t, b.Echoed(8, 100))
	require.True(t, b.Newer(101))
	require.False(t, b.Newer(100))

	b.End(200)
	b.Note = 5
	b.Echoed(5, 150)
	require.True(t, b.Newer(151), "the note was written earlier than the end was thought to be")
	b.End(120)
	require.False(t, b.Newer(150), "an end moves it on only")
	b.Await(9)
	b.End(300)
	require.True(t, b.Newer(301), "the end was before the opening was seen")
}

func TestWhatIsOlderThanTheOpeningOfAnAdoptedSessionIsHidden(t *testing.T) {
	b := &Boundary{Adopted: true}
	b.Await(7)
	require.True(t, b.Early())
	b.End(300)
	require.True(t, b.Early(), "also when the handover ends before")
	require.True(t, b.Echoed(7, 100))
	require.False(t, b.Early())
	require.Equal(t, int64(100), b.From)
}

func TestAnEndIsAtCrispsTime(t *testing.T) {
	s := &Session{State: State{Doubt: now}}
	s.Log.Newest = 5
	s.End(0, now)
	require.Equal(t, int64(5), s.Bounds.At)
	require.Zero(t, s.State.Doubt)
	require.Equal(t, now, s.Ended)
	s.End(9, now)
	require.Equal(t, int64(9), s.Bounds.At)
}

func TestAnOlderStateChangesNothing(t *testing.T) {
	var s State
	s.Doubt = now
	s.Told(true, 10)
	require.True(t, s.Resolved)
	require.Zero(t, s.Doubt)
	s.Told(false, 9)
	require.True(t, s.Resolved)
	s.Told(false, 10)
	require.False(t, s.Resolved)
	s.Told(true, 11)
	s.Reopened()
	require.False(t, s.Resolved)
	require.False(t, s.Closed())
	s.Full = true
	require.True(t, s.Closed())
}

func TestAnOlderBlockChangesNothing(t *testing.T) {
	var s State
	s.Block(true, 10)
	s.Block(false, 9)
	require.True(t, s.Blocked)
	s.Block(false, 11)
	require.False(t, s.Blocked)
}

func TestWhatNoHookToldOfIsReadTwice(t *testing.T) {
	s := State{Doubt: now}
	require.False(t, s.Confirmed(now.Add(secondRead-1)))
	require.True(t, s.Confirmed(now.Add(secondRead)))
	require.False(t, s.NotFound(now))
	require.False(t, s.NotFound(now.Add(secondRead-1)))
	require.True(t, s.NotFound(now.Add(secondRead)))

	of := &Session{State: s}
	require.Equal(t, now.Add(secondRead), of.DoubtDue())
	of.State.Unread = 2
	require.Equal(t, now.Add(4*secondRead), of.DoubtDue())
	of.State.Unread = 1000
	require.Equal(t, now.Add(64*secondRead), of.DoubtDue())
	of.Reads.Retry = now.Add(time.Hour * 2)
	require.Equal(t, of.Reads.Retry, of.DoubtDue())
}

func TestReadsThatShowNothingNewArePausedAfterSome(t *testing.T) {
	var r ReadHistory
	for range freeVain - 1 {
		r.Brought(false, now)
		require.Zero(t, r.Quiet)
	}
	r.Brought(false, now)
	require.Equal(t, now.Add(time.Second), r.Quiet)
	for range 100 {
		r.Brought(false, now)
	}
	require.Equal(t, now.Add(maxQuiet), r.Quiet)
	r.Brought(true, now)
	require.Zero(t, r)

	r.Brought(false, now)
	r.Fail(now, time.Minute)
	r.Fail(now.Add(time.Hour), time.Minute)
	require.Equal(t, ReadHistory{Fails: 2, Failed: now, Retry: now.Add(61 * time.Minute), Vain: 1}, r)
	r.Succeed(now)
	require.Equal(t, ReadHistory{Good: now, Vain: 1}, r)
}

func TestSettledMessagesNeedNoRead(t *testing.T) {
	var s Session
	require.False(t, s.Settled(1))
	s.Log.Ours(1)
	require.False(t, s.Settled(1), "its echo tells Crisp's clock")
	s.Log.Echoed(s.Log.Entry(1), 5, now)
	require.True(t, s.Settled(1))
	s.Bounds.Await(1)
	require.False(t, s.Settled(1), "it is the opening")
	s.Log.Add(shown(2, 6, "a"))
	require.False(t, s.Settled(2), "it may be edited")
	s.Log.Remember(shown(3, 7, "a"))
	require.True(t, s.Settled(3))
}

func TestTheSessionThatEndedLastMayBeUsedAgain(t *testing.T) {
	var all Sessions
	require.Nil(t, all.Last())
	require.Nil(t, all.Reusable(time.Hour, now))
	old := &Session{ID: "a", Ended: now.Add(-time.Hour)}
	newest := &Session{ID: "b", Ended: now.Add(-time.Minute)}
	all = Sessions{newest, old}
	require.Same(t, old, all.Last())
	require.Same(t, newest, all.ByID("b"))
	require.Nil(t, all.ByID("c"))
	require.Same(t, newest, all.Reusable(time.Hour, now))
	require.Nil(t, all.Reusable(time.Minute, now))
	require.Nil(t, all.Reusable(0, now))
	newest.State.Blocked = true
	require.Nil(t, all.Reusable(time.Hour, now))
	newest.State = State{Gone: true}
	require.Nil(t, all.Reusable(time.Hour, now))
	newest.State = State{Failed: 1}
	require.Same(t, newest, all.Reusable(time.Hour, now))
	newest.State.Failed = 2
	require.Nil(t, all.Reusable(time.Hour, now))
}

func TestFaultsOfStoredSessions(t *testing.T) {
	good := &Session{ID: "session_1"}
	require.Empty(t, Sessions{good, {ID: "session_2"}}.Fault())
	for _, all := range []Sessions{{nil}, {{}}, {{ID: "x"}}, {good, good}, {{ID: "session_2", Log: Log{Entries: []*Entry{nil}}}}} {
		require.NotEmpty(t, all.Fault())
	}
}

func TestMendSetsTimesRight(t *testing.T) {
	far := now.Add(1000 * time.Hour)
	s := &Session{Ended: far, State: State{Doubt: far, Missing: far, Since: -1, Updated: far.UnixMilli()}, Listed: far.UnixMilli(),
		Reads: ReadHistory{Good: far, Failed: far, Retry: far, Fails: -1}, Bounds: Boundary{At: far.UnixMilli(), From: -5}}
	s.Log.Ahead, s.Log.Sampled, s.Log.Watermark, s.Log.Newest = far.UnixMilli(), true, far.UnixMilli(), now.UnixMilli()
	s.Mend(now)
	ms := now.UnixMilli()
	require.Equal(t, &Session{Ended: now, State: State{Doubt: now, Missing: now, Since: ms, Updated: ms}, Listed: ms,
		Reads: ReadHistory{Good: now, Failed: now}, Bounds: Boundary{At: ms, From: ms}, Log: Log{Watermark: ms, Newest: ms}}, s)
}

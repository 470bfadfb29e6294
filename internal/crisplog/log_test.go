package crisplog

import (
	"fmt"
	"testing"
	"time"

	"github.com/go-json-experiment/json"
	"github.com/stretchr/testify/require"

	"github.com/crisphandover/handover/internal/crispcontent"
)

var now = time.Date(2026, 11, 29, 12, 0, 0, 0, time.UTC)

func nothing(int64) bool { return false }

// shown is an entry of a message that was shown.
func shown(fp, at int64, text string) *Entry {
	return &Entry{Position: Position{At: at, FP: fp}, Status: Shown, Hash: crispcontent.Hash("text", crispcontent.NewText(text))}
}

func TestOursAreKnown(t *testing.T) {
	var l Log
	require.False(t, l.Knows(1))
	require.Equal(t, Ours, l.Ours(1).Status)
	require.True(t, l.Knows(1))
	require.False(t, l.Seen(1), "Crisp has not shown it")
	require.Same(t, l.Ours(1), l.Entry(1), "noted once")
	require.Len(t, l.Entries, 1)

	at, news := l.Echoed(l.Entry(1), now.UnixMilli(), now)
	require.Equal(t, now.UnixMilli(), at)
	require.False(t, news, "it is not known when it was posted")
	require.True(t, l.Seen(1))

	l.Add(&Entry{Position: Position{FP: 2}, Status: Withheld})
	require.Equal(t, Ours, l.Ours(2).Status, "it was ours after all")
}

func TestNoMoreIsKeptOfOldMessagesOfOursThanThatTheyAreKnown(t *testing.T) {
	var l Log
	for fp := range int64(maxOurs + 10) {
		l.Ours(fp + 1)
	}
	l.Trim(func(fp int64) bool { return fp == 2 })
	require.Len(t, l.Entries, maxOurs)
	require.Nil(t, l.Entry(1))
	require.NotNil(t, l.Entry(2), "it is waited for")
	require.True(t, l.Knows(1))
	require.True(t, l.WasOurs(1))
	require.False(t, l.WasOurs(2), "all is known of it")
	require.Nil(t, l.Ours(1), "known, and no more")

	l.Sampled = true
	for _, e := range l.Entries {
		e.At = 1
	}
	l.Trim(nothing)
	require.Len(t, l.Entries, maxTimed)
	require.Len(t, l.Known, maxKnown, "the oldest are forgotten")
	require.False(t, l.Knows(1))
}

func TestWhatIsNotForTheUserIsOnlyKnown(t *testing.T) {
	var l Log
	l.Add(&Entry{Position: Position{At: 1, FP: 1}, Status: Withheld})
	l.Add(shown(2, 2, "a"))
	l.Add(&Entry{Position: Position{At: 3, FP: 3}, Status: Failed})
	l.Add(&Entry{Position: Position{At: 4, FP: 4}, Status: Removed})
	l.Trim(nothing)
	require.Len(t, l.Entries, 3)
	require.True(t, l.Seen(1))
	require.True(t, l.WasOurs(1), "nothing tells it from one of ours")
	require.False(t, l.WasOurs(9))
}

func TestAgainKeepsAMessageKnown(t *testing.T) {
	var l Log
	l.Remember(shown(1, 1, "a"))
	for fp := range int64(maxKnown - 1) {
		l.Remember(&Entry{Position: Position{FP: fp + 2}})
	}
	l.Again(1)
	l.Again(1000)
	l.Remember(&Entry{Position: Position{FP: 100}})
	l.Trim(nothing)
	require.True(t, l.Knows(1))
	require.False(t, l.Knows(2), "the oldest by now")
	require.False(t, l.Knows(1000))
}

func TestSurplusGoesToTheOldLogTogether(t *testing.T) {
	var l Log
	for i := range int64(keepShown + moveAtOnce - 1) {
		l.Add(shown(i+1, i+1, fmt.Sprint(i)))
	}
	require.Nil(t, l.Surplus(nothing), "too few")
	l.Add(shown(99, 99, "newest"))
	require.Nil(t, l.Surplus(func(fp int64) bool { return fp == 1 }), "one is waited for")
	moving := l.Surplus(nothing)
	require.Len(t, moving, moveAtOnce)

	old := &Old{Owner: "key"}
	old.Put(moving)
	l.Move(moving)
	require.Len(t, l.Entries, keepShown)
	require.Equal(t, int64(moveAtOnce), l.Moved)
	require.True(t, l.Knows(1))
	require.False(t, l.WasOurs(1), "it was shown")
	require.Equal(t, int64(1), old.Entry(1).FP)

	same, other := crispcontent.NewText("0"), crispcontent.NewText("another")
	require.False(t, l.forgot(&Message{Timestamp: 1, Fingerprint: 1, Type: "text", Content: same}, now))
	require.True(t, l.forgot(&Message{Timestamp: 1, Fingerprint: 1, Type: "text", Content: other}, now), "it may have been edited")
	require.True(t, l.forgot(&Message{Timestamp: 1, Fingerprint: 1000, Type: "text", Content: same}, now), "as old as what was moved, and not known")
	require.False(t, l.forgot(&Message{Timestamp: 1000, Fingerprint: 1000, Type: "text", Content: same}, now), "newer than all that was moved")
	require.False(t, l.forgot(&Message{Timestamp: 99, Fingerprint: 99, Type: "text", Content: other}, now), "all is known of it")
	require.False(t, l.forgot(&Message{Timestamp: 1, Fingerprint: 0, Type: "text", Content: other}, now), "it has no fingerprint")

	l.Recall(old.Entry(1))
	require.NotNil(t, l.Entry(1))
	require.NotSame(t, old.Entry(1), l.Entry(1))
	require.False(t, l.forgot(&Message{Timestamp: 1, Fingerprint: 1, Type: "text", Content: other}, now))
}

func TestOldLog(t *testing.T) {
	var none *Old
	require.Nil(t, none.Entry(1))
	var o Old
	for i := range int64(MaxShown) {
		o.Put([]*Entry{shown(i+1, i+1, "a")})
	}
	require.Zero(t, o.Cut)
	o.Put([]*Entry{shown(1, 1, "edited")})
	require.Len(t, o.Entries, MaxShown, "in place of the same message")
	o.Put([]*Entry{shown(1001, 1001, "a"), shown(1002, 1002, "a")})
	require.Len(t, o.Entries, MaxShown)
	require.Nil(t, o.Entry(2))
	require.NotNil(t, o.Entry(1), "it was put last but two")
	require.Equal(t, int64(3), o.Cut)
}

func TestAnEditCountsOnce(t *testing.T) {
	e := shown(1, 1, "a")
	first := e.Hash
	edit := func(hash string, wantChanged, wantAgain bool) {
		t.Helper()
		changed, again := e.Edit(hash)
		require.Equal(t, wantChanged, changed)
		require.Equal(t, wantAgain, again)
	}
	edit(first, false, false)
	edit("b", true, false)
	edit(first, true, true)
	require.Equal(t, []string{first, "b"}, e.Was)
	for i := range 2 * maxWas {
		edit(fmt.Sprint(i), true, false)
	}
	require.Len(t, e.Was, maxWas)
	e.Status = Removed
	edit("c", false, false)
	require.Equal(t, "text", e.MessageType())
}

func TestNamesOfPartsAndAuthors(t *testing.T) {
	var l Log
	e := l.Add(shown(1, 1, "a"))
	_, ok := l.Named(1, 0)
	require.False(t, ok)
	l.Name(1, 1, "second")
	l.Name(7, 0, "of no message")
	for part, want := range []string{"", "second"} {
		id, ok := l.Named(1, part)
		require.True(t, ok)
		require.Equal(t, want, id)
	}
	require.Zero(t, l.Author(e))
	l.Wrote(e, Author{ID: "1", Name: "Ann"})
	l.Wrote(l.Add(shown(2, 2, "b")), Author{ID: "1", Name: "Ann", Avatar: "https://a.b"})
	l.Wrote(l.Add(shown(3, 3, "c")), Author{ID: "1", Name: "Anna"})
	require.Equal(t, Author{ID: "1", Name: "Ann", Avatar: "https://a.b"}, l.Author(e))
	require.Len(t, l.Authors, 2)
	e.Author = 9
	require.Zero(t, l.Author(e), "a damaged record")
}

func TestOddMessagesAreReportedOnce(t *testing.T) {
	var l Log
	none := func(string) bool { return false }
	require.True(t, l.Report("a", none))
	require.False(t, l.Report("a", none))
	for i := range maxOdd {
		require.True(t, l.Report(fmt.Sprint(i), none))
	}
	require.Len(t, l.Odd, maxOdd)
	require.NotContains(t, l.Odd, "a", "the oldest is forgotten")
	require.False(t, l.Report("b", func(string) bool { return true }), "all others would be reported again")
}

func TestTheTimeOfAMessageOfOursIsWantedNowAndThen(t *testing.T) {
	var l Log
	for fp := range int64(maxUnheard) {
		require.False(t, l.TimeWanted())
		l.Ours(fp + 1)
	}
	require.True(t, l.TimeWanted())
	l.Echoed(l.Entry(1), now.UnixMilli(), now)
	require.False(t, l.TimeWanted())
}

func TestPositions(t *testing.T) {
	require.True(t, Position{At: 1, FP: 9}.Before(Position{At: 2, FP: 1}))
	require.True(t, Position{At: 1, FP: 1}.Before(Position{At: 1, FP: 2}))
	require.False(t, Position{At: 1, FP: 1}.Before(Position{At: 1, FP: 1}))
}

func TestALogIsStoredAndReadAgain(t *testing.T) {
	var l Log
	l.Add(shown(-5, 5, "a")).ChannelID = []string{"x"}
	l.Remember(shown(1<<53-1, 1, "b"))
	l.Remember(shown(-1<<53, 1, "c"))
	l.Known.add(knownMessage{fp: 7})
	l.Ahead, l.Sampled = 12, true
	b, err := json.Marshal(l)
	require.NoError(t, err)
	require.Contains(t, string(b), `"ahead":12`)
	var again Log
	require.NoError(t, json.Unmarshal(b, &again))
	require.Equal(t, l, again)

	for _, text := range []string{`{"known":7}`, `{"known":"x"}`, `{"known":"AAAA"}`, `{"known":"!"}`} {
		require.Error(t, json.Unmarshal([]byte(text), &again), text)
	}
	require.NoError(t, json.Unmarshal([]byte(`{"known":""}`), &again))
	require.Empty(t, again.Known)
}

package crisplog

import (
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/crisphandover/handover/internal/crispapi"
)

// written is an operator's message.
func written(fp, at int64, text string) Message {
	return Message{Fingerprint: fp, Timestamp: at, Type: "text", From: "operator", Content: []byte(`"` + text + `"`)}
}

// told is a signed hook of a message that came just now.
func told(n int64, m Message) *Hook {
	return &Hook{N: n, Crisp: "s", Signed: true, Raw: []byte("{}"), Want: m.Fingerprint, At: m.Timestamp, Got: now, Told: &Told{At: m.Timestamp, Message: &m}}
}

// places are the fingerprints of a timeline's messages; a state is 0.
func places(t *Timeline) (all []int64) {
	for _, x := range t.Items {
		if x.Message == nil {
			all = append(all, 0)
		} else {
			all = append(all, x.FP)
		}
	}
	return all
}

func TestTimelineIsInCrispsOrder(t *testing.T) {
	at := now.UnixMilli()
	s := &Session{ID: "s"}
	n := &Reading{Of: &Read{}, Begun: now, Messages: []Message{written(3, at, "c"), written(1, at-2, "a"), written(2, at, "b")}}
	resolved := &Hook{N: 1, Crisp: "s", Signed: true, Raw: []byte("{}"), Got: now, Told: &Told{At: at - 1, Says: SaysResolved}}
	all := NewTimeline(s, []*Hook{resolved, told(2, n.Messages[0])}, n, now, false)
	require.Equal(t, []int64{1, 0, 2, 3}, places(all))
	require.Equal(t, SaysResolved, all.Items[1].Says)
	require.Zero(t, all.Items[3].Hook, "it was read")
	require.False(t, all.Whole(3))
	require.True(t, all.Whole(4))
	require.False(t, n.Held(resolved))

	all.Advance(3)
	require.Equal(t, at, s.Log.Watermark)
	require.Equal(t, int64(2), s.Log.Last)
}

// What is dated in the future counts as written now, and moves nothing. It keeps the place that it had at first.
func TestAMessageOfTheFuture(t *testing.T) {
	far := now.Add(1000 * time.Hour).UnixMilli()
	s := &Session{ID: "s"}
	n := &Reading{Of: &Read{}, Begun: now, Messages: []Message{written(1, far+1, "a"), written(2, far, "b")}}
	all := NewTimeline(s, nil, n, now, false)
	require.Equal(t, []int64{2, 1}, places(all), "in the order of their own times")
	require.True(t, all.Items[0].Odd)
	require.Equal(t, now.UnixMilli(), all.Items[0].At)
	all.Advance(2)
	require.Zero(t, s.Log.Watermark)

	s.Log.Add(&Entry{Position: Position{At: 5, FP: 1}, Status: Shown})
	require.Equal(t, int64(5), NewTimeline(s, nil, n, now, false).Items[0].At)
}

// A message of a hook waits until the log shows it, and what comes after it as well, but not for ever.
func TestTheLogIsWaitedFor(t *testing.T) {
	at := now.UnixMilli()
	s := &Session{ID: "s"}
	missing, later := told(1, written(1, at-5, "a")), told(2, written(2, at-1, "b"))
	ended := &Hook{N: 3, Crisp: "s", Signed: true, Raw: []byte("{}"), Got: now, Told: &Told{At: at, Says: SaysResolved}}
	hooks := []*Hook{missing, later, ended}
	read := func() *Reading {
		return &Reading{Of: &Read{}, Begun: now, Messages: []Message{written(9, at-9, "x"), written(2, at-1, "b")}}
	}
	n := read()
	all := NewTimeline(s, hooks, n, now, false)
	require.Equal(t, []int64{9}, places(all))
	require.False(t, all.Whole(1), "it is held back")
	require.True(t, n.Held(missing) && n.Held(later) && n.Held(ended))
	n.Release(ended)
	require.False(t, n.Held(ended))

	n = read()
	all = NewTimeline(s, hooks, n, now.Add(HoldFor), false)
	require.Equal(t, []int64{9, 1, 2, 0}, places(all))
	require.True(t, all.Items[1].Late, "the log does not show it")
	require.Equal(t, int64(1), all.Items[1].Hook)
	require.False(t, n.Held(missing) || n.Held(ended))
}

// Where the log cannot be read, hooks count after InHandFor, or at once if that is asked for.
func TestALogThatCannotBeRead(t *testing.T) {
	at := now.UnixMilli()
	s := &Session{ID: "s"}
	message := told(1, written(1, at, "a"))
	ended := &Hook{N: 2, Crisp: "s", Signed: true, Raw: []byte("{}"), Got: now, Told: &Told{At: at, Says: SaysResolved}}
	look := &Hook{N: 3, Crisp: "s", Signed: true, Want: 7, Got: now}
	for name, tt := range map[string]struct {
		after time.Duration
		trust bool
		want  []int64
	}{
		"at first":   {0, false, nil},
		"overdue":    {InHandFor, false, []int64{1, 0}},
		"with trust": {0, true, []int64{1, 0}},
	} {
		n := &Reading{Of: &Read{}, Blind: true}
		all := NewTimeline(s, []*Hook{message, ended, look}, n, now.Add(tt.after), tt.trust)
		require.Equal(t, tt.want, places(all), name)
		require.Equal(t, tt.want == nil, n.Held(message), name)
		require.Equal(t, tt.want == nil, n.Held(ended), name)
		require.True(t, n.Held(look), name)
		for _, x := range all.Items {
			require.False(t, x.Late, "nothing says that it came late")
		}
	}
	n := &Reading{Of: &Read{}, Err: errEntry, Gone: true}
	NewTimeline(s, []*Hook{ended, look}, n, now, false)
	require.False(t, n.Held(ended) || n.Held(look), "the conversation is removed: no read will show more")
}

// A hook that only says what to read waits until a read shows what it says, for HoldFor at most.
func TestHooksThatOnlyLook(t *testing.T) {
	s := &Session{ID: "s"}
	s.Log.Add(&Entry{Position: Position{At: 1, FP: 1}, Status: Shown, Hash: shown(1, 1, "a").Hash})
	s.Log.Newest = 1
	state := func(says string) *crispapi.Conversation { return &crispapi.Conversation{State: says} }
	for name, tt := range map[string]struct {
		hook  Hook
		shows Reading // all that it waits for
		stale Reading // not yet
	}{
		"a message":       {Hook{Want: 2}, Reading{Messages: []Message{written(2, 2, "b")}}, Reading{}},
		"a state":         {Hook{State: true, Says: SaysResolved}, Reading{State: state("resolved")}, Reading{State: state("pending")}},
		"a block":         {Hook{State: true, Says: SaysBlocked}, Reading{State: &crispapi.Conversation{Blocked: true}}, Reading{State: state("pending")}},
		"a removal":       {Hook{State: true, Says: SaysRemoved}, Reading{Gone: true}, Reading{State: state("pending")}},
		"a refused state": {Hook{State: true, Says: SaysResolved}, Reading{StateErr: errEntry, Refused: true}, Reading{StateErr: errEntry}},
		"an edit":         {Hook{Want: 1, Edited: true}, Reading{Singles: []Message{written(1, 1, "b")}}, Reading{Singles: []Message{written(1, 1, "a")}}},
		"a removed one":   {Hook{Want: 1, Removed: true}, Reading{Of: &Read{Singles: []int64{1}}, Missing: []int64{1}}, Reading{Singles: []Message{written(1, 1, "a")}}},
		"a crowded one":   {Hook{Want: 1, Edited: true}, Reading{Of: &Read{Singles: []int64{1}}}, Reading{}},
		"what was listed": {Hook{Listed: true, At: 2}, Reading{Begun: now.Add(HoldFor), Messages: []Message{written(2, 2, "b")}}, Reading{}},
		"an odd one":      {Hook{Odd: "x"}, Reading{Odd: []Odd{{ID: "x"}}}, Reading{}},
	} {
		for i, n := range []*Reading{&tt.shows, &tt.stale} {
			if n.Of == nil {
				n.Of = &Read{}
			}
			k := tt.hook
			k.N, k.Crisp, k.Signed, k.Got = 1, "s", true, now
			NewTimeline(s, []*Hook{&k}, n, now, false)
			require.Equal(t, i == 1, n.Held(&k), name)
		}
	}
	k := &Hook{N: 1, Crisp: "s", Signed: true, Want: 2, Got: now, Missed: now.Add(-HoldFor)}
	n := &Reading{Of: &Read{}}
	require.Zero(t, NewTimeline(s, []*Hook{k}, n, now, false).Lost)
	require.True(t, n.Held(k), "a message that is sure to exist is sought for longer")
	require.Equal(t, 1, NewTimeline(s, []*Hook{k}, &Reading{Of: &Read{}}, now.Add(InHandFor), false).Lost)

	k = &Hook{N: 1, Crisp: "s", Odd: "x", Want: 3, At: 4, Got: now, Missed: now.Add(-HoldFor)}
	n = &Reading{Of: &Read{}}
	NewTimeline(s, []*Hook{k}, n, now, false)
	require.Equal(t, []Odd{{ID: "x", Fingerprint: 3, At: 4, Why: "not_in_log"}}, n.Odd)
}

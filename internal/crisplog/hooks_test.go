package crisplog

import (
	"strings"
	"testing"
	"time"

	"github.com/go-json-experiment/json/jsontext"
	"github.com/stretchr/testify/require"
)

// whole is a hook that holds a message.
func whole(n, fp int64) Hook {
	return Hook{N: n, Crisp: "s", Raw: jsontext.Value(`{}`), Want: fp, Signed: true, Got: now}
}

func TestHooksAreBounded(t *testing.T) {
	var q Hooks
	for n := range int64(maxHooks) {
		require.False(t, q.Put(whole(n+1, n+1)))
	}
	require.Len(t, q.Of("s", maxHooks-1), maxHooks-1)
	require.Empty(t, q.Of("other", maxHooks))

	require.False(t, q.Put(whole(100, 100)))
	require.Empty(t, q[maxHooks].Raw, "it only says what to read")
	q[maxHooks].Tries = 3
	newer := whole(101, 101)
	newer.At = 5
	require.False(t, q.Put(newer))
	require.Len(t, q, maxHooks+1, "one read finds all new messages")
	require.Equal(t, int64(101), q[maxHooks].Want)
	require.Zero(t, q[maxHooks].Tries)

	for n := range int64(2 * maxLooks) {
		if dropped := q.Put(Hook{N: 200 + n, Crisp: "s", Edited: true, Want: n}); n < maxLooks-maxHooks-1 {
			require.False(t, dropped)
		} else {
			require.True(t, dropped, "an edit is not heard of")
		}
	}
	require.Len(t, q, maxLooks)
	require.Equal(t, int64(1), q[0].N, "messages are kept")
}

func TestOfSeveralEditsTheNewestCounts(t *testing.T) {
	var q Hooks
	q.Put(Hook{N: 1, Crisp: "s", Edited: true, Want: 7})
	q.Put(Hook{N: 2, Crisp: "s", Edited: true, Want: 8})
	q.Put(Hook{N: 3, Crisp: "s", Edited: true, Want: 7})
	require.Equal(t, Hooks{{N: 2, Crisp: "s", Edited: true, Want: 8}, {N: 3, Crisp: "s", Edited: true, Want: 7}}, q)
	require.Equal(t, int64(8), q[0].About())
	message := whole(4, 9)
	require.Zero(t, message.About())

	q.Put(Hook{N: 5, Crisp: "s", Says: "resolved", State: true})
	require.True(t, q.TellState("s"))
	require.False(t, q.TellState("other"))
	require.False(t, q.Listed("s"))
	q.Put(Hook{N: 6, Crisp: "s", Listed: true})
	require.True(t, q.Listed("s"))
}

func TestAnEventThatIsTooLargeIsRead(t *testing.T) {
	var q Hooks
	large := whole(1, 1)
	large.Raw, large.Told = jsontext.Value(strings.Repeat(" ", maxHookRaw+1)), new(Told)
	q.Put(large)
	require.Empty(t, q[0].Raw)
	require.Nil(t, q[0].Told)
}

func TestHooksWaitForTheLog(t *testing.T) {
	s := &Session{}
	k := whole(1, 1)
	require.False(t, k.Ripe(s, false, now))
	require.False(t, k.Ripe(s, false, now.Add(HoldFor-1)))
	require.True(t, k.Ripe(s, false, now.Add(HoldFor)))
	s.Bounds = Boundary{Adopted: true, Opening: 5}
	require.False(t, k.Ripe(s, false, now.Add(HoldFor)), "the opening is not seen yet")
	require.True(t, k.Ripe(s, false, now.Add(EarlyFor)))

	require.False(t, k.Ripe(s, true, now.Add(InHandFor-1)), "the log cannot be read")
	require.True(t, k.Ripe(s, true, now.Add(InHandFor)))
	looks := Hook{N: 2, Crisp: "s", Got: now}
	require.False(t, looks.Ripe(s, true, now.Add(InHandFor)), "nothing is in hand")
	s.State.Gone = true
	require.True(t, looks.Ripe(s, true, now))
}

func TestWhenHooksAreDue(t *testing.T) {
	k := whole(1, 1)
	r := &ReadHistory{Retry: now.Add(time.Hour)}
	require.Equal(t, now.Add(InHandFor), k.Due(r), "whatever reads do")
	looks := Hook{Got: now}
	require.Equal(t, now.Add(time.Hour), looks.Due(r))
	r = &ReadHistory{Quiet: now.Add(time.Minute)}
	require.Equal(t, now.Add(time.Minute), looks.Due(r), "it may be anybody's")
	require.Equal(t, now, k.Due(r))

	k.Missed = now
	for _, want := range []time.Duration{1, 2, 4, 8, 10} {
		k.Retry(now)
		require.Equal(t, now.Add(want*time.Second), k.Next)
	}
	listed := Hook{Got: now, Listed: true, Missed: now}
	listed.Retry(now)
	require.Equal(t, now.Add(HoldFor), listed.Next, "it is read for once more")
}

// TestHooksTraceOf finds the trace of a message's own hook, else that of the newest hook of its session.
func TestHooksTraceOf(t *testing.T) {
	q := Hooks{{Crisp: "a", Want: 1, Trace: "one"}, {Crisp: "a", State: true, Trace: "state"}, {Crisp: "a"}, {Crisp: "b", Want: 2, Trace: "other"}}
	require.Equal(t, "one", q.TraceOf("a", 1))
	require.Equal(t, "state", q.TraceOf("a", 2))
	require.Empty(t, q.TraceOf("c", 1))
}

func TestRestart(t *testing.T) {
	got, now, raw := time.Unix(1000, 0), time.Unix(1100, 0), jsontext.Value("{}")
	q := Hooks{
		{N: 1, Crisp: "s", Raw: raw, Want: 5, At: 7, Got: got, Tries: 3, Next: now.Add(time.Hour)},
		{N: 2, Crisp: "s", Raw: raw, Want: 5, Edited: true, Got: got},
		{N: 3, Crisp: "s", Raw: raw, State: true, Says: SaysResolved, Got: got},
		{N: 4, Crisp: "s", Want: 6, Got: got},
		{N: 5, Crisp: "other", Raw: raw, Want: 8, Got: got},
	}
	q.Restart("s", now)
	require.Equal(t, Hooks{
		{N: 1, Crisp: "s", Want: 5, At: 7, Got: now},
		{N: 2, Crisp: "s", Raw: raw, Want: 5, Edited: true, Got: now},
		{N: 3, Crisp: "s", Raw: raw, State: true, Says: SaysResolved, Got: now},
		{N: 4, Crisp: "s", Want: 6, Got: got},
		{N: 5, Crisp: "other", Raw: raw, Want: 8, Got: got},
	}, q)
}

package handovertest_test

import (
	"context"
	"net/http"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/crisphandover/handover/handovertest"
)

// lazy is a bot that answers hooks at once and works on afterwards: it calls Crisp back.
type lazy struct {
	call caller
	todo chan string
	done atomic.Int32
}

func (l *lazy) ServeHTTP(http.ResponseWriter, *http.Request) {
	if l.done.Load() < 3 {
		l.todo <- "/conversation/" + l.call.c.Last().ID()
	}
}

// Drain does what is left to do. Each post makes another hook.
func (l *lazy) Drain(context.Context) error {
	for {
		select {
		case path := <-l.todo:
			l.done.Add(1)
			l.call.userSays(path, "back")
		default:
			return nil
		}
	}
}

func TestSettleWaitsForWhatWorksOn(t *testing.T) {
	c := handovertest.NewCrisp(t, handovertest.Options{})
	call := newCaller(t, c)
	v, _ := call.open()
	bot := &lazy{call: call, todo: make(chan string, 10)}
	c.Attach(bot)
	c.Settle()
	v.Bot("Hugo").Note("go")
	c.Settle()
	require.Len(t, v.Messages(), 4)
	require.True(t, c.Idle())
}

func TestSettleLooksAgainAfterDraining(t *testing.T) {
	c := handovertest.NewCrisp(t, handovertest.Options{})
	call := newCaller(t, c)
	_, path := call.open()
	left := 0 // the first drain's work, which the second one makes
	made := false
	c.OnSettle(func(context.Context) error { left = 0; return nil })
	c.OnSettle(func(context.Context) error {
		if !made {
			made = true
			call.userSays(path, "more")
			left = 1
		}
		return nil
	})
	c.Settle()
	require.True(t, made)
	require.Zero(t, left)
}

func TestSettleWaitsForLateWork(t *testing.T) {
	c := handovertest.NewCrisp(t, handovertest.Options{})
	call := newCaller(t, c)
	v, path := call.open()
	bot := &inbox{}
	c.Attach(bot)
	settled := 0
	c.OnSettle(func(context.Context) error { settled++; return nil })
	c.Fail(1, handovertest.Fault{LateCommit: 20 * time.Millisecond})
	c.SetHookFaults(func(handovertest.HookInfo) handovertest.HookFault {
		return handovertest.HookFault{Delay: 20 * time.Millisecond}
	})
	_, err := call.send(call.request(t.Context(), "POST", path+"/message", userText("late")))
	require.Error(t, err)
	c.Settle()
	require.Len(t, v.Messages(), 1)
	require.Equal(t, []string{"late"}, bot.texts())
	require.Positive(t, settled)
}

func TestSettleInABubbleDoesNotMoveTime(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c := handovertest.NewCrisp(t, handovertest.Options{})
		bot := &inbox{}
		c.Attach(bot)
		v, _ := newCaller(t, c).open()
		start := time.Now()
		v.Bot("Hugo").Say("now")
		c.Settle()
		require.Equal(t, []string{"now"}, bot.texts())
		c.SetHookFaults(func(handovertest.HookInfo) handovertest.HookFault {
			return handovertest.HookFault{Delay: time.Second}
		})
		v.Bot("Hugo").Say("later")
		c.Settle()
		require.Empty(t, bot.texts())
		require.Equal(t, start, time.Now())
		require.False(t, c.Idle())
		time.Sleep(time.Second)
		c.Settle()
		require.Equal(t, []string{"later"}, bot.texts())
	})
}

func TestAwait(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c := handovertest.NewCrisp(t, handovertest.Options{})
		call := newCaller(t, c)
		go func() {
			time.Sleep(time.Minute)
			_, path := call.open()
			time.Sleep(time.Minute)
			call.userSays(path, "hi")
		}()
		start := time.Now()
		require.NoError(t, c.Await(t.Context(), func() bool {
			return len(c.Conversations()) == 1 && len(c.Last().Messages()) == 1
		}))
		require.Equal(t, 2*time.Minute, time.Since(start))
		ctx, cancel := context.WithTimeout(t.Context(), time.Second)
		defer cancel()
		require.ErrorIs(t, c.Await(ctx, func() bool { return false }), context.DeadlineExceeded)
	})
}

// silent is a test that keeps what would have failed it.
type silent struct {
	testing.TB
	errors atomic.Int32
	fatal  atomic.Int32
	ends   []func()
}

func (s *silent) Helper()               {}
func (s *silent) Failed() bool          { return false }
func (s *silent) Cleanup(f func())      { s.ends = append(s.ends, f) }
func (s *silent) Errorf(string, ...any) { s.errors.Add(1) }
func (s *silent) Logf(string, ...any)   {}
func (s *silent) Fatalf(string, ...any) { s.fatal.Add(1) }

func TestViolationsFailTheTest(t *testing.T) {
	s := &silent{}
	c := handovertest.NewCrisp(s, handovertest.Options{})
	newCaller(t, c).do("GET", "/nothing", "")
	require.Equal(t, int32(1), s.errors.Load())
	require.Nil(t, c.Last())
	require.Nil(t, c.Conversation(0))
	require.Nil(t, c.ByNickname("Joe"))
	require.Equal(t, int32(3), s.fatal.Load())
	v, _ := newCaller(t, c).open()
	v.Operator("Ann").Edit(1, "x")
	v.Operator("Ann").Send("text", func() {})
	require.Equal(t, int32(3), s.errors.Load())
	for _, end := range s.ends {
		end()
	}
	c.CountCalls("nonsense")
	require.Equal(t, int32(3), s.errors.Load()) // a test that ended cannot fail
}

func TestTheSameSeedGivesTheSameIDs(t *testing.T) {
	ids := func(seed uint64) []string {
		c := handovertest.New(handovertest.Options{Seed: seed})
		defer c.Close()
		identifier, key := c.Token()
		v, _ := newCaller(t, c).open()
		return []string{identifier, key, c.Secret(), c.HookKey(), v.ID(), v.Operator("Ann").ID()}
	}
	require.Equal(t, ids(1), ids(1))
	for i, id := range ids(1) {
		require.NotEqual(t, id, ids(2)[i])
	}
}

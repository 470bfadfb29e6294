package handovertest_test

import (
	"context"
	"fmt"
	"io"
	"net/http"
	"strings"
	"sync"
	"syscall"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/crisphandover/handover/handovertest"
)

// outcome is what a caller saw of a call that had a fault.
type outcome struct {
	status int
	err    error
	after  time.Duration
	done   bool // the work was done by then
	later  bool // the work was done an hour later
}

func TestFaults(t *testing.T) {
	const second = time.Second
	rows := []struct {
		name    string
		fault   handovertest.Fault
		timeout time.Duration
		want    outcome
		counted string
	}{
		{name: "none", fault: handovertest.Fault{}, want: outcome{status: 202, done: true, later: true}},
		{name: "status", fault: handovertest.Fault{Status: 503}, want: outcome{status: 503}, counted: "status 503"},
		{name: "refused", fault: handovertest.Fault{Refuse: true}, want: outcome{err: syscall.ECONNREFUSED}, counted: "refused"},
		{name: "cut before", fault: handovertest.Fault{CutBefore: true}, want: outcome{err: syscall.ECONNRESET}, counted: "cut before"},
		{name: "cut after", fault: handovertest.Fault{CutAfter: true}, want: outcome{err: syscall.ECONNRESET, done: true, later: true}, counted: "cut after"},
		{name: "cut body", fault: handovertest.Fault{CutBody: true}, want: outcome{err: io.ErrUnexpectedEOF, done: true, later: true}, counted: "cut body"},
		{name: "delay", fault: handovertest.Fault{Delay: 3 * second}, want: outcome{status: 202, after: 3 * second, done: true, later: true}, counted: "delay"},
		{name: "delay too long", fault: handovertest.Fault{Delay: 3 * second}, timeout: 2 * second, want: outcome{err: context.DeadlineExceeded, after: 2 * second}},
		{name: "delayed refusal", fault: handovertest.Fault{Delay: second, Status: 429}, want: outcome{status: 429, after: second}},
		{name: "delayed answer", fault: handovertest.Fault{DelayAnswer: 3 * second}, want: outcome{status: 202, after: 3 * second, done: true, later: true}, counted: "delayed answer"},
		{name: "delayed answer too long", fault: handovertest.Fault{DelayAnswer: 3 * second}, timeout: 2 * second, want: outcome{err: context.DeadlineExceeded, after: 2 * second, done: true, later: true}},
		{name: "late commit", fault: handovertest.Fault{LateCommit: 20 * second}, want: outcome{err: syscall.ECONNRESET, later: true}, counted: "late commit"},
		{name: "late commit after a status", fault: handovertest.Fault{LateCommit: 20 * second, Status: 504, Delay: second}, want: outcome{status: 504, after: second, later: true}},
		{name: "late commit while the caller waits", fault: handovertest.Fault{LateCommit: second, Delay: 3 * second}, want: outcome{err: syscall.ECONNRESET, after: 3 * second, done: true, later: true}},
	}
	for _, row := range rows {
		t.Run(row.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				c := handovertest.NewCrisp(t, handovertest.Options{})
				call := newCaller(t, c)
				v, path := call.open()
				row.fault.Route = handovertest.RouteSend
				c.Fail(1, row.fault)
				if row.timeout == 0 {
					row.timeout = time.Minute
				}
				ctx, cancel := context.WithTimeout(t.Context(), row.timeout)
				defer cancel()
				start := time.Now()
				answer, err := call.send(call.request(ctx, "POST", path+"/message", userText("hi")))
				got := outcome{status: answer.status, after: time.Since(start), done: len(v.Messages()) > 0}
				require.ErrorIs(t, err, row.want.err)
				if row.want.err == nil {
					require.NoError(t, err)
				}
				time.Sleep(time.Hour)
				got.later = len(v.Messages()) > 0
				got.err = row.want.err
				require.Equal(t, row.want, got)
				if row.counted != "" {
					require.Equal(t, map[string]int{row.counted: 1}, c.FaultCounts())
				}
				calls := c.Calls()
				require.Equal(t, row.want.status, calls[len(calls)-1].Status)
				call.userSays(path, "again") // the fault is used up
				require.True(t, c.Idle())
			})
		})
	}
}

func TestFaultAnswersCarryWhatTheySay(t *testing.T) {
	c := handovertest.NewCrisp(t, handovertest.Options{})
	call := newCaller(t, c)
	c.Fail(1, handovertest.Fault{Status: 429, Header: http.Header{"Retry-After": {"7"}}})
	c.Fail(1, handovertest.Fault{Status: 423})
	c.Fail(1, handovertest.Fault{Status: 500, NoBody: true})
	c.Fail(1, handovertest.Fault{Status: 502, Body: "<html>"})
	c.Fail(1, handovertest.Fault{Status: 403, Reason: "token_scope_forbidden"})
	a := call.do("GET", "", "")
	require.Equal(t, "rate_limited", a.Reason)
	require.Equal(t, "7", a.header.Get("Retry-After"))
	require.Equal(t, "quota_limit_exceeded", call.do("GET", "", "").Reason)
	require.Empty(t, call.do("GET", "", "").body)
	require.Equal(t, "<html>", string(call.do("GET", "", "").body))
	require.Equal(t, "token_scope_forbidden", call.do("GET", "", "").Reason)
	require.Equal(t, 200, call.do("GET", "", "").status)
}

func TestFailWaitsForItsCalls(t *testing.T) {
	c := handovertest.NewCrisp(t, handovertest.Options{})
	call := newCaller(t, c)
	_, path := call.open()
	c.Fail(2, handovertest.Fault{Route: handovertest.RouteState, Status: 500})
	c.Fail(1, handovertest.Fault{Route: "PATCH", Status: 501})
	c.Fail(1, handovertest.Fault{Status: 502, Match: func(i handovertest.CallInfo) bool {
		return i.Route == handovertest.RouteMeta && i.Conversation == 0 && i.Ordinal == 1
	}})
	require.Equal(t, 200, call.do("GET", path+"/meta", "").status)
	require.Equal(t, 500, call.do("GET", path+"/state", "").status)
	require.Equal(t, 501, call.do("PATCH", path+"/state", `{}`).status)
	require.Equal(t, 500, call.do("GET", path+"/state", "").status)
	require.Equal(t, 200, call.do("GET", path+"/state", "").status)
	require.Equal(t, 502, call.do("GET", path+"/meta", "").status)
	c.Fail(1, handovertest.Fault{Status: 500})
	c.Heal()
	require.Equal(t, 200, call.do("GET", path+"/meta", "").status)
}

func TestSetFaultsKnowsTheCall(t *testing.T) {
	c := handovertest.NewCrisp(t, handovertest.Options{})
	call := newCaller(t, c)
	var mu sync.Mutex
	var seen []handovertest.CallInfo
	c.SetFaults(func(i handovertest.CallInfo) handovertest.Fault {
		require.Equal(t, c.WebsiteID(), i.WebsiteID)
		i.WebsiteID = ""
		mu.Lock()
		defer mu.Unlock()
		seen = append(seen, i)
		return handovertest.Fault{}
	})
	_, path := call.open()
	call.ok("PATCH", path+"/meta", `{"nickname":"Joe"}`)
	call.userSays(path, "hi")
	call.userSays(path, "hi")
	mu.Lock()
	defer mu.Unlock()
	require.Equal(t, []handovertest.CallInfo{
		{Method: "POST", Route: handovertest.RouteCreate, Conversation: -1},
		{Method: "PATCH", Route: handovertest.RoutePatchMeta},
		{Method: "POST", Route: handovertest.RouteSend, Type: "text", From: "user", Nickname: "Joe"},
		{Method: "POST", Route: handovertest.RouteSend, Type: "text", From: "user", Nickname: "Joe", Ordinal: 1},
	}, seen)
}

func TestStaleReadsAnswerThePast(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c := handovertest.NewCrisp(t, handovertest.Options{})
		call := newCaller(t, c)
		v, path := call.open()
		time.Sleep(time.Minute)
		v.Operator("Ann").Say("old")
		time.Sleep(time.Minute)
		v.Operator("Ann").Say("new")
		v.Operator("Ann").Edit(v.Messages()[0].Fingerprint, "edited")
		v.Operator("Ann").Resolve()

		require.Equal(t, []string{"edited", "new"}, call.ok("GET", path+"/messages", "").texts())
		c.Fail(2, handovertest.Fault{Stale: 30 * time.Second})
		require.Equal(t, []string{"old"}, call.ok("GET", path+"/messages", "").texts())
		require.JSONEq(t, `{"state":"unresolved"}`, string(call.ok("GET", path+"/state", "").Data))
		c.Fail(2, handovertest.Fault{Stale: 90 * time.Second})
		require.JSONEq(t, `{"state":"pending"}`, string(call.ok("GET", path+"/state", "").Data))
		require.JSONEq(t, `[]`, string(call.ok("GET", "/conversations/1", "").Data))
		c.Fail(1, handovertest.Fault{Stale: time.Hour})
		require.Equal(t, 404, call.do("GET", path, "").status)
		c.Fail(1, handovertest.Fault{Stale: time.Hour}) // a write is not stale
		call.userSays(path, "hi")
		require.Len(t, v.Messages(), 3)

		time.Sleep(time.Minute)
		call.ok("PATCH", path+"/read", `{"from":"operator","origin":"chat"}`)
		require.Contains(t, string(call.ok("GET", path+"/messages", "").Data), `"read":"chat"`)
		c.Fail(1, handovertest.Fault{Stale: 30 * time.Second})
		require.NotContains(t, string(call.ok("GET", path+"/messages", "").Data), `"read":"chat"`)
	})
}

func TestStaleReadsOfABusyConversation(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c := handovertest.NewCrisp(t, handovertest.Options{PageSize: 100})
		call := newCaller(t, c)
		v, path := call.open()
		var want []string
		for i := range 60 {
			time.Sleep(time.Second)
			v.Bot("Hugo").Say(fmt.Sprint(i))
			want = append(want, fmt.Sprint(i))
		}
		c.Fail(1, handovertest.Fault{Stale: 10 * time.Second})
		require.Equal(t, want[:50], call.ok("GET", path+"/messages", "").texts())
		c.Fail(1, handovertest.Fault{Stale: 50 * time.Second}) // as far back as versions are kept
		require.Equal(t, want[:37], call.ok("GET", path+"/messages", "").texts())
	})
}

func TestTheCacheLiesAboutWhatIsNotThere(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c := handovertest.NewCrisp(t, handovertest.Options{CacheFor: 10 * time.Second})
		call := newCaller(t, c)
		_, path := call.open()
		const message = `{"type":"text","from":"user","origin":"chat","content":"hi","fingerprint":123456789012345}`
		require.Equal(t, 404, call.do("GET", path+"/message/123456789012345", "").status)
		require.Equal(t, "MISS", call.do("GET", path+"/messages", "").header.Get("Bloom-Status"))
		call.ok("POST", path+"/message", message)
		require.Equal(t, 404, call.do("GET", path+"/message/123456789012345", "").status)
		a := call.ok("GET", path+"/messages", "")
		require.Empty(t, a.texts())
		require.Equal(t, "HIT", a.header.Get("Bloom-Status"))
		require.Equal(t, []string{"hi"}, call.ok("GET", path+"/messages?timestamp_before=9999999999999", "").texts())
		time.Sleep(10 * time.Second)
		require.Equal(t, 200, call.do("GET", path+"/message/123456789012345", "").status)
		require.Equal(t, 2, c.FaultCounts()["cached"])
	})
}

func TestEchoFirst(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c := handovertest.NewCrisp(t, handovertest.Options{})
		order := make(chan string, 10)
		c.Attach(http.HandlerFunc(func(http.ResponseWriter, *http.Request) {
			time.Sleep(time.Second)
			order <- "hook"
		}))
		call := newCaller(t, c)
		_, path := call.open()
		call.userSays(path, "hi")
		order <- "answer"
		require.Equal(t, "answer", <-order)
		require.Equal(t, "hook", <-order)
		c.Fail(1, handovertest.Fault{EchoFirst: true})
		call.userSays(path, "hi")
		order <- "answer"
		require.Equal(t, "hook", <-order)
		require.Equal(t, "answer", <-order)
		ctx, cancel := context.WithTimeout(t.Context(), time.Millisecond)
		defer cancel()
		c.Fail(1, handovertest.Fault{EchoFirst: true})
		_, err := call.send(call.request(ctx, "POST", path+"/message", userText("hi")))
		require.ErrorIs(t, err, context.DeadlineExceeded)
	})
}

func TestFaultsOverASocket(t *testing.T) {
	c := handovertest.NewCrisp(t, handovertest.Options{})
	require.NoError(t, c.Listen())
	require.Error(t, c.Listen())
	require.True(t, strings.HasPrefix(c.URL(), "http://127.0.0.1:"))
	call := newCaller(t, c)
	v, path := call.open() // the in-process client still works
	transport := &http.Transport{DisableKeepAlives: true}
	t.Cleanup(transport.CloseIdleConnections)
	post := func() error {
		response, err := transport.RoundTrip(call.request(t.Context(), "POST", path+"/message", userText("hi")))
		if err != nil {
			return err
		}
		defer response.Body.Close()
		_, err = io.ReadAll(response.Body)
		return err
	}
	for i, row := range []struct {
		fault    handovertest.Fault
		messages int
	}{
		{handovertest.Fault{CutBefore: true}, 0}, {handovertest.Fault{Refuse: true}, 0},
		{handovertest.Fault{CutAfter: true}, 1}, {handovertest.Fault{CutBody: true}, 2},
	} {
		c.Fail(1, row.fault)
		require.Error(t, post(), i)
		require.Len(t, v.Messages(), row.messages, i)
	}
	require.NoError(t, post())
}

func TestTheClientReachesNothingElse(t *testing.T) {
	c := handovertest.NewCrisp(t, handovertest.Options{})
	_, err := c.Client().Get("https://api.crisp.chat/v1/website/x")
	require.ErrorContains(t, err, "is not the fake Crisp")
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	call := newCaller(t, c)
	_, err = call.send(call.request(ctx, "GET", "", ""))
	require.ErrorIs(t, err, context.Canceled)
	require.Empty(t, c.Calls())
}

func TestChanceIsRepeatableAndFair(t *testing.T) {
	hits, pairs := 0, 0
	for i := range 10_000 {
		seed := uint64(i)
		if handovertest.Chance(0.1, seed, "POST", 0) && handovertest.Chance(0.1, seed, "POST", 1) {
			pairs++ // neighbours must not go together
		}
		first := handovertest.Chance(0.1, 7, "POST", i)
		require.Equal(t, first, handovertest.Chance(0.1, 7, "POST", i))
		if first {
			hits++
		}
	}
	require.InDelta(t, 1000, hits, 120)
	require.InDelta(t, 100, pairs, 50)
	require.NotEqual(t, handovertest.Hash(1, "a"), handovertest.Hash(2, "a"))
	require.NotEqual(t, handovertest.Hash(1, "a", "b"), handovertest.Hash(1, "ab"))
	require.False(t, handovertest.Chance(0, 1))
	require.True(t, handovertest.Chance(1, 1))
}

func TestTyposInRoutesAreReported(t *testing.T) {
	c := handovertest.NewCrisp(t, handovertest.Options{AllowViolations: true})
	c.Fail(1, handovertest.Fault{Route: "POST /messages"})
	require.Zero(t, c.CountCalls("GET /message"))
	require.Len(t, c.Violations(), 2)
}

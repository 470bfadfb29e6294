package handovertest_test

import (
	"net/http"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/crisphandover/handover/handovertest"
)

func TestAFaultForGoodUntilItIsMended(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c := handovertest.NewCrisp(t, handovertest.Options{})
		call := newCaller(t, c)
		_, path := call.open()
		mend := c.Fail(handovertest.Always, handovertest.Fault{
			Route: handovertest.RoutePatchMeta, Status: 403, Reason: "token_scope_forbidden",
		})
		for range 50 {
			require.Equal(t, "token_scope_forbidden", call.do("PATCH", path+"/meta", `{"nickname":"Joe"}`).Reason)
			time.Sleep(time.Hour)
		}
		require.Equal(t, 200, call.do("GET", path+"/meta", "").status)
		mend()
		call.ok("PATCH", path+"/meta", `{"nickname":"Joe"}`)
		mend() // nothing is left to mend
	})
}

func TestAFaultForATime(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c := handovertest.NewCrisp(t, handovertest.Options{})
		call := newCaller(t, c)
		_, path := call.open()
		c.Fail(handovertest.Always, handovertest.Fault{Status: 503, For: time.Minute})
		c.Fail(2, handovertest.Fault{Status: 500, For: 2 * time.Minute})
		require.Equal(t, 503, call.do("GET", path, "").status)
		time.Sleep(time.Minute)
		require.Equal(t, 500, call.do("GET", path, "").status) // the first is over
		time.Sleep(time.Minute)
		require.Equal(t, 200, call.do("GET", path, "").status) // the second too, though one is left
	})
}

func TestAFaultOfOneConversation(t *testing.T) {
	c := handovertest.NewCrisp(t, handovertest.Options{})
	call := newCaller(t, c)
	full, fullPath := call.open()
	_, path := call.open()
	c.Fail(handovertest.Always, handovertest.Fault{Route: handovertest.RouteSend, Conversation: full, Status: 409})
	call.userSays(path, "hi")
	require.Equal(t, "too_many_messages", call.do("POST", fullPath+"/message", userText("hi")).Reason)
	call.ok("GET", fullPath+"/messages", "")
	require.Empty(t, full.Messages())
}

// Calls that seem to have gone well: each body with 200, the work done or not.
func TestAnswersThatOnlyLookWell(t *testing.T) {
	for name, body := range map[string]string{
		"error": handovertest.BodyError, "empty": handovertest.BodyEmpty, "list": handovertest.BodyList,
		"null": handovertest.BodyNull, "other": handovertest.BodyOther, "html": handovertest.BodyHTML,
	} {
		for _, commit := range []bool{false, true} {
			t.Run(name, func(t *testing.T) {
				c := handovertest.NewCrisp(t, handovertest.Options{})
				call := newCaller(t, c)
				v, path := call.open()
				c.Fail(2, handovertest.Fault{Route: handovertest.RouteSend, Status: 200, Body: body, Commit: commit})
				want := 0
				for range 2 {
					a := call.do("POST", path+"/message", userText("hi"))
					require.Equal(t, 200, a.status)
					require.Equal(t, body, string(a.body))
					require.Equal(t, name == "html", a.header.Get("Content-Type") == "text/html; charset=utf-8")
					if commit {
						want++
					}
					require.Len(t, v.Messages(), want)
				}
				call.userSays(path, "hi")
				require.Len(t, v.Messages(), want+1)
			})
		}
	}
	c := handovertest.NewCrisp(t, handovertest.Options{})
	call := newCaller(t, c)
	_, path := call.open()
	c.Fail(2, handovertest.Fault{Status: 200, Body: handovertest.BodyList})
	require.JSONEq(t, `[]`, string(call.ok("GET", path+"/meta", "").Data))
	require.Empty(t, call.ok("HEAD", path, "").body)
}

func TestRetryAfter(t *testing.T) {
	rows := []struct {
		name  string
		skew  time.Duration
		fault handovertest.Fault
		want  string
	}{
		{"seconds", 0, handovertest.Fault{Status: 429, RetryAfter: time.Hour}, "3600"},
		{"rounded up", 0, handovertest.Fault{Status: 420, RetryAfter: 1500 * time.Millisecond}, "2"},
		{"a date", 0, handovertest.Fault{Status: 423, RetryAfter: time.Hour, RetryDate: true}, "Sat, 01 Jan 2000 01:00:00 GMT"},
		{"a date by Crisp's clock", -time.Hour, handovertest.Fault{Status: 429, RetryAfter: time.Hour, RetryDate: true}, "Sat, 01 Jan 2000 00:00:00 GMT"},
		{"none", 0, handovertest.Fault{Status: 429}, ""},
		{"as the header says", 0, handovertest.Fault{Status: 429, Header: http.Header{"Retry-After": {"later"}}}, "later"},
	}
	for _, row := range rows {
		t.Run(row.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				c := handovertest.NewCrisp(t, handovertest.Options{Skew: row.skew})
				call := newCaller(t, c)
				tally := c.Tally()
				c.Fail(1, row.fault)
				a := call.do("GET", "", "")
				require.Equal(t, row.fault.Status, a.status)
				require.Equal(t, row.want, a.header.Get("Retry-After"))
				date, err := http.ParseTime(a.header.Get("Date"))
				require.NoError(t, err)
				require.Equal(t, row.skew, time.Until(date))
				require.Zero(t, tally.Early())
				call.ok("GET", "", "") // at once
				time.Sleep(time.Hour)
				call.ok("GET", "", "") // not early any more
				early := 0
				if row.want != "" && row.want != "later" {
					early = 1
				}
				require.Equal(t, early, tally.Early())
				calls := c.Calls()
				require.Equal(t, early == 1, calls[1].Early)
				require.False(t, calls[2].Early)
			})
		})
	}
}

// The clock of Crisp may be ahead of ours, or behind.
func TestTheClockOfCrisp(t *testing.T) {
	for _, skew := range []time.Duration{0, 3 * time.Hour, -time.Hour} {
		synctest.Test(t, func(t *testing.T) {
			c := handovertest.NewCrisp(t, handovertest.Options{Skew: skew})
			bot := &inbox{}
			c.Attach(bot)
			v, _ := newCaller(t, c).open()
			time.Sleep(time.Second)
			v.Operator("Ann").Note("x")
			c.Settle()
			want := time.Now().Add(skew).UnixMilli()
			require.Equal(t, want, v.Messages()[0].Timestamp)
			require.Equal(t, want, bot.hooks()[0].Timestamp)
		})
	}
}

// A note can be refused while texts pass.
func TestAFaultOfOneKindOfMessage(t *testing.T) {
	c := handovertest.NewCrisp(t, handovertest.Options{})
	call := newCaller(t, c)
	v, path := call.open()
	c.Fail(handovertest.Always, handovertest.Fault{Status: 403, Match: func(i handovertest.CallInfo) bool {
		return i.Type == "note" && i.From == "operator"
	}})
	call.userSays(path, "hi")
	require.Equal(t, "not_allowed", call.do("POST", path+"/message", `{"type":"note","from":"operator","origin":"chat","content":"x"}`).Reason)
	call.do("GET", path+"/messages", "")
	require.Len(t, v.Messages(), 1)
	calls := c.Calls()
	require.Equal(t, "text", calls[1].Type)
	require.Equal(t, "user", calls[1].From)
	require.Equal(t, "note", calls[2].Type)
	require.Empty(t, calls[3].Type)
}

package handovertest_test

import (
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/crisphandover/handover/handovertest"
)

func TestTallyCountsASpanOfTime(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		const state = handovertest.RouteState
		c := handovertest.NewCrisp(t, handovertest.Options{AllowViolations: true})
		call := newCaller(t, c)
		a, path := call.open()
		b, other := call.open()
		call.ok("GET", path+"/state", "") // before
		tally := c.Tally()
		require.Zero(t, tally.PerDay(""))
		for range 24 * 60 {
			call.ok("GET", path+"/state", "")
			time.Sleep(time.Minute)
		}
		call.ok("GET", other+"/state", "")
		call.ok("GET", other, "")
		call.ok("GET", "", "")
		c.Fail(1, handovertest.Fault{Status: 503})
		call.do("GET", other, "")
		require.Equal(t, 1441, tally.Count(state))
		require.InDelta(t, 1444, tally.PerDay("GET"), 0)
		require.Equal(t, 1440, tally.About(a, ""))
		require.Equal(t, 2, tally.About(b, handovertest.RouteConversation))
		require.Equal(t, 1, tally.About(nil, ""))
		require.Equal(t, 1, tally.Status(503))
		require.Equal(t, map[string]int{state: 1441, handovertest.RouteConversation: 2, handovertest.RouteWebsite: 1}, tally.Routes())
		require.Equal(t, map[int]int{-1: 1, 0: 1440, 1: 3}, tally.Conversations())
		require.Equal(t, map[string]int{c.WebsiteID(): 1444}, tally.Websites())

		second := c.Tally()
		tally.Stop()
		time.Sleep(24 * time.Hour)
		call.ok("GET", path+"/state", "")
		tally.Stop() // it ended before
		require.Equal(t, 1441, tally.Count(state))
		require.InDelta(t, 1444, tally.PerDay(""), 0)
		require.InDelta(t, 1, second.PerDay(""), 0)
		require.Empty(t, c.Violations())
		require.Zero(t, tally.Count("GET /nothing"))
		require.Zero(t, tally.About(a, "GET /nothing"))
		require.Len(t, c.Violations(), 2)
	})
}

func TestTallyCountsMoreThanIsKept(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c := handovertest.NewCrisp(t, handovertest.Options{})
		call := newCaller(t, c)
		tally := c.Tally()
		for range 26_000 {
			call.ok("GET", "", "")
		}
		require.Equal(t, 26_000, tally.Count(""))
	})
}

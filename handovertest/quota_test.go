package handovertest_test

import (
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/crisphandover/handover/handovertest"
)

func TestQuotas(t *testing.T) {
	rows := []struct {
		name   string
		quota  handovertest.Quota
		status int
		reason string
		retry  string
	}{
		{"a day", handovertest.Quota{Calls: 3}, 423, "quota_limit_exceeded", ""},
		{"in seconds", handovertest.Quota{Calls: 3, Status: 429, RetryAfter: true}, 429, "rate_limited", "43200"},
		{"as a date", handovertest.Quota{Calls: 3, Status: 420, RetryDate: true}, 420, "rate_limited", "Sun, 02 Jan 2000 00:00:00 GMT"},
		{"of one route", handovertest.Quota{Calls: 3, Route: handovertest.RouteWebsite}, 423, "quota_limit_exceeded", ""},
	}
	for _, row := range rows {
		t.Run(row.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				c := handovertest.NewCrisp(t, handovertest.Options{Quotas: []handovertest.Quota{row.quota}})
				call := newCaller(t, c)
				for day := range 3 {
					if row.quota.Route != "" {
						call.open() // does not count
					}
					for range 3 {
						call.ok("GET", "", "")
					}
					time.Sleep(12 * time.Hour)
					for range 100 {
						a := call.do("GET", "", "")
						require.Equal(t, row.status, a.status)
						require.Equal(t, row.reason, a.Reason)
						if day == 0 {
							require.Equal(t, row.retry, a.header.Get("Retry-After"))
						}
					}
					time.Sleep(12 * time.Hour)
				}
				require.Equal(t, 300, c.FaultCounts()["over quota"])
			})
		})
	}
}

func TestQuotasByMinuteAndByDay(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c := handovertest.NewCrisp(t, handovertest.Options{Quotas: []handovertest.Quota{
			{Calls: 2, Per: time.Minute, Status: 429}, {Calls: 5},
		}})
		call := newCaller(t, c)
		var got []int
		for range 4 {
			for range 3 {
				got = append(got, call.do("GET", "", "").status)
			}
			time.Sleep(time.Minute)
		}
		require.Equal(t, []int{200, 200, 429, 200, 200, 429, 200, 423, 423, 423, 423, 423}, got)
	})
}

// A healthy Crisp has no pace of its own for new conversations.
func TestCreationsAreNotPaced(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c := handovertest.NewCrisp(t, handovertest.Options{})
		call := newCaller(t, c)
		start := time.Now()
		for range 300 {
			call.open()
			time.Sleep(2 * time.Second)
		}
		require.Equal(t, 10*time.Minute, time.Since(start))
		require.Len(t, c.Conversations(), 300)
	})
}

package handovertest_test

import (
	"strconv"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/crisphandover/handover/handovertest"
)

func TestFill(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		call, _, _, bot := odd(t, handovertest.Options{PageSize: 50})
		v := call.c.Open("Joe")
		require.Equal(t, "Joe", v.Meta().Nickname)
		call.c.Settle()
		bot.hooks()
		v.Fill(5000, nil)
		v.Fill(2, func(i int) handovertest.Message {
			return handovertest.Message{From: "operator", Nickname: "Ann", Type: []string{"text", "note"}[i], Content: "by Ann"}
		})
		v.Fill(1, func(int) handovertest.Message {
			return handovertest.Message{From: "operator", Nickname: "Hugo", Automated: true, Timestamp: -5, Fingerprint: -7, Content: "old"}
		})
		call.c.Settle()
		require.Empty(t, bot.hooks())
		require.Equal(t, "pending", v.State())
		all := v.Messages()
		require.Len(t, all, 5003)
		require.Equal(t, int64(-7), all[0].Fingerprint)
		require.Equal(t, "message 0", all[1].Text())
		require.Equal(t, v.Operator("Ann").ID(), all[5002].UserID)
		require.Equal(t, v.ID(), all[1].UserID)
		fingerprints := map[int64]bool{}
		for _, m := range all {
			require.NotZero(t, m.Fingerprint)
			fingerprints[m.Fingerprint] = true
		}
		require.Len(t, fingerprints, len(all))
		now := time.Now().UnixMilli()
		require.InDelta(t, now, all[5002].Timestamp, 100)
		require.InDelta(t, now-4999_000, all[1].Timestamp, 100)
		page := call.ok("GET", "/conversation/"+v.ID()+"/messages?timestamp_before="+strconv.FormatInt(all[1000].Timestamp, 10), "").texts()
		require.Len(t, page, 50)
		require.Equal(t, "message 998", page[49])
		v.Operator("Ann").Note("after")
		require.Equal(t, "after", v.Messages()[5003].Text())
		require.Contains(t, call.listed("1?order_date_updated=1"), v.Number())
	})
}

func TestALongLogIsPagedThrough(t *testing.T) {
	c := handovertest.NewCrisp(t, handovertest.Options{PageSize: 100})
	call := newCaller(t, c)
	v := c.Open("")
	v.Fill(10_000, nil)
	all := v.Messages()
	before := all[9_999].Timestamp + 1
	for end := len(all); end > 0; end -= 100 {
		page := call.ok("GET", "/conversation/"+v.ID()+"/messages?timestamp_before="+strconv.FormatInt(before, 10), "").texts()
		require.Len(t, page, 100)
		require.Equal(t, all[end-100].Text(), page[0])
		require.Equal(t, all[end-1].Text(), page[99])
		before = all[end-100].Timestamp
	}
}

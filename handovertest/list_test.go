package handovertest_test

import (
	"encoding/json"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/crisphandover/handover/handovertest"
)

// listed returns the numbers of the conversations on a page of the list, in its order.
func (c caller) listed(page string) []int {
	c.t.Helper()
	var rows []struct {
		SessionID string `json:"session_id"`
	}
	require.NoError(c.t, json.Unmarshal(c.ok("GET", "/conversations/"+page, "").Data, &rows))
	out := []int{}
	for _, row := range rows {
		for _, v := range c.c.Conversations() {
			if v.ID() == row.SessionID {
				out = append(out, v.Number())
			}
		}
	}
	return out
}

func TestListShowsTheNewestChangeFirst(t *testing.T) {
	c := handovertest.NewCrisp(t, handovertest.Options{})
	call := newCaller(t, c)
	numbers := func(page, query string) []int { return call.listed(page + "?order_date_updated=1" + query) }
	for range 25 {
		call.open()
	}
	for _, i := range []int{3, 1, 2} {
		call.userSays("/conversation/"+c.Conversation(i).ID(), "hi")
	}
	require.Equal(t, []int{2, 1, 3}, numbers("1", ""))
	require.Empty(t, numbers("2", ""))
	require.Len(t, numbers("1", "&include_empty=1"), 20)
	require.Len(t, numbers("2", "&include_empty=1"), 5)
	require.Len(t, numbers("1", "&include_empty=1&per_page=50"), 25)
	c.Conversation(1).Operator("Ann").Resolve()
	require.Equal(t, []int{1, 2, 3}, numbers("1", ""))
	require.Equal(t, []int{2, 3}, numbers("1", "&filter_not_resolved=1"))
	c.Conversation(2).Operator("Ann").Assign()
	require.Equal(t, []int{2}, numbers("1", "&filter_assigned=1"))
}

// A conversation in which much happened within a millisecond does not stay before those that
// changed later.
func TestListOrderWithinOneMillisecond(t *testing.T) {
	for _, ties := range []bool{false, true} {
		synctest.Test(t, func(t *testing.T) { // where no time passes
			c := handovertest.NewCrisp(t, handovertest.Options{Ties: ties})
			call := newCaller(t, c)
			busy, _ := call.open()
			for range 50 {
				busy.Operator("Ann").Say("x")
			}
			for i := range 5 {
				v, path := call.open()
				call.userSays(path, "hi")
				require.Equal(t, v.Number(), call.listed("1?order_date_updated=1")[0], i)
			}
			busy.Operator("Ann").Say("x")
			require.Equal(t, []int{0, 5, 4, 3, 2, 1}, call.listed("1?order_date_updated=1"))
			var rows []struct {
				Updated int64 `json:"updated_at"`
			}
			require.NoError(t, json.Unmarshal(call.ok("GET", "/conversations/1?order_date_updated=1", "").Data, &rows))
			for i := 1; i < len(rows); i++ {
				require.GreaterOrEqual(t, rows[i-1].Updated, rows[i].Updated, "no order but that of updated_at")
			}
		})
	}
}

func TestListOrders(t *testing.T) {
	const updated, created = "?order_date_updated=1", "?order_date_created=1"
	byState, byUpdate, byCreation := []int{3, 0, 1, 2, 4}, []int{4, 3, 2, 1, 0}, []int{4, 3, 2, 1, 0}
	rows := []struct {
		name  string
		order handovertest.ListOrder
		query string
		want  []int
	}{
		{"the default is by state", handovertest.ListDocumented, "", byState},
		{"by update", handovertest.ListDocumented, updated, byUpdate},
		{"by update said as 0", handovertest.ListDocumented, "?order_date_updated=0", byState},
		{"by creation", handovertest.ListDocumented, created, byCreation},
		{"the parameter is ignored", handovertest.ListByState, updated, byState},
		{"always by update", handovertest.ListByUpdate, "", byUpdate},
	}
	for _, row := range rows {
		t.Run(row.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				c := handovertest.NewCrisp(t, handovertest.Options{ListOrder: row.order})
				call := newCaller(t, c)
				var all []*handovertest.Conversation
				for range 5 {
					v, path := call.open()
					call.userSays(path, "hi")
					all = append(all, v)
				}
				next := func(do func(ann *handovertest.Operator), v *handovertest.Conversation) {
					time.Sleep(time.Minute)
					do(v.Operator("Ann"))
				}
				next(func(ann *handovertest.Operator) { ann.Read() }, all[0])                  // pending
				next(func(ann *handovertest.Operator) { ann.Say("x") }, all[1])                // unresolved, unread
				next(func(ann *handovertest.Operator) { ann.Say("x"); ann.Read() }, all[2])    // unresolved
				next(func(*handovertest.Operator) { all[3].UserByChat("x") }, all[3])          // pending, unread
				next(func(ann *handovertest.Operator) { ann.Say("x"); ann.Resolve() }, all[4]) // resolved
				require.Equal(t, row.want, call.listed("1"+row.query))
			})
		})
	}
}

func TestListPageSize(t *testing.T) {
	c := handovertest.NewCrisp(t, handovertest.Options{ListPageSize: 2})
	call := newCaller(t, c)
	for range 5 {
		call.open()
	}
	const query = "?order_date_updated=1&include_empty=1&per_page=50"
	require.Equal(t, []int{4, 3}, call.listed("1"+query))
	require.Equal(t, []int{2, 1}, call.listed("2"+query))
	require.Equal(t, []int{0}, call.listed("3"+query))
	require.Empty(t, call.listed("4"+query))
}

func TestAChangeOfStateAndTheTimeOfTheUpdate(t *testing.T) {
	for _, keeps := range []bool{false, true} {
		synctest.Test(t, func(t *testing.T) {
			c := handovertest.NewCrisp(t, handovertest.Options{StateKeepsUpdated: keeps})
			call := newCaller(t, c)
			for range 2 {
				_, path := call.open()
				call.userSays(path, "hi")
				time.Sleep(time.Minute)
			}
			c.Conversation(0).Operator("Ann").Resolve()
			require.JSONEq(t, `{"state":"resolved"}`, string(call.ok("GET", "/conversation/"+c.Conversation(0).ID()+"/state", "").Data))
			first := call.listed("1?order_date_updated=1")[0]
			require.Equal(t, keeps, first == 1)
			time.Sleep(time.Minute)
			c.Conversation(0).Operator("Ann").Note("a note raises it")
			require.Equal(t, []int{0, 1}, call.listed("1?order_date_updated=1"))
		})
	}
}

func TestOddRowsOfTheList(t *testing.T) {
	c := handovertest.NewCrisp(t, handovertest.Options{})
	call := newCaller(t, c)
	v, path := call.open()
	call.userSays(path, "hi")
	v.OddRow(map[string]any{"state": 1, "meta": []any{}, "updated_at": 9_999_999_999_999_999})
	page := string(call.ok("GET", "/conversations/1", "").Data)
	require.Contains(t, page, `"meta":[],`)
	require.Contains(t, page, `"state":1,`)
	require.Contains(t, page, `"updated_at":9999999999999999,`)
	require.NotContains(t, string(call.ok("GET", path, "").Data), `"meta":[]`)
	v.OddRow(nil)
	require.Contains(t, string(call.ok("GET", "/conversations/1", "").Data), `"state":"pending"`)
}

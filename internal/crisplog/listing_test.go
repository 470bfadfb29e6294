package crisplog

import (
	"fmt"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/crisphandover/handover/internal/crispapi"

	"github.com/go-json-experiment/json/jsontext"
)

// rowsOf are rows of Crisp's list: a state and how many minutes ago it changed, below 0 for a time that
// cannot be.
func rowsOf(now time.Time, rows ...any) (all []crispapi.Conversation) {
	for i := 0; i < len(rows); i += 2 {
		c := crispapi.Conversation{State: rows[i].(string)}
		c.UpdatedAt = jsontext.Value(fmt.Sprint(now.Add(-time.Duration(rows[i+1].(int)) * time.Minute).UnixMilli()))
		if rows[i+1].(int) < 0 {
			c.UpdatedAt = jsontext.Value(`"yesterday"`)
		}
		all = append(all, c)
	}
	return all
}

func TestListingOfAPage(t *testing.T) {
	now := time.Date(2026, 11, 29, 12, 0, 0, 0, time.UTC)
	mark := now.Add(-time.Hour).UnixMilli()
	fill := func(state string, from int) (rows []any) {
		for i := range minListPage {
			rows = append(rows, state, from+i)
		}
		return rows
	}
	for name, tt := range map[string]struct {
		before listOrder
		rows   []any
		known  bool
		order  listOrder
	}{
		"new changes":                    {"", fill("resolved", 1), false, listUnknown},
		"old ones, all resolved":         {"", fill("resolved", 100), true, listUnknown},
		"old ones, all pending":          {"", fill("pending", 100), false, listUnknown},
		"all pending, by date":           {listByUpdate, fill("pending", 100), true, listByUpdate},
		"a state after a later one":      {"", append([]any{"resolved", 2, "pending", 3}, fill("unresolved", 100)...), true, listByUpdate},
		"pending are first":              {"", append(fill("pending", 100), "unresolved", 3), false, listByState},
		"by state, come to the resolved": {listByState, append(fill("pending", 100), "resolved", 90), true, listByState},
		"by date is found wrong":         {listByUpdate, append(fill("pending", 100), "unresolved", 3), false, listByState},
		"odd times are passed over":      {listByUpdate, append(fill("pending", 5), "pending", -1), false, listByUpdate},
		"one old row":                    {listByUpdate, append(fill("pending", 5), "pending", 100), false, listByUpdate},
		"odd times only":                 {listByUpdate, append(fill("pending", 5)[:38], "x", -1, "x", -1), false, listByUpdate},
		"the last page":                  {"", []any{"pending", 5}, true, listUnknown},
	} {
		l := Listing{Mark: mark, Order: tt.before}
		require.Equal(t, tt.known, l.Take(rowsOf(now, tt.rows...), now), name)
		require.Equal(t, tt.order, l.Order, name)
	}
}

func TestListingMovesItsMarkOnlyWhenARoundIsWhole(t *testing.T) {
	now := time.Date(2026, 11, 29, 12, 0, 0, 0, time.UTC)
	l := Listing{Mark: 1}
	l.Take(rowsOf(now, "pending", 1, "pending", 2), now)
	l.Read(21, false, now)
	require.Equal(t, int64(1), l.Mark)
	require.Equal(t, 20, l.Page)
	l.Take(rowsOf(now, "pending", 0), now)
	l.Read(23, true, now)
	require.Equal(t, now.Add(-time.Minute).UnixMilli(), l.Mark, "what changed since the beginning is found in the next round")
	require.Zero(t, l.Page)
}

func TestListingOfNothing(t *testing.T) {
	now := time.Date(2026, 11, 29, 12, 0, 0, 0, time.UTC)
	var l Listing
	l.Take(nil, now)
	l.Read(2, true, now)
	require.Equal(t, now.Add(-unknownSlack).UnixMilli(), l.Mark)
	l.Read(1, false, now)
	require.Zero(t, l.Page, "the first page could not be read")
}

func TestListingOfATimeAhead(t *testing.T) {
	now := time.Date(2026, 11, 29, 12, 0, 0, 0, time.UTC)
	l := Listing{Mark: 1}
	rows := rowsOf(now, "pending", 5)
	rows[0].UpdatedAt = jsontext.Value(fmt.Sprint(now.AddDate(1, 0, 0).UnixMilli()))
	l.Take(rows, now)
	require.Zero(t, l.Newest)
	l.Take(rowsOf(now, "pending", 5, "pending", 4), now.Add(-4*time.Minute-time.Second))
	require.Equal(t, now.Add(-5*time.Minute).UnixMilli(), l.Newest)
	l.Mark = now.Add(time.Hour).UnixMilli()
	l.Read(2, true, now)
	require.Equal(t, now.UnixMilli(), l.Mark)
}

// However often hooks are refused, catch-up keeps to its share.
func TestListingSoon(t *testing.T) {
	const every = 3 * time.Minute
	now := time.Date(2026, 11, 29, 12, 0, 0, 0, time.UTC)
	var l Listing
	looks := 0
	for end := now.Add(24 * time.Hour); now.Before(end); now = now.Add(time.Second) {
		if !l.Soon(every, now).After(now) {
			looks++
			l.Pay(every, now)
		}
	}
	require.LessOrEqual(t, looks, 24*20+catchUpCredit+1)
	require.GreaterOrEqual(t, looks, 24*20)
}

// What a read soon after the last word showed may not be all that was written in that moment: a resolved
// session, of which no hook may come any more, is read once more.
func TestARowOfTheMomentOfTheLastRead(t *testing.T) {
	now := time.Date(2026, 11, 29, 12, 0, 0, 0, time.UTC)
	for name, tt := range map[string]struct {
		state string
		read  time.Duration // after the change
		at    time.Duration // of the row, after what was read
		knows bool
	}{
		"read soon after, resolved":        {crispapi.Resolved, time.Second, 0, false},
		"read soon after, goes on":         {"unresolved", time.Second, 0, true},
		"read later, resolved":             {crispapi.Resolved, HoldFor, 0, true},
		"what was read is newer, resolved": {crispapi.Resolved, time.Second, -time.Millisecond, true},
		"what was read is older, resolved": {crispapi.Resolved, HoldFor, time.Millisecond, false},
	} {
		t.Run(name, func(t *testing.T) {
			s := &Session{}
			s.State.Resolved = tt.state == crispapi.Resolved
			s.Log.Watermark, s.Reads.Good = now.UnixMilli(), now.Add(tt.read)
			require.Equal(t, tt.knows, s.Knows(crispapi.Conversation{State: tt.state}, now.Add(tt.at).UnixMilli()))
		})
	}
}

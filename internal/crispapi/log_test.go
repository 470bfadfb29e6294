package crispapi_test

import (
	"encoding/json"
	"fmt"
	"net/url"
	"slices"
	"strconv"
	"strings"
	"testing"

	"github.com/go-json-experiment/json/jsontext"
	"github.com/stretchr/testify/require"

	"github.com/crisphandover/handover/internal/crispapi"
)

// begin is a time of Crisp's, in milliseconds.
const begin = 1_634_080_000_000

// entry is a message of a log on the server.
type entry struct {
	at   int64
	json string
}

// said is a message with that fingerprint.
func said(fp, at int64) entry {
	return entry{at, fmt.Sprintf(`{"type":"text","from":"operator","content":"%d","fingerprint":%d,"timestamp":%d}`, fp, fp, at)}
}

// pages answers reads of a log as Crisp does, with that many messages on a page. It knows
// timestamp_after if after is true.
func pages(log []entry, size int, after bool) func(method, path string) reply {
	return func(_, path string) reply {
		u, _ := url.Parse(path)
		before, _ := strconv.ParseInt(u.Query().Get("timestamp_before"), 10, 64)
		since, _ := strconv.ParseInt(u.Query().Get("timestamp_after"), 10, 64)
		if !after {
			since = 0
		}
		var found []string
		for _, e := range log {
			if (before == 0 || e.at < before) && (since == 0 || e.at > since) {
				found = append(found, e.json)
			}
		}
		if over := len(found) - size; over > 0 && since == 0 {
			found = found[over:]
		} else if over > 0 {
			found = found[:size]
		}
		return reply{status: 206, body: `{"error":false,"reason":"listed","data":[` + strings.Join(found, ",") + `]}`}
	}
}

func fingerprints(l crispapi.Log) (all []int64) {
	for _, m := range l.Items {
		all = append(all, m.Fingerprint)
	}
	return all
}

// each returns the numbers from 1 to n.
func each(n int) (all []int64) {
	for i := range n {
		all = append(all, int64(i+1))
	}
	return all
}

func TestWholeLogs(t *testing.T) {
	for _, size := range []int{3, 5, 20, 100} {
		for _, n := range []int{0, 1, 2, 5, 6, 20, 21, 99, 170} {
			var log []entry
			for i := range n {
				log = append(log, said(int64(i+1), begin+int64(i)*1000))
			}
			c, s := client(pages(log, size, true))
			l, err := c.Messages(t.Context(), session, crispapi.Reach{})
			require.NoError(t, err)
			require.Equal(t, each(n), fingerprints(l), "%d messages in pages of %d", n, size)
			require.False(t, l.Cut || l.Gap)
			require.Equal(t, l.Pages, s.calls())
			require.LessOrEqual(t, l.Pages, n/(size-1)+3)
		}
	}
}

// L3: more messages in one millisecond than a page shows.
func TestBurstsInOneMillisecond(t *testing.T) {
	for _, size := range []int{5, 20} {
		for _, burst := range []int{size - 1, size, size + 1, 2*size - 1, 2 * size, 5 * size} {
			for _, after := range []bool{true, false} {
				log := []entry{said(1, begin), said(2, begin+1)}
				for range burst {
					log = append(log, said(int64(len(log)+1), begin+5))
				}
				log = append(log, said(int64(len(log)+1), begin+6), said(int64(len(log)+2), begin+7))
				c, s := client(pages(log, size, after))
				l, err := c.Messages(t.Context(), session, crispapi.Reach{})
				require.NoError(t, err)
				got := fingerprints(l)
				require.Subset(t, got, []int64{1, 2, int64(len(log) - 1), int64(len(log))}, "both sides of it")
				if len(got) < len(log) {
					require.True(t, l.Gap, "%d of %d in pages of %d", len(got), len(log), size)
					require.False(t, after && burst < 2*size, "Crisp shows two page-fulls")
				} else {
					require.Equal(t, each(len(log)), got)
				}
				require.False(t, l.Cut)
				require.Less(t, s.calls(), 20)
			}
		}
	}
}

// L11: page-fulls of messages that cannot be used.
func TestPagesOfUnusableMessages(t *testing.T) {
	var log []entry
	for i := range 15 {
		log = append(log, said(int64(i+1), begin+int64(i)))
	}
	odd := []string{`{"fingerprint":%d,"timestamp":%d,"type":"note","type":"text"}`, `{"fingerprint":0,"x":%d,"timestamp":%d}`,
		`{"fingerprint":9007199254740993,"x":%d,"timestamp":%d}`, `{"fingerprint":%d,"timestamp":%d,"content":` + strings.Repeat("[", 300) + strings.Repeat("]", 300) + `}`}
	for i := range 50 {
		at := begin + 100 + int64(i)
		log = append(log, entry{at, fmt.Sprintf(odd[i%len(odd)], 100+i, at)})
	}
	log = append(log, said(16, begin+500))
	c, _ := client(pages(log, 20, true))
	l, err := c.Messages(t.Context(), session, crispapi.Reach{})
	require.NoError(t, err)
	require.False(t, l.Cut || l.Gap)
	require.Len(t, l.Items, len(log))
	usable := slices.DeleteFunc(slices.Clone(l.Items), func(m crispapi.Item) bool { return m.Why != "" })
	require.Equal(t, each(16), fingerprints(crispapi.Log{Items: usable}))
}

func TestReach(t *testing.T) {
	var log []entry
	for i := range 100 {
		log = append(log, said(int64(i+1), begin+int64(i)*1000))
	}
	known := func(want int64) func(int64) bool { return func(fp int64) bool { return fp == want } }
	for name, tt := range map[string]struct {
		reach crispapi.Reach
		calls int
		cut   bool
	}{
		"a time on the first page":      {crispapi.Reach{Since: begin + 85*1000}, 1, false},
		"a time on the second page":     {crispapi.Reach{Since: begin + 75*1000}, 2, false},
		"known, on the first page":      {crispapi.Reach{Since: begin, Known: known(90)}, 1, false},
		"known, on the third page":      {crispapi.Reach{Known: known(50)}, 3, false},
		"one page":                      {crispapi.Reach{Pages: 1}, 1, true},
		"two pages":                     {crispapi.Reach{Pages: 2}, 2, true},
		"one page, that reaches enough": {crispapi.Reach{Pages: 1, Known: known(95)}, 1, false},
		"known to nobody":               {crispapi.Reach{Known: known(0), Since: begin + 99_000}, 1, false},
	} {
		t.Run(name, func(t *testing.T) {
			c, s := client(pages(log, 20, true))
			l, err := c.Messages(t.Context(), session, tt.reach)
			require.NoError(t, err)
			require.Equal(t, tt.calls, s.calls())
			require.Equal(t, tt.cut, l.Cut)
			require.EqualValues(t, 100, l.Items[len(l.Items)-1].Fingerprint)
		})
	}
}

func TestLogsHaveABound(t *testing.T) {
	var log []entry
	for i := range 1000 {
		log = append(log, said(int64(i+1), begin+int64(i)))
	}
	c, s := client(pages(log, 5, true))
	l, err := c.Messages(t.Context(), session, crispapi.Reach{Pages: 1 << 30})
	require.NoError(t, err)
	require.True(t, l.Cut)
	require.Equal(t, crispapi.MaxPages, s.calls())
}

// Whatever the server answers, a read ends and says that it is not whole.
func TestLogsThatCannotBePaged(t *testing.T) {
	var newest []entry
	for i := range 20 {
		newest = append(newest, said(int64(i+1), begin+int64(i)))
	}
	timeless := make([]entry, 20)
	for i := range timeless {
		timeless[i] = entry{begin, fmt.Sprintf(`{"fingerprint":%d,"timestamp":253402300800000}`, i+1)}
	}
	whole := pages(newest, 20, true)("", "?timestamp_before=9999999999999")
	for name, answer := range map[string]func(string, string) reply{
		"the same page always": always(whole), "no time in it": pages(timeless, 20, true),
	} {
		t.Run(name, func(t *testing.T) {
			c, s := client(answer)
			l, err := c.Messages(t.Context(), session, crispapi.Reach{})
			require.NoError(t, err)
			require.True(t, l.Cut)
			require.Len(t, l.Items, 20)
			require.LessOrEqual(t, s.calls(), 5)
		})
	}
}

func TestNewestPageIsAskedForAnew(t *testing.T) {
	c, s := client(pages(nil, 20, true))
	for range 3 {
		_, err := c.Messages(t.Context(), session, crispapi.Reach{})
		require.NoError(t, err)
	}
	slices.Sort(s.asked)
	require.Len(t, slices.Compact(s.asked), 3)
}

func TestPagesAreReadAgain(t *testing.T) {
	good := pages([]entry{said(1, begin)}, 20, true)
	n := 0
	c, s := client(func(m, p string) reply {
		if n++; n <= 2 {
			return []reply{{status: 503}, {status: 200, body: `<html>`}}[n-1]
		}
		return good(m, p)
	})
	l, err := c.Messages(t.Context(), session, crispapi.Reach{Since: begin})
	require.NoError(t, err)
	require.Len(t, l.Items, 1)
	require.Equal(t, 3, s.calls())
	for _, status := range []int{401, 403, 404, 400, 429} {
		c, s := client(always(reply{status: status}))
		_, err := c.Messages(t.Context(), session, crispapi.Reach{})
		require.Equal(t, status, failure(t, err).StatusCode)
		require.Equal(t, 1, s.calls(), "asking again at once is useless")
	}
}

// A page that is tried again while the breaker opens fails for the reason that opened it.
func TestAPageThatOpensTheBreaker(t *testing.T) {
	c, s := client(always(reply{status: 503}))
	for range 3 {
		_, err := c.Messages(t.Context(), session, crispapi.Reach{})
		require.False(t, failure(t, err).Held)
	}
	require.Equal(t, 8, s.calls())
	_, err := c.Messages(t.Context(), session, crispapi.Reach{})
	require.True(t, failure(t, err).Held)
	require.Equal(t, 8, s.calls())
}

// L4: a message that cannot be used is told of, with why.
func TestItems(t *testing.T) {
	deep := strings.Repeat("[", 200) + strings.Repeat("]", 200)
	rows := []struct {
		json string
		want crispapi.Item
	}{
		{`{"type":"text","content":"hi\u0000","fingerprint":11,"timestamp":1634080000001}`, crispapi.Item{ID: "11", Fingerprint: 11, Timestamp: 1634080000001, At: 1634080000001}},
		{`{"fingerprint":-1078189900,"timestamp":1634080000}`, crispapi.Item{ID: "-1078189900", Fingerprint: -1078189900, Timestamp: 1634080000, At: 1634080000000}},
		{`{"fingerprint":13,"timestamp":1634080000001000}`, crispapi.Item{ID: "13", Fingerprint: 13, Timestamp: 1634080000001000, At: 1634080000001}},
		{`{"type":"note","type":"text","fingerprint":14,"timestamp":1634080000001}`, crispapi.Item{ID: "14", Fingerprint: 14, Timestamp: 1634080000001, At: 1634080000001, Why: crispapi.Doubled}},
		{`{"content":{"a":1,"a":2},"fingerprint":15,"fingerprint":16,"timestamp":1634080000001}`, crispapi.Item{Timestamp: 1634080000001, At: 1634080000001, Why: crispapi.Doubled}},
		{`{"content":` + deep + `,"fingerprint":17,"timestamp":1634080000001}`, crispapi.Item{ID: "17", Fingerprint: 17, Timestamp: 1634080000001, At: 1634080000001, Why: crispapi.TooDeep}},
		{`{"content":"no id","timestamp":1634080000001}`, crispapi.Item{Timestamp: 1634080000001, At: 1634080000001, Why: crispapi.NoFingerprint}},
		{`{"fingerprint":0,"timestamp":1634080000001}`, crispapi.Item{Timestamp: 1634080000001, At: 1634080000001, Why: crispapi.NoFingerprint}},
		{`{"fingerprint":9007199254740992,"timestamp":1634080000001}`, crispapi.Item{Timestamp: 1634080000001, At: 1634080000001, Why: crispapi.NoFingerprint}},
		{`{"fingerprint":18,"timestamp":0}`, crispapi.Item{ID: "18", Fingerprint: 18, Why: crispapi.NoTime}},
		{`{"fingerprint":19,"timestamp":253402300800000}`, crispapi.Item{ID: "19", Fingerprint: 19, Timestamp: 253402300800000, Why: crispapi.NoTime}},
		{`{"fingerprint":20}`, crispapi.Item{ID: "20", Fingerprint: 20, Why: crispapi.NoTime}},
		{`null`, crispapi.Item{Why: crispapi.NoObject}}, {`[]`, crispapi.Item{Why: crispapi.NoObject}}, {`"words"`, crispapi.Item{Why: crispapi.NoObject}},
	}
	ids := make(map[string]bool)
	for _, row := range rows {
		c, _ := client(always(data(`[` + row.json + `]`)))
		for range 2 {
			page, err := c.Page(t.Context(), session, 0)
			require.NoError(t, err)
			require.Len(t, page, 1)
			got := page[0]
			require.True(t, json.Valid(got.Raw))
			require.NotContains(t, string(got.Raw), `\u0000`)
			got.Raw = nil
			if row.want.ID == "" {
				require.NotEmpty(t, got.ID)
				row.want.ID = got.ID // and the same at the second read
			}
			require.Equal(t, row.want, got, row.json)
			ids[got.ID] = true
		}
	}
	require.Len(t, ids, len(rows), "each has its own")

	read := func(json string) string {
		c, _ := client(always(data(`[` + json + `]`)))
		page, err := c.Page(t.Context(), session, 0)
		require.NoError(t, err)
		return page[0].ID
	}
	require.Equal(t, read(`{"content":"a","timestamp":1}`), read(`{"content":"a","timestamp":1,"read":"chat"}`), "whoever read it")
	require.NotEqual(t, read(`{"content":"a","timestamp":1}`), read(`{"content":"b","timestamp":1}`))
}

func TestMessage(t *testing.T) {
	c, s := client(always(data(said(7, begin).json)))
	m, err := c.Message(t.Context(), session, 7)
	require.NoError(t, err)
	require.Equal(t, "7", m.ID)
	require.Empty(t, m.Why)
	require.Equal(t, []string{"GET /conversation/" + session + "/message/7"}, s.asked)

	c, _ = client(always(reply{status: 404, body: `{"error":true,"reason":"not_found"}`}))
	m, err = c.Message(t.Context(), session, 7)
	require.NoError(t, err)
	require.Nil(t, m)

	for _, r := range []reply{{status: 404, body: `{"reason":"not_subscribed"}`}, data(`[]`), {status: 200, body: `{}`}, {status: 500}} {
		c, _ = client(always(r))
		m, err = c.Message(t.Context(), session, 7)
		require.Error(t, err)
		require.Nil(t, m)
	}
}

func TestAnswersThatAreNoPages(t *testing.T) {
	for _, body := range []string{``, `{"data":[`, `{"data":[{"secret":` + strings.Repeat("[", 300), `{"data":[{"secret":` + strings.Repeat("[", 300) + strings.Repeat("]", 250),
		`<html>secret</html>`, `{"data":"secret"}`, `{"data":{"secret":1}}`, `{}`, `[]`, `{"data":[],"data":[{"secret":1}]}`, `{"error":true,"data":[]}`} {
		c, _ := client(always(reply{status: 200, body: body}))
		_, err := c.Page(t.Context(), session, 0)
		require.Equal(t, crispapi.Soon, failure(t, err).Class(), body)
		require.NotContains(t, err.Error(), "secret")
	}
}

func TestMillis(t *testing.T) {
	for v, want := range map[string]int64{
		"1634080131140": 1634080131140, "1634080131140.9": 1634080131140, "1634080131": 1634080131000, "1634080131140999": 1634080131140,
		"1634080131140999999": 1634080131140, "946684800000": 946684800000, "631152000": 631152000000, "4102444799999": 4102444799999,
		"4102444800000": 0, "631151999": 0, "0": 0, "-1634080131140": 0, "5": 0, "253402300800000": 0, "1e999": 0, "1e300": 0, `"1634080131140"`: 0, "null": 0, "": 0, "{}": 0,
	} {
		require.Equal(t, want, crispapi.Millis(jsontext.Value(v)), v)
	}
}

// What an event tells of came after what was written before it in the same second.
func TestMillisOfEvent(t *testing.T) {
	for v, want := range map[string]int64{
		"1634080131140": 1634080131140, "1634080131": 1634080131999, "1634080131.25": 1634080131250, "1634080131140999": 1634080131140, "5": 0, "null": 0, "": 0,
	} {
		require.Equal(t, want, crispapi.MillisOfEvent(jsontext.Value(v)), v)
	}
}

func FuzzPage(f *testing.F) {
	f.Add([]byte(`{"error":false,"reason":"listed","data":[` + said(1, begin).json + `,{"fingerprint":-5,"timestamp":1634080000},null,{"a":1,"a":2}]}`))
	f.Add([]byte(`{"data":[{"content":"\u0000\ud800","fingerprint":1e3,"timestamp":1634080131140999}]}`))
	f.Add([]byte(`{"data":` + strings.Repeat("[", 300) + strings.Repeat("]", 300) + `}`))
	f.Add([]byte(`{"error":true,"data":[]}`))
	f.Fuzz(func(t *testing.T, body []byte) {
		c, s := client(always(reply{status: 200, body: string(body)}))
		l, err := c.Messages(t.Context(), session, crispapi.Reach{})
		require.LessOrEqual(t, s.calls(), 8)
		if err != nil {
			require.Equal(t, crispapi.Soon, failure(t, err).Class())
			require.Empty(t, l.Items)
			return
		}
		ids := make(map[string]bool)
		for _, m := range l.Items {
			require.True(t, json.Valid(m.Raw))
			require.NotContains(t, strings.ReplaceAll(string(m.Raw), `\\`, ""), `\u0000`)
			require.False(t, ids[m.ID])
			ids[m.ID] = true
			if m.Why == "" {
				require.NotZero(t, m.Fingerprint)
				require.NotZero(t, m.At)
			}
		}
		require.True(t, slices.IsSortedFunc(l.Items, func(a, b crispapi.Item) int { return int(a.At - b.At) }))
	})
}

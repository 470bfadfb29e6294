package handover

import (
	"encoding/base64"
	stdjson "encoding/json"
	"math"
	"strconv"
	"testing"
	"time"

	"github.com/go-json-experiment/json"
	"github.com/stretchr/testify/require"

	"github.com/crisphandover/handover/internal/claims"
	"github.com/crisphandover/handover/internal/crisplog"
)

// OnEnd waits for the Receive of a message that the end gave back, also when an agent begins another
// handover meanwhile, and no longer than that.
func TestOnEndWaitsForReceive(t *testing.T) {
	now := time.Date(2026, 11, 29, 12, 0, 0, 0, time.UTC)
	for name, tt := range map[string]struct {
		heard  bool
		unsent []string
	}{
		"heard":   {heard: true},
		"unheard": {unsent: []string{"m"}},
	} {
		t.Run(name, func(t *testing.T) {
			s := &crisplog.Session{ID: "session_1"}
			m := &userMessage{ID: "m", Status: messagePosting, Incoming: &Incoming{ID: "m", Text: "hello"}, Handover: "h", Waits: now.Add(claims.TTL)}
			rec := &record{
				standing: standing{State: StateWaiting, Epoch: 1, Handover: &handover{ID: "h", CrispID: s.ID, Opened: now}},
				Sessions: crisplog.Sessions{s}, UserMessages: userMessages{m},
				env: &env{cfg: &Config{}, now: now, stored: true},
			}
			rec.push(&rec.ToCrisp, effect{Kind: kindPost, HandoverID: "h", Crisp: s.ID, Incoming: "m"})
			rec.fire(onHostEnd, cause{})
			end := rec.ToUser[len(rec.ToUser)-1]
			require.Equal(t, kindOnEnd, end.Kind)
			require.Equal(t, now.Add(claims.TTL), end.Next, "a Receive waits")
			rec.fire(onHuman, cause{session: s, agent: Agent{Name: "Ann"}, at: now.UnixMilli()})
			require.NotEqual(t, "h", rec.Handover.ID)
			rec.waited(m, tt.heard)
			require.Zero(t, end.Next)
			require.Equal(t, tt.unsent, end.Summary.Unsent)
		})
	}
}

// TestSettledMessagesInRecords has runs of messages that are alike, longer than a run can be, and what is none.
func TestSettledMessagesInRecords(t *testing.T) {
	var all, want userMessages
	add := func(n int, status messageStatus, epoch int64) {
		for range n {
			id := strconv.Itoa(len(all))
			all = append(all, &userMessage{ID: id, Hash: "32eb7bbf012c5ad1", Status: status, Epoch: epoch})
			want = append(want, &userMessage{Hash: "32eb7bbf", Status: status, Epoch: epoch, short: shortIDOf(id)})
		}
	}
	add(600, messagePosted, 1000)
	add(1, messageAnswered, 1000)
	add(2, messageAnswered, 1001)
	all = append(all, &userMessage{ID: "still", Status: messageTurn, Epoch: 1001, Incoming: &Incoming{ID: "still"}})
	add(1, messageEdited, 1001)
	text, err := json.Marshal(all, recordJSON)
	require.NoError(t, err)
	var read userMessages
	require.NoError(t, json.Unmarshal(text, &read, recordJSON))
	read.recount(1100)
	require.Equal(t, append(want, all[603]), read)
	require.Equal(t, "599", read.find("599").ID)
	require.Nil(t, read.find("605"))

	for name, bad := range map[string][]byte{
		"half a head": {1, 0}, "a run of none": {0, 0, 0}, "an unknown status": append([]byte{1, 5, 0}, make([]byte, packedSize)...),
		"fewer than it says": append([]byte{2, 0, 0}, make([]byte, 2*packedSize-1)...), "more than it says": append([]byte{1, 0, 0}, make([]byte, packedSize+1)...),
	} {
		text := `["` + base64.RawStdEncoding.EncodeToString(bad) + `"]`
		require.Error(t, json.Unmarshal([]byte(text), new(userMessages), recordJSON), name)
	}
	require.Error(t, json.Unmarshal([]byte(`["!"]`), new(userMessages), recordJSON))
	require.NoError(t, json.Unmarshal([]byte(`[""]`), new(userMessages), recordJSON))
}

func TestTimesOfChannelsAreSetRight(t *testing.T) {
	now := time.Date(2026, 5, 1, 12, 0, 0, 0, time.UTC)
	for name, tt := range map[string]struct{ at, want time.Time }{
		"now":                     {now, now},
		"years ago":               {now.AddDate(-9, 0, 0), now.AddDate(-9, 0, 0)},
		"a minute ahead":          {now.Add(time.Minute), now.Add(time.Minute)},
		"finer than Crisp":        {now.Add(1234567), now.Add(time.Millisecond)},
		"not set":                 {time.Time{}, now},
		"1970":                    {time.Unix(0, 0), now},
		"before 1970":             {time.Date(1969, 7, 20, 0, 0, 0, 0, time.UTC), now},
		"before our era":          {time.Date(-44, 3, 15, 0, 0, 0, 0, time.UTC), now},
		"a day ahead":             {now.AddDate(0, 0, 1), now},
		"after 9999":              {time.Date(12026, 5, 1, 0, 0, 0, 0, time.UTC), now},
		"the last of all":         {time.Unix(math.MaxInt64, 0), now},
		"the first of all":        {time.Unix(math.MinInt64, 0), now},
		"an odd zone":             {now.In(time.FixedZone("odd", 25*3600+1)), now},
		"milliseconds as seconds": {time.Unix(now.UnixMilli(), 0), now},
	} {
		t.Run(name, func(t *testing.T) {
			got := plausibleTime(tt.at, now)
			require.Equal(t, tt.want, got)
			_, err := stdjson.Marshal(got)
			require.NoError(t, err)
		})
	}
}

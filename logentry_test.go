package handover

import (
	"testing"

	"github.com/go-json-experiment/json"
	"github.com/stretchr/testify/require"
)

// TestLogEntriesInRecords requires that entries are read as they were written, whatever the channel's ids are.
func TestLogEntriesInRecords(t *testing.T) {
	all := logEntries{
		{position: position{At: 946685795000, FP: -94668579500017}, Status: entryShown, Hash: "4df16e0fc718", Author: 2, ChannelID: []string{"channel-202"}},
		{position: position{FP: 5}, Status: entryOurs},
		{position: position{At: 1, FP: 6}, Status: entryFailed, ChannelID: []string{""}},
		{position: position{At: 1, FP: 7}, Status: entryShown, Hash: "a", ChannelID: []string{" with \"blanks\" "}},
		{position: position{At: 1, FP: 8}, Status: entryShown, Hash: "a b"},
		{position: position{At: 1, FP: 9}, Status: entryShown, ChannelID: []string{"a", "b"}},
		{position: position{At: 1, FP: 10}, Status: entryShown, Type: "picker", Hash: "a", Was: []string{"b"}, Edited: 7, Author: 1},
		{position: position{At: 1, FP: 11}, Status: entryOurs, Sent: 4, Within: 2},
		{position: position{At: 1, FP: 12}, Status: "of a later version"},
		{position: position{At: 1, FP: 13}, Status: entryWithheld, ChannelID: []string{"\xff\x00"}},
	}
	written, err := json.Marshal(all, recordJSON)
	require.NoError(t, err)
	require.Contains(t, string(written), `"946685795000 -94668579500017 shown 4df16e0fc718 2 channel-202"`)
	var read logEntries
	require.NoError(t, json.Unmarshal(written, &read, recordJSON))
	all[len(all)-1].ChannelID[0] = "\uFFFD\x00"
	require.Equal(t, all, read)
}

// TestDamagedLogEntries requires that what is no entry is not taken for one.
func TestDamagedLogEntries(t *testing.T) {
	for _, v := range []string{`{}`, `"1 2 shown a 1"`, `["1 2 shown a"]`, `["x 2 shown a 1"]`, `["1 x shown a 1"]`, `["1 2 shown a x"]`, `["1 2 other a 1"]`, `[""]`, `[1]`, `[`} {
		require.Error(t, json.Unmarshal([]byte(v), new(logEntries), recordJSON), v)
	}
	var all logEntries
	require.NoError(t, json.Unmarshal([]byte(`[null]`), &all, recordJSON))
	require.Equal(t, logEntries{nil}, all, "which is refused when the record is read")
	require.NoError(t, json.Unmarshal([]byte(`null`), &all, recordJSON))
}

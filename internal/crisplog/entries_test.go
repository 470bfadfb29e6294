package crisplog

import (
	"math"
	"testing"

	"github.com/go-json-experiment/json"
	"github.com/go-json-experiment/json/jsontext"
	"github.com/stretchr/testify/require"
)

var loose = json.JoinOptions(jsontext.AllowInvalidUTF8(true), jsontext.AllowDuplicateNames(true))

// TestLogEntriesInRecords requires that entries are read as they were written, whatever the channel's ids are.
func TestLogEntriesInRecords(t *testing.T) {
	all := entries{
		{Position: Position{At: 946685795000, FP: -94668579500017}, Status: Shown, Hash: "4df16e0fc718", Author: 2, ChannelID: []string{"channel-202"}},
		{Position: Position{FP: 5}, Status: Ours},
		{Position: Position{At: 1, FP: 6}, Status: Failed, ChannelID: []string{""}},
		{Position: Position{At: 1, FP: 7}, Status: Shown, Hash: "ffffffffffff", ChannelID: []string{" with \"blanks\" "}},
		{Position: Position{At: 1, FP: 8}, Status: Shown, Hash: "a b"},
		{Position: Position{At: 1, FP: 16}, Status: Shown, Hash: "4DF16E0FC718"},
		{Position: Position{At: 1, FP: 17}, Status: Shown, Hash: "4df16e0fc7"},
		{Position: Position{At: 1, FP: 18}, Status: Shown, Hash: "4df16e0fc71x", Author: 40},
		{Position: Position{At: 1, FP: 19}, Status: Removed, Author: 40},
		{Position: Position{At: 1, FP: 20}, Status: Shown, Author: math.MaxInt}, // which is nobody, as in a record that another program wrote
		{Position: Position{At: 1, FP: 9}, Status: Shown, ChannelID: []string{"a", "b"}},
		{Position: Position{At: 1, FP: 10}, Status: Shown, Type: "picker", Hash: "a", Was: []string{"b"}, Edited: 7, Author: 1},
		{Position: Position{At: 1, FP: 11}, Status: Ours, Sent: 4, Within: 2},
		{Position: Position{FP: 14}, Status: Ours, Sent: 1796067213230, Within: 2},
		{Position: Position{FP: 15}, Status: Ours, Within: 2},
		{Position: Position{At: 1, FP: 12}, Status: "of a later version"},
		{Position: Position{At: 1, FP: 13}, Status: Withheld, ChannelID: []string{"\xff\x00"}},
	}
	written, err := json.Marshal(all, loose)
	require.NoError(t, err)
	require.Contains(t, string(written), `"c2wga2ew -xk257ypdd s TfFuD8cY 2 channel-202"`)
	require.Contains(t, string(written), `"~mx3o1n72±2 e o"`)
	var read entries
	require.NoError(t, json.Unmarshal(written, &read, loose))
	all[len(all)-1].ChannelID[0] = "\uFFFD\x00"
	require.Equal(t, all, read)
}

// TestDamagedLogEntries requires that what is no entry is not taken for one.
func TestDamagedLogEntries(t *testing.T) {
	for _, v := range []string{`{}`, `"1 2 s TfFuD8cY 1"`, `["1 2 s TfFuD8cY"]`, `["- 2 s TfFuD8cY 1"]`, `["1 - s TfFuD8cY 1"]`, `["1 2 s TfFuD8cY -"]`, `["1 2 x TfFuD8cY 1"]`,
		`["1 2 shown TfFuD8cY 1"]`, `["1 2  TfFuD8cY 1"]`, `["1 2"]`, `["1 2 "]`, `["1 2 s TfFuD8c 1"]`, `["1 2 s TfFu 1"]`, `["1 2 s !!!!!!!! 1"]`, `["1 2 s "]`,
		`["~1 2 o"]`, `["~-±1 2 o"]`, `["~1±- 2 o"]`, `[""]`, `[1]`, `[`} {
		require.Error(t, json.Unmarshal([]byte(v), new(entries), loose), v)
	}
	var all entries
	require.NoError(t, json.Unmarshal([]byte(`[null]`), &all, loose))
	require.Equal(t, entries{nil}, all, "which is refused when the record is read")
	require.NoError(t, json.Unmarshal([]byte(`null`), &all, loose))
}

package crisplog

import (
	"testing"

	"github.com/go-json-experiment/json"
	"github.com/stretchr/testify/require"
)

// TestLogsAreReadAsTheyWereWritten: what a log leaves out when it is written comes back, and what only looks like it stays.
func TestLogsAreReadAsTheyWereWritten(t *testing.T) {
	for name, tt := range map[string]struct {
		change func(l *Log)
		want   string
	}{
		"as short as it can be":       {func(l *Log) {}, `{"entries":["c 7 s","a 9 s","14 8 o"],"watermark":40}`},
		"nothing was read":            {func(l *Log) { l.Watermark = 0 }, `{"entries":["c 7 s","a 9 s","14 8 o"],"newest":40}`},
		"a hook told of more":         {func(l *Log) { l.Newest = 50 }, `{"entries":["c 7 s","a 9 s","14 8 o"],"watermark":40,"newest":10}`},
		"a message ahead of its time": {func(l *Log) { l.Newest = 0 }, `{"entries":["c 7 s","a 9 s","14 8 o"],"watermark":40,"newest":-40}`},
		"and nothing else was shown":  {func(l *Log) { l.Shown = Position{} }, `{"entries":["c 7 s","a 9 s","14 8 o"],"watermark":40,"shown":{}}`},
		"what was shown was moved":    {func(l *Log) { l.Shown = Position{13, 1} }, `{"entries":["c 7 s","a 9 s","14 8 o"],"watermark":40,"shown":{"at":13,"fp":1}}`},
		"all was moved":               {func(l *Log) { l.Entries = nil }, `{"watermark":40,"shown":{"at":12,"fp":7}}`},
		"in the same millisecond":     {func(l *Log) { l.Entries[1].At, l.Shown.FP = 12, 9 }, `{"entries":["c 7 s","c 9 s","14 8 o"],"watermark":40}`},
		"empty":                       {func(l *Log) { *l = Log{} }, `{}`},
	} {
		t.Run(name, func(t *testing.T) {
			l := Log{Watermark: 40, Newest: 40, Shown: Position{12, 7}, Entries: entries{
				{Position: Position{12, 7}, Status: Shown}, {Position: Position{10, 9}, Status: Shown}, {Position: Position{40, 8}, Status: Ours},
			}}
			tt.change(&l)
			written, err := json.Marshal(&l)
			require.NoError(t, err)
			require.JSONEq(t, tt.want, string(written))
			var read Log
			require.NoError(t, json.Unmarshal(written, &read))
			require.Equal(t, l, read)
		})
	}
	for _, damaged := range []string{`[]`, `{"shown":7}`, `{"newest":"x"}`, `{"entries":[7]}`, `{`} {
		require.Error(t, json.Unmarshal([]byte(damaged), new(Log)), damaged)
	}
	var l Log
	require.NoError(t, json.Unmarshal([]byte(`{"entries":[null]}`), &l))
	require.Equal(t, Log{Entries: entries{nil}}, l, "which is refused when the record is read")
}

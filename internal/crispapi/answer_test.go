package crispapi

import (
	"testing"

	"github.com/stretchr/testify/require"
)

// FuzzItems requires that a page of a log is read the same in an answer that is checked as a whole, and in one of which
// each message is checked by itself, because the answer can be read in two ways elsewhere.
func FuzzItems(f *testing.F) {
	for _, data := range []string{
		`[{"fingerprint":1,"timestamp":1700000000000,"content":"a"},{"fingerprint":-2.0,"timestamp":1700000000}]`, `[ {"fingerprint" : 1 } , 5, [ ] , null]`,
		`[{"timestamp":1700000000000,"type":"text","content":"\u0000"},{"fingerprint":1,"fingerprint":2}]`, `{}`, `null`, `[]`, `[{"content":"\ud800"}]`, "[\"\xff\"]",
	} {
		f.Add([]byte(data))
	}
	f.Fuzz(func(t *testing.T, data []byte) {
		whole, err := readAnswer([]byte(`{"error":false,"reason":"listed","data":` + string(data) + `}`))
		single, errSingle := readAnswer([]byte(`{"x":1,"x":2,"error":false,"reason":"listed","data":` + string(data) + `}`))
		if errSingle != nil || err != nil {
			require.Equal(t, err == nil, errSingle == nil)
			return
		}
		require.False(t, single.clear)
		require.Equal(t, single.told, whole.told)
		require.Equal(t, single.failed, whole.failed)
		require.Equal(t, single.reason, whole.reason)
		want, errSingle := single.items()
		got, err := whole.items()
		require.Equal(t, errSingle, err)
		require.Equal(t, want, got)
	})
}

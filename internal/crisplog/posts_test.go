package crisplog

import (
	"encoding/base64"
	"slices"
	"testing"

	"github.com/go-json-experiment/json"
	"github.com/stretchr/testify/require"
)

func TestPostsKeepTheNewest(t *testing.T) {
	var all Posts
	for i := range 2 * maxPosts {
		all.Put(Post{Of: PostKey{byte(i)}, Fingerprint: int64(i + 1)})
	}
	require.Len(t, all, maxPosts)
	_, known := all.Find(PostKey{})
	require.False(t, known)
	newest, known := all.Find(PostKey{2*maxPosts - 1})
	require.True(t, known)
	require.EqualValues(t, 2*maxPosts, newest.Fingerprint)
	require.True(t, all.Has(2*maxPosts))
	require.False(t, all.Has(0), "a message without a text has no fingerprint")

	all.Put(Post{Of: PostKey{40}, Fingerprint: 7, Marked: true})
	require.Len(t, all, maxPosts, "the same message is not kept twice")
	again, _ := all.Find(PostKey{40})
	require.Equal(t, Post{Of: PostKey{40}, Fingerprint: 7, Marked: true}, again)
}

func TestPostsInRecords(t *testing.T) {
	all := Posts{
		{Of: PostKey{1}, Fingerprint: 1<<53 - 1, Files: FilesMark{1, 2, 3}},
		{Of: PostKey{2}, Fingerprint: -1078189900, Marked: true},
		{Of: PostKey{3}, Edited: true},
		{Of: PostKey{4}, Marked: true, Edited: true},
		{Of: PostKey{5}, Fingerprint: -(1<<53 - 1)},
		{Of: PostKey{6}},
	}
	text, err := json.Marshal(all)
	require.NoError(t, err)
	require.Less(t, len(text), 6*20)
	var back Posts
	require.NoError(t, json.Unmarshal(text, &back))
	require.Equal(t, all, back)

	packed := func(b ...byte) string { return `"` + base64.RawStdEncoding.EncodeToString(b) + `"` }
	key, marked := []byte("key..."), []byte{0x80, 0, 0, 0, 0, 0, 7}
	require.NoError(t, json.Unmarshal([]byte(packed(slices.Concat(key, marked, []byte{flagEdited})...)), &back))
	require.Equal(t, Posts{{Of: PostKey(key), Fingerprint: 7, Edited: true}}, back)
	for name, bad := range map[string][]byte{
		"no flags": slices.Concat(key, marked), "flags that say nothing": slices.Concat(key, marked, []byte{0}),
		"unknown flags": slices.Concat(key, marked, []byte{8}), "no files": slices.Concat(key, marked, []byte{flagFiles, 1, 2}),
		"files that are none": slices.Concat(key, marked, []byte{flagFiles, 0, 0, 0}), "half a key": key[:3], "half a fingerprint": slices.Concat(key, marked[:6]),
	} {
		require.Error(t, json.Unmarshal([]byte(packed(bad...)), &back), name)
	}
	for _, bad := range []string{`"AAAA"`, `"?"`, `7`, `null`, `[]`} {
		require.Error(t, json.Unmarshal([]byte(bad), &back), bad)
	}
}

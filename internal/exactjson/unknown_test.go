package exactjson_test

import (
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/crisphandover/handover/internal/exactjson"
)

func TestUnknownMembersAreKept(t *testing.T) {
	type known struct {
		Text  string  `json:"text,omitzero"`
		Inner []known `json:"inner,omitzero"`
	}
	v, unknown, err := exactjson.Unmarshal[known]([]byte(`{"Text":1,"text":"a","inner":[{"text":"b"}],"x":{"y":[null]}}`))
	require.NoError(t, err)
	require.Equal(t, known{Text: "a", Inner: []known{{Text: "b"}}}, v)
	require.JSONEq(t, `{"Text":1,"x":{"y":[null]}}`, string(unknown))

	b, err := exactjson.Marshal(v, unknown)
	require.NoError(t, err)
	require.Equal(t, `{"text":"a","inner":[{"text":"b"}],"Text":1,"x":{"y":[null]}}`, string(b))

	v, unknown, err = exactjson.Unmarshal[known]([]byte(`{"text":"a"}`))
	require.NoError(t, err)
	require.Nil(t, unknown)
	b, err = exactjson.Marshal(v, nil)
	require.NoError(t, err)
	require.Equal(t, `{"text":"a"}`, string(b))
}

func TestUnknownMembersThatCannotBe(t *testing.T) {
	type known struct {
		Text string `json:"text,omitzero"`
	}
	for name, unknown := range map[string]string{
		"no object":     `[1]`,
		"no JSON":       `{"a":}`,
		"a field":       `{"text":"b"}`,
		"doubled names": `{"a":1,"a":2}`,
		"two values":    `{"a":1}{"b":2}`,
	} {
		t.Run(name, func(t *testing.T) {
			_, err := exactjson.Marshal(known{Text: "a"}, []byte(unknown))
			require.Error(t, err)
		})
	}
	for _, bad := range []string{`{"text":"a","text":"b"}`, `{"text":{"secret":"word"}}`, `["a"]`, `{`, `"secret"`} {
		v, unknown, err := exactjson.Unmarshal[known]([]byte(bad))
		require.Error(t, err, bad)
		require.NotContains(t, err.Error(), "secret")
		require.Zero(t, v)
		require.Nil(t, unknown)
	}
}

package handover_test

import (
	"testing"

	"github.com/go-json-experiment/json/jsontext"
	"github.com/stretchr/testify/require"

	"github.com/crisphandover/handover"
)

func TestAnswerPicker(t *testing.T) {
	tests := map[string]struct{ content, want string }{
		"only selected changes, the order and spelling of all else stays": {
			`{"id":"r","text":"T\u00e9?","n":1.50,"choices":[{"value":"a","selected":true,"label":"A"},{"label":"B","selected":false,"value":"b","x":{"selected":7}}],"required":false}`,
			`{"id":"r","text":"T\u00e9?","n":1.50,"choices":[{"value":"a","selected":false,"label":"A"},{"label":"B","selected":true,"value":"b","x":{"selected":7}}],"required":false}`},
		"selected is added where it is missing": {
			`{"choices":[{"value":"a"},{"value":"b"},{}]}`,
			`{"choices":[{"value":"a","selected":false},{"value":"b","selected":true},{"selected":false}]}`},
		"odd JSON": {
			"{ \"text\": \"\\ud800\", \"big\": 1e999, \"choices\": [ {\"s\\u0065lected\": null}, {} ] }",
			`{"text":"\ud800","big":1e999,"choices":[{"s\u0065lected":false},{"selected":true}]}`},
	}
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			got, err := handover.AnswerPicker(jsontext.Value(test.content), 1)
			require.NoError(t, err)
			require.Equal(t, test.want, string(got))
		})
	}
	for _, content := range []string{``, `null`, `"a"`, `{}`, `{"choices":{}}`, `{"choices":[{}]}`, `{"choices":[{},7]}`, `{"choices":[{},{"a":1,"a":2}]}`, `{"choices":[{},{}]`, `{"choices":[{},{}],"choices":[{},{}]}`} {
		got, err := handover.AnswerPicker(jsontext.Value(content), 1)
		require.Error(t, err, content)
		require.Nil(t, got, content)
	}
	_, err := handover.AnswerPicker(jsontext.Value(`{"choices":[{}]}`), -2)
	require.Error(t, err)
	none, err := handover.AnswerPicker(jsontext.Value(`{"choices":[{"selected":true},{}]}`), -1)
	require.NoError(t, err)
	require.Equal(t, `{"choices":[{"selected":false},{"selected":false}]}`, string(none))
}

func TestPickerPayload(t *testing.T) {
	for _, test := range []struct {
		fingerprint int64
		index       int
	}{{163408013112345, 0}, {1, 29}, {-1 << 63, 1<<63 - 1}} {
		payload := handover.PickerPayload(test.fingerprint, test.index)
		require.LessOrEqual(t, len(payload), 64)
		fingerprint, index, ok := handover.ParsePayload(payload)
		require.True(t, ok)
		require.Equal(t, test.fingerprint, fingerprint)
		require.Equal(t, test.index, index)
	}
	for _, payload := range []string{"", "handover:", "handover:1", "handover:1:", "handover::1", "handover:1:-1", "handover:+1:1", "handover:01:1", "handover:1:1 ",
		"handover:1:1:1", "Handover:1:1", "x:1:1", "1:1", "handover:1e3:1", "handover:9223372036854775808:1", "handover:leave"} {
		_, _, ok := handover.ParsePayload(payload)
		require.False(t, ok, payload)
	}
}

func TestMatchChoice(t *testing.T) {
	choices := handover.PickerChoices(jsontext.Value(`{"text":"q","choices":[
		{"value":"site","label":"Site","action":{"type":"link","target":"https://a.b"}},
		{"value":"v1","label":"Contact me\nback via email"},
		{"value":"v2","label":"Contact me back via phone"},
		{"value":"v3","label":"1"}]}`))
	require.Len(t, choices, 4)
	require.Equal(t, "v1", choices[1].Value)
	require.Equal(t, "Contact me back via email", choices[1].Label)
	for said, want := range map[string]int{
		"Contact me back via email": 1, " contact  ME back via email\n": 1, "2. Contact me back…": 1,
		"3. Contact me back…": 2, "3": 2, "3.": 2, "2": 1,
		"Site": 0, "1. Site": 0, // a choice that opens a link is one
		"1": 3, "4": 3, // a label wins over a number
	} {
		index, ok := handover.MatchChoice(said, choices)
		require.True(t, ok, said)
		require.Equal(t, want, index, said)
	}
	for _, said := range []string{"", "0", "5", "Contact", "2..", "v1"} {
		_, ok := handover.MatchChoice(said, choices)
		require.False(t, ok, said)
	}
	require.Nil(t, handover.PickerChoices(jsontext.Value(`7`)))
}

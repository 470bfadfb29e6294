package crispcontent

import (
	"testing"

	"github.com/go-json-experiment/json/jsontext"
	"github.com/stretchr/testify/require"
)

func TestAnswer(t *testing.T) {
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
			got, err := Answer(jsontext.Value(test.content), 1)
			require.NoError(t, err)
			require.Equal(t, test.want, string(got))
		})
	}
	for _, content := range []string{``, `null`, `"a"`, `{}`, `{"choices":{}}`, `{"choices":[{}]}`, `{"choices":[{},7]}`, `{"choices":[{},{"a":1,"a":2}]}`, `{"choices":[{},{}]`, `{"choices":[{},{}],"choices":[{},{}]}`} {
		got, err := Answer(jsontext.Value(content), 1)
		require.Error(t, err, content)
		require.Nil(t, got, content)
	}
	_, err := Answer(jsontext.Value(`{"choices":[{}]}`), -2)
	require.Error(t, err)
	none, err := Answer(jsontext.Value(`{"choices":[{"selected":true},{}]}`), -1)
	require.NoError(t, err)
	require.Equal(t, `{"choices":[{"selected":false},{"selected":false}]}`, string(none))
}

func TestPayload(t *testing.T) {
	for _, test := range []struct {
		fingerprint int64
		index       int
	}{{163408013112345, 0}, {1, 29}, {-1 << 63, 1<<63 - 1}} {
		text := payload(test.fingerprint, test.index)
		require.LessOrEqual(t, len(text), 64)
		fingerprint, index, ok := parsePayload(text)
		require.True(t, ok)
		require.Equal(t, test.fingerprint, fingerprint)
		require.Equal(t, test.index, index)
	}
	for _, payload := range []string{"", "handover:", "handover:1", "handover:1:", "handover::1", "handover:1:-1", "handover:+1:1", "handover:01:1", "handover:1:1 ",
		"handover:1:1:1", "Handover:1:1", "x:1:1", "1:1", "handover:1e3:1", "handover:9223372036854775808:1", "handover:leave"} {
		_, _, ok := parsePayload(payload)
		require.False(t, ok, payload)
	}
}

func TestChoices(t *testing.T) {
	question := jsontext.Value(`{"text":"q","choices":[
		{"value":"site","label":"Site","action":{"type":"link","target":"https://a.b"}},
		{"value":"v1","label":"Contact me\nback via email"},
		{"value":"v2","label":"Contact me back via phone"},
		{"value":"v3","label":"1"}]}`)
	picker, err := readPicker(question)
	require.NoError(t, err)
	require.Len(t, picker.choices, 4)
	require.Equal(t, "Contact me back via email", picker.choices[1].label)
	for said, want := range map[string]int{
		"Contact me back via email": 1, " contact  ME back via email\n": 1, "2. Contact me back…": 1,
		"3. Contact me…": 2, "3. contact me back via phone": 2, "3": 2, "3.": 2, "2": 1,
		"Site": 0, "1. Site": 0, // a choice that opens a link is one
		"1": 3, "4": 3, // a label wins over a number
	} {
		index, ok := picker.match(said)
		require.True(t, ok, said)
		require.Equal(t, want, index, said)
	}
	for _, said := range []string{"", "0", "5", "Contact", "2..", "v1", "…", "Contact…", "5. Con…"} {
		_, ok := picker.match(said)
		require.False(t, ok, said)
	}
}

func TestQuestions(t *testing.T) {
	content := jsontext.Value(`{"text":"q","choices":[{"label":"A"},{"label":"B"}]}`)
	var all Questions
	_, _, ok := all.Choose(payload(7, 0), "A")
	require.False(t, ok, "nobody has asked")

	all.Shown("s", 7, "picker", content)
	q, i, ok := all.Choose("", "2")
	require.True(t, ok)
	require.Equal(t, Question{Crisp: "s", FP: 7, Content: content, Last: true}, q)
	answer, label, err := q.Answer(i)
	require.NoError(t, err)
	require.Equal(t, "B", label)
	require.Equal(t, `{"text":"q","choices":[{"label":"A","selected":false},{"label":"B","selected":true}]}`, string(answer))
	for _, i := range []int{-1, 2} {
		_, _, err = q.Answer(i)
		require.ErrorIs(t, err, ErrPicker)
	}

	all.Shown("s", 8, "text", jsontext.Value(`"well?"`))
	_, _, ok = all.Choose("", "B")
	require.False(t, ok, "it is no longer the last word")
	_, i, ok = all.Choose(payload(7, 1), "")
	require.True(t, ok, "a button names its question")
	require.Equal(t, 1, i)
	_, _, ok = all.Choose(payload(7, 2), "")
	require.False(t, ok, "it has no such choice")

	all.Edited("s", 7, jsontext.Value(`{"text":"q","choices":[{"label":"C"}]}`))
	_, _, ok = all.Choose(payload(7, 1), "")
	require.False(t, ok, "the choice was taken away")
	all.Removed("other", 7)
	require.Len(t, all, 1)
	all.Removed("s", 7)
	require.Empty(t, all)

	for i := range maxQuestions + 1 {
		all.Shown("s", int64(i), "picker", content)
	}
	require.Len(t, all, maxQuestions)
	require.Equal(t, int64(1), all[0].FP, "the oldest are forgotten")

	all = Questions{{FP: 1, Content: jsontext.Value(`7`), Last: true}}
	_, _, ok = all.Choose(payload(1, 0), "1")
	require.False(t, ok, "what cannot be read has no choices")
}

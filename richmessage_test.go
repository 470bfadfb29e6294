package handover_test

import (
	stdjson "encoding/json"
	"os"
	"testing"
	"unicode/utf16"

	json "github.com/go-json-experiment/json"
	"github.com/go-json-experiment/json/jsontext"
	"github.com/stretchr/testify/require"

	"github.com/crisphandover/handover"
)

func readFile(t testing.TB, name string) []byte {
	t.Helper()
	b, err := os.ReadFile(name)
	require.NoError(t, err)
	return b
}

// length counts UTF-16 units in another way than the library does.
func length(s string) int { return len(utf16.Encode([]rune(s))) }

func TestDefaultNoAgentIsTheConnectorsExample(t *testing.T) {
	example := string(readFile(t, "testdata/richmessage/connector_no_agent.json"))
	messages, err := handover.ParseRichMessages(example)
	require.NoError(t, err)
	require.Equal(t, messages, handover.DefaultNoAgent())
	require.Len(t, messages, 1)
	require.Equal(t, "It seems that nobody is available right now ", messages[0].Text)
	require.Len(t, messages[0].QuickReplies, 2)
	require.Equal(t, "Contact me back via email", messages[0].QuickReplies[0].Title)
	require.NoError(t, messages[0].Validate())

	v1, err := stdjson.MarshalIndent(messages[0], "", "    ")
	require.NoError(t, err)
	require.Equal(t, example, "[\n"+string(v1)+"\n]\n")
	v2, err := json.Marshal(messages[0], jsontext.WithIndent("    "))
	require.NoError(t, err)
	require.Equal(t, example, "[\n"+string(v2)+"\n]\n")
}

func TestRichMessageRoundTrip(t *testing.T) {
	vendor := readFile(t, "testdata/richmessage/send_api.json")
	messages, err := handover.ParseRichMessages(vendor)
	require.NoError(t, err)
	require.Len(t, messages, 6)
	require.Equal(t, "tall", mustMember(t, messages[3].Attachment.Payload.Elements[0].DefaultAction.Unknown, "webview_height_ratio"))

	// 1e999 is a number in JSON and none in Go: the two texts are compared in canonical form.
	canonical := func(b []byte) string {
		v := jsontext.Value(b).Clone()
		require.NoError(t, v.Canonicalize())
		return string(v)
	}
	v2, err := json.Marshal(messages)
	require.NoError(t, err)
	require.Equal(t, canonical(vendor), canonical(v2))
	require.Contains(t, string(v2), `{"total_cost":56.140,"big":1e999}`)
	v1, err := stdjson.Marshal(messages)
	require.NoError(t, err)
	require.Equal(t, canonical(vendor), canonical(v1))

	var again []handover.RichMessage
	require.NoError(t, stdjson.Unmarshal(vendor, &again))
	require.Equal(t, canonical(vendor), canonical(must(json.Marshal(again))(t)))

	for _, m := range messages { // a host may send the inner values by themselves
		inner := map[string]any{"quick_replies": append([]handover.QuickReply{}, m.QuickReplies...), "attachment": m.Attachment}
		require.Equal(t, canonical(must(json.Marshal(inner))(t)), canonical(must(stdjson.Marshal(inner))(t)))
		require.NotContains(t, string(must(stdjson.Marshal(inner))(t)), "Unknown")
	}
	var attachment handover.Attachment
	require.NoError(t, stdjson.Unmarshal([]byte(`{"type":"image","payload":{"url":"https://a.b","x":1},"y":2}`), &attachment))
	require.Equal(t, `{"type":"image","payload":{"url":"https://a.b","x":1},"y":2}`, string(must(stdjson.Marshal(attachment))(t)))
}

func must[T any](v T, err error) func(testing.TB) T {
	return func(t testing.TB) T { t.Helper(); require.NoError(t, err); return v }
}

func mustMember(t testing.TB, object []byte, name string) any {
	t.Helper()
	var m map[string]any
	require.NoError(t, json.Unmarshal(object, &m))
	return m[name]
}

func TestRichMessageSurvivesBadText(t *testing.T) {
	b, err := json.Marshal(handover.TextMessage("a\xffb"))
	require.NoError(t, err)
	require.Equal(t, `{"text":"a�b"}`, string(b))
	var m handover.RichMessage
	require.NoError(t, stdjson.Unmarshal([]byte(`{"text":"a\ud800b","x":"\ud800"}`), &m))
	require.Equal(t, "a�b", m.Text)

	m = handover.RichMessage{Text: "kept"}
	err = json.Unmarshal([]byte(`{"text":"new","quick_replies":[{"title":8234917}]}`), &m)
	require.Error(t, err)
	require.NotContains(t, err.Error(), "8234917")
	require.Equal(t, "kept", m.Text)
}

func TestPlainText(t *testing.T) {
	messages, err := handover.ParseRichMessages(readFile(t, "testdata/richmessage/send_api.json"))
	require.NoError(t, err)
	var got []string
	for _, m := range append(messages, handover.DefaultNoAgent()...) {
		got = append(got, m.PlainText())
	}
	almost := handover.RichMessage{Text: "1. Apple", QuickReplies: []handover.QuickReply{{Title: "A"}, {Title: "two\nlines"}, {}, {Title: "4"}}}
	require.Equal(t, "1. Apple\n\n1. A\n2. two lines\n4. 4", almost.PlainText())
	require.Equal(t, []string{
		"Pick a color:\n\n1. Red",
		"https://example.com/cat.png",
		"",
		"Welcome!\nWe have the right hat for everyone.\nhttps://example.com/shirt.png\n" +
			"https://example.com/view?item=103\nView Website: https://example.com\nStart Chatting",
		"Need further assistance?\nCall us: +15105551234",
		"Classic White T-Shirt",
		"It seems that nobody is available right now \n\n1. Contact me back via email\n2. Continue with the bot",
	}, got)
}

// TestPlainTextOfAMessage takes marks out of what agents wrote, and of nothing else.
func TestPlainTextOfAMessage(t *testing.T) {
	content := handover.RichMessage{Text: "**Which** one?\n\n1. the __very best__\n2. *x*", QuickReplies: []handover.QuickReply{{Title: "the __very best__"}, {Title: "*x*"}}}
	for from, want := range map[handover.From]string{
		handover.FromAgent:  "Which one?\n\n1. the very best\n2. x",
		handover.FromSystem: content.Text, handover.FromUser: content.Text, handover.FromBot: content.Text,
	} {
		m := handover.Message{From: from, Content: content}
		require.Equal(t, want, m.PlainText())
		require.Equal(t, want, m.WithoutMarkdown().Content.Text)
		require.Equal(t, content.Text, m.Content.Text)
	}
	require.Equal(t, content.Text, content.PlainText())
}

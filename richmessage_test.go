package handover_test

import (
	stdjson "encoding/json"
	"os"
	"strconv"
	"strings"
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

// requireFits checks the limits of the strictest reader. Titles are checked for agents' messages
// only: a host's are its own.
func requireFits(t testing.TB, m handover.RichMessage, titles bool) {
	t.Helper()
	require.True(t, m.Text == "" || m.Attachment == nil, "text or attachment")
	require.LessOrEqual(t, length(m.Text), 2000)
	require.LessOrEqual(t, len(m.QuickReplies), 13)
	buttons := func(list []handover.Button) {
		require.LessOrEqual(t, len(list), 3)
		for _, b := range list {
			require.True(t, !titles || length(b.Title) <= 20)
		}
	}
	for _, q := range m.QuickReplies {
		require.True(t, !titles || length(q.Title) <= 20 && len(q.Payload) <= 64)
	}
	if m.Attachment == nil {
		return
	}
	p := m.Attachment.Payload
	buttons(p.Buttons)
	require.LessOrEqual(t, len(p.Elements), 10)
	if p.TemplateType == "button" {
		require.LessOrEqual(t, length(p.Text), 640)
	}
	for _, e := range p.Elements {
		buttons(e.Buttons)
		require.True(t, !titles || length(e.Title) <= 80 && length(e.Subtitle) <= 80)
	}
}

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
	require.Equal(t, messages, handover.Fit(messages[0]), "the default is shown as it is")

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

func TestFit(t *testing.T) {
	replies := func(n int) (list []handover.QuickReply) {
		for i := range n {
			list = append(list, handover.QuickReply{Title: "T" + strconv.Itoa(i+1), Payload: "P", ContentType: "text"})
		}
		return list
	}
	buttons := func(n int) (list []handover.Button) {
		for i := range n {
			list = append(list, handover.Button{Type: "web_url", Title: "B" + strconv.Itoa(i+1), URL: "https://a.b"})
		}
		return list
	}
	elements := func(n int) (list []handover.Element) {
		for i := range n {
			list = append(list, handover.Element{Title: "E" + strconv.Itoa(i+1)})
		}
		return list
	}
	template := func(p handover.AttachmentPayload) *handover.Attachment {
		return &handover.Attachment{Type: "template", Payload: p}
	}
	image := &handover.Attachment{Type: "image", Payload: handover.AttachmentPayload{URL: "https://a.b/c.png"}}
	words := strings.TrimSpace(strings.Repeat("word ", 1000))

	tests := map[string]struct {
		in    handover.RichMessage
		parts int
		kept  []string // each in this order somewhere in the plain texts
	}{
		"nothing":            {handover.TextMessage(" \n"), 0, nil},
		"text":               {handover.TextMessage(" a "), 1, []string{" a "}},
		"long text":          {handover.RichMessage{Text: words, QuickReplies: replies(2)}, 3, []string{words[:1000], "1. T1", "2. T2"}},
		"one unit too long":  {handover.TextMessage(strings.Repeat("x", 1999) + "😀"), 2, []string{"x\n😀"}},
		"trailing space":     {handover.TextMessage("a" + strings.Repeat(" ", 3000)), 1, []string{"a"}},
		"text and picture":   {handover.RichMessage{Text: "hi", Attachment: image, QuickReplies: replies(1)}, 2, []string{"hi", "https://a.b/c.png", "T1"}},
		"blank and picture":  {handover.RichMessage{Text: "  ", Attachment: image}, 1, []string{"https://a.b/c.png"}},
		"13 replies":         {handover.RichMessage{Text: "q", QuickReplies: replies(13)}, 1, []string{"q", "13. T13"}},
		"30 replies":         {handover.RichMessage{Text: "q", QuickReplies: replies(30)}, 3, []string{"q", "1. T1", "13. T13", "30. T30", "1. T14", "4. T30"}},
		"replies alone":      {handover.RichMessage{QuickReplies: replies(1)}, 1, []string{"T1"}},
		"7 buttons":          {handover.RichMessage{Attachment: template(handover.AttachmentPayload{TemplateType: "button", Text: "q", Buttons: buttons(7)})}, 3, []string{"q\nB1", "B3", "…\nB4", "B6", "…\nB7"}},
		"long template text": {handover.RichMessage{Attachment: template(handover.AttachmentPayload{TemplateType: "button", Text: words[:1299], Buttons: buttons(3)})}, 3, []string{words[:600], "B1", "B3"}},
		"21 elements":        {handover.RichMessage{Attachment: template(handover.AttachmentPayload{TemplateType: "generic", Elements: elements(21)}), QuickReplies: replies(1)}, 3, []string{"E1", "E10", "E11", "E20", "E21", "T1"}},
		"element's buttons":  {handover.RichMessage{Attachment: template(handover.AttachmentPayload{TemplateType: "generic", Elements: []handover.Element{{Title: "E", Buttons: buttons(5)}}})}, 1, []string{"E\nB1", "B3", "E\nB4", "B5"}},
		"other template":     {handover.RichMessage{Attachment: template(handover.AttachmentPayload{TemplateType: "receipt"})}, 1, nil},
	}
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			test.in.Unknown = stdjson.RawMessage(`{"metadata":"m"}`)
			if test.in.Attachment != nil {
				test.in.Attachment.Unknown = stdjson.RawMessage(`{"a":1}`)
				test.in.Attachment.Payload.Unknown = stdjson.RawMessage(`{"sharable":true}`)
			}
			before := must(json.Marshal(test.in))(t)
			out := handover.Fit(test.in)
			require.Len(t, out, test.parts)
			all := ""
			for i, m := range out {
				requireFits(t, m, false)
				require.Equal(t, i == len(out)-1, len(m.Unknown) > 0, "unknown members stay with the last")
				require.Equal(t, []handover.RichMessage{m}, handover.Fit(m), "fitting twice changes nothing")
				if m.Attachment != nil {
					require.Equal(t, test.in.Attachment.Unknown, m.Attachment.Unknown)
					require.Equal(t, test.in.Attachment.Payload.Unknown, m.Attachment.Payload.Unknown)
				}
				all += m.PlainText() + "\n"
			}
			for _, want := range test.kept {
				_, rest, found := strings.Cut(all, want)
				require.True(t, found, "%q in %q", want, all)
				all = rest
			}
			require.Equal(t, string(before), string(must(json.Marshal(test.in))(t)), "the input is not changed")
		})
	}
}

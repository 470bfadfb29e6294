package handover_test

import (
	stdjson "encoding/json"
	"os"
	"strings"
	"testing"
	"unicode/utf16"

	json "github.com/go-json-experiment/json"
	"github.com/go-json-experiment/json/jsontext"
	"github.com/stretchr/testify/require"

	"github.com/crisphandover/handover"
	"github.com/crisphandover/handover/internal/crispcontent"
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

// fromCrisp returns an agent's message as JSON, so that tests read like what a host gets.
func fromCrisp(t testing.TB, typ, content string) (messages, files []string) {
	t.Helper()
	parts, err := crispcontent.Show(typ, []byte(content), 163408013112345)
	require.NoError(t, err)
	for _, p := range parts {
		m, file := handover.ContentOf(p)
		require.NoError(t, m.Validate())
		messages = append(messages, string(must(json.Marshal(m))(t)))
		if file != nil {
			files = append(files, string(must(stdjson.Marshal(file))(t)))
		}
	}
	return messages, files
}

func TestAgentMessages(t *testing.T) {
	tests := map[string]struct {
		typ, content string
		want         []string
	}{
		"text":                {"text", `"Hello, **Ann** [here](https://a.b) __x__ :)\n"`, []string{`{"text":"Hello, **Ann** [here](https://a.b) __x__ :)\n"}`}},
		"text, odd":           {"text", `"a\u0000\ud800b"`, []string{`{"text":"a��b"}`}},
		"field":               {"field", `{"id":"order","text":"Order number?","explain":"Type it here","value":"","required":true}`, []string{`{"text":"Order number?\nType it here"}`}},
		"field, explain only": {"field", `{"text":" ","explain":"Type it"}`, []string{`{"text":"Type it"}`}},
		"picker": {"picker", `{"id":"routing","text":"Topic?","required":false,"choices":[
			{"value":"sales","icon":"x","label":"Sales","selected":false,"action":{"type":"link","target":"https://acme.example"}},
			{"value":"help","label":"Help","selected":false}, {"value":"other"}, {"action":null}]}`,
			[]string{`{"quick_replies":[` +
				`{"payload":"handover:163408013112345:0","title":"Sales","content_type":"text"},` +
				`{"payload":"handover:163408013112345:1","title":"Help","content_type":"text"},` +
				`{"payload":"handover:163408013112345:2","title":"other","content_type":"text"},` +
				`{"payload":"handover:163408013112345:3","title":"4","content_type":"text"}],` +
				`"text":"Topic?\n\nSales: https://acme.example"}`}},
		"picker with long labels": {"picker", `{"text":"How?","choices":[{"value":"a","label":"Contact me back via email"},{"value":"b","label":"Contact me back via phone"}]}`,
			[]string{`{"quick_replies":[` +
				`{"payload":"handover:163408013112345:0","title":"Contact me back via email","content_type":"text"},` +
				`{"payload":"handover:163408013112345:1","title":"Contact me back via phone","content_type":"text"}],` +
				`"text":"How?"}`}},
		"picker without text":    {"picker", `{"choices":[{"label":"A"}]}`, []string{`{"quick_replies":[{"payload":"handover:163408013112345:0","title":"A","content_type":"text"}],"text":"A"}`}},
		"picker without choices": {"picker", `{"text":"Topic?"}`, []string{`{"text":"Topic?"}`}},
		"picker, other action":   {"picker", `{"text":"q","choices":[{"label":"A","action":{"type":"call","target":"javascript:x"}}]}`, []string{`{"quick_replies":[{"payload":"handover:163408013112345:0","title":"A","content_type":"text"}],"text":"q"}`}},
		"carousel": {"carousel", `{"text":"Pick one","targets":[{"title":"A","description":"d","image":"https://x.example/x.png","actions":[{"label":"Open","url":"https://acme.example"}]}]}`,
			[]string{`{"text":"Pick one"}`, `{"attachment":{"type":"template","payload":{"template_type":"generic","elements":[` +
				`{"title":"A","image_url":"https://x.example/x.png","subtitle":"d","buttons":[{"type":"web_url","url":"https://acme.example","title":"Open"}]}]}}}`}},
		"carousel, what a card cannot hold": {"carousel", `{"targets":[
			{"title":"A","description":"d"},
			{"title":"B","image":"https://x.example/x.png","actions":[{"label":"Mail us","url":"mailto:a@b.c"},{"label":"Nothing"}]},
			{"title":"C"},
			{"description":"only this","actions":[{"url":"https://acme.example/a"}]},
			{"image":"https://x.example/y.png"}, {}]}`,
			[]string{
				`{"attachment":{"type":"template","payload":{"template_type":"generic","elements":[{"title":"A","subtitle":"d"}]}}}`,
				`{"text":"Mail us: mailto:a@b.c\nNothing"}`,
				`{"attachment":{"type":"template","payload":{"template_type":"generic","elements":[{"title":"B","image_url":"https://x.example/x.png"}]}}}`,
				`{"text":"C"}`,
				`{"attachment":{"type":"template","payload":{"template_type":"generic","elements":[` +
					`{"title":"only this","buttons":[{"type":"web_url","url":"https://acme.example/a","title":"acme.example/a"}]},` +
					`{"title":"…","image_url":"https://x.example/y.png"}]}}}`,
			}},
		"carousel, long": {"carousel", `{"targets":[{"title":"` + strings.Repeat("t", 90) + `","description":"d","actions":[{"label":"A label of more than twenty","url":"https://a.b"}]}]}`,
			[]string{
				`{"attachment":{"type":"template","payload":{"template_type":"generic","elements":[{"title":"` + strings.Repeat("t", 90) + `","subtitle":"d",` +
					`"buttons":[{"type":"web_url","url":"https://a.b","title":"A label of more than twenty"}]}]}}}`,
			}},
	}
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			messages, files := fromCrisp(t, test.typ, test.content)
			require.Equal(t, test.want, messages)
			require.Empty(t, files)
		})
	}
}

func TestAgentFiles(t *testing.T) {
	tests := map[string]struct{ typ, content, kind, file string }{
		"file":      {"file", `{"name":"invoice.pdf","url":"https://storage.crisp.chat/x.pdf","type":"application/pdf"}`, "file", `{"url":"https://storage.crisp.chat/x.pdf","name":"invoice.pdf","mime_type":"application/pdf"}`},
		"image":     {"file", `{"name":"a.png","url":"https://a.b/c","type":"Image/PNG; q=1","size":12.0}`, "image", `{"url":"https://a.b/c","name":"a.png","mime_type":"image/png","size":12}`},
		"video":     {"file", `{"url":"https://a.b/c","type":"video/mp4"}`, "video", `{"url":"https://a.b/c","mime_type":"video/mp4"}`},
		"sound":     {"file", `{"url":"https://a.b/c","type":"audio/ogg"}`, "audio", `{"url":"https://a.b/c","mime_type":"audio/ogg"}`},
		"svg":       {"file", `{"url":"https://a.b/c","type":"image/svg+xml"}`, "file", `{"url":"https://a.b/c","mime_type":"image/svg+xml"}`},
		"no type":   {"file", `{"url":"https://a.b/c.png"}`, "file", `{"url":"https://a.b/c.png"}`},
		"odd":       {"file", `{"name":"..\\..\\/x/\u202efdp.exe\u0000","url":" https://a.b/my file ","type":"a\"b/c","size":-1}`, "file", `{"url":"https://a.b/my%20file","name":"fdp.exe"}`},
		"gif":       {"animation", `{"url":"https://x.example/y.gif","type":"image/gif"}`, "image", `{"url":"https://x.example/y.gif","mime_type":"image/gif"}`},
		"gif, film": {"animation", `{"url":"https://x.example/y","type":"video/mp4"}`, "video", `{"url":"https://x.example/y","mime_type":"video/mp4"}`},
		"gif, bare": {"animation", `{"url":"https://x.example/y","type":null}`, "image", `{"url":"https://x.example/y"}`},
		"audio":     {"audio", `{"url":"https://x.example/y.m4a","type":"audio/mp4","duration":12.5}`, "audio", `{"url":"https://x.example/y.m4a","mime_type":"audio/mp4","duration":12500000000}`},
		"audio, no type, a duration beyond numbers": {"audio", `{"url":"https://x.example/y.m4a","duration":1e999,"size":1e999}`, "audio", `{"url":"https://x.example/y.m4a"}`},
		"audio, a duration of ages":                 {"audio", `{"url":"https://x.example/y.m4a","duration":1e15}`, "audio", `{"url":"https://x.example/y.m4a"}`},
		"audio, a duration in words":                {"audio", `{"url":"https://x.example/y.m4a","type":"video/webm","duration":"12"}`, "audio", `{"url":"https://x.example/y.m4a","mime_type":"video/webm"}`},
	}
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			messages, files := fromCrisp(t, test.typ, test.content)
			var file handover.File
			require.NoError(t, stdjson.Unmarshal([]byte(test.file), &file))
			require.Equal(t, []string{test.file}, files)
			require.Equal(t, []string{`{"attachment":{"type":"` + test.kind + `","payload":{"url":"` + file.URL + `"}}}`}, messages)
		})
	}
}

func TestPlainTextOfAPickerListsItsChoicesOnce(t *testing.T) {
	for content, want := range map[string]string{
		`{"text":"How?","choices":[{"label":"A"},{"label":"B"}]}`:                         "How?\n\n1. A\n2. B",
		`{"choices":[{"label":"A"},{"label":"B"}]}`:                                       "1. A\n2. B",
		`{"text":"How?","choices":[{"label":"Contact me back via email"},{"label":"B"}]}`: "How?\n\n1. Contact me back via email\n2. B",
	} {
		parts, err := crispcontent.Show("picker", []byte(content), 1)
		require.NoError(t, err)
		require.Len(t, parts, 1)
		m, _ := handover.ContentOf(parts[0])
		require.Equal(t, want, m.PlainText())
	}
}

func FuzzAgentContent(f *testing.F) {
	f.Add("text", []byte(`"Hello 😀 \ud800"`), int64(1))
	f.Add("file", []byte(`{"name":"a","url":"https://a.b/ c","type":"image/png","size":1e999}`), int64(163408013112345))
	f.Add("audio", []byte(`{"url":"https://x/y.m4a","type":"audio/mp4","duration":12}`), int64(-1))
	f.Add("picker", []byte(`{"text":"q","choices":[{"label":"A label of more than twenty","action":{"type":"link","target":"https://a.b"}},{"value":"b","selected":true}]}`), int64(1<<62))
	f.Add("field", []byte(`{"text":"q","explain":"e"}`), int64(0))
	f.Add("carousel", []byte(`{"text":"q","targets":[{"title":"A","description":"d","image":"https://x.y/z","actions":[{"label":"l","url":"tel:12345"},{"url":"https://a.b"}]}]}`), int64(7))
	f.Add("carousel", []byte(`{"targets":[{"title":"`+strings.Repeat("t", 81)+`"},{"actions":[{"label":"l","url":"https://a.b"},{"url":"https://a.b"},{"url":"https://a.b"},{"url":"https://a.b"}]}]}`), int64(7))
	f.Fuzz(func(t *testing.T, typ string, content []byte, fingerprint int64) {
		before := string(content)
		parts, err := crispcontent.Show(typ, content, fingerprint)
		require.Equal(t, before, string(content))
		if err != nil {
			require.Empty(t, parts)
			return
		}
		require.NotEmpty(t, parts)
		for _, p := range parts {
			m, _ := handover.ContentOf(p)
			require.NoError(t, m.Validate())
			require.NotEmpty(t, m.PlainText())
			requireSafe(t, m)
			for _, q := range m.QuickReplies {
				var questions crispcontent.Questions
				questions.Shown("", fingerprint, "picker", content)
				question, index, ok := questions.Choose(q.Payload, "")
				require.True(t, ok)
				require.Equal(t, fingerprint, question.FP)
				_, label, err := question.Answer(index)
				require.NoError(t, err)
				require.NotEmpty(t, label)
				_, matched, ok := questions.Choose("", q.Title)
				require.True(t, ok)
				require.LessOrEqual(t, matched, index)
			}
		}
	})
}

// requireSafe checks links in a cruder way than the library does.
func requireSafe(t testing.TB, m handover.RichMessage) {
	t.Helper()
	if m.Attachment == nil {
		return
	}
	web := func(link string) {
		lower := strings.ToLower(link)
		require.True(t, link == "" || strings.HasPrefix(lower, "http://") || strings.HasPrefix(lower, "https://"), link)
		host, _, _ := strings.Cut(link[min(len(link), strings.Index(link, "//")+2):], "/")
		host, _, _ = strings.Cut(host, "?")
		host, _, _ = strings.Cut(host, "#")
		require.NotContains(t, host, "@")
		require.False(t, strings.ContainsAny(link, " \\\t\r\n\x00<>\"\u202e"), link)
	}
	web(m.Attachment.Payload.URL)
	for _, e := range m.Attachment.Payload.Elements {
		web(e.ImageURL)
		for _, b := range e.Buttons {
			web(b.URL)
		}
	}
}

package handover_test

import (
	stdjson "encoding/json"
	"errors"
	"strings"
	"testing"

	json "github.com/go-json-experiment/json"
	"github.com/stretchr/testify/require"

	"github.com/crisphandover/handover"
)

func TestParseRichMessages(t *testing.T) {
	text := handover.TextMessage
	tests := map[string][]handover.RichMessage{
		`Nobody is here `:                {text("Nobody is here ")},
		"\uFEFFhi":                       {text("hi")},
		`12`:                             {text("12")},
		`"say \"hi\" "`:                  {text(`say "hi" `)},
		` {"text":"a"} `:                 {text("a")},
		`["a",{"text":"b"}]`:             {text("a"), text("b")},
		`{"text":"a","Text":"kept"}`:     {{Text: "a", Unknown: stdjson.RawMessage(`{"Text":"kept"}`)}},
		`{"text":"a","attachment":null}`: {text("a")},
		`{"text":"q","quick_replies":[{"title":"T"},{"content_type":"user_email"}]}`: {{Text: "q", QuickReplies: []handover.QuickReply{
			{Title: "T", Payload: "T", ContentType: "text"}, {ContentType: "user_email"}}}},
		`{"attachment":{"type":"template","payload":{"template_type":"button","text":"t","buttons":[{"type":"web_url","title":"Mail","url":"mailto:a@b.c"}]}}}`: {{
			Attachment: &handover.Attachment{Type: "template", Payload: handover.AttachmentPayload{TemplateType: "button", Text: "t",
				Buttons: []handover.Button{{Type: "web_url", Title: "Mail", URL: "mailto:a@b.c"}}}}}},
	}
	for in, want := range tests {
		t.Run(in, func(t *testing.T) {
			got, err := handover.ParseRichMessages(in)
			require.NoError(t, err)
			require.Equal(t, want, got)
			same, err := handover.ParseRichMessages([]byte(in))
			require.NoError(t, err)
			require.Equal(t, want, same)
		})
	}
}

func TestParseRichMessagesNamesTheFault(t *testing.T) {
	template := func(inner string) string {
		return `{"attachment":{"type":"template","payload":` + inner + `}}`
	}
	tests := []struct {
		in     string
		at     string // the input from the fault on begins with this
		path   string
		reason string
	}{
		{"", "", "", "nothing to show"},
		{" \n\t", " \n", "", "nothing to show"},
		{"\u200b", "", "", "nothing to show"},
		{`"  "`, `"  "`, "", "nothing to show"},
		{`{"text":" "}`, `" "`, "/text", "nothing to show"},
		{`{}`, `{}`, "/text", "nothing to show"},
		{`{"quick_replies":[{"title":"a"}]}`, `{"quick`, "/text", "nothing to show"},
		{`["a", ""]`, `""`, "/1", "nothing to show"},
		{`[]`, `[]`, "", "1 to 100"},
		{`[` + strings.Repeat(`"a",`, 100) + `"a"]`, `["a"`, "", "1 to 100"},
		{`["a", 7]`, `7`, "/1", "object or a string"},
		{`["a", ["b"]]`, `["b"`, "/1", "object or a string"},
		{"abc\xffdef", "\xff", "", "not UTF-8"},
		{"\uFEFFabc\xff", "\xff", "", "not UTF-8"},
		{"{\"text\":\"a\xff\"}", "\xff", "/text", "UTF-8"},
		{`{"text":"\ud800"}`, `\ud800`, "/text", "surrogate"},
		{`[{"text":"a"`, "", "/0", "unexpected EOF"},
		{`[{"text":"a",}]`, `,}]`, "/0", "invalid character"},
		{`{"text":"a"} {"text":"b"}`, `{"text":"b"}`, "", "nothing may follow"},
		{`{"text":"a"} x`, `x`, "", "nothing may follow"},
		{`[{"text":"a","text":"b"}]`, `"text":"b"`, "/0/text", "duplicate"},
		{`{"text": 5}`, `5`, "/text", "must be a string"},
		{`[{"text":"a"},{"text":"b","quick_replies":{}}]`, `{}}]`, "/1/quick_replies", "must be a list"},
		{`{"text":"b","quick_replies":["x"]}`, `"x"`, "/quick_replies/0", "must be an object"},
		{`{"attachment":"x"}`, `"x"`, "/attachment", "must be an object"},
		{`{"text":"b","quick_replies":[{"title":"a"},{"title":  9}]}`, `9}`, "/quick_replies/1/title", "must be a string"},
		{`{"text":"b","quick_replies":[{"title":"a"}, {"payload":"x"}]}`, `{"payload"`, "/quick_replies/1/title", "needs a title"},
		{`[{"text":"b","quick_replies":[{"title":" ","payload":"x"}]}]`, `" "`, "/0/quick_replies/0/title", "needs a title"},
		{`{"text":"b","quick_replies":[{"title":"a","payload":"` + strings.Repeat("x", 1001) + `"}]}`, `"xxx`, "/quick_replies/0/payload", "1,000"},
		{`{"text":"b","quick_replies":[{"title":"a","image_url":"data:image/png,x"}]}`, `"data:`, "/quick_replies/0/image_url", "http"},
		{`{"attachment":{"type":"location","payload":{}}}`, `"location"`, "/attachment/type", "must be image"},
		{`{"attachment":{"type":"image","payload":{}}}`, `{}`, "/attachment/payload/url", "http"},
		{`{"attachment":{"type":"file","payload":{"url":"mailto:a@b.c"}}}`, `"mailto`, "/attachment/payload/url", "http"},
		{template(`{}`), `{}`, "/attachment/payload/template_type", "needs a type"},
		{template(`{"template_type":"button","buttons":[]}`), `{"template_type":"button"`, "/attachment/payload/text", "needs text"},
		{template(`{"template_type":"button","text":"a"}`), `{"template_type":"button"`, "/attachment/payload/buttons", "needs buttons"},
		{template(`{"template_type":"generic"}`), `{"template_type":"generic"`, "/attachment/payload/elements", "needs elements"},
		{template(`{"template_type":"generic","elements":[{"subtitle":"a"}]}`), `{"subtitle"`, "/attachment/payload/elements/0/title", "needs a title"},
		{template(`{"template_type":"generic","elements":[{"title":"a","image_url":"x"}]}`), `"x"`, "/attachment/payload/elements/0/image_url", "http"},
		{template(`{"template_type":"generic","elements":[{"title":"a","default_action":{"type":"web_url","url":"JavaScript:x"}}]}`), `"JavaScript`, "/attachment/payload/elements/0/default_action/url", "http"},
		{template(`{"template_type":"generic","elements":[{"title":"a","buttons":[{"type":"postback","title":"b"}]}]}`), `{"type":"postback"`, "/attachment/payload/elements/0/buttons/0/payload", "needs a payload"},
		{template(`{"template_type":"button","text":"a","buttons":[{"type":"web_url","url":"https://a.b"}]}`), `{"type":"web_url"`, "/attachment/payload/buttons/0/title", "needs a title"},
		{template(`{"template_type":"button","text":"a","buttons":[{"title":"b"}]}`), `{"title":"b"`, "/attachment/payload/buttons/0/type", "needs a type"},
		{template(`{"template_type":"button","text":"a","buttons":[{"type":"share","payload":"` + strings.Repeat("x", 1001) + `"}]}`), `"xxx`, "/attachment/payload/buttons/0/payload", "1,000"},
		{strings.Repeat(`{"a":`, 40) + `1` + strings.Repeat(`}`, 40), `"a"`, strings.Repeat("/a", 32), "too deeply"},
		{strings.Repeat("x", 256<<10+1), "x", "", "256 KiB"},
	}
	for _, test := range tests {
		name := test.in[:min(len(test.in), 60)]
		t.Run(name, func(t *testing.T) {
			messages, err := handover.ParseRichMessages(test.in)
			require.Nil(t, messages)
			var fault *handover.ParseError
			require.ErrorAs(t, err, &fault)
			require.Equal(t, test.path, fault.Path)
			require.LessOrEqual(t, fault.Offset, int64(len(test.in)))
			require.True(t, strings.HasPrefix(test.in[fault.Offset:], test.at), "at offset %d: %q", fault.Offset, test.in[fault.Offset:])
			require.ErrorContains(t, err, test.reason)
			require.ErrorContains(t, err, "handover: rich message")
		})
	}
}

func TestParseErrorQuotesNothing(t *testing.T) {
	for _, in := range []string{
		`{"text":5551234}`, `{"text":"5551234","quick_replies":"5551234"}`, `["5551234", 5551234]`,
		`{"text":"5551234"} 5551234`, `{"text":"5551234`, `{"attachment":{"type":"5551234"}}`,
		`{"attachment":{"type":"file","payload":{"url":"javascript:5551234"}}}`,
		`{"text":"a","` + strings.Repeat("5551234", 100) + `":1,"` + strings.Repeat("5551234", 100) + `":2}`,
	} {
		_, err := handover.ParseRichMessages(in)
		require.Error(t, err)
		require.NotContains(t, err.Error(), "5551234", in)
	}
}

func TestValidate(t *testing.T) {
	require.NoError(t, handover.TextMessage("a").Validate())
	require.NoError(t, handover.TextMessage(strings.Repeat("a", 9000)).Validate(), "too long is no fault")

	var fault *handover.ParseError
	err := handover.RichMessage{Text: "a", QuickReplies: []handover.QuickReply{{ContentType: "text"}}}.Validate()
	require.True(t, errors.As(err, &fault))
	require.Equal(t, int64(-1), fault.Offset)
	require.EqualError(t, err, "handover: rich message: /quick_replies/0/title: a quick reply needs a title")

	require.ErrorContains(t, handover.RichMessage{Text: "a", QuickReplies: []handover.QuickReply{{}}}.Validate(), "/quick_replies/0/title", "none is text")
	require.NoError(t, handover.RichMessage{Text: "a", QuickReplies: []handover.QuickReply{{ContentType: "user_email"}}}.Validate())

	for _, unknown := range []string{`{`, `[]`, `7`, `{"text":"twice"}`} {
		m := handover.RichMessage{Text: "a", Unknown: stdjson.RawMessage(unknown)}
		require.ErrorContains(t, m.Validate(), "Unknown must be", unknown)
	}
}

func TestLinks(t *testing.T) {
	button := func(link string) error {
		return handover.RichMessage{Attachment: &handover.Attachment{Type: "template", Payload: handover.AttachmentPayload{
			TemplateType: "button", Text: "t", Buttons: []handover.Button{{Type: "web_url", Title: "b", URL: link}}}}}.Validate()
	}
	for _, link := range []string{"https://a.b", "HTTP://a.b:80/c?d=e#f", "https://пример.рф/ü", "http://[::1]/x", "mailto:a@b.c?subject=x", "tel:+33605776995"} {
		require.NoError(t, button(link), link)
	}
	for _, link := range []string{
		"", "a.b", "//a.b", "/a", "javascript:alert(1)", " javascript:alert(1)", "java\nscript:alert(1)", "data:text/html,x", "vbscript:x", "file:///etc/passwd",
		"ftp://a.b", "blob:https://a.b/x", "https:", "https://", "https:///a.b", "https:a.b", "http:/a.b", "https://:80",
		"https://crisp.chat@evil.example", "https://u:p@a.b", `https://evil.example\@a.b`, "https://a.b/ c", "https://a.b/\x00", "https://a.b/\u202egnp.exe",
		"https://a.b/\u200b", "https://a.b/\xff", `https://a.b/"onclick=x`, "https://a.b/<script>", "mailto:", "tel:", "https://a.b/" + strings.Repeat("x", 9000), "https://a.b:x/", "\x01https://a.b",
	} {
		require.Error(t, button(link), link)
	}
}

func FuzzParseRichMessages(f *testing.F) {
	f.Add(readFile(f, "testdata/richmessage/connector_no_agent.json"))
	f.Add(readFile(f, "testdata/richmessage/send_api.json"))
	f.Add([]byte(`["a",{"text":"\u0000","x":1e999}]`))
	f.Add([]byte(`"\ud83d\ude00"`))
	f.Add([]byte("\uFEFF plain"))
	f.Fuzz(func(t *testing.T, data []byte) {
		messages, err := handover.ParseRichMessages(data)
		if err != nil {
			var fault *handover.ParseError
			require.ErrorAs(t, err, &fault)
			require.True(t, fault.Offset >= 0 && fault.Offset <= int64(len(data)))
			require.Empty(t, messages)
			return
		}
		require.NotEmpty(t, messages)
		encoded, err := json.Marshal(messages)
		require.NoError(t, err)
		again, err := handover.ParseRichMessages(encoded)
		require.NoError(t, err)
		require.Equal(t, string(encoded), string(must(json.Marshal(again))(t)))
		for _, m := range messages {
			require.NoError(t, m.Validate())
			handover.TextMessage(m.PlainText()).PlainText()
		}
	})
}

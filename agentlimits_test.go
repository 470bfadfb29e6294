package handover_test

import (
	stdjson "encoding/json"
	"strconv"
	"strings"
	"testing"

	json "github.com/go-json-experiment/json"
	"github.com/stretchr/testify/require"

	"github.com/crisphandover/handover"
	"github.com/crisphandover/handover/internal/crispcontent"
)

// messenger is what the Send API takes.
var messenger = handover.MessageLimits{Text: 2000, QuickReplies: 13, Title: 20, Elements: 10, Buttons: 3, ElementText: 80, TemplateText: 640}

func TestFitTo(t *testing.T) {
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
		"30 replies":         {handover.RichMessage{Text: "q", QuickReplies: replies(30)}, 1, []string{"q\n\n1. T1\n", "13. T13\n", "30. T30"}},
		"a long reply":       {handover.RichMessage{Text: "q", QuickReplies: append(replies(1), handover.QuickReply{Title: "Contact me back via email", Payload: "P"})}, 1, []string{"q\n\n1. T1\n2. Contact me back via email"}},
		"one long reply":     {handover.RichMessage{Text: "q", QuickReplies: []handover.QuickReply{{Title: "Contact me back via email"}}}, 1, []string{"q\n\nContact me back via email"}},
		"a long button":      {handover.RichMessage{Attachment: template(handover.AttachmentPayload{TemplateType: "button", Text: "q", Buttons: []handover.Button{{Type: "web_url", Title: "A label of more than twenty", URL: "https://a.b"}}})}, 2, []string{"A label of more than twenty: https://a.b", "q\nA label of more tha…: https://a.b"}},
		"a long card":        {handover.RichMessage{Attachment: template(handover.AttachmentPayload{TemplateType: "generic", Elements: []handover.Element{{Title: "E"}, {Title: words[:100], Subtitle: "s"}}})}, 3, []string{"E", words[:100] + "\ns", "…\ns"}},
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
			out := test.in.FitTo(messenger)
			require.Len(t, out, test.parts)
			all := ""
			for i, m := range out {
				requireFits(t, m, messenger)
				require.Equal(t, i == len(out)-1, len(m.Unknown) > 0, "unknown members stay with the last")
				require.Equal(t, []handover.RichMessage{m}, m.FitTo(messenger), "fitting twice changes nothing")
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

// TestFitToNoLimits leaves everything as it is.
func TestFitToNoLimits(t *testing.T) {
	messages, err := handover.ParseRichMessages(readFile(t, "testdata/richmessage/send_api.json"))
	require.NoError(t, err)
	for _, m := range append(messages, handover.DefaultNoAgent()...) {
		require.Equal(t, []handover.RichMessage{m}, m.FitTo(handover.MessageLimits{}))
	}
}

// TestWhatFitToShowsChooses has each choice chosen by whatever a user sees of it.
func TestWhatFitToShowsChooses(t *testing.T) {
	content := []byte(`{"text":"Which?","choices":[{"label":"Contact me back via email"},{"label":"Contact me back via phone"},` +
		`{"label":"3. FC Cologne of Germany"},{"label":"Contact me back never"},{"label":"Site"}]}`)
	parts, err := handover.FromCrisp("picker", content, 7)
	require.NoError(t, err)
	require.Len(t, parts, 1)
	require.Equal(t, "Which?", parts[0].Content.Text, "the root lists nothing")
	require.Equal(t, "Contact me back via email", parts[0].Content.QuickReplies[0].Title)

	var all crispcontent.Questions
	all.Shown("s", 7, "picker", content)
	for _, l := range []handover.MessageLimits{{}, messenger, {QuickReplies: 2}, {Title: 12, QuickReplies: 3}, {Title: 1}} {
		fitting := parts[0].Content.FitTo(l)
		require.Len(t, fitting, 1)
		for i, q := range fitting[0].QuickReplies {
			_, index, ok := all.Choose("", q.Title)
			require.True(t, ok, q.Title)
			require.Equal(t, i, index, q.Title)
		}
		if l != (handover.MessageLimits{}) {
			require.Equal(t, "Which?\n\n1. Contact me back via email\n2. Contact me back via phone\n3. FC Cologne of Germany\n4. Contact me back never\n5. Site", fitting[0].Text)
			for i, line := range strings.Split(fitting[0].Text, "\n")[2:] {
				for _, said := range []string{line, strconv.Itoa(i + 1)} {
					_, index, ok := all.Choose("", said)
					require.True(t, ok && index == i, said)
				}
			}
		}
		require.Equal(t, 1, strings.Count(fitting[0].PlainText(), "2. Contact me back via phone"))
	}
	fitting := parts[0].Content.FitTo(messenger)
	require.Equal(t, "2. Contact me back…", fitting[0].QuickReplies[1].Title)
	require.Equal(t, "5. Site", fitting[0].QuickReplies[4].Title)
	require.Len(t, parts[0].Content.FitTo(handover.MessageLimits{QuickReplies: 2})[0].QuickReplies, 2)
}

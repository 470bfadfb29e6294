package channel_test

import (
	"fmt"
	"html"
	"regexp"
	"strings"
	"testing"
	"unicode"
	"unicode/utf8"

	"github.com/stretchr/testify/require"

	"github.com/crisphandover/handover"
	"github.com/crisphandover/handover/channel"
	"github.com/crisphandover/handover/internal/markdown"
)

var (
	telegram = channel.Capabilities{Unit: channel.UTF16, Text: 4096, Markup: channel.HTML, Buttons: 100, Title: 64, Links: true,
		Files: channel.FilesByURL, Caption: 1024, Edits: true, Removals: true}
	slack     = channel.Capabilities{Text: 3000, Markup: channel.Mrkdwn, Buttons: 5, Title: 75, Links: true}
	whatsapp  = channel.Capabilities{Text: 4096, ButtonText: 1024, Markup: channel.WhatsApp, Buttons: 3, Title: 20, Files: channel.FilesByURL}
	messenger = channel.Capabilities{Unit: channel.UTF16, Text: 2000, Buttons: 13, Title: 20, Cards: 10, CardButtons: 3, CardText: 80, Files: channel.FilesByURL}
	sms       = channel.Capabilities{Text: 160}
)

// agent is a message of Ann's.
func agent(content handover.RichMessage) handover.Message {
	return handover.Message{ID: "m", From: handover.FromAgent, Agent: handover.Agent{Name: "Ann"}, Content: content}
}

func replies(titles ...string) (all []handover.QuickReply) {
	for i, t := range titles {
		all = append(all, handover.QuickReply{ContentType: handover.ReplyText, Title: t, Payload: fmt.Sprint("p", i+1)})
	}
	return all
}

func template(p handover.AttachmentPayload) handover.RichMessage {
	return handover.RichMessage{Attachment: &handover.Attachment{Type: handover.AttachmentTemplate, Payload: p}}
}

// shown writes parts as a reader would draw them: text, <kind file>, {cards}, [buttons].
func shown(parts []channel.Part) (all []string) {
	for _, p := range parts {
		line := p.Text
		if p.File != nil {
			line = "<" + p.Kind + " " + p.File.URL + ">" + line
		}
		for _, c := range p.Cards {
			line += "{" + c.Title + "|" + c.Subtitle + buttons(c.Buttons) + "}"
		}
		all = append(all, line+buttons(p.Buttons))
	}
	return all
}

func buttons(all []channel.Button) (line string) {
	for _, b := range all {
		line += " [" + b.Title + "=" + b.Payload + b.URL + "]"
	}
	return line
}

func TestRender(t *testing.T) {
	system := func(content handover.RichMessage) handover.Message {
		return handover.Message{From: handover.FromSystem, Content: content}
	}
	file := func(kind, url string) handover.RichMessage {
		return handover.RichMessage{Attachment: &handover.Attachment{Type: kind, Payload: handover.AttachmentPayload{URL: url}}}
	}
	named := agent(file(handover.AttachmentFile, "https://a.b/c"))
	named.File = &handover.File{Name: "bill\u202Efdp.exe"}
	corrected := agent(handover.TextMessage("Hello"))
	corrected.Corrects = "x"
	nameless := agent(handover.TextMessage("Hello"))
	nameless.Agent.Name = " \u202E"
	marks := "**B _x_** *i* ~~s~~ `a<b` [shop](https://a.b/?x&y) <i> & 2 * 3"
	long := "Contact me back via email"
	card := handover.Element{Title: "Bike", Subtitle: "Red", ImageURL: "https://a.b/1.png", Buttons: []handover.Button{
		{Type: handover.ButtonURL, Title: "Look", URL: "https://a.b/1"}, {Type: handover.ButtonPostback, Title: "Buy", Payload: "buy"}}}
	choice := template(handover.AttachmentPayload{TemplateType: handover.TemplateButton, Text: "Sure?", Buttons: []handover.Button{
		{Type: handover.ButtonPostback, Title: "Yes", Payload: "y"}, {Type: handover.ButtonPostback, Title: "No", Payload: "n"}, {Type: handover.ButtonPhone, Title: "Call", Payload: "+1555"}}})
	cards := template(handover.AttachmentPayload{TemplateType: handover.TemplateGeneric, Elements: []handover.Element{card, {Title: strings.Repeat("long ", 20)}}})

	for name, tt := range map[string]struct {
		can  channel.Capabilities
		in   handover.Message
		want []string
	}{
		"nothing":                 {telegram, agent(handover.TextMessage(" \n")), nil},
		"text":                    {sms, agent(handover.TextMessage("Hello")), []string{"Ann: Hello"}},
		"of the library":          {sms, system(handover.TextMessage("Hello *you*")), []string{"Hello *you*"}},
		"a channel with names":    {channel.Capabilities{Names: true}, agent(handover.TextMessage("Hello")), []string{"Hello"}},
		"an agent without a name": {sms, nameless, []string{"👤: Hello"}},
		"a correction":            {sms, corrected, []string{"✏️ Ann: Hello"}},
		"of the user by mail":     {sms, handover.Message{From: handover.FromUser, Content: handover.TextMessage("Hi")}, []string{"✉️ Hi"}},
		"hostile":                 {sms, agent(handover.TextMessage("a\x00\u202Eb\r\nc\xff\u2066d")), []string{"Ann: ab\nc\uFFFDd"}},
		"Markdown as HTML":        {telegram, agent(handover.TextMessage(marks)), []string{`Ann: <b>B _x_</b> <i>i</i> <s>s</s> <code>a&lt;b</code> <a href="https://a.b/?x&amp;y">shop</a> &lt;i&gt; &amp; 2 * 3`}},
		"… as mrkdwn":             {slack, agent(handover.TextMessage(marks)), []string{"Ann: *B _x_* _i_ ~s~ `a&lt;b` <https://a.b/?x&amp;y|shop> &lt;i&gt; &amp; 2 * 3"}},
		"… for WhatsApp":          {whatsapp, agent(handover.TextMessage(marks)), []string{"Ann: *B _x_* _i_ ~s~ `a<b` shop (https://a.b/?x&y) <i> & 2 * 3"}},
		"… as Markdown":           {channel.Capabilities{Markup: channel.Markdown}, agent(handover.TextMessage(marks)), []string{"Ann: **B \\_x\\_** *i* ~~s~~ `a<b` [shop](https://a.b/?x&y) \\<i> & 2 \\* 3"}},
		"… as plain text":         {sms, agent(handover.TextMessage(marks)), []string{"Ann: B _x_ i s a<b shop (https://a.b/?x&y) <i> & 2 * 3"}},
		"marks in marks":          {telegram, agent(handover.TextMessage("***a* b**\n# T\n```\nx\n  y\n```\nz")), []string{"Ann: ***a* b**\n<b>T</b>\n<pre>x\n  y</pre>\nz"}},
		"an address in HTML":      {telegram, agent(handover.TextMessage("[**mail** us](mailto:a@b.c)")), []string{"Ann: <b>mail us (mailto:a@b.c)</b>"}},
		"HTML of the library":     {telegram, system(handover.TextMessage("<b>&")), []string{"&lt;b&gt;&amp;"}},
		"a mention in Slack":      {slack, agent(handover.TextMessage("<!channel>")), []string{"Ann: &lt;!channel&gt;"}},
		"buttons":                 {telegram, agent(handover.RichMessage{Text: "Which?", QuickReplies: replies("Red", long)}), []string{"Ann: Which? [Red=p1] [" + long + "=p2]"}},
		"a long title":            {messenger, agent(handover.RichMessage{Text: "Which?", QuickReplies: replies("Red", long)}), []string{"Ann: Which?\n\n1. Red\n2. " + long + " [1. Red=p1] [2. Contact me back…=p2]"}},
		"too many":                {whatsapp, agent(handover.RichMessage{Text: "Which?", QuickReplies: replies("A", "B", "C", "D")}), []string{"Ann: Which?\n\n1. A\n2. B\n3. C\n4. D [1. A=p1] [2. B=p2] [3. C=p3]"}},
		"no buttons":              {sms, agent(handover.RichMessage{Text: "Which?", QuickReplies: replies("A", "B")}), []string{"Ann: Which?\n\n1. A\n2. B"}},
		"one choice":              {sms, system(handover.RichMessage{Text: "Wait.", QuickReplies: replies("Leave")}), []string{"Wait.\n\nLeave"}},
		"listed already":          {sms, system(handover.RichMessage{Text: "Which?\n1. A\n2. B", QuickReplies: replies("A", "B")}), []string{"Which?\n1. A\n2. B"}},
		"choices alone":           {telegram, system(handover.RichMessage{QuickReplies: replies("A", "B")}), []string{"1. A\n2. B [1. A=p1] [2. B=p2]"}},
		"an address is asked for": {telegram, system(handover.RichMessage{Text: "Yours?", QuickReplies: []handover.QuickReply{{ContentType: handover.ReplyEmail}, replies("No")[0]}}), []string{"Yours? [No=p1]"}},
		"a picture":               {telegram, agent(file(handover.AttachmentImage, "https://a.b/c.png")), []string{"<image https://a.b/c.png>Ann:"}},
		"… without captions":      {whatsapp, agent(file(handover.AttachmentImage, "https://a.b/c.png")), []string{"Ann:", "<image https://a.b/c.png>"}},
		"… as a link":             {sms, named, []string{"Ann: billfdp.exe: https://a.b/c"}},
		"an attachment's id":      {telegram, agent(file(handover.AttachmentImage, "")), nil},
		"a template":              {telegram, system(choice), []string{"Sure?\nCall: +1555 [Yes=y] [No=n]"}},
		"… without buttons":       {sms, system(choice), []string{"Sure?\nCall: +1555\n\n1. Yes\n2. No"}},
		"… and choices": {sms, system(handover.RichMessage{Attachment: choice.Attachment, QuickReplies: replies("A")}),
			[]string{"Sure?\nCall: +1555\n\n2. Yes\n3. No", "A"}},
		"cards": {messenger, agent(cards), []string{"Ann:", "{Bike|Red [Look=https://a.b/1] [Buy=buy]} {Long"}},
		"cards flattened": {telegram, agent(cards), []string{
			"<image https://a.b/1.png>Ann: <b>Bike</b>\nRed [Look=https://a.b/1] [Buy=buy]", "<b>" + strings.TrimSpace(strings.Repeat("long ", 20)) + "</b>"}},
		"cards without anything": {sms, agent(cards), []string{
			"Ann: Bike\nRed\nhttps://a.b/1.png\nLook: https://a.b/1\n\nBuy", strings.TrimSpace(strings.Repeat("long ", 20))}},
		"long text": {sms, agent(handover.TextMessage(strings.Repeat("A sentence. ", 20))), []string{
			"Ann: " + strings.TrimSpace(strings.Repeat("A sentence. ", 13)), strings.TrimSpace(strings.Repeat("A sentence. ", 7))}},
	} {
		t.Run(name, func(t *testing.T) {
			parts := tt.can.Render(tt.in)
			if name == "cards" {
				require.Len(t, parts, 3)
				require.Equal(t, tt.want[0], parts[0].Text)
				require.Len(t, parts[1].Cards, 2)
				require.Equal(t, "{Bike|Red [Look=https://a.b/1] [Buy=buy]}", shown([]channel.Part{{Cards: parts[1].Cards[:1]}})[0])
				require.Equal(t, strings.TrimSpace(strings.Repeat("long ", 20)), parts[2].Text)
				return
			}
			require.Equal(t, tt.want, shown(parts))
		})
	}
}

// TestMarkupIsClosedInEachPart cuts a long bold text and a link.
func TestMarkupIsClosedInEachPart(t *testing.T) {
	can := channel.Capabilities{Text: 60, Markup: channel.HTML}
	parts := can.Render(handover.Message{From: handover.FromAgent, Agent: handover.Agent{Name: "Ann"},
		Content: handover.TextMessage("**" + strings.TrimSpace(strings.Repeat("bold ", 20)) + "** [" + strings.TrimSpace(strings.Repeat("label ", 12)) + "](https://a.b)")})
	require.Greater(t, len(parts), 3)
	for _, p := range parts {
		requireClosed(t, p.Text)
		require.LessOrEqual(t, len(p.Plain), 60)
	}
	require.Regexp(t, `^<b>(bold ?)+</b>`, parts[1].Text)
	require.Regexp(t, `<a href="https://a.b">(label ?)+</a>$`, parts[len(parts)-1].Text)
}

var tagOf = regexp.MustCompile(`<(/?)([a-z]+)( href="[^"<>]*")?>`)

// requireClosed requires HTML whose tags are closed in order, and nothing else that could be one.
func requireClosed(t *testing.T, text string) {
	t.Helper()
	var open []string
	for _, tag := range tagOf.FindAllStringSubmatch(text, -1) {
		if tag[1] == "" {
			open = append(open, tag[2])
			continue
		}
		require.NotEmpty(t, open, text)
		require.Equal(t, open[len(open)-1], tag[2], text)
		open = open[:len(open)-1]
	}
	require.Empty(t, open, text)
	require.NotRegexp(t, `[<>]`, tagOf.ReplaceAllString(text, ""))
}

// letters are what a reader sees, without white space.
func letters(s string) string {
	return strings.Map(func(r rune) rune {
		if unicode.IsSpace(r) || unicode.In(r, unicode.Cc, unicode.Cf) {
			return -1
		}
		return r
	}, strings.ToValidUTF8(s, "\uFFFD"))
}

// requireInOrder requires that all that is seen of want is seen in text, in its order.
func requireInOrder(t *testing.T, want, text string) {
	t.Helper()
	rest := []rune(letters(text))
	for _, r := range letters(want) {
		for len(rest) > 0 && rest[0] != r {
			rest = rest[1:]
		}
		if len(rest) == 0 {
			require.Failf(t, "lost", "%q is not in %q", want, text)
		}
		rest = rest[1:]
	}
}

// requireRendered requires what holds for every message and every channel.
func requireRendered(t *testing.T, c channel.Capabilities, m handover.Message) {
	t.Helper()
	limit := func(n, least int) int {
		if n <= 0 {
			return 1 << 30
		}
		return max(n, least)
	}
	var all, raw strings.Builder
	payloads := map[string]bool{}
	titled := func(buttons []channel.Button) {
		for _, b := range buttons {
			require.LessOrEqual(t, c.Unit.Len(b.Title), limit(c.Title, 12))
			requireClean(t, b.Title)
			require.NotEmpty(t, b.Title)
			payloads[b.Payload] = true
			all.WriteString(b.Title + "\n" + b.URL + "\n")
		}
	}
	for _, p := range c.Render(m) {
		size := limit(c.Text, 32)
		switch {
		case p.File != nil:
			size = c.Caption
		case len(p.Buttons) > 0:
			size = min(size, limit(c.ButtonText, 32))
		}
		seen := p.Text
		if c.Markup == channel.HTML {
			requireClosed(t, p.Text)
			seen = html.UnescapeString(tagOf.ReplaceAllString(p.Text, ""))
		}
		require.LessOrEqual(t, c.Unit.Len(seen), size)
		require.LessOrEqual(t, c.Unit.Len(p.Plain), size)
		require.False(t, p.Text == "" && p.File == nil && len(p.Cards) == 0, "an empty part")
		requireClean(t, p.Text)
		requireClean(t, p.Plain)
		if c.Cards == 0 {
			require.Empty(t, p.Cards)
		}
		if c.Files == channel.NoFiles {
			require.Nil(t, p.File)
		}
		require.LessOrEqual(t, len(p.Cards), c.Cards)
		require.LessOrEqual(t, len(p.Buttons), c.Buttons)
		all.WriteString(p.Plain + "\n")
		raw.WriteString(p.Text + "\n")
		for _, x := range p.Cards {
			require.LessOrEqual(t, len(x.Buttons), c.CardButtons)
			require.LessOrEqual(t, c.Unit.Len(x.Title), limit(c.CardText, 32))
			all.WriteString(x.Title + "\n" + x.Subtitle + "\n")
			titled(x.Buttons)
		}
		titled(p.Buttons)
		for _, x := range p.Listed {
			payloads[x.Payload] = true
		}
		if p.File != nil {
			all.WriteString(p.File.URL + "\n")
		}
	}
	text := m.Content.Text
	if m.From == handover.FromAgent {
		text = markdown.Plain(hygienic(text))
	}
	requireInOrder(t, hygienic(text), all.String())
	for _, q := range m.Content.QuickReplies {
		if q.ContentType == handover.ReplyText {
			require.True(t, payloads[q.Payload], "the payload %q", q.Payload)
			requireInOrder(t, hygienic(q.Title), all.String())
		}
	}
	if a := m.Content.Attachment; a != nil {
		requireInOrder(t, hygienic(a.Payload.Text), all.String())
		for _, e := range a.Payload.Elements {
			for _, b := range e.Buttons {
				require.True(t, b.URL != "" || payloads[b.Payload])
				requireInOrder(t, hygienic(b.Title+b.URL), all.String())
			}
		}
	}
}

// hygienic is text as a channel may get it.
func hygienic(s string) string {
	return strings.Map(func(r rune) rune {
		if r == '\n' || r == '\t' || !unicode.In(r, unicode.Cc) && !(r >= 0x202A && r <= 0x202E || r >= 0x2066 && r <= 0x2069 || r >= 0xFFF9 && r <= 0xFFFB) {
			return r
		}
		if r == '\r' || r == 0x85 {
			return '\n'
		}
		return -1
	}, strings.ToValidUTF8(s, "\uFFFD"))
}

func requireClean(t *testing.T, s string) {
	t.Helper()
	require.True(t, utf8.ValidString(s))
	for _, r := range s {
		if unicode.IsControl(r) && r != '\n' && r != '\t' || r >= 0x202A && r <= 0x202E || r >= 0x2066 && r <= 0x2069 {
			require.Failf(t, "not clean", "%q", s)
		}
	}
}

func FuzzRender(f *testing.F) {
	f.Add("**Hello** [shop](https://a.b)", "Ann", "Contact me back via email", "p", uint64(0x1f3))
	f.Add("# a\n```\nx\n```\n~~b~~ `c`", "", "\u202Ea\x00", "q\xff", uint64(0xffffffff))
	f.Add(strings.Repeat("word 👩‍👩‍👧 ", 60), "Ann\nBob", "2", "", uint64(0x0a0b0c0d0e))
	f.Add("<b>&lt;|[x](https://a.b/?q=<&)>", "<!channel>", "*", "*", uint64(7))
	f.Fuzz(func(t *testing.T, text, name, title, payload string, seed uint64) {
		pick := func(all ...int) int {
			n := all[seed%uint64(len(all))]
			seed /= uint64(len(all))
			return n
		}
		c := channel.Capabilities{Unit: channel.Unit(pick(0, 1, 2)), Markup: channel.Markup(pick(0, 1, 2, 3, 4)), Text: pick(0, 1, 40, 160, 4096),
			Buttons: pick(0, 1, 3, 20), Title: pick(0, 1, 20), ButtonText: pick(0, 33), Links: pick(0, 1) == 1, Cards: pick(0, 1, 3), CardButtons: pick(0, 1),
			CardText: pick(0, 40), Files: channel.Files(pick(0, 1, 2)), Caption: pick(0, 5, 1024)}
		m := handover.Message{From: []handover.From{handover.FromAgent, handover.FromSystem, handover.FromUser}[pick(0, 1, 2)], Agent: handover.Agent{Name: name},
			Content: handover.RichMessage{Text: text}}
		for i := range pick(0, 1, 2, 7) {
			m.Content.QuickReplies = append(m.Content.QuickReplies, handover.QuickReply{ContentType: handover.ReplyText, Title: title + fmt.Sprint(i), Payload: payload + fmt.Sprint(i)})
		}
		button := []handover.Button{{Type: handover.ButtonURL, Title: title, URL: "https://a.b/c"}, {Type: handover.ButtonPostback, Title: title, Payload: "b" + payload}}
		switch pick(0, 1, 2, 3) {
		case 1:
			m.Content.Attachment = &handover.Attachment{Type: handover.AttachmentImage, Payload: handover.AttachmentPayload{URL: "https://a.b/c.png"}}
		case 2:
			m.Content.Attachment = template(handover.AttachmentPayload{TemplateType: handover.TemplateButton, Text: title, Buttons: button}).Attachment
		case 3:
			e := handover.Element{Title: title, Subtitle: text, ImageURL: "https://a.b/c.png", Buttons: button}
			m.Content.Attachment = template(handover.AttachmentPayload{TemplateType: handover.TemplateGeneric, Elements: []handover.Element{e, e}}).Attachment
		}
		requireRendered(t, c, m)
	})
}

// Package channeltest has the tests that a channel must pass, and fakes of the platforms: in a bot's own tests, and for
// programs that are tried without an account.
//
// A bot's test gives a fake's Client and URL to the channel, lets the user write, and looks at their screen.
// docs/channels.md has such tests as a whole, with the agent in Crisp and a picture by the user:
//
//	fake := channeltest.NewTelegram()
//	tg, err := telegram.New(telegram.Config{Token: handover.NewSecret(fake.Token()), Client: fake.Client(), BaseURL: fake.URL()})
//	… // the bot, as in production
//	go tg.Poll(t.Context(), h.Handle)
//	fake.Write("hello")
//	crisp.Settle() // of handovertest; in a testing/synctest bubble it waits for tg as well
//	require.Equal(t, []string{"> hello", "You said hello"}, fake.New())
//
// A channel of one's own is tried with Run:
//
//	func TestConformance(t *testing.T) {
//		channeltest.Run(t, func(t *testing.T) channeltest.Subject {
//			fake, sent := channeltest.NewTelegram(), &channel.Memory{}
//			start := func() channel.Channel { … New(Config{Client: fake.Client(), Sent: sent}) … }
//			return channeltest.Subject{Channel: start(), Again: start, Platform: fake, Conversation: "7", Take: …}
//		})
//	}
package channeltest

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"testing"
	"time"
	"unicode"

	"github.com/crisphandover/handover"
	"github.com/crisphandover/handover/channel"
)

// Subject is a channel under test, with a fake of its platform.
type Subject struct {
	Channel channel.Channel
	// Again returns the channel as it is after a restart: with the same settings, platform and Sent.
	Again func() channel.Channel
	// Platform is the fake, with one user whose conversation has the id Conversation.
	Platform     Platform
	Conversation string
	// Take returns what the channel made of what the user did since it was last called.
	Take func(ctx context.Context) ([]handover.Incoming, error)
	// Serve has the channel give what users do to handle, from now on: by its web hook, or in a goroutine until ctx
	// ends. Other has another user write. Both are for a channel whose platform repeats what is not taken: without
	// them it is not tried whether one user can stop it for all.
	Serve func(ctx context.Context, handle func(ctx context.Context, m handover.Incoming) error)
	Other func(text string)
	// Unknown has the user send something of a kind that the channel does not know. Nil: there can be none.
	Unknown func()
	// Sent is what the channel remembers in. Nil: a channel that remembers nothing, or elsewhere.
	Sent *Sent
	// Without are refusals that the platform does not know.
	Without []Refusal
	// Secrets are tokens and keys of the channel, which no error may hold.
	Secrets []string
}

// Run tries a channel: order, repeats, each kind of content, limits, edits, refusals, hostile text, and that no error
// holds a secret. start makes a channel and a fake for one test.
func Run(t *testing.T, start func(t *testing.T) Subject) {
	t.Helper()
	for _, test := range []struct {
		name string
		run  func(*run)
	}{
		{"order", (*run).order},
		{"repeats", (*run).repeats},
		{"half of the parts", (*run).half},
		{"contents", (*run).contents},
		{"choices come back", (*run).choices},
		{"edits", (*run).edits},
		{"removals", (*run).removals},
		{"refusals", (*run).refusals},
		{"the platform does not take the format", (*run).format},
		{"hostile text", (*run).hostile},
		{"the user writes", (*run).writes},
		{"typing", (*run).typing},
		{"a call that was given up", (*run).ended},
		{"something that is not known", (*run).unknown},
		{"the memory fails", (*run).forgets},
		{"a choice while the memory fails", (*run).choosesMeanwhile},
		{"a user who floods the bot", func(r *run) { r.refusesOne(handover.ErrCrowded) }},
		{"a damaged record", func(r *run) { r.refusesOne(handover.ErrRecord) }},
	} {
		t.Run(test.name, func(t *testing.T) {
			t.Helper()
			s := start(t)
			if s.Channel == nil || s.Again == nil || s.Platform == nil || s.Take == nil || s.Conversation == "" {
				t.Fatal("channeltest: a Subject needs Channel, Again, Platform, Conversation and Take")
			}
			r := &run{T: t, Subject: s, start: start, can: s.Channel.Capabilities()}
			r.noSecret(fmt.Sprintf("%v %+v %#v %s", s.Channel, s.Channel, s.Channel, s.Channel))
			test.run(r)
		})
	}
}

// run is one test.
type run struct {
	*testing.T
	Subject
	start func(t *testing.T) Subject
	can   channel.Capabilities
	n     int // of messages
}

// session is what the engine gives to the channel.
func (r *run) session() handover.Session {
	return handover.Session{Conversation: handover.Conversation{Source: r.Channel.Source(), ID: r.Conversation}, State: handover.StateActive}
}

// message returns a message of Ann's with an id of its own.
func (r *run) message(content handover.RichMessage) handover.Message {
	r.n++
	return handover.Message{ID: fmt.Sprintf("session_1/%d", r.n), From: handover.FromAgent, Agent: handover.Agent{ID: "ann", Name: "Ann"}, Content: content, Attempt: 1, At: time.Now()}
}

func (r *run) text(text string) handover.Message { return r.message(handover.TextMessage(text)) }

// deliver delivers a message.
func (r *run) deliver(c channel.Channel, m handover.Message) (string, error) {
	ctx, cancel := context.WithTimeout(r.Context(), 10*time.Second)
	defer cancel()
	id, err := c.Deliver(ctx, r.session(), m)
	r.check(err)
	return id, err
}

// shows delivers a message, which must be shown.
func (r *run) shows(m handover.Message) (channelID string) {
	r.Helper()
	id, err := r.deliver(r.Channel, m)
	if err != nil {
		r.Fatalf("Deliver: %v", err)
	}
	return id
}

// check looks for secrets in an error.
func (r *run) check(err error) {
	r.Helper()
	for ; err != nil; err = errors.Unwrap(err) {
		r.noSecret(fmt.Sprintf("%v %+v %#v", err, err, err))
	}
}

func (r *run) noSecret(text string) {
	r.Helper()
	for _, secret := range r.Secrets {
		if secret != "" && strings.Contains(text, secret) {
			r.Fatal("it holds a secret: " + strings.ReplaceAll(text, secret, "…secret…"))
		}
	}
}

// seen is all that the user sees.
func (r *run) seen() string {
	var lines []string
	for _, s := range r.Platform.Seen() {
		lines = append(lines, s.String())
	}
	return strings.Join(lines, "\n")
}

// count requires that the user sees a text so many times.
func (r *run) count(text string, want int) {
	r.Helper()
	if seen := r.seen(); strings.Count(seen, text) != want {
		r.Fatalf("the user must see %q %d times; they see\n%s", text, want, seen)
	}
}

// inOrder requires that the user sees these texts in this order, whatever stands between them.
func (r *run) inOrder(want ...string) {
	r.Helper()
	rest := letters(r.seen())
	for _, w := range want {
		_, after, found := strings.Cut(rest, letters(w))
		if !found {
			r.Fatalf("the user must see %q; they see\n%s", shorten(w), shorten(r.seen()))
		}
		rest = after
	}
}

func shorten(s string) string {
	if len(s) > 3000 {
		return s[:3000] + "…"
	}
	return s
}

// letters are what can be seen of a text, without white space.
func letters(s string) string {
	return strings.Map(func(r rune) rune {
		if unicode.IsSpace(r) || unicode.In(r, unicode.Cc, unicode.Cf) {
			return -1
		}
		return r
	}, s)
}

func (r *run) order() {
	var want []string
	for i := range 12 {
		r.shows(r.text(fmt.Sprintf("number %d.", i)))
		want = append(want, fmt.Sprintf("number %d.", i))
	}
	r.inOrder(want...)
	if err := r.Channel.Send(r.Context(), r.Conversation, handover.TextMessage("I am a bot")); err != nil {
		r.Fatalf("Send: %v", err)
	}
	r.inOrder(append(want, "I am a bot")...)
}

func (r *run) repeats() {
	m := r.text("only once")
	first := r.shows(m)
	m.Attempt = 2 // the answer to the first was lost
	if again := r.shows(m); again != first {
		r.Fatalf("a message that is repeated has the id %q, and then %q", first, again)
	}
	if again, err := r.deliver(r.Again(), m); err != nil || again != first {
		r.Fatalf("after a restart the id is %q, not %q: %v", again, first, err)
	}
	r.count("only once", 1)
	other := r.text("only once") // says the same, and is another message
	r.shows(other)
	r.count("only once", 2)
	for range 2 {
		if err := r.Channel.Send(r.Context(), r.Conversation, handover.TextMessage("the bot repeats")); err != nil {
			r.Fatalf("Send: %v", err)
		}
	}
	r.count("the bot repeats", 2)
}

// words is a long text of which no word is there twice.
func words(n int) (text string, all []string) {
	for i := range n {
		all = append(all, fmt.Sprintf("word%d.", i))
	}
	return strings.Join(all, " "), all
}

func (r *run) half() {
	text, all := words(2000)
	m := r.text(text)
	parts := len(r.can.Render(m))
	if parts < 2 {
		r.Skip("the channel shows it as one message")
	}
	for after := 1; after < parts; after++ {
		r.Platform.Fail(Down, 1, 1) // each attempt shows one more
		if _, err := r.deliver(r.Channel, m); err == nil {
			r.Fatal("the platform is down, and Deliver returns nil")
		}
		r.Channel = r.Again()
	}
	r.shows(m)
	r.inOrder(all...)
	for _, w := range all {
		r.count(w, 1)
	}
}

// contentOf are contents of each kind, and what a user must read or find of each.
func contentOf() []struct {
	name    string
	content handover.RichMessage
	want    []string
} {
	file := func(kind, url string) handover.RichMessage {
		return handover.RichMessage{Attachment: &handover.Attachment{Type: kind, Payload: handover.AttachmentPayload{URL: url}}}
	}
	template := func(p handover.AttachmentPayload) handover.RichMessage {
		return handover.RichMessage{Attachment: &handover.Attachment{Type: handover.AttachmentTemplate, Payload: p}}
	}
	long := strings.TrimSpace(strings.Repeat("a long title ", 12))
	link := handover.Button{Type: handover.ButtonURL, Title: "Look", URL: "https://shop.example/bike"}
	buy := handover.Button{Type: handover.ButtonPostback, Title: "Buy", Payload: "buy"}
	text, all := words(700)
	return []struct {
		name    string
		content handover.RichMessage
		want    []string
	}{
		{"text", handover.TextMessage("Hello there"), []string{"Hello there"}},
		{"long text", handover.TextMessage(text), all},
		{"Markdown", handover.TextMessage("**bold** *italic* ~~gone~~ `code` [shop](https://shop.example/a?b=1&c=2)\n# Title\n- item"),
			[]string{"bold italic gone code shop", "Title", "- item"}},
		{"signs", handover.TextMessage("5 < 6 & 7 > 2; 2 * 3 * 4; a_b_c"), []string{"5 < 6 & 7 > 2; 2 * 3 * 4; a_b_c"}},
		{"choices", handover.RichMessage{Text: "Which?", QuickReplies: replies("Red", "Blue")}, []string{"Which?", "Red", "Blue"}},
		{"many choices", handover.RichMessage{Text: "Which day?", QuickReplies: replies(days(31)...)}, days(31)},
		{"long choices", handover.RichMessage{Text: "Which?", QuickReplies: replies("Short", long)}, []string{"Which?", long}},
		{"picture", file(handover.AttachmentImage, "https://files.example/bike.png"), []string{"https://files.example/bike.png"}},
		{"video", file(handover.AttachmentVideo, "https://files.example/bike.mp4"), []string{"https://files.example/bike.mp4"}},
		{"voice", file(handover.AttachmentAudio, "https://files.example/bike.mp3"), []string{"https://files.example/bike.mp3"}},
		{"file", file(handover.AttachmentFile, "https://files.example/bike.pdf"), []string{"https://files.example/bike.pdf"}},
		{"button template", template(handover.AttachmentPayload{TemplateType: handover.TemplateButton, Text: "This one?", Buttons: []handover.Button{
			link, buy, {Type: handover.ButtonPhone, Title: "Call", Payload: "+15551234"}}}), []string{"This one?", "+15551234"}},
		{"cards", template(handover.AttachmentPayload{TemplateType: handover.TemplateGeneric, Elements: []handover.Element{
			{Title: "Red bike", Subtitle: "1,000 EUR", ImageURL: "https://files.example/red.png", Buttons: []handover.Button{link, buy}},
			{Title: "Blue bike", Subtitle: long}}}), []string{"Red bike", "1,000 EUR", "Blue bike", long}},
		{"card with a long text", template(handover.AttachmentPayload{TemplateType: handover.TemplateGeneric, Elements: []handover.Element{
			{Title: "Red bike", Subtitle: text, ImageURL: "https://files.example/red.png", Buttons: []handover.Button{buy}}}}), all},
	}
}

func replies(titles ...string) (all []handover.QuickReply) {
	for i, t := range titles {
		all = append(all, handover.QuickReply{ContentType: handover.ReplyText, Title: t, Payload: fmt.Sprintf("choice-%d", i+1)})
	}
	return all
}

func days(n int) (all []string) {
	for i := range n {
		all = append(all, fmt.Sprintf("The day %d.", i+1))
	}
	return all
}

func (r *run) contents() {
	for _, c := range contentOf() {
		r.Run(c.name, func(t *testing.T) {
			r := *r
			r.T = t
			before := len(r.Platform.Seen())
			m := r.message(c.content)
			m.ID = "contents/" + c.name
			r.shows(m)
			r.inOrder(c.want...)
			for _, s := range r.Platform.Seen()[before:] {
				if strings.Contains(s.Text, "**") || strings.Contains(s.Text, "](") {
					t.Fatalf("Markdown is shown raw: %s", s.Text)
				}
			}
			if !r.can.Names && !strings.HasPrefix(r.Platform.Seen()[before].Text, "Ann:") {
				t.Fatalf("nothing says that Ann speaks: %s", r.Platform.Seen()[before])
			}
			m.ID, m.From, m.Agent = m.ID+"/system", handover.FromSystem, handover.Agent{}
			before = len(r.Platform.Seen())
			r.shows(m)
			if strings.HasPrefix(r.Platform.Seen()[before].Text, "Ann") {
				t.Fatal("the library speaks in Ann's name")
			}
		})
	}
}

func (r *run) choices() {
	long := strings.TrimSpace(strings.Repeat("a long title ", 12))
	for name, all := range map[string][]handover.QuickReply{
		"few": replies("Red", "Blue"), "many": replies(days(31)...), "long": replies("Short", long),
		"long payload": {{ContentType: handover.ReplyText, Title: "Far", Payload: strings.Repeat("payload ", 100)}, {ContentType: handover.ReplyText, Title: "Near", Payload: "near"}},
	} {
		r.Run(name, func(t *testing.T) {
			r := *r
			r.T = t
			if err := r.Channel.Send(t.Context(), r.Conversation, handover.RichMessage{Text: "Which?", QuickReplies: all}); err != nil {
				t.Fatalf("Send: %v", err)
			}
			seen := r.Platform.Seen()
			buttons := map[string]bool{}
			for _, b := range seen[len(seen)-1].Buttons {
				buttons[b.Title] = true
			}
			listed := false
			for i, q := range all {
				number := fmt.Sprint(i + 1)
				for title := range buttons {
					if title != q.Title && !strings.HasPrefix(title, number+". ") {
						continue
					}
					listed = listed || title != q.Title
					if !r.Platform.Press(title) {
						t.Fatalf("the fake has no button %q", title)
					}
					r.took(q.Payload)
				}
				if listed || !buttons[q.Title] { // the list numbers it
					r.Platform.Write(number)
					r.took(q.Payload)
					r.Platform.Write(strings.ToUpper(q.Title))
					r.took(q.Payload)
				}
			}
			if err := r.Channel.Send(t.Context(), r.Conversation, handover.TextMessage("How many?")); err != nil {
				t.Fatalf("Send: %v", err)
			}
			r.Platform.Write("2")
			if in := r.took(""); in.Text != "2" {
				t.Fatalf("a 2 that chooses nothing came as %q", in.Text)
			}
		})
	}
}

// took takes one message of the user, which must have this payload.
func (r *run) took(payload string) handover.Incoming {
	r.Helper()
	all, err := r.Take(r.Context())
	r.check(err)
	if err != nil || len(all) != 1 {
		r.Fatalf("one message of the user must come, not %d: %v", len(all), err)
	}
	in := all[0]
	switch {
	case in.Conversation.Source != r.Channel.Source() || in.Conversation.ID != r.Conversation:
		r.Fatalf("the message is of %+v", in.Conversation)
	case in.ID == "":
		r.Fatal("the message has no id")
	case in.Payload != payload:
		r.Fatalf("the payload is %q, not %q", in.Payload, payload)
	}
	return in
}

func (r *run) edits() {
	m := r.text("I lok for it")
	id := r.shows(m)
	r.shows(r.text("later"))
	edit := m
	edit.ID, edit.ChannelID, edit.Corrects, edit.Content = m.ID+"@1", id, m.ID, handover.TextMessage("I **look** for it & more")
	for range 2 { // the answer to the first is lost
		err := r.Channel.Revise(r.Context(), r.session(), handover.Revision{Message: edit})
		r.check(err)
		if r.can.Edits && err != nil || !r.can.Edits && !errors.Is(err, errors.ErrUnsupported) {
			r.Fatalf("Revise, where Capabilities.Edits is %v: %v", r.can.Edits, err)
		}
	}
	if r.can.Edits {
		r.inOrder("I look for it & more", "later")
		r.count("I lok for it", 0)
		if s := r.Platform.Seen()[0]; !r.can.Names && !strings.HasPrefix(s.Text, "Ann:") && !strings.Contains(s.Text, "Ann:") {
			r.Fatalf("nothing says that Ann speaks: %s", s)
		}
		return
	}
	edit.ChannelID = "" // the engine delivers a correction
	r.shows(edit)
	r.inOrder("I lok for it", "later", "I look for it & more")
}

func (r *run) removals() {
	m := r.text("Dear Jim")
	id := r.shows(m)
	r.shows(r.text("later"))
	gone := handover.Message{ID: m.ID + "@removed", ChannelID: id, Corrects: m.ID, From: m.From, Agent: m.Agent}
	for range 2 {
		err := r.Channel.Revise(r.Context(), r.session(), handover.Revision{Message: gone, Removed: true})
		r.check(err)
		if r.can.Removals && err != nil || !r.can.Removals && !errors.Is(err, errors.ErrUnsupported) {
			r.Fatalf("Revise, where Capabilities.Removals is %v: %v", r.can.Removals, err)
		}
	}
	if r.can.Removals {
		r.count("Dear Jim", 0)
	}
	r.count("later", 1)
}

package story

import (
	"strings"

	"github.com/crisphandover/handover/handovertest"
)

// Agents act in the user's conversation in Crisp. A message is named by its words.
var agentVerbs = []verb{
	{"agent <name> is online", func(w *world, a []string) { w.crisp.Online(a[0]) }},
	{"nobody is online", func(w *world, _ []string) { w.crisp.Away() }},
	{"an agent without a name: <text>", func(w *world, a []string) { w.conversation().Operator("").Say(unfold(a[0])) }},
	{"agent <name>: <text>", agent(func(w *world, o *handovertest.Operator, a []string) { o.Say(unfold(a[0])) })},
	{"agent <name> in conversation <number>: <text>", func(w *world, a []string) {
		w.crisp.Conversation(number(a[1]) - 1).Operator(a[0]).Say(unfold(a[2]))
	}},
	{"agent <name> by <text>: <text>", agent(func(w *world, o *handovertest.Operator, a []string) { o.From(origin(a[0])).Say(unfold(a[1])) })},
	{"agent <name>, shown <time> late: <text>", agent(func(w *world, o *handovertest.Operator, a []string) { o.SayLate(unfold(a[1]), duration(a[0])) })},
	{"agent <name> notes: <text>", agent(func(w *world, o *handovertest.Operator, a []string) { o.Note(unfold(a[0])) })},
	{"agent <name> asks: <text>", agent(func(w *world, o *handovertest.Operator, a []string) {
		text, labels := brackets(a[0])
		o.Choose(text, choicesOf(labels)...)
	})},
	{"agent <name> asks for a text: <text>", agent(func(w *world, o *handovertest.Operator, a []string) { o.Field(a[0], "") })},
	{"agent <name> sends the file <text>", agent(func(w *world, o *handovertest.Operator, a []string) { o.File(file(a[0])) })},
	{"agent <name> sends a recording of <time>: <text>", agent(func(w *world, o *handovertest.Operator, a []string) {
		o.Audio(a[1], "audio/ogg", int(duration(a[0]).Seconds()))
	})},
	{"agent <name> sends the moving picture <text>", agent(func(w *world, o *handovertest.Operator, a []string) { o.Animation(a[0], "image/gif") })},
	{"agent <name> shows side by side: <text>", agent(func(w *world, o *handovertest.Operator, a []string) { o.Carousel("", slides(a[0])...) })},
	{"agent <name> sends something of the kind <text>", agent(func(w *world, o *handovertest.Operator, a []string) {
		o.Send(a[0], map[string]any{"text": "?"})
	})},
	{`agent <name> changes "<text>" to: <text>`, agent(func(w *world, o *handovertest.Operator, a []string) {
		o.Edit(w.fingerprint(a[0]), unfold(a[1]))
	})},
	{`agent <name> removes "<text>"`, agent(func(w *world, o *handovertest.Operator, a []string) { o.Remove(w.fingerprint(a[0])) })},
	{"agent <name> types", agent(func(_ *world, o *handovertest.Operator, _ []string) { o.Type(true) })},
	{"agent <name> stops typing", agent(func(_ *world, o *handovertest.Operator, _ []string) { o.Type(false) })},
	{"agent <name> reads", agent(func(_ *world, o *handovertest.Operator, _ []string) { o.Read() })},
	{"agent <name> is assigned", agent(func(_ *world, o *handovertest.Operator, _ []string) { o.Assign() })},
	{"agent <name> resolves", agent(func(_ *world, o *handovertest.Operator, _ []string) { o.Resolve() })},
	{"agent <name> reopens", agent(func(_ *world, o *handovertest.Operator, _ []string) { o.Reopen() })},
	{"agent <name> blocks the user", agent(func(w *world, _ *handovertest.Operator, _ []string) { w.conversation().Block(true) })},
	{"agent <name> unblocks the user", agent(func(w *world, _ *handovertest.Operator, _ []string) { w.conversation().Block(false) })},
	{"agent <name> removes the conversation", agent(func(w *world, _ *handovertest.Operator, _ []string) { w.conversation().Remove() })},
	{"agent <name> with another tool: <text>", agent(func(_ *world, o *handovertest.Operator, a []string) { o.WithoutID().Say(unfold(a[0])) })},
	{"a trigger <name>: <text>", func(w *world, a []string) { w.conversation().Trigger(a[0]).Say(unfold(a[1])) }},
	{"a trigger <name> with an ordinary number: <text>", agent(func(_ *world, o *handovertest.Operator, a []string) {
		o.From("urn:crisp.im:triggers:0").WithoutID().Say(unfold(a[0]))
	})},
	{"Crisp itself as <name>: <text>", agent(func(_ *world, o *handovertest.Operator, a []string) { o.From("local").WithoutID().Say(unfold(a[0])) })},
	{"another bot <name>: <text>", func(w *world, a []string) { w.conversation().Bot(a[0]).Say(unfold(a[1])) }},
	{"another bot <name> types", func(w *world, a []string) { w.conversation().Bot(a[0]).Type(true) }},
}

// agent makes a verb of what an agent does in the user's conversation. The first argument is the
// agent's name.
func agent(act func(w *world, o *handovertest.Operator, args []string)) func(*world, []string) {
	return func(w *world, a []string) { act(w, w.conversation().Operator(a[0]), a[1:]) }
}

// choicesOf makes choices of their labels. "Our shop https://…" leads to a page.
func choicesOf(labels []string) (all []handovertest.Choice) {
	for _, label := range labels {
		label, link, found := strings.Cut(label, " https://")
		if found {
			link = "https://" + link
		}
		all = append(all, handovertest.Choice{Value: label, Label: label, Link: link})
	}
	return all
}

// origin is Crisp's name of the place that somebody writes from.
func origin(place string) string {
	switch place {
	case "Slack":
		return "urn:crisp.im:slack:0"
	case "phone":
		return "chat"
	case "a tool":
		return "urn:acme:crm:1"
	}
	return place
}

// operatorID is Crisp's id of an agent. Before there is any conversation it is one that nobody has.
func (w *world) operatorID(name string) string {
	if all := w.crisp.Conversations(); len(all) > 0 {
		return all[0].Operator(name).ID()
	}
	return "7a3c5e10-6f0b-4d55-9c1e-00000000000f"
}

// fingerprint finds the newest message with these words.
func (w *world) fingerprint(words string) int64 {
	all := w.conversation().Messages()
	for i := len(all) - 1; i >= 0; i-- {
		if strings.Contains(all[i].Text(), words) {
			return all[i].Fingerprint
		}
	}
	w.t.Fatalf("nobody said %q in Crisp", words)
	return 0
}

// file reads "label.png https://example.com/label.png image/png".
func file(text string) (name, url, mime string) {
	words := append(strings.Fields(text), "", "", "")
	return words[0], words[1], words[2]
}

// slides reads "The blue one (Order https://…; More https://…) | The red one".
func slides(text string) (all []handovertest.Slide) {
	for _, one := range strings.Split(text, " | ") {
		title, links, _ := strings.Cut(one, " (")
		slide := handovertest.Slide{Title: title, Description: title}
		options(strings.TrimSuffix(links, ")"), func(label, url string) {
			slide.Links = append(slide.Links, handovertest.Link{Label: label, URL: url})
		})
		all = append(all, slide)
	}
	return all
}

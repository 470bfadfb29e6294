package main

import (
	"context"
	"fmt"
	"net/http"
	"slices"
	"strings"
	"unicode/utf16"
)

// question is one that Crisp's documentation does not answer.
type question struct {
	text  string
	calls int // at the most, as is said before
	ask   func(c *check, ctx context.Context, w *written) string
}

// questions in the order in which they are asked: the last one resolves the conversation.
var questions = []question{
	{"What becomes of a message whose fingerprint is there already?", 3, (*check).askFingerprint},
	{"How long may a text be?", 24, (*check).askLength},
	{"Is any urn: taken as the origin of a message, and kept?", 2, (*check).askOrigin},
	{"Does a PATCH of data merge or replace? And of segments?", 3, (*check).askData},
	{"Does an edited message say that it was edited?", 1, (*check).askEdited},
	{"Does an automated message of the team change the state?", 3, (*check).askAutomated},
	{"Does a stealth message of the team make a hook?", 1, (*check).askStealth},
	{"Does a change of the state raise updated_at?", 3, (*check).askUpdated},
	{"Which hook comes first when an agent answers and resolves at once?", 2, (*check).askOrder},
}

const (
	askText  = "A question to Crisp, of a test. Please ignore it."
	askURN   = "urn:handover:check:0"
	notKnown = "not known: " // begins what is no answer
	notTold  = notKnown + "Crisp gave "

	// A text is tried with firstText characters, then with twice as many until one is refused, or capText is taken.
	firstText = 2_000
	capText   = 32_000
)

// askAll asks all questions.
func (c *check) askAll(ctx context.Context, w *written) {
	total := 0
	for _, q := range questions {
		total += q.calls
	}
	c.say("asking: %d questions in the same conversation, with some messages of up to %d characters: at most %d calls more", len(questions), capText, total)
	for _, q := range questions {
		if c.crisp.enough != nil || ctx.Err() != nil {
			return
		}
		c.say("asking: %s (calls: %d)", q.text, q.calls)
		if answer := q.ask(c, ctx, w); strings.HasPrefix(answer, notKnown) {
			c.say("asking: %s", answer)
		} else {
			c.fact(q.text, answer)
		}
	}
	if c.crisp.enough != nil {
		c.quota(*c.crisp.enough)
	}
}

// asked reports whether a text is one of ours.
func asked(text string) bool {
	return strings.HasPrefix(text, askText) || strings.Trim(text, "x") == ""
}

// fromUser is a message that asks.
func fromUser(text string) post {
	return post{Type: "text", From: "user", Origin: "chat", Content: text}
}

func (c *check) askFingerprint(ctx context.Context, w *written) string {
	m := fromUser(askText)
	m.Fingerprint = newFingerprint()
	first, a := w.send(ctx, m)
	if a.failed {
		return notTold + a.String()
	}
	m.Fingerprint = first // Crisp's own, should it have chosen another one
	second, again := w.send(ctx, m)
	log, read := w.log(ctx)
	if read.failed {
		return notTold + read.String()
	}
	same := 0
	for _, m := range log {
		if m.text() == askText {
			same++
		}
	}
	switch {
	case again.failed:
		return fmt.Sprintf("it is refused: %s. The log has it %d times", again, same)
	case same > 1 && second != first:
		return "it is stored a second time, with another fingerprint"
	case same > 1:
		return "it is stored a second time, with the same fingerprint"
	}
	return "it is answered as if it were taken, and the log has it once"
}

// askLength looks for the longest text, by doubling and then by halving the gap.
func (c *check) askLength(ctx context.Context, w *written) string {
	var longest int64 // fingerprint of the longest that was taken
	taken, refused := 0, 0
	var why answer
	try := func(n int, character string) bool {
		fp, a := w.send(ctx, fromUser(strings.Repeat(character, n)))
		if !a.failed {
			longest = fp
		} else {
			why = a
		}
		return !a.failed
	}
	judged := func() bool { return why.status == 0 || why.status/100 == 4 && !why.asksForLess() && !why.refused() }
	for n := firstText; refused == 0 && n <= capText; n *= 2 {
		if try(n, "x") {
			taken = n
		} else if refused = n; why.status == 0 || !judged() {
			return notTold + why.String()
		}
	}
	for refused != 0 && refused-taken > 1 {
		n := (taken + refused) / 2
		if try(n, "x") {
			taken = n
		} else if refused = n; why.status == 0 || !judged() {
			return notTold + why.String()
		}
	}
	if taken == 0 {
		return "a text of one character is refused: " + why.String()
	}
	m, read := w.message(ctx, longest)
	switch kept := len(utf16.Encode([]rune(m.text()))); {
	case read.failed:
		return fmt.Sprintf("%d characters are taken; reading it gave %s", taken, read)
	case kept != taken:
		return fmt.Sprintf("%d characters are taken, and cut to %d", taken, kept)
	case refused == 0:
		return fmt.Sprintf("%d characters at least: no more were tried", taken)
	}
	says := fmt.Sprintf("%d characters; one more gives %s", taken, why)
	switch {
	case !try(taken, "é"):
		return says + ". It counts bytes"
	case !try(taken, "😀"):
		return says + ". It counts UTF-16 units"
	}
	return says + ". It counts characters"
}

func (c *check) askOrigin(ctx context.Context, w *written) string {
	m := fromUser(askText + " (Origin.)")
	m.Origin = askURN
	fp, a := w.send(ctx, m)
	if a.failed {
		return fmt.Sprintf("no: %s, for a token of tier %s", a, c.config.Token.Tier)
	}
	switch got, read := w.message(ctx, fp); {
	case read.failed:
		return "it is taken; reading it gave " + read.String()
	case got.Origin != askURN:
		return fmt.Sprintf("it is taken from a token of tier %s, and changed", c.config.Token.Tier)
	}
	return fmt.Sprintf("it is taken from a token of tier %s, and kept", c.config.Token.Tier)
}

func (c *check) askData(ctx context.Context, w *written) string {
	const one, two = "handover_check_1", "handover_check_2"
	set := func(name, segment string) answer {
		return w.call(ctx, http.MethodPatch, "/meta", map[string]any{"data": map[string]string{name: "x"}, "segments": []string{segment}})
	}
	if a := set(one, testSegment); a.failed {
		return notTold + a.String()
	}
	if a := set(two, testSegment+"-2"); a.failed {
		return notTold + a.String()
	}
	var metas struct {
		Data     map[string]any
		Segments []string
	}
	a := w.call(ctx, http.MethodGet, "/meta", nil)
	if !a.into(&metas) || metas.Data[two] == nil {
		return notTold + a.String() + ", without what was written"
	}
	how := func(merged bool) string {
		if merged {
			return "merged"
		}
		return "replaced"
	}
	return fmt.Sprintf("data is %s, segments are %s", how(metas.Data[one] != nil), how(slices.Contains(metas.Segments, testSegment)))
}

func (c *check) askEdited(ctx context.Context, w *written) string {
	if w.user == 0 {
		return notKnown + "there is no message to edit"
	}
	switch m, a := w.message(ctx, w.user); {
	case a.failed:
		return notTold + a.String()
	case m.text() == testText:
		return "its content was not changed"
	case m.Edited:
		return "yes"
	}
	return "no"
}

func (c *check) askAutomated(ctx context.Context, w *written) string {
	if a := w.setState(ctx, "pending"); a.failed {
		return notTold + a.String()
	}
	if _, a := w.send(ctx, post{Type: "text", From: "operator", Origin: "chat", Content: askText + " (State.)", Automated: true}); a.failed {
		return notTold + a.String()
	}
	state, a := w.state(ctx)
	if a.failed || !word.MatchString(state) {
		return notTold + a.String()
	}
	return "from pending to " + state
}

func (c *check) askStealth(ctx context.Context, w *written) string {
	fp, a := w.send(ctx, post{Type: "text", From: "operator", Origin: "chat", Content: askText + " (Stealth.)", Automated: true, Stealth: true})
	switch {
	case a.failed:
		return notTold + a.String()
	case !has(c.hooks.all(), eventReceived):
		return notKnown + "no hook of a message comes"
	case c.hooks.await(ctx, c.wait, func(came []hook) bool {
		return slices.ContainsFunc(came, func(n hook) bool { return n.fingerprint == fp })
	}):
		return "yes"
	}
	return fmt.Sprintf("not within %s", c.wait)
}

func (c *check) askUpdated(ctx context.Context, w *written) string {
	before, a := w.about(ctx)
	if a.failed {
		return notTold + a.String()
	}
	if a = w.setState(ctx, "pending"); a.failed {
		return notTold + a.String()
	}
	after, a := w.about(ctx)
	switch {
	case a.failed:
		return notTold + a.String()
	case after.UpdatedAt > before.UpdatedAt:
		return "yes"
	}
	return "no"
}

func (c *check) askOrder(ctx context.Context, w *written) string {
	fp, a := w.send(ctx, post{Type: "text", From: "operator", Origin: "chat", Content: askText + " (Order.)", Automated: true})
	if a.failed {
		return notTold + a.String()
	}
	if a = w.setState(ctx, "resolved"); a.failed {
		return notTold + a.String()
	}
	message := func(n hook) bool { return n.event == eventReceived && n.fingerprint == fp }
	state := func(n hook) bool { return n.event == eventState && n.state == "resolved" }
	both := func(came []hook) bool { return slices.ContainsFunc(came, message) && slices.ContainsFunc(came, state) }
	if len(c.hooks.all()) == 0 || !c.hooks.await(ctx, c.wait, both) {
		return notKnown + "not both hooks came"
	}
	came := c.hooks.all()
	i, j := slices.IndexFunc(came, message), slices.IndexFunc(came, state)
	first, stamped := eventReceived, "and it is stamped so"
	if j < i {
		first = eventState
	}
	if (j < i) != came[j].emitted.Before(came[i].emitted) {
		stamped = "and it is stamped otherwise"
	}
	return first + ", " + stamped
}

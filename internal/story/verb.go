package story

import (
	"fmt"
	"regexp"
	"slices"
	"strings"
	"time"
)

// verb is one kind of step. Its usage is the pattern that a step's line is matched with, in which
//
//	<name>    is one word of letters
//	<text>    is any text
//	<number>  is a number
//	<time>    is a length of time, such as "10 minutes" or "1 hour"
//	[…]       may be left out
//
// and everything else stands for itself. Run gets what stood in the places of < >, "" for what
// was left out.
type verb struct {
	usage string
	run   func(w *world, args []string)
}

// places are the expressions for what stands in < >.
var places = map[string]string{
	"<name>":   `([\pL]+)`,
	"<text>":   `(.+?)`,
	"<number>": `(\d+)`,
	"<time>":   `(\d+ (?:millisecond|second|minute|hour|day)s?)`,
}

var place = regexp.MustCompile(`<\w+>`)

// pattern makes the expression of a usage.
func pattern(usage string) *regexp.Regexp {
	var b strings.Builder
	for _, piece := range regexp.MustCompile(`<\w+>|[\[\]]|[^<>\[\]]+`).FindAllString(usage, -1) {
		switch {
		case piece == "[":
			b.WriteString("(?:")
		case piece == "]":
			b.WriteString(")?")
		case place.MatchString(piece):
			b.WriteString(places[piece])
		default:
			b.WriteString(regexp.QuoteMeta(piece))
		}
	}
	return regexp.MustCompile("^" + b.String() + "$")
}

// known is a verb that is ready to be matched.
type known struct {
	verb
	expression *regexp.Regexp
}

// groups are the verbs by what they are about, in the order in which they are tried.
var groups = []struct {
	about string
	verbs []verb
}{
	{"Settings, before all else", givenVerbs},
	{"Time", clockVerbs},
	{"Processes", processVerbs},
	{"The channel, where users are", channelVerbs},
	{"Crisp", crispVerbs},
	{"Agents in Crisp", agentVerbs},
	{"The bot and its host", botVerbs},
	{"A bot that the library calls", managedVerbs},
	{"Users", userVerbs},
}

// vocabulary is every verb, ready to be matched.
var vocabulary = func() (all []known) {
	for _, g := range groups {
		for _, v := range g.verbs {
			all = append(all, known{v, pattern(v.usage)})
		}
	}
	return all
}()

// Usage returns all steps that a story can have, in Markdown.
func Usage() string {
	var b strings.Builder
	for _, g := range groups {
		fmt.Fprintf(&b, "\n### %s\n\n", g.about)
		for _, v := range g.verbs {
			fmt.Fprintf(&b, "- `%s`\n", v.usage)
		}
	}
	return b.String()
}

// find returns the verb of a step's line and its arguments. The error lists the steps that begin
// with the same word.
func find(line string) (verb, []string, error) {
	if line, ok := strings.CutPrefix(line, "meanwhile "); ok {
		v, args, err := find(line)
		return verb{v.usage, func(w *world, args []string) { go v.run(w.aside(), args) }}, args, err
	}
	for _, v := range vocabulary {
		if args := v.expression.FindStringSubmatch(line); args != nil {
			return v.verb, args[1:], nil
		}
	}
	first := strings.Fields(strings.ReplaceAll(line, ":", " "))
	var all, like []string
	for _, v := range vocabulary {
		all = append(all, "\n\t"+v.usage)
		if len(first) > 0 && strings.HasPrefix(v.usage, first[0]) {
			like = append(like, "\n\t"+v.usage)
		}
	}
	if len(like) == 0 {
		like = all
	}
	return verb{}, nil, fmt.Errorf("there is no step %q; there are%s", line, strings.Join(like, ""))
}

// units are the units of a <time>.
var units = map[string]time.Duration{
	"millisecond": time.Millisecond, "second": time.Second, "minute": time.Minute, "hour": time.Hour, "day": 24 * time.Hour,
}

// duration reads a <time>; "" is none.
func duration(text string) time.Duration {
	var n int
	var unit string
	if _, err := fmt.Sscan(text, &n, &unit); err != nil {
		return 0
	}
	return time.Duration(n) * units[strings.TrimSuffix(unit, "s")]
}

// brackets splits "Which one? [the blue] [the red]" into the text and what is in brackets.
func brackets(text string) (before string, choices []string) {
	before, rest, found := strings.Cut(text, " [")
	for _, choice := range strings.Split(rest, "[") {
		if choice = strings.TrimSuffix(strings.TrimSpace(choice), "]"); found && choice != "" {
			choices = append(choices, choice)
		}
	}
	return before, choices
}

// listed splits a list at its commas.
func listed(text string) []string {
	return slices.DeleteFunc(strings.Split(strings.ReplaceAll(text, ", ", ","), ","), func(s string) bool { return s == "" })
}

// generated is a text that stands for a long one: "{2500 letters}".
var generated = regexp.MustCompile(`\{(\d+) letters\}`)

// unfold gives a text of a story its line breaks, written as " / ", and makes long texts.
func unfold(text string) string {
	text = strings.ReplaceAll(text, " / ", "\n")
	return generated.ReplaceAllStringFunc(text, func(s string) string {
		var n int
		_, _ = fmt.Sscanf(s, "{%d letters}", &n)
		return strings.Repeat("abcdefghi ", n/10+1)[:max(n-1, 0)] + "."
	})
}

// signature is what differs in links to the history.
var signature = regexp.MustCompile(`(https://bot\.example\.com/history)\S+`)

// fold makes a line of what somebody says. Long words become their length.
func fold(text string) string {
	text = signature.ReplaceAllString(text, "$1…")
	if who, words, _ := strings.Cut(text, ": "); len([]rune(words)) > 300 {
		return fmt.Sprintf("%s: {%d letters}", who, len([]rune(words)))
	}
	var lines []string
	for line := range strings.Lines(text) {
		if line = strings.TrimSpace(line); line != "" {
			lines = append(lines, line)
		}
	}
	return strings.Join(lines, " / ")
}

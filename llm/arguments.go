package llm

import (
	"bytes"
	"encoding/json"
	"fmt"
	"io"
	"strings"
	"unicode"

	"github.com/crisphandover/handover/internal/textsplit"
)

// Arguments are what the model said when it called the tool.
type Arguments struct {
	Reason   string
	Summary  string
	Category string // one of Options.Categories, or empty
	// Faults say, in words for the model, what was not as the schema says. What was understood, and the words of
	// what was not, are in the other fields all the same.
	Faults []string
}

const (
	// maxArguments is how much of a call is read, in bytes.
	maxArguments = 1 << 20
	// maxWrapped is how many objects and strings may stand around the arguments.
	maxWrapped = 4
)

// Parse reads the arguments of a call. A model that calls the tool wants a human, whatever it writes: so nothing is
// refused. Arguments that are cut off, are wrapped in another object, in a string or in a Markdown fence, or
// have values of other types are read as far as that goes. Members of other names, an unknown category, and text
// that is no JSON go to the summary. What is longer than Options allow is cut before a "…". The texts are valid
// UTF-8, without control characters but line breaks and tabs.
func (t *Tool) Parse(arguments []byte) Arguments {
	text := strings.ToValidUTF8(string(arguments[:min(len(arguments), maxArguments)]), "\uFFFD")
	p := parsing{tool: t}
	all, rest := members(text, maxWrapped)
	for _, m := range all {
		p.take(m)
	}
	if words := words(rest); words != "" {
		p.fault("they must be one JSON object, and nothing else")
		p.others = append(p.others, words)
	}
	return p.end()
}

// parsing is a call of a tool that is being read.
type parsing struct {
	tool   *Tool
	a      Arguments
	others []string // what belongs nowhere
}

func (p *parsing) fault(format string, args ...any) {
	p.a.Faults = append(p.a.Faults, fmt.Sprintf(format, args...))
}

// take puts a member where it belongs.
func (p *parsing) take(m member) {
	name := strings.ToLower(strings.TrimSpace(m.name))
	field := map[string]*string{"reason": &p.a.Reason, "summary": &p.a.Summary}[name]
	value := m.text()
	switch {
	case value == "":
	case field != nil && *field == "":
		if *field = value; m.value[0] != '"' {
			p.fault("%s must be a string", name)
		}
	case field != nil:
		p.fault("%s is there twice", name)
		p.others = append(p.others, value)
	case name == "category" && p.a.Category == "" && p.tool.category(value) != "":
		p.a.Category = p.tool.category(value)
	case name == "category":
		p.fault("category must be one of those in the schema")
		p.others = append(p.others, "category: "+value)
	default:
		p.fault("there must be no other members than those in the schema")
		p.others = append(p.others, m.name+": "+value)
	}
}

// end cleans what was read and cuts it to its bounds.
func (p *parsing) end() Arguments {
	o := &p.tool.options
	p.a.Reason = p.bounded("reason", p.a.Reason, o.MaxReason)
	p.a.Summary = p.bounded("summary", strings.Join(append([]string{p.a.Summary}, p.others...), "\n"), o.MaxSummary)
	for _, f := range []struct{ name, value string }{{"reason", p.a.Reason}, {"summary", p.a.Summary}, {"category", p.a.Category}} {
		if f.value == "" && (f.name != "category" || len(o.Categories) > 0) {
			p.fault("%s is missing", f.name)
		}
	}
	if len(p.a.Faults) > maxFaults {
		p.a.Faults = p.a.Faults[:maxFaults]
	}
	return p.a
}

// maxFaults is how many faults a model is told of.
const maxFaults = 5

func (p *parsing) bounded(name, text string, limit int) string {
	short, whole := textsplit.Shorten(clean(text), limit)
	if !whole {
		p.fault("%s was cut: it has more than %d characters", name, limit)
	}
	return short
}

// category returns the category that a model means, or "".
func (t *Tool) category(text string) string {
	for _, c := range t.options.Categories {
		if strings.EqualFold(c, textsplit.OneLine(text)) {
			return c
		}
	}
	return ""
}

// clean returns text as valid UTF-8, with one kind of line break, and without other control characters but tabs.
func clean(text string) string {
	text = strings.Map(func(r rune) rune {
		switch {
		case breaksLine(r):
			return '\n'
		case r != '\t' && unicode.IsControl(r):
			return -1
		}
		return r
	}, strings.ReplaceAll(strings.ToValidUTF8(text, "\uFFFD"), "\r\n", "\n"))
	if textsplit.Blank(text) {
		return ""
	}
	return strings.TrimSpace(text)
}

// words returns text if there are words in it, and not only what holds JSON together.
func words(text string) string {
	text = strings.NewReplacer("```json", "", "```JSON", "", "```", "").Replace(text)
	if !strings.ContainsFunc(text, func(r rune) bool { return unicode.IsLetter(r) || unicode.IsNumber(r) }) {
		return ""
	}
	return strings.TrimSpace(text)
}

// member is a member of a JSON object. Its value is JSON, or the beginning of it.
type member struct {
	name  string
	value json.RawMessage
}

// members returns the members of the first object in text, and the text around it. Where the object is cut off or
// broken, rest begins with what could not be read. Up to wrapped objects and strings may stand around it.
func members(text string, wrapped int) (all []member, rest string) {
	if inner, ok := unquoted(text); ok && wrapped > 0 {
		return members(inner, wrapped-1)
	}
	begin := strings.IndexByte(text, '{')
	if begin < 0 {
		return nil, text
	}
	// Models break lines within strings, which JSON forbids. Between values a space does as well.
	object := strings.Map(func(r rune) rune {
		if r < ' ' {
			return ' '
		}
		return r
	}, text[begin:])
	all, end := readObject(object)
	before, after := text[:begin], object[end:]
	switch {
	case len(all) == 0 && wrapped > 0: // no object, or one around the arguments that is cut off
		inner, rest := members(object[max(end, 1):], wrapped-1)
		if len(inner) == 0 {
			return nil, text
		}
		return inner, before + " " + rest
	case len(all) == 0:
		return nil, text
	case len(all) == 1 && !ours(all[0].name) && wrapped > 0 && strings.Contains(string(all[0].value), "{"):
		if inner, rest := members(all[0].text(), wrapped-1); len(inner) > 0 {
			return inner, before + " " + rest + " " + after
		}
	}
	return all, before + " " + after
}

func ours(name string) bool {
	switch strings.ToLower(strings.TrimSpace(name)) {
	case "reason", "summary", "category":
		return true
	}
	return false
}

// readObject reads the members of the object that text begins with, as far as it is JSON, and says how far that is.
func readObject(text string) (all []member, end int) {
	dec := json.NewDecoder(strings.NewReader(text))
	if _, err := dec.Token(); err != nil {
		return nil, 0
	}
	for dec.More() {
		token, err := dec.Token()
		name, ok := token.(string)
		if err != nil || !ok {
			return all, int(dec.InputOffset())
		}
		after := int(dec.InputOffset())
		var value json.RawMessage
		if err := dec.Decode(&value); err != nil {
			return cutOff(all, name, text, after, err)
		}
		all = append(all, member{name, value})
	}
	if _, err := dec.Token(); err != nil {
		return all, int(dec.InputOffset())
	}
	return all, int(dec.InputOffset())
}

// cutOff reads the last member of an object that ends within its value.
func cutOff(all []member, name, text string, after int, err error) ([]member, int) {
	value := strings.TrimLeft(text[after:], ": ")
	if err != io.ErrUnexpectedEOF || !strings.HasPrefix(value, `"`) {
		return all, after
	}
	for cut := range min(len(value), len(`\ud83d\ude0`)+1) { // an escape may be cut, too
		whole := json.RawMessage(value[:len(value)-cut] + `"`)
		if json.Valid(whole) {
			return append(all, member{name, whole}), len(text)
		}
	}
	return all, after
}

// unquoted returns what a text that is a JSON string holds.
func unquoted(text string) (inner string, ok bool) {
	text = strings.TrimSpace(text)
	return inner, strings.HasPrefix(text, `"`) && json.Unmarshal([]byte(text), &inner) == nil
}

// text returns a value as words.
func (m member) text() string {
	var list []json.RawMessage
	if m.value[0] != '[' || json.Unmarshal(m.value, &list) != nil {
		return textOf(m.value)
	}
	parts := make([]string, len(list))
	for i, v := range list {
		parts[i] = textOf(v)
	}
	return strings.Join(parts, ", ")
}

func textOf(value json.RawMessage) string {
	var text string
	if json.Unmarshal(value, &text) == nil { // a string, or null
		return text
	}
	var b bytes.Buffer
	if json.Compact(&b, value) != nil {
		return string(value)
	}
	return b.String()
}

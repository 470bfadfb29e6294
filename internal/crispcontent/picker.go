package crispcontent

import (
	"bytes"
	"errors"
	"strconv"
	"strings"

	json "github.com/go-json-experiment/json"
	"github.com/go-json-experiment/json/jsontext"

	"github.com/crisphandover/handover/internal/textsplit"
)

// picker is a question with choices.
type picker struct {
	text    string
	choices []choice
	cut     bool // a link of a choice is not safe, and was left out
}

// choice is one choice of a picker. Its place among the choices is that in Crisp's list.
type choice struct {
	label string // whole, on one line
	link  string // what it opens in Crisp's own chat; the user is shown the link, and may choose it as well
}

// readPicker returns the content of a picker. A choice without a label is called by its value, or its number.
func readPicker(content jsontext.Value) (p picker, err error) {
	var raw struct {
		Text    Text `json:"text"`
		Choices []struct {
			Value  Text `json:"value"`
			Label  Text `json:"label"`
			Action struct {
				Type   Text `json:"type"`
				Target Text `json:"target"`
			} `json:"action"`
		} `json:"choices"`
	}
	if err := read(content, &raw); err != nil {
		return picker{}, err
	}
	p.text = string(raw.Text)
	for i, c := range raw.Choices {
		next := choice{label: c.Label.Label()}
		if textsplit.Blank(next.label) {
			next.label = c.Value.Label()
		}
		if textsplit.Blank(next.label) {
			next.label = strconv.Itoa(i + 1)
		}
		// Which types there are is not documented; a type that is not known still can be chosen.
		if c.Action.Type == "link" || c.Action.Type == "frame" {
			if link, ok := c.Action.Target.Link(); ok {
				next.link = link
			} else {
				p.cut = true
			}
		}
		p.choices = append(p.choices, next)
	}
	return p, nil
}

// match returns the index of the choice that a user means who wrote or tapped said: a label, else a line of a
// list, whole or as it is cut on a button, else a number.
func (p picker) match(said string) (index int, ok bool) {
	said = textsplit.OneLine(said)
	for i, c := range p.choices {
		if strings.EqualFold(said, c.label) {
			return i, true
		}
	}
	for i, c := range p.choices {
		if IsListed(said, Listed(c.label, i+1, len(p.choices))) {
			return i, true
		}
	}
	for i := range p.choices {
		if strings.TrimSuffix(said, ".") == strconv.Itoa(i+1) {
			index, ok = i, true
		}
	}
	return index, ok && len(p.choices) > 1 // one choice alone has no number
}

// Listed returns one of so many choices as a list shows it: after its number, unless it begins with that or
// stands alone.
func Listed(label string, number, of int) string {
	start := strconv.Itoa(number) + ". "
	if of == 1 || strings.HasPrefix(label, start) {
		return label
	}
	return start + label
}

// List returns choices as a list shows them. One without a label keeps its number, and its line is empty.
func List(labels []string) []string {
	lines := make([]string, len(labels))
	for i, label := range labels {
		if !textsplit.Blank(label) {
			lines[i] = Listed(textsplit.OneLine(label), i+1, len(labels))
		}
	}
	return lines
}

// Unlisted returns the lines of a list that a text does not have already. One that is cut before "…" is in a text
// that has its beginning.
func Unlisted(text string, list []string) string {
	var lines []string
	for _, line := range list {
		start, cut := strings.CutSuffix(line, "…")
		if !cut {
			start += "\n"
		}
		if !strings.Contains("\n"+text+"\n", "\n"+start) {
			lines = append(lines, line)
		}
	}
	return textsplit.Join("\n", lines...)
}

// IsListed reports whether a user who says said means a line of a list: the whole, or its beginning before "…",
// as a button shows it.
func IsListed(said, line string) bool {
	start, cut := strings.CutSuffix(said, "…")
	return strings.EqualFold(said, line) ||
		cut && !textsplit.Blank(start) && len(start) <= len(line) && strings.EqualFold(start, line[:len(start)])
}

// ErrPicker is returned by Answer.
var ErrPicker = errors.New("the picker has no such choice, or is not as Crisp documents it")

// Answer returns a picker's content with only "selected" changed: true for the choice at index, false
// for the others; -1 is no choice. All else is kept in its order and spelling, white space apart.
// The only error is ErrPicker.
func Answer(content jsontext.Value, index int) (jsontext.Value, error) {
	return setMember(content, "choices", func(old jsontext.Value) (jsontext.Value, error) {
		var choices []jsontext.Value
		if err := json.Unmarshal(old, &choices, rawJSON); err != nil || index < -1 || index >= len(choices) {
			return nil, ErrPicker
		}
		for i, c := range choices {
			var err error
			choices[i], err = setMember(c, "selected", func(jsontext.Value) (jsontext.Value, error) {
				return jsontext.Value(strconv.FormatBool(i == index)), nil
			})
			if err != nil {
				return nil, err
			}
		}
		return json.Marshal(choices, rawJSON)
	})
}

// rawJSON copies JSON as it is spelled, also what is not valid UTF-8.
var rawJSON = json.JoinOptions(jsontext.AllowInvalidUTF8(true), jsontext.PreserveRawStrings(true))

// setMember replaces one member of an object where it stands, or adds it at the end.
func setMember(object jsontext.Value, name string, set func(old jsontext.Value) (jsontext.Value, error)) (jsontext.Value, error) {
	dec := jsontext.NewDecoder(bytes.NewReader(object), rawJSON)
	var out bytes.Buffer
	enc := jsontext.NewEncoder(&out, rawJSON)
	if start, err := dec.ReadToken(); err != nil || start.Kind() != '{' {
		return nil, ErrPicker
	}
	errs := []error{enc.WriteToken(jsontext.BeginObject)}
	found := false
	for dec.PeekKind() == '"' {
		key, err := dec.ReadValue()
		var plain Text
		errs = append(errs, err, json.Unmarshal(key, &plain, rawJSON), enc.WriteValue(key))
		value, err := dec.ReadValue()
		if err == nil && string(plain) == name {
			found = true
			value, err = set(value)
		}
		if err != nil {
			return nil, ErrPicker
		}
		errs = append(errs, enc.WriteValue(value))
	}
	if !found {
		value, err := set(nil)
		errs = append(errs, err, enc.WriteToken(jsontext.String(name)), enc.WriteValue(value))
	}
	_, err := dec.ReadToken()
	errs = append(errs, err, enc.WriteToken(jsontext.EndObject))
	if err := errors.Join(errs...); err != nil {
		return nil, ErrPicker
	}
	return bytes.TrimSpace(out.Bytes()), nil
}

package handover

import (
	"bytes"
	"errors"
	"slices"
	"strconv"
	"strings"

	json "github.com/go-json-experiment/json"
	"github.com/go-json-experiment/json/jsontext"

	"github.com/crisphandover/handover/internal/textsplit"
)

// choice is one choice of a picker. Its index in pickerChoices is that in Crisp's list.
type choice struct {
	Value  string
	Label  string // whole, on one line
	Title  string // as the quick reply shows it, at most 20 UTF-16 units
	Number int    // in the list of choices, from 1
	Link   string // what it opens in Crisp's own chat; the user is shown the link, and may choose it as well
}

// pickerChoices returns the choices of a picker; none if it cannot be shown.
func pickerChoices(content jsontext.Value) []choice {
	_, choices, _, _ := readPicker(content)
	return choices
}

// readPicker returns the question and the choices of a picker. Their titles are their labels. If
// one of these is too long, if there is no question, or if they are more than one message can
// hold, the text must list them and each title is the start of its line there, such as
// "2. Contact me back…": no two look the same. A link that is not safe is left out, and cut is true
// then.
func readPicker(content jsontext.Value) (text string, choices []choice, cut bool, err error) {
	var picker struct {
		Text    crispText `json:"text"`
		Choices []struct {
			Value  crispText `json:"value"`
			Label  crispText `json:"label"`
			Action struct {
				Type   crispText `json:"type"`
				Target crispText `json:"target"`
			} `json:"action"`
		} `json:"choices"`
	}
	if err := readContent(content, &picker); err != nil {
		return "", nil, false, err
	}
	list := blank(string(picker.Text)) || len(picker.Choices) > maxQuickReplies
	for i, c := range picker.Choices {
		next := choice{Value: string(c.Value), Label: c.Label.label(), Number: i + 1}
		if blank(next.Label) {
			next.Label = c.Value.label()
		}
		if blank(next.Label) {
			next.Label = strconv.Itoa(i + 1)
		}
		// Which types there are is not documented; a type that is not known still can be chosen.
		if c.Action.Type == "link" || c.Action.Type == "frame" {
			if link, ok := c.Action.Target.link(); ok {
				next.Link = link
			} else {
				cut = true
			}
		}
		next.Title = next.Label
		list = list || textsplit.Units(next.Label) > maxTitle
		choices = append(choices, next)
	}
	for i := range choices {
		if c := &choices[i]; list {
			c.Title, _ = textsplit.Shorten(strconv.Itoa(c.Number)+". "+c.Label, maxTitle)
		}
	}
	return string(picker.Text), choices, cut, nil
}

// agentPicker shows a picker as text with quick replies, and with a list of the choices if their
// titles have numbers.
func agentPicker(content jsontext.Value, fingerprint int64) (_ []RichMessage, cut bool, err error) {
	text, choices, cut, err := readPicker(content)
	if err != nil {
		return nil, false, err
	}
	var m RichMessage
	var labels, links []string
	list := false
	for i, c := range choices {
		if c.Link != "" {
			links = append(links, c.Label+": "+c.Link)
		}
		labels = append(labels, c.Label)
		list = list || c.Title != c.Label
		m.QuickReplies = append(m.QuickReplies, QuickReply{
			Payload: pickerPayload(fingerprint, i), Title: c.Title, ContentType: "text"})
	}
	blocks := []string{text, joinLines(links)}
	if list {
		blocks = append(blocks, numbered(labels))
	}
	m.Text = joinBlocks(blocks)
	return []RichMessage{m}, cut, nil
}

// matchChoice returns the index of the choice that a user means who wrote or tapped said: a label
// or title, else a number of the list.
func matchChoice(said string, choices []choice) (index int, ok bool) {
	said = textsplit.OneLine(said)
	for i, c := range choices {
		if strings.EqualFold(said, c.Label) || strings.EqualFold(said, c.Title) {
			return i, true
		}
	}
	for i, c := range choices {
		if strings.TrimSuffix(said, ".") == strconv.Itoa(c.Number) {
			index, ok = i, true
		}
	}
	return index, ok && len(choices) > 1 // one choice alone has no number
}

// payloadPrefix begins the payload of every quick reply that the library builds.
const payloadPrefix = "handover:"

// pickerPayload names a choice of a picker, in at most 64 bytes (Telegram's limit).
func pickerPayload(fingerprint int64, index int) string {
	return payloadPrefix + strconv.FormatInt(fingerprint, 10) + ":" + strconv.Itoa(index)
}

// parsePickerPayload reads what pickerPayload wrote, and nothing else.
func parsePickerPayload(payload string) (fingerprint int64, index int, ok bool) {
	body, ours := strings.CutPrefix(payload, payloadPrefix)
	left, right, _ := strings.Cut(body, ":")
	fingerprint, err1 := strconv.ParseInt(left, 10, 64)
	index, err2 := strconv.Atoi(right)
	if !ours || err1 != nil || err2 != nil || index < 0 || pickerPayload(fingerprint, index) != payload {
		return 0, 0, false
	}
	return fingerprint, index, true
}

var errPicker = errors.New("handover: the picker has no such choice, or is not as Crisp documents it")

// answerPicker returns the picker's content with only selected changed: true for the choice at
// index, false for the others, and with -1 for all. All else is kept in its order and spelling,
// white space apart. The only error is errPicker.
func answerPicker(content jsontext.Value, index int) (jsontext.Value, error) {
	return setMember(content, "choices", func(old jsontext.Value) (jsontext.Value, error) {
		var choices []jsontext.Value
		if err := json.Unmarshal(old, &choices, rawJSON); err != nil || index < -1 || index >= len(choices) {
			return nil, errPicker
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
		return nil, errPicker
	}
	errs := []error{enc.WriteToken(jsontext.BeginObject)}
	found := false
	for dec.PeekKind() == '"' {
		key, err := dec.ReadValue()
		var plain crispText
		errs = append(errs, err, json.Unmarshal(key, &plain, rawJSON), enc.WriteValue(key))
		value, err := dec.ReadValue()
		if err == nil && string(plain) == name {
			found = true
			value, err = set(value)
		}
		if err != nil {
			return nil, errPicker
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
		return nil, errPicker
	}
	return bytes.TrimSpace(out.Bytes()), nil
}

// maxPickers is how many agents' questions can be answered at a time.
const maxPickers = 8

// picker is an agent's question with choices, as Crisp calls it.
type picker struct {
	Crisp   string         `json:"crisp"`
	FP      int64          `json:"fp"`
	Content jsontext.Value `json:"content"`
	// Last is true while nothing was shown after it: only then do a title or a number mean its choice.
	Last bool `json:"last,omitzero"`
}

// pickers are the agents' questions that may be answered, the newest last.
type pickers []picker

// shown notes a message that the user is shown.
func (all *pickers) shown(crisp string, m *EventMessage) {
	for i := range *all {
		(*all)[i].Last = false
	}
	if m.Type == "picker" {
		*all = append(*all, picker{Crisp: crisp, FP: m.Fingerprint, Content: m.Content, Last: true})
		*all = (*all)[max(0, len(*all)-maxPickers):]
	}
}

// edited gives a question its new content.
func (all pickers) edited(crisp string, fp int64, content jsontext.Value) {
	for i := range all {
		if p := &all[i]; p.Crisp == crisp && p.FP == fp {
			p.Content = content
		}
	}
}

// removed drops a question that was removed, or answered.
func (all *pickers) removed(crisp string, fp int64) {
	*all = slices.DeleteFunc(*all, func(p picker) bool { return p.Crisp == crisp && p.FP == fp })
}

// choose finds the question that a message answers: by its payload, or, while the question is the last
// thing shown, by the title or the number of a choice, as keyboards and people send it.
func (all pickers) choose(m *Incoming) (picker, int, bool) {
	if fp, i, ok := parsePickerPayload(m.Payload); ok {
		for _, p := range all {
			if p.FP == fp && i < len(pickerChoices(p.Content)) {
				return p, i, true
			}
		}
	}
	if len(all) == 0 || len(m.Files) > 0 || !all[len(all)-1].Last {
		return picker{}, 0, false
	}
	p := all[len(all)-1]
	i, ok := matchChoice(m.Text, pickerChoices(p.Content))
	return p, i, ok
}

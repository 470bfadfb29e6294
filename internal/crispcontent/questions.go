package crispcontent

import (
	"bytes"
	"slices"
	"strconv"
	"strings"

	"github.com/go-json-experiment/json/jsontext"
)

// PayloadPrefix begins the payloads of choices.
const PayloadPrefix = "handover:"

// payload names a choice of the picker with this fingerprint, in at most 64 bytes (Telegram's limit).
func payload(fingerprint int64, index int) string {
	return PayloadPrefix + strconv.FormatInt(fingerprint, 10) + ":" + strconv.Itoa(index)
}

// parsePayload reads what payload wrote, and nothing else.
func parsePayload(said string) (fingerprint int64, index int, ok bool) {
	body, ours := strings.CutPrefix(said, PayloadPrefix)
	left, right, _ := strings.Cut(body, ":")
	fingerprint, err1 := strconv.ParseInt(left, 10, 64)
	index, err2 := strconv.Atoi(right)
	if !ours || err1 != nil || err2 != nil || index < 0 || payload(fingerprint, index) != said {
		return 0, 0, false
	}
	return fingerprint, index, true
}

// maxQuestions is how many agents' questions can be answered at a time.
const maxQuestions = 8

// Question is an agent's question with choices, as Crisp calls it.
type Question struct {
	Crisp   string         `json:"crisp"`   // the conversation's id there
	FP      int64          `json:"fp"`      // the message's
	Content jsontext.Value `json:"content"` // a copy, which does not keep the page that the message was read in
	// Last is true while nothing was shown after it: only then do a title or a number mean its choice.
	Last bool `json:"last,omitzero"`
}

// Questions are the agents' questions that may be answered, the newest last.
type Questions []Question

// Shown notes a message of any type that the user is shown.
func (all *Questions) Shown(crisp string, fp int64, typ string, content []byte) {
	for i := range *all {
		(*all)[i].Last = false
	}
	if typ == "picker" {
		*all = append(*all, Question{Crisp: crisp, FP: fp, Content: bytes.Clone(content), Last: true})
		*all = (*all)[max(0, len(*all)-maxQuestions):]
	}
}

// Edited gives a question its new content.
func (all Questions) Edited(crisp string, fp int64, content []byte) {
	for i := range all {
		if p := &all[i]; p.Crisp == crisp && p.FP == fp {
			p.Content = bytes.Clone(content)
		}
	}
}

// Removed drops a question that was removed, or answered.
func (all *Questions) Removed(crisp string, fp int64) {
	*all = slices.DeleteFunc(*all, func(p Question) bool { return p.Crisp == crisp && p.FP == fp })
}

// Choose finds the question that a message of the user answers, and the index of the choice: by the
// payload of what they pressed, or, while the question is the last thing shown, by the title or the number of a choice, as
// keyboards and people send it.
func (all Questions) Choose(pressed, text string) (q Question, index int, ok bool) {
	if fp, i, ok := parsePayload(pressed); ok {
		for _, q := range all {
			if q.FP == fp && i < len(q.choices().choices) {
				return q, i, true
			}
		}
	}
	if len(all) == 0 || !all[len(all)-1].Last {
		return Question{}, 0, false
	}
	q = all[len(all)-1]
	index, ok = q.choices().match(text)
	return q, index, ok
}

// choices returns what there is to choose; nothing if the question cannot be shown.
func (q Question) choices() (p picker) {
	p, _ = readPicker(q.Content)
	return p
}

// Answer returns the content of a question with the user's choice, and what that says.
func (q Question) Answer(index int) (content jsontext.Value, label string, err error) {
	choices := q.choices().choices
	content, err = Answer(q.Content, index)
	if err != nil || index < 0 || index >= len(choices) {
		return nil, "", ErrPicker
	}
	return content, choices[index].label, nil
}

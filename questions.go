package handover

import (
	"slices"

	"github.com/go-json-experiment/json/jsontext"
)

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

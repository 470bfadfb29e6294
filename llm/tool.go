package llm

import (
	"cmp"
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"strings"
	"unicode/utf8"

	"github.com/crisphandover/handover"
	"github.com/crisphandover/handover/internal/textsplit"
)

// Tool is what a model calls to ask for a human. Make it with NewTool, once: it may be used concurrently.
type Tool struct {
	// Name, Description and Schema are what an SDK wants to know of a tool. Schema is a JSON schema of an object
	// with strings alone, all of them required, and no further members: strict modes take it.
	Name        string
	Description string
	Schema      json.RawMessage

	options Options
}

// Options say what a tool is like. The zero value is a tool without categories.
type Options struct {
	// Name is the tool's name: up to 64 letters, digits and underscores, not a digit first. Default:
	// "ask_for_human".
	Name string
	// Description tells the model when to call the tool. Default: DefaultDescription.
	Description string
	// Categories are what the model chooses one of, such as "billing". It becomes a segment in Crisp. At most 100, of
	// up to 256 bytes each; let one be for all that is left, such as "other". Empty: the model chooses none.
	Categories []string
	// MaxReason and MaxSummary are the longest texts that agents get, in UTF-16 units, from 20 to 20,000. Longer
	// ones are cut. Defaults: 500 and 4,000.
	MaxReason, MaxSummary int
	// Note makes the note for the agents from the model's arguments. Default: the reason, marked as the bot's, and
	// the summary below it.
	Note func(Arguments) string
	// Sentences are what the model is told. Default: DefaultSentences, for each that is empty.
	Sentences Sentences
}

// DefaultDescription tells the model when to call the tool.
const DefaultDescription = "Ask for a human agent to take over this conversation. " +
	"Call it when the user wants to talk to a person, or when you cannot solve what they need and a person can. " +
	"Before you call it, say in a sentence that you will ask for a person. " +
	"The result says whether you still have the conversation afterwards: do what it says."

const (
	defaultName       = "ask_for_human"
	defaultMaxReason  = 500
	defaultMaxSummary = 4000
	minText           = 20
	maxText           = 20_000
	maxCategories     = 100
	maxCategory       = 256 // bytes, as for a segment
	maxSegments       = 50  // of a request
)

// NewTool makes a tool, or names all that is wrong with the options.
func NewTool(o Options) (*Tool, error) {
	o.Name = cmp.Or(o.Name, defaultName)
	o.Description = cmp.Or(o.Description, DefaultDescription)
	o.MaxReason = cmp.Or(o.MaxReason, defaultMaxReason)
	o.MaxSummary = cmp.Or(o.MaxSummary, defaultMaxSummary)
	o.Sentences = o.Sentences.orDefault()
	o.Categories = slices.Clone(o.Categories)
	if o.Note == nil {
		o.Note = note
	}
	if err := o.check(); err != nil {
		return nil, fmt.Errorf("llm: %w", err)
	}
	schema, err := json.Marshal(o.schema())
	if err != nil {
		return nil, fmt.Errorf("llm: %w", err)
	}
	return &Tool{Name: o.Name, Description: o.Description, Schema: schema, options: o}, nil
}

// check names what is wrong with options that have their defaults.
func (o *Options) check() error {
	var faults []error
	fault := func(format string, args ...any) { faults = append(faults, fmt.Errorf(format, args...)) }
	if !validName(o.Name) {
		fault("Options.Name must be up to 64 letters, digits and underscores, and not begin with a digit")
	}
	if len(o.Categories) > maxCategories {
		fault("Options.Categories has more than %d", maxCategories)
	}
	for i, c := range o.Categories {
		switch {
		case !utf8.ValidString(c) || textsplit.Blank(c) || textsplit.OneLine(c) != c:
			fault("Options.Categories[%d] must be a line of text without white space around it", i)
		case len(c) > maxCategory:
			fault("Options.Categories[%d] is longer than %d bytes", i, maxCategory)
		case slices.ContainsFunc(o.Categories[:i], func(b string) bool { return strings.EqualFold(b, c) }):
			fault("Options.Categories[%d] is there twice", i)
		}
	}
	if o.MaxReason < minText || o.MaxReason > maxText {
		fault("Options.MaxReason must be from 20 to 20,000")
	}
	if o.MaxSummary < minText || o.MaxSummary > maxText {
		fault("Options.MaxSummary must be from 20 to 20,000")
	}
	return errors.Join(faults...)
}

// validName reports whether all APIs take a tool's name.
func validName(name string) bool {
	if name == "" || len(name) > 64 || name[0] >= '0' && name[0] <= '9' {
		return false
	}
	return !strings.ContainsFunc(name, func(r rune) bool {
		return r != '_' && (r < '0' || r > '9') && (r < 'a' || r > 'z') && (r < 'A' || r > 'Z')
	})
}

// property is a string in a JSON schema.
type property struct {
	Type        string   `json:"type"`
	Description string   `json:"description"`
	Enum        []string `json:"enum,omitempty"`
}

// schema is a JSON schema of the arguments. Lengths stand in the descriptions: strict modes know no maxLength.
func (o *Options) schema() any {
	properties := map[string]property{
		"reason": {Type: "string", Description: fmt.Sprintf(
			"Why a human agent is needed, in a sentence for the agent, of at most %d characters.", o.MaxReason)},
		"summary": {Type: "string", Description: fmt.Sprintf(
			"What the agent must know to go on without asking the user again: what they want, what was tried, names and numbers they gave. At most %d characters.", o.MaxSummary)},
	}
	required := []string{"reason", "summary"}
	if len(o.Categories) > 0 {
		properties["category"] = property{Type: "string", Enum: o.Categories, Description: "What it is about."}
		required = append(required, "category")
	}
	return struct {
		Type       string              `json:"type"`
		Properties map[string]property `json:"properties"`
		Required   []string            `json:"required"`
		Additional bool                `json:"additionalProperties"`
	}{"object", properties, required, false}
}

// Request is base, with what the model said: its category becomes the first segment, and reason and summary become
// the note that agents see, below base's own. Crisp's free plan has no notes: set [handover.Policy.NoteFallback] to
// [handover.NoteInData] there, or agents do not get them.
//
// Ask uses it. A bot whose model need not hear what comes of it may return the request from [handover.Config.Answer]
// instead: then it is stored together with the answer.
func (t *Tool) Request(a Arguments, base handover.Request) handover.Request {
	if a.Category != "" && !slices.Contains(base.Segments, a.Category) {
		base.Segments = append([]string{a.Category}, base.Segments[:min(len(base.Segments), maxSegments-1)]...)
	}
	if said := t.options.Note(a); base.Note == "" || said == "" {
		base.Note += said
	} else {
		base.Note += "\n\n" + said
	}
	return base
}

// note is the default of Options.Note. Agents must see that these are the bot's words: the user may have made it say
// them.
func note(a Arguments) string {
	parts := make([]string, 0, 2)
	for _, text := range []string{a.Reason, a.Summary} {
		if text != "" {
			parts = append(parts, text)
		}
	}
	if len(parts) == 0 {
		return ""
	}
	return "The bot writes: " + strings.Join(parts, "\n\n")
}

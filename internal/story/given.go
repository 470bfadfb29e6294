package story

import (
	"context"
	"reflect"
	"strings"

	"github.com/crisphandover/handover"
	"github.com/crisphandover/handover/handovertest"
)

// Settings of Crisp, of the bot and of its host, which stand before all that happens.
var givenVerbs = []verb{
	{"given nobody is online", func(w *world, _ []string) { w.options.Away = true }},
	{"given the free plan", func(w *world, _ []string) { w.freePlan() }},
	{"given Crisp numbers messages itself", func(w *world, _ []string) { w.options.OwnFingerprints = true }},
	{"given Crisp's clock is <time> ahead", func(w *world, a []string) { w.options.Skew = duration(a[0]) }},
	{"given Crisp's clock is <time> behind", func(w *world, a []string) { w.options.Skew = -duration(a[0]) }},
	{"given Crisp's pages hold <number> messages", func(w *world, a []string) { w.options.PageSize = number(a[0]) }},
	{"given Crisp's conversations hold <number> messages", func(w *world, a []string) { w.options.MaxMessages = number(a[0]) }},
	{"given Crisp lists what agents do", func(w *world, _ []string) { w.options.EventMessages = true }},
	{"given the bot <name> answers in Crisp: <text>", func(w *world, a []string) {
		w.options.Bot = &handovertest.Bot{Name: a[0], Answer: func(string) string { return unfold(a[1]) }}
	}},
	{"given a rule assigns <name> the segment <name>", func(w *world, a []string) {
		w.options.Rules = append(w.options.Rules, handovertest.Rule{Operator: a[0], Segment: a[1]})
	}},

	{"given the office is closed", func(w *world, _ []string) { w.closed() }},
	{"given only the channels <text>", func(w *world, a []string) {
		w.set(func(c *handover.Config) { c.Sources = listed(a[0]) })
	}},
	{"given the deadline <name> is <time>", func(w *world, a []string) {
		w.set(func(c *handover.Config) {
			field(w, &c.Timeouts, a[0]).SetInt(int64(duration(a[1])))
		})
	}},
	{"given no deadline <name>", func(w *world, a []string) {
		w.set(func(c *handover.Config) { field(w, &c.Timeouts, a[0]).SetInt(-1) })
	}},
	{"given the limit <name> is <number>", func(w *world, a []string) {
		w.set(func(c *handover.Config) { field(w, &c.Limits, a[0]).SetInt(int64(number(a[1]))) })
	}},
	{"given the policy <name>", func(w *world, a []string) {
		w.set(func(c *handover.Config) { w.policy(&c.Policy, a[0]) })
	}},
	{"given the text <name> is silent", func(w *world, a []string) { w.texts[a[0]] = "" }},
	{"given the text <name> in <name>: <text>", func(w *world, a []string) { w.texts[a[1]+" "+a[0]] = unfold(a[2]) }},
	{"given the text <name>: <text>", func(w *world, a []string) { w.texts[a[0]] = unfold(a[1]) }},
	{"given the message when nobody is there: <text>", func(w *world, a []string) {
		w.set(func(c *handover.Config) { c.NoAgentText = unfold(a[0]) })
	}},
	{"given a page with the history", func(w *world, _ []string) { w.history() }},
	{"given the channel can change messages", func(w *world, _ []string) {
		w.set(func(c *handover.Config) { c.Revise = w.revise })
	}},
	{"given the channel shows who types", func(w *world, _ []string) {
		w.set(func(c *handover.Config) { c.AgentTyping = w.typing })
	}},
	{"given the host watches <text>", func(w *world, a []string) { w.wanted = listed(a[0]) }},
}

// isGiven says whether a step is a setting.
func isGiven(line string) bool { return strings.HasPrefix(line, "given ") }

func (w *world) set(change func(*handover.Config)) { w.settings = append(w.settings, change) }

// freePlan is what the plan without costs has: no notes, a token of the website, hooks without a
// signature, and of these the four that the connector's page ticks.
func (w *world) freePlan() {
	w.options.Tier, w.options.FreePlan, w.options.Hooks = "website", true, handovertest.WebsiteHooks
	w.options.Events = []string{"message:send", "message:updated", "message:received", "session:set_state"}
	w.set(func(c *handover.Config) {
		c.Token.Tier = handover.TierWebsite
		c.Webhook = handover.Webhook{URLKeys: map[string][]handover.Secret{w.crisp.WebsiteID(): handover.NewSecrets(w.crisp.HookKey())}}
	})
}

// closed is what the host knows better than Crisp: its opening hours.
func (w *world) closed() {
	w.set(func(c *handover.Config) {
		c.Presence = func(context.Context, handover.Session, handover.Presence) handover.Presence {
			return handover.PresenceAway
		}
	})
}

// history has the host serve a page with what user and bot said.
func (w *world) history() {
	w.set(func(c *handover.Config) {
		c.History = handover.History{URL: "https://bot.example.com/history", SigningKey: handover.NewSecret(strings.Repeat("k", 32))}
		c.Transcript = func(context.Context, handover.Conversation) ([]handover.Message, error) { return nil, nil }
	})
}

// policy sets a policy that is a yes or no, or one of the named ones.
func (w *world) policy(p *handover.Policy, name string) {
	switch name {
	case "EmailWhenAway":
		p.Email = handover.EmailWhenAway
	case "EmailNever":
		p.Email = handover.EmailNever
	case "NoteInData":
		p.NoteFallback = handover.NoteInData
	default:
		field(w, p, name).SetBool(true)
	}
}

// field finds a field of a struct by its name; there being none ends the story.
func field(w *world, of any, name string) reflect.Value {
	f := reflect.ValueOf(of).Elem().FieldByName(name)
	if !f.IsValid() {
		w.t.Fatalf("%T has no field %s", of, name)
	}
	return f
}

// textsOf is what the library says: its own texts, but for those that the story gives.
func (w *world) textsOf(s handover.Session) handover.Texts {
	texts := handover.DefaultTexts()
	of := reflect.ValueOf(&texts).Elem()
	for i := range of.NumField() {
		name := of.Type().Field(i).Name
		for _, key := range []string{name, s.Locale + " " + name} {
			if text, given := w.texts[key]; given {
				of.Field(i).SetString(text)
			}
		}
	}
	return texts
}

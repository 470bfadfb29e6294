package story

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/crisphandover/handover"
)

// A bot's steps answer the user's last message, unless they say otherwise. Brackets behind an asking
// hold its request: "bot asks for a human (segments Customer, VIP; note asked twice; locale fr)".
var botVerbs = []verb{
	{"bot: <text>", func(w *world, a []string) { w.reply(w.user.turn(""), a[0], 0) }},
	{"bot takes <time> to say: <text>", func(w *world, a []string) {
		turn := w.user.turn("")
		go w.aside().reply(turn, a[1], duration(a[0]))
	}},
	{`bot answers "<text>": <text>`, func(w *world, a []string) { w.reply(w.user.turn(a[0]), a[1], 0) }},
	{"bot fails: <text>", func(w *world, a []string) {
		w.refused(w.h().Reply(context.Background(), w.user.turn(""), func(context.Context) error { return errors.New(a[0]) }))
	}},
	{"bot says unasked: <text>", func(w *world, a []string) { w.reply(w.unasked(), a[0], 0) }},
	{"bot asks for a human[ (<text>)]", func(w *world, a []string) { w.ask(w.user.turn(""), a[0]) }},
	{`bot asks for a human for "<text>"[ (<text>)]`, func(w *world, a []string) { w.ask(w.user.turn(a[0]), a[1]) }},
	{"bot asks for a human unasked[ (<text>)]", func(w *world, a []string) { w.ask(w.unasked(), a[0]) }},
	{"bot puts out <text>[ (<text>)]", func(w *world, a []string) { w.apply(a[0], a[1]) }},
	{"bot is muted", func(w *world, _ []string) { w.refused(w.h().Mute(context.Background(), w.user.turn(""))) }},
	{"bot looks whether somebody is there", func(w *world, _ []string) {
		if p, err := w.h().Available(context.Background(), w.user.conversation); !w.failed(err) {
			w.tell("%s", p)
		}
	}},
	{"host ends it[ (<text>)]", func(w *world, a []string) { w.end(a[0]) }},
	{"host forgets the user", func(w *world, _ []string) {
		w.failed(w.h().Forget(context.Background(), w.user.conversation))
	}},
	{"host hears what was said:", func(w *world, _ []string) { w.show(w.said()...) }},
}

// unasked is a turn that answers no message.
func (w *world) unasked() handover.Turn {
	s, err := w.h().Session(context.Background(), w.user.conversation)
	if w.failed(err) {
		return handover.Turn{}
	}
	return s.Turn()
}

// reply has the bot say something, and take its time to do so.
func (w *world) reply(t handover.Turn, text string, takes time.Duration) {
	c := w.user.conversation
	w.refused(w.h().Reply(context.Background(), t, func(ctx context.Context) error {
		if takes > 0 {
			select {
			case <-time.After(takes):
			case <-ctx.Done():
				w.tell("the bot is cut short")
				return ctx.Err()
			}
		}
		w.see(c, "bot: "+unfold(text))
		return nil
	}))
}

// refused tells of an error, in plain words where it is no fault.
func (w *world) refused(err error) bool {
	switch {
	case errors.Is(err, handover.ErrNotYourTurn):
		w.tell("refused: not the bot's turn")
	case errors.Is(err, context.Canceled):
	default:
		return w.failed(err)
	}
	return true
}

// ask asks for a human.
func (w *world) ask(t handover.Turn, request string) {
	outcome, err := w.h().Start(context.Background(), t, w.request(request))
	w.came(outcome, err)
}

func (w *world) came(outcome handover.Outcome, err error) {
	if outcome != "" {
		w.tell("%s", strings.ReplaceAll(string(outcome), "_", " "))
	}
	w.refused(err)
}

// apply does what a bot's output says: "need_help, muted, category Customer".
func (w *world) apply(output, request string) {
	var out handover.BotOutput
	for _, word := range listed(output) {
		switch category, found := strings.CutPrefix(word, "category "); {
		case found:
			out.Category = category
		case word == "need_help":
			out.NeedHelp = true
		case word == "muted":
			out.Muted = true
		default:
			w.t.Fatalf("a bot's output has no %q", word)
		}
	}
	outcome, err := w.h().Apply(context.Background(), w.user.turn(""), out, w.request(request))
	w.came(outcome, err)
}

// options reads "segments Customer, VIP; note asked twice" into names and values.
func options(text string, each func(name, value string)) {
	for _, one := range strings.Split(text, "; ") {
		if name, value, _ := strings.Cut(strings.TrimSpace(one), " "); name != "" {
			each(name, value)
		}
	}
}

// request reads what stands in brackets behind an asking.
func (w *world) request(text string) (r handover.Request) {
	options(text, func(name, value string) {
		switch name {
		case "segments":
			r.Segments = listed(value)
		case "note":
			r.Note = unfold(value)
		case "resume":
			r.Resume = value
		case "locale":
			r.Locale = value
		case "name":
			r.User.FirstName = value
		case "email":
			r.User.Email = value
		case "phone":
			r.User.Phone = value
		case "knowing":
			r.User.Data = map[string]any{}
			for _, pair := range listed(value) {
				key, v, _ := strings.Cut(pair, "=")
				r.User.Data[key] = v
			}
		case "agent":
			r.Operator = w.operatorID(value)
		case "history":
			r.HistoryURL = value
		default:
			w.t.Fatalf("a request has no %q", name)
		}
	})
	return r
}

// end ends what there is: "note closed the app; resolve; user left".
func (w *world) end(text string) {
	var o handover.EndOptions
	options(text, func(name, value string) {
		switch name {
		case "note":
			o.Note = unfold(value)
		case "resolve":
			o.Resolve = true
		case "user":
			o.UserLeft = true
		default:
			w.t.Fatalf("an end has no %q", name)
		}
	})
	w.failed(w.h().End(context.Background(), w.user.conversation, o))
}

// said is the human part as OnEnd hears it.
func (w *world) said() (lines []string) {
	w.mu.Lock()
	defer w.mu.Unlock()
	if len(w.summaries) == 0 {
		return nil
	}
	for _, m := range w.summaries[len(w.summaries)-1].Messages {
		text := look(m.Content)
		if m.File != nil && m.Content.Attachment != nil {
			text = "(" + m.Content.Attachment.Type + ") " + m.File.Name
		}
		who := string(m.From)
		if m.From == handover.FromAgent {
			who = m.Agent.Name
		}
		lines = append(lines, who+": "+fold(text))
	}
	return lines
}

// crowd has many users ask for a human within a time, and tells how often each thing came of it.
func (w *world) crowd(n int, within time.Duration) {
	var all sync.WaitGroup
	var mu sync.Mutex
	count := map[string]int{}
	for i := range n {
		all.Go(func() {
			time.Sleep(within * time.Duration(i) / time.Duration(n))
			c := handover.Conversation{Source: "webchat", ID: fmt.Sprintf("crowd-%d", i)}
			came := "error"
			turn, err := w.processes[0].h.Receive(context.Background(), handover.Incoming{Conversation: c, ID: "m1", Text: "I need a person"})
			if err == nil {
				var outcome handover.Outcome
				outcome, err = w.processes[0].h.Start(context.Background(), turn, handover.Request{})
				came = strings.ReplaceAll(string(outcome), "_", " ")
			}
			if err != nil {
				came += ": " + err.Error()
			}
			mu.Lock()
			defer mu.Unlock()
			count[came]++
		})
	}
	all.Wait()
	var lines []string
	for came, n := range count {
		lines = append(lines, fmt.Sprintf("(%d: %s)", n, came))
	}
	slices.Sort(lines)
	w.show(lines...)
}

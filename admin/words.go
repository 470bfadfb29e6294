package admin

import (
	"cmp"
	"fmt"
	"strings"
	"time"

	"github.com/crisphandover/handover"
)

func stateWords(s handover.State) string {
	return cmp.Or(map[handover.State]string{
		handover.StateBot: "with the bot", handover.StateMuted: "muted", handover.StateOpening: "being opened",
		handover.StateWaiting: "waiting for an agent", handover.StateActive: "with an agent", "": "not known",
	}[s], string(s))
}

func conditionWords(c handover.Condition) string {
	return cmp.Or(map[handover.Condition]string{
		handover.ConditionWell: "Well", handover.ConditionWaiting: "Waiting", handover.ConditionFailing: "Failing", handover.ConditionBroken: "Broken",
	}[c], string(c))
}

// faultWords says what a fault means.
func faultWords(f string) string {
	if status, ok := strings.CutPrefix(f, "HTTP "); ok {
		return "Crisp answered " + status + "."
	}
	return cmp.Or(map[string]string{
		"":              "",
		"away":          "The user is away. It is shown when they write again.",
		"later":         "The channel asked to wait.",
		"unsupported":   "The channel cannot show that.",
		"error":         "The bot's own code returned an error.",
		"abandoned":     "The bot's own code did not return in time.",
		"panicked":      "The code panicked: the log has the stack.",
		"crowded":       "Too many calls of the bot's own code hang.",
		"lost":          "The process that was at it has died.",
		"no_answer":     "Crisp did not answer.",
		"held":          "Crisp is not called for now, after what it answered before.",
		"unread":        "Crisp's log does not show it, or cannot be read.",
		"overdue":       "It is due, and nobody works on it: does Run run?",
		"unreadable":    "The stored record cannot be read: the log says why.",
		"later_version": "A later version of the library wrote the record.",
		"put_off":       "The work on it failed, and is put off: the log says why.",
	}[f], f)
}

// kindWords says what waits.
func kindWords(k string) string {
	return cmp.Or(map[string]string{
		"deliver": "an agent's message to the user", "revise": "an agent's edit to the user", "text": "a sentence of the library's to the user",
		"end": "the end of the handover", "on_end": "telling the bot of the end",
		"create": "making the Crisp conversation", "metas": "the user's data to Crisp", "inbox": "moving it to an inbox in Crisp",
		"assign": "assigning it in Crisp", "greet": "the opening message to the agents", "post": "a message of the user to the agents",
		"answer": "the user's choice to the agents", "edit": "an edit by the user to the agents", "resolve": "resolving it in Crisp",
		"note": "a note to the agents", "mark": "marks of what was read, to Crisp", "email": "the user's email address to Crisp",
		"rate": "asking for a rating in Crisp", "bot": "a message of the user to the bot", "read": "reading what is new in Crisp",
	}[k], k)
}

func milestoneWords(m handover.Milestone) string {
	what := cmp.Or(map[string]string{
		"known": "The conversation is known", "asked": "A human was asked for", "opened": "The Crisp conversation was opened",
		"claimed": "An agent took it", "first_reply": "An agent answered first", "last_word": "The last word was said",
		"reminded": "The user was told to wait a little longer", "asked_idle": "The user was asked whether they are there", "ended": "The handover ended",
		"session_ended": "An earlier handover ended", "state": "The state changed",
		"open_failed": "Opening is given up", "remind": "The user is reminded", "claim_timeout": "Waiting for an agent is given up",
		"quiet": "The user is asked whether they are there", "idle": "It ends, after silence", "relay_failed": "Passing on messages is given up",
		"max_age": "It ends, whatever happens", "offer_expires": "The offer expires", "follow_up_expires": "The answer by email is awaited no more",
		"forgotten": "The record is deleted",
	}[m.What], m.What)
	if m.State != "" {
		what += ": " + stateWords(m.State)
	}
	if m.Reason != "" {
		what += ": " + strings.ReplaceAll(string(m.Reason), "_", " ")
	}
	return what
}

// span says how long something takes, in one or two words.
func span(d time.Duration) string {
	d = max(d, 0)
	of := func(n int, unit string) string {
		if n != 1 {
			unit += "s"
		}
		return fmt.Sprintf("%d %s", n, unit)
	}
	switch {
	case d < time.Minute:
		return of(int(d/time.Second), "second")
	case d < time.Hour:
		return of(int(d/time.Minute), "minute")
	case d < 48*time.Hour:
		return of(int(d/time.Hour), "hour")
	}
	return of(int(d/(24*time.Hour)), "day")
}

// fault is something that the first lines of the page tell of this process.
type fault struct{ What, Says string }

// lateCatchUp is how late catch-up may be until the page says so.
const lateCatchUp = 5 * time.Minute

// faultsOf tells what is wrong with this process, in words.
func faultsOf(h handover.Health) (all []fault) {
	add := func(what, says string, args ...any) { all = append(all, fault{what, fmt.Sprintf(says, args...)}) }
	if h.ShutDown {
		add("Process", "This process is shut down, and takes no more work.")
	}
	if h.Full {
		add("Process", "Too much waits in this process: hooks are put off.")
	}
	if h.Store.Failing {
		add("Store", "The store has failed for %s: %d times, last to %s.", span(h.At.Sub(h.Store.FailingSince)), h.Store.Fails, h.Store.LastFaultAt)
	}
	for _, w := range h.Websites {
		if w.Held {
			why := fmt.Sprintf("it answered %d", w.HeldStatus)
			if w.HeldStatus == 0 {
				why = "it did not answer"
			}
			add("Crisp", "Crisp is not called for website %s, since %s. Tried again in %s.", w.ID, why, span(w.HeldUntil.Sub(h.At)))
		}
		if len(w.HeldCalls) > 0 {
			add("Crisp", "For website %s these calls are held back: %s.", w.ID, strings.Join(w.HeldCalls, ", "))
		}
		if w.Lag > lateCatchUp {
			add("Catch-up", "Hooks that never came are looked for %s late on website %s.", span(w.Lag), w.ID)
		}
	}
	return all
}

// summaryOf is how this process is, in one line.
func summaryOf(h handover.Health) string {
	if h.Running {
		return "Run works here. The store was last asked for work " + span(h.At.Sub(h.LastPoll)) + " ago."
	}
	return "Run does not work in this process."
}

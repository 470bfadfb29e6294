package main

import (
	"context"
	"fmt"
	"io"
	"slices"
	"strings"
	"unicode"
	"unicode/utf8"

	"github.com/crisphandover/handover"
	"github.com/crisphandover/handover/internal/crispapi"
)

// check is one run.
type check struct {
	settings
	out    io.Writer
	at     string // where hooks are taken
	crisp  *crisp
	hooks  *hooks
	report handover.Report
	facts  []fact
	untold bool // something could not be tried, or Crisp's answer does not tell
}

// fact is what this Crisp does where its documentation says nothing.
type fact struct{ question, answer string }

// aboutTheBot are the findings of Handover.Check that are about a bot's own program, and not about the account.
var aboutTheBot = []string{"store", "store_durable", "store_clock", "run", "texts", "history", "files"}

// say prints a line about what is being done.
func (c *check) say(format string, args ...any) { fmt.Fprintf(c.out, "check: "+format+"\n", args...) }

// found notes a finding, in place of an earlier one about the same thing.
func (c *check) found(name string, s handover.Severity, says, do string) {
	f := handover.Finding{Name: name, Severity: s, Says: says, Do: do}
	if i := c.index(name); i >= 0 {
		c.report[i] = f
		return
	}
	c.report = append(c.report, f)
}

func (c *check) index(name string) int {
	return slices.IndexFunc(c.report, func(f handover.Finding) bool { return f.Name == name })
}

// is reports whether a finding has that severity.
func (c *check) is(name string, s handover.Severity) bool {
	i := c.index(name)
	return i >= 0 && c.report[i].Severity == s
}

// fact notes a fact.
func (c *check) fact(question, answer string) { c.facts = append(c.facts, fact{question, answer}) }

// readCalls is what readAll costs.
const readCalls = 5

// readAll does what changes nothing.
func (c *check) readAll(ctx context.Context, h *handover.Handover) {
	c.say("reading: up to %d calls to Crisp, which change nothing", readCalls)
	for _, f := range h.Check(ctx) {
		if !slices.Contains(aboutTheBot, f.Name) {
			f.WebsiteID = ""
			c.untold = c.untold || f.Severity == handover.SeverityUnknown && f.Err != nil
			c.report = append(c.report, f)
		}
	}
	if i := c.index("quota"); i >= 0 && c.report[i].Severity == handover.SeverityOK {
		c.report = slices.Delete(c.report, i, i+1) // it knows of this run's calls only
	}
}

// notTried is a finding for what could not be tried.
func (c *check) notTried(name, why string) {
	c.untold = true
	c.found(name, handover.SeverityUnknown, "Not tried: "+why+".", "Mend what is a problem, and run check again.")
}

// scope says what calls tell of a scope that they need. missing is how bad it is to lack it.
func (c *check) scope(name, scope string, missing handover.Severity, calls ...answer) {
	calls = slices.DeleteFunc(slices.Clone(calls), func(a answer) bool { return !a.failed || a.notOnPlan() })
	if len(calls) == 0 {
		c.found(name, handover.SeverityOK, "The token may do what needs the scope "+scope+".", "")
		return
	}
	a := calls[0]
	if i := slices.IndexFunc(calls, answer.refused); i >= 0 {
		a = calls[i]
	}
	switch {
	case a.asksForLess():
		c.quota(a)
		c.found(name, handover.SeverityUnknown, "Not tried: Crisp asked for fewer calls.", "Run check again later.")
	case a.refused():
		advice := (&crispapi.Error{Scope: scope, StatusCode: a.status, Reason: a.reason}).Advice()
		c.found(name, missing, "Crisp refuses what needs the scope "+scope+": "+a.String()+".", sentence(advice))
	default:
		c.untold = true
		c.found(name, handover.SeverityUnknown, "Not known: Crisp gave "+a.String()+" to a call that needs the scope "+scope+".", "Run check again later. If it stays, please report it.")
	}
}

// quota says that Crisp asked for fewer calls.
func (c *check) quota(a answer) {
	c.found("quota", handover.SeverityProblem, "Crisp asked for fewer calls: "+a.String()+". Nothing more was called.", "Wait, and run check again. If it comes again, have Crisp raise the quota.")
}

// sentence is a text as a sentence: "check Token" is "Check Token."
func sentence(text string) string {
	first, size := utf8.DecodeRuneInString(text)
	if text == "" {
		return ""
	}
	return string(unicode.ToUpper(first)) + text[size:] + "."
}

// severities in the order in which they are printed.
var severities = []handover.Severity{handover.SeverityProblem, handover.SeverityWarning, handover.SeverityUnknown, handover.SeverityOK}

// print prints what was found, the worst first.
func (c *check) print() {
	slices.SortStableFunc(c.report, func(a, b handover.Finding) int {
		return slices.Index(severities, a.Severity) - slices.Index(severities, b.Severity)
	})
	fmt.Fprintf(c.out, "\n%s", c.report)
	if len(c.facts) > 0 {
		fmt.Fprint(c.out, "\nWhat this Crisp does, which its documentation does not say. Please report it, with the workspace's plan,\nat https://github.com/crisphandover/handover/issues:\n")
	}
	for _, f := range c.facts {
		fmt.Fprintf(c.out, "  %s\n    %s\n", f.question, f.answer)
	}
	fmt.Fprintln(c.out)
}

// verdict prints in one line how it ended, and returns the exit code.
func (c *check) verdict() int {
	count := func(s handover.Severity) (n int) {
		for _, f := range c.report {
			if f.Severity == s {
				n++
			}
		}
		return n
	}
	var rest []string
	for _, s := range severities[1:3] {
		if n := count(s); n > 0 {
			rest = append(rest, fmt.Sprintf("%s: %d", s, n))
		}
	}
	also := ""
	if len(rest) > 0 {
		also = " (" + strings.Join(rest, ", ") + ")"
	}
	if n := count(handover.SeverityProblem); n > 0 {
		c.say("handovers fail until this is mended: %d of the above%s", n, also)
		return exitProblem
	}
	if c.untold {
		c.say("nothing that must be mended was found, and not everything could be tried%s", also)
		return exitNotKnown
	}
	c.say("nothing must be mended%s", also)
	return exitGood
}

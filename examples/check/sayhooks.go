package main

import (
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/crisphandover/handover"
)

// sayHooks says which hooks came, and how.
func (c *check) sayHooks(w *written) {
	if n := c.hooks.elsewhere(); n > 0 {
		c.say("hooks about other conversations: %d, answered 503, so that Crisp repeats them for your bot", n)
	}
	came := c.hooks.all()
	if len(came) > 0 {
		c.sayArrived(w, came)
		c.hookFacts(came)
		return
	}
	reasons, ours := c.hooks.why()
	whose := "Requests came"
	if ours {
		whose = "Hooks of the test came"
	}
	switch {
	case len(w.wanted) == 0:
		c.notTried("hooks_seen", "nothing could be written that a hook would tell of")
	case len(reasons) > 0:
		c.found("hooks_seen", handover.SeverityProblem, whose+", and each was refused: "+strings.Join(reasons, "; ")+".", c.secretAdvice())
	case c.hooks.elsewhere() > 0:
		c.found("hooks_seen", handover.SeverityProblem, fmt.Sprintf("Hooks about other conversations came, and none about the test within %s.", c.wait), c.eventAdvice())
	default:
		c.found("hooks_seen", handover.SeverityProblem, fmt.Sprintf("No hook came within %s.", c.wait),
			"Compare the URL in Crisp's settings with where this machine is reached from outside (a tunnel, in development). "+c.eventAdvice())
	}
}

// secretAdvice says what to do about hooks that do not verify.
func (c *check) secretAdvice() string {
	if len(c.config.Webhook.Secrets)+len(c.config.Webhook.URLKeys) == 0 {
		return "Set CRISP_WEBHOOK_SECRET for a plugin's hooks, or CRISP_WEBHOOK_KEY for the website's own."
	}
	return "Copy the plugin's signing secret into CRISP_WEBHOOK_SECRET once more, or the key after ?key= in the hooks' URL into CRISP_WEBHOOK_KEY."
}

// eventAdvice says where in Crisp the events are.
func (c *check) eventAdvice() string {
	if c.config.Token.Tier == handover.TierWebsite {
		return "In Crisp, under Workspace settings > Advanced configuration > Web Hooks, tick message:send, message:received, message:updated and session:set_state."
	}
	return "On Crisp's Marketplace, under the plugin's Settings > Events, tick message:send, message:received, message:updated and session:set_state, and see that the plugin is installed on the website."
}

// sayArrived says which of the wanted events came.
func (c *check) sayArrived(w *written, came []hook) {
	how := "by their key"
	if came[0].signed {
		how = "by their signature"
	}
	var missing []string
	var late time.Duration
	path := ""
	for _, event := range w.wanted {
		if !has(came, event) {
			missing = append(missing, event)
		}
	}
	for _, n := range came {
		if n.attempt <= 1 && !n.emitted.IsZero() {
			late = max(late, n.at.Sub(n.emitted)+c.crisp.ahead)
		}
		if path == "" && printable.MatchString(n.path) {
			path = n.path
		}
	}
	lost := slices.Contains(missing, eventSend) || slices.Contains(missing, eventReceived)
	switch {
	case len(missing) == 0:
		c.found("hooks_seen", handover.SeverityOK, fmt.Sprintf("Hooks come to %s and verify %s: %s.", path, how, strings.Join(w.wanted, ", ")), "")
	case lost:
		c.found("hooks_seen", handover.SeverityProblem, fmt.Sprintf("Hooks come to %s and verify %s. These never came within %s: %s. Agents' messages are minutes late then.", path, how, c.wait, strings.Join(missing, ", ")), c.eventAdvice())
	default:
		c.found("hooks_seen", handover.SeverityWarning, fmt.Sprintf("Hooks come to %s and verify %s. These never came within %s: %s. Edits, answers to pickers and resolving are noticed minutes late then.", path, how, c.wait, strings.Join(missing, ", ")), c.eventAdvice())
	}
	if late > lateHook {
		c.found("hooks_late", handover.SeverityWarning, fmt.Sprintf("A hook came %s after what it tells of.", late.Round(time.Second)), "Run check again later. If it stays, see whether something between Crisp and this machine holds requests back.")
	}
	if reasons, ours := c.hooks.why(); ours {
		c.found("hooks_refused", handover.SeverityWarning, "Other hooks of the test were refused: "+strings.Join(reasons, "; ")+".", c.secretAdvice())
	}
}

// hookFacts notes what the hooks show of Crisp.
func (c *check) hookFacts(came []hook) {
	kind := "no, it carries a key"
	if came[0].signed {
		kind = "yes"
	}
	c.fact(fmt.Sprintf("Is a hook for a token of tier %s signed?", c.config.Token.Tier), kind)
	if unit := came[0].unit(); unit != "" {
		c.fact("In which unit is X-Crisp-Request-Timestamp?", unit)
	}
	if limit := came[0].limit; limit > 0 {
		c.fact("How often does Crisp try a hook?", fmt.Sprintf("%d times, by X-Delivery-Attempt-Limit", limit))
	}
	first, again, found := repeated(came)
	switch {
	case !found && has(came, eventReceived):
		c.fact("Is a hook repeated that was answered 503?", fmt.Sprintf("not within %s", c.wait))
	case found:
		anew := "with the first time and signature"
		if again.stamp != first.stamp {
			anew = "with a new time and signature"
		}
		if !again.signed {
			anew = "unsigned"
		}
		c.fact("Is a hook repeated that was answered 503?", fmt.Sprintf("yes, after %s, %s", again.at.Sub(first.at).Round(100*time.Millisecond), anew))
	}
	var names []string
	for _, n := range came {
		if printable.MatchString(n.event) && !slices.Contains(names, n.event) {
			names = append(names, n.event)
		}
	}
	slices.Sort(names)
	c.fact("Which events came?", strings.Join(names, ", "))
}

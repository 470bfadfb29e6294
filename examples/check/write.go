package main

import (
	"context"
	"fmt"
	"math/rand/v2"
	"net/http"
	"slices"
	"strings"
	"time"

	"github.com/crisphandover/handover"
)

const (
	testName    = "Handover check (a test, please ignore)"
	testSegment = "handover-check"
	testText    = "This is a test of the connection to Crisp. Nobody needs to answer, it is removed at once."

	// writeCalls is what writeAll costs at the most.
	writeCalls = 16
	// cleanTime is for removing what was written, also when the run is interrupted.
	cleanTime = 30 * time.Second
	// lateHook is how late a hook may come before it is said.
	lateHook = 15 * time.Second
)

// The scopes that only a change shows.
const (
	scopeInitiate = "website:conversation:initiate (write)"
	scopeSessions = "website:conversation:sessions (write)"
	scopeMessages = "website:conversation:messages (write)"
	scopeStates   = "website:conversation:states (write)"
	scopeRouting  = "website:conversation:routing (write)"
)

// written is what the run has in Crisp.
type written struct {
	*talk
	user   int64    // fingerprint of the user's message
	team   int64    // of the note, or of the message in its place
	wanted []string // events that hooks must tell of
}

// writeAll makes a conversation of its own, tries in it what a handover does, waits for the hooks, and removes it.
func (c *check) writeAll(ctx context.Context) {
	if why := c.mayNot(); why != "" {
		for _, name := range []string{"write_conversations", "write_sessions", "write_messages", "write_states", "hooks_seen"} {
			c.notTried(name, why)
		}
		c.drop("write_scopes")
		return
	}
	c.say("writing: makes a conversation called %q, posts a message and a private note in it, edits, marks and resolves, and removes it all: up to %d calls. Agents may see it come and go", testName, writeCalls)
	c.drop("write_scopes")
	w := c.create(ctx)
	if w == nil {
		for _, name := range []string{"write_sessions", "write_messages", "write_states", "hooks_seen"} {
			c.notTried(name, "no conversation could be made")
		}
		return
	}
	defer c.remove(ctx, w)
	c.metas(ctx, w)
	c.messages(ctx, w)
	c.optional(ctx, w)
	c.say("waiting up to %s for web hooks at http://%s, on every path", c.wait, c.at)
	if c.hooks.await(ctx, c.wait, func(came []hook) bool { return arrived(came, w.wanted) }) {
		c.hooks.await(ctx, c.wait, func(came []hook) bool { _, _, found := repeated(came); return found || !has(came, eventReceived) })
	}
	if c.ask {
		c.askAll(ctx, w)
	}
	c.resolve(ctx, w)
	c.hugo(ctx, w)
	c.sayHooks(w)
}

// mayNot says why nothing is written; "": something is.
func (c *check) mayNot() string {
	switch {
	case c.is("token", handover.SeverityProblem), c.is("website", handover.SeverityProblem), c.is("crisp", handover.SeverityProblem):
		return "the token does not work on the website yet"
	case c.is("quota", handover.SeverityProblem):
		return "Crisp asked for fewer calls"
	}
	return ""
}

func (c *check) drop(name string) {
	c.report = slices.DeleteFunc(c.report, func(f handover.Finding) bool { return f.Name == name })
}

// create makes the conversation; nil: it could not.
func (c *check) create(ctx context.Context) *written {
	a := c.crisp.call(ctx, http.MethodPost, "/conversation", nil)
	var data struct {
		SessionID string `json:"session_id"`
	}
	if !a.into(&data) || !strings.HasPrefix(data.SessionID, "session_") || !printable.MatchString(data.SessionID) {
		a.failed = true
	}
	c.scope("write_conversations", scopeInitiate, handover.SeverityProblem, a)
	if a.failed {
		return nil
	}
	c.hooks.expect(data.SessionID)
	return &written{talk: &talk{crisp: c.crisp, id: data.SessionID}}
}

// metas says whose conversation it is.
func (c *check) metas(ctx context.Context, w *written) {
	set := w.call(ctx, http.MethodPatch, "/meta", map[string]any{"nickname": testName, "segments": []string{testSegment}})
	c.scope("write_sessions", scopeSessions, handover.SeverityProblem, set)
}

// newFingerprint is one in the shape of Crisp's own: seconds and five digits.
func newFingerprint() int64 { return time.Now().Unix()*100_000 + rand.Int64N(100_000) }

// messages posts as the user and as the team, reads, edits and marks.
func (c *check) messages(ctx context.Context, w *written) {
	chosen := newFingerprint()
	user, sent := w.send(ctx, post{Type: "text", From: "user", Origin: "chat", Content: testText, Fingerprint: chosen})
	if w.user = user; user != 0 {
		w.wanted = append(w.wanted, eventSend)
		kept := "yes"
		if user != chosen {
			kept = "no: it answers another one"
		}
		c.fact("Does Crisp keep the fingerprint that a caller chooses?", kept)
	}
	// The mark automated says that no human took over, so that Crisp's own AI answers as it would.
	m := post{Type: "note", From: "operator", Origin: "chat", Content: testText, Automated: true}
	team, note := w.send(ctx, m)
	calls := []answer{sent, note}
	c.notes(note)
	if team == 0 && note.notOnPlan() {
		m.Type = "text"
		var text answer
		team, text = w.send(ctx, m)
		calls = append(calls, text)
	}
	if w.team = team; team != 0 {
		w.wanted = append(w.wanted, eventReceived)
	}
	log, read := w.log(ctx)
	c.scope("read_messages", "website:conversation:messages (read)", handover.SeverityProblem, read)
	if user != 0 && !read.failed {
		lags := "yes"
		if !slices.ContainsFunc(log, func(m logged) bool { return m.Fingerprint == user }) {
			lags = "no: it comes later"
		}
		c.fact("Does the log show a message as soon as it is posted?", lags)
	}
	if user != 0 {
		edit := w.call(ctx, http.MethodPatch, fmt.Sprintf("/message/%d", user), map[string]string{"content": testText + " (Edited.)"})
		if calls = append(calls, edit); !edit.failed {
			w.wanted = append(w.wanted, eventUpdated)
		}
	}
	if team != 0 {
		calls = append(calls, w.call(ctx, http.MethodPatch, "/delivered", map[string]any{"from": "operator", "origin": "chat", "fingerprints": []int64{team}}))
	}
	c.scope("write_messages", scopeMessages, handover.SeverityProblem, calls...)
	if sent.status != 0 && !sent.failed {
		c.fact("With which status does Crisp answer a message?", fmt.Sprintf("HTTP %d", sent.status))
	}
}

// notes says whether the plan has private notes.
func (c *check) notes(note answer) {
	switch {
	case !note.failed:
		c.found("notes", handover.SeverityOK, "The plan has private notes.", "")
	case note.notOnPlan():
		c.found("notes", handover.SeverityWarning, "The plan has no private notes: agents are not told what notes would say.", "Set Policy.NoteFallback to NoteInData, or take a plan with notes.")
	default:
		c.notTried("notes", "Crisp refused a note for another reason")
	}
}

// optional tries what a handover can do without.
func (c *check) optional(ctx context.Context, w *written) {
	_, state := w.state(ctx)
	c.scope("read_states", "website:conversation:states (read)", handover.SeverityWarning, state)
	nobody := w.call(ctx, http.MethodPatch, "/routing", map[string]any{"assigned": nil, "silent": true})
	c.scope("write_routing", scopeRouting, handover.SeverityWarning, nobody)
	if i := c.index("write_routing"); c.is("write_routing", handover.SeverityWarning) {
		c.report[i].Do += " It is needed only where a Request has an Operator."
	}
}

// resolve resolves the conversation, and waits for the hook of that.
func (c *check) resolve(ctx context.Context, w *written) {
	a := w.setState(ctx, "resolved")
	c.scope("write_states", scopeStates, handover.SeverityWarning, a)
	if a.failed {
		return
	}
	w.wanted = append(w.wanted, eventState)
	if len(c.hooks.all()) > 0 {
		c.hooks.await(ctx, c.wait, func(came []hook) bool { return has(came, eventState) })
	}
}

// arrived reports whether a hook of each event came.
func arrived(came []hook, events []string) bool {
	return !slices.ContainsFunc(events, func(event string) bool { return !has(came, event) })
}

// hugo looks whether another bot took the conversation.
func (c *check) hugo(ctx context.Context, w *written) {
	const name = "hugo"
	const route = `If the workspace has Hugo, set AI Agent > Agent > Activation to "Route to Inbox", or give each Request an Inbox or an Operator.`
	where, seen := w.about(ctx)
	log, read := w.log(ctx)
	if seen.failed || read.failed {
		c.notTried(name, "the conversation could not be read")
		return
	}
	i := slices.IndexFunc(log, func(m logged) bool {
		return m.From == "operator" && (m.Automated || strings.HasPrefix(m.Origin, "urn:crisp.im:bot:")) && m.text() != testText && !asked(m.text())
	})
	switch {
	case i >= 0:
		origin := log[i].Origin
		if !printable.MatchString(origin) {
			origin = "unknown"
		}
		c.found(name, handover.SeverityWarning, "A bot answered the test conversation (origin "+origin+"): it answers your users before your agents do.", route)
	case where.InboxID != nil:
		c.found(name, handover.SeverityWarning, "Crisp put the test conversation into a sub-inbox, by a rule or for its own AI: agents may not be told of it.", route)
	default:
		c.found(name, handover.SeverityUnknown, "No bot answered the test conversation while it was there, and it stayed in the main inbox.", route)
	}
}

// remove removes the conversation, also after an interruption.
func (c *check) remove(ctx context.Context, w *written) {
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), cleanTime)
	defer cancel()
	if a := w.call(ctx, http.MethodDelete, "", nil); a.failed {
		c.found("removed", handover.SeverityWarning, "The test conversation is still in Crisp: removing it gave "+a.String()+".", fmt.Sprintf("Remove it there: it is called %q.", testName))
		return
	}
	c.found("removed", handover.SeverityOK, "The test conversation is removed from Crisp.", "")
}

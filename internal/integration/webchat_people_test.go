//go:build unix

package integration

import (
	"context"
	"fmt"
	"os"
	"path/filepath"
	"testing"

	"github.com/chromedp/cdproto/input"
	"github.com/chromedp/chromedp"
	"github.com/chromedp/chromedp/kb"
	"github.com/stretchr/testify/require"
)

// The logs of the chat, and of the agents' inbox.
const (
	userLog  = "#log"
	agentLog = "#thread"
)

// newUser opens the chat as the next user of the example's site, by itself, and the agents' inbox beside it. A guest
// has no login.
func newUser(t *testing.T, browser context.Context, name, base string) *tab {
	t.Helper()
	p := newTab(t, browser, name, base)
	p.waits(inFrame(`document.querySelector("#log")?.ariaBusy === "false"`)) // it is signed in
	p.do(chromedp.Navigate(base + "/chat/"))
	p.atDesk(browser, base)
	return p
}

func newGuest(t *testing.T, browser context.Context, name, base string) *tab {
	t.Helper()
	p := newTab(t, browser, name, base+"/chat/")
	p.atDesk(browser, base)
	return p
}

// atDesk opens the agents' inbox.
func (p *tab) atDesk(browser context.Context, base string) {
	p.t.Helper()
	p.desk = newTab(p.t, browser, p.name+"'s agent", base+"/?inbox")
	p.ready()
}

// inFrame evaluates an expression in the frame that the widget shows.
func inFrame(expression string) string {
	return `(({document}) => ` + expression + `)(document.querySelector("#webchat")?.shadowRoot.querySelector("iframe")?.contentWindow ?? {document: document.createDocumentFragment()})`
}

// framed waits until an expression is true in the widget's frame.
func (p *tab) framed(expression string) { p.t.Helper(); p.waits(inFrame(expression)) }

// framedSays writes a message there.
func (p *tab) framedSays(text string) {
	p.t.Helper()
	eval[bool](p, inFrame(`(document.querySelector("#text").value = `+quoted(text)+`, document.querySelector("#composer").requestSubmit(), true)`))
}

// ready waits until the pages have everything.
func (p *tab) ready() {
	p.t.Helper()
	p.waits(`document.querySelector("#log").ariaBusy === "false" && document.querySelector("#who").textContent !== "Connecting…"`)
	if p.desk != nil {
		p.desk.waits(`!document.querySelector("#online").disabled`)
	}
}

// atEnd waits until a log shows what is newest.
func (p *tab) atEnd(log string) {
	p.t.Helper()
	p = p.of(log)
	p.waits(atEnd(log))
}

func atEnd(log string) string {
	return `((log) => log.clientHeight > 0 && log.scrollHeight - log.scrollTop - log.clientHeight < 2)(document.querySelector(` + quoted(log) + `))`
}

// ---- what users do

func (p *tab) says(text string) { p.t.Helper(); p.types("#text", text+"\r") }

// chooses clicks a quick reply twice, as people do. It is chosen once.
func (p *tab) chooses(title string) {
	p.t.Helper()
	find := button(userLog, title)
	require.NoError(p.t, p.becomes(`((b) => b && (b.focus(), b.click(), b.click(), true))(`+find+`)`, byHand), "%s chooses in vain %s", p.name, find)
}

// attaches chooses a file.
func (p *tab) attaches(field, name string, content []byte) {
	p.t.Helper()
	path := filepath.Join(p.t.TempDir(), name)
	require.NoError(p.t, os.WriteFile(path, content, 0o600))
	p.do(chromedp.SetUploadFiles(chromedp.CSS(field), []string{path}))
}

// isTold waits until the line under the title says who is speaking.
func (p *tab) isTold(who string) {
	p.t.Helper()
	p.waits(`document.querySelector("#who").textContent === ` + quoted(who))
}

func (p *tab) plays() int { p.t.Helper(); return eval[int](p, "window.plays") }

// ---- what agents do

// writes puts a text into a field as pasting does: with characters that no keyboard has.
func (p *tab) writes(field, text string) {
	p.t.Helper()
	p.do(chromedp.Click(chromedp.CSS(field), chromedp.NodeVisible))
	_, err := chromedp.Call(p.ctx, input.InsertText, input.InsertTextParams{Text: text})
	require.NoError(p.t, err)
}

// tabTo and backTo move the focus with the Tab key until an expression is true.
func (p *tab) tabTo(expression string) { p.t.Helper(); p.tab(expression) }

func (p *tab) backTo(expression string) {
	p.t.Helper()
	p.tab(expression, chromedp.KeyModifiers(chromedp.ModifierShift))
}

func (p *tab) tab(expression string, options ...chromedp.KeyOption) {
	p.t.Helper()
	for range 60 {
		if eval[bool](p, "!!("+expression+")") {
			require.NotEqual(p.t, "none", eval[string](p, "getComputedStyle(document.activeElement.shadowRoot?.activeElement ?? document.activeElement).outlineStyle"), "the focus can be seen")
			return
		}
		p.do(chromedp.KeyEvent(kb.Tab, options...))
	}
	p.t.Fatalf("%s: the Tab key does not lead to %s", p.name, expression)
}

// opens opens a user's conversation in the inbox.
func (p *tab) opens(user string) {
	p.t.Helper()
	p = p.of(agentLog)
	find := fmt.Sprintf(`[...document.querySelectorAll("#conversations button")].find((b) => b.querySelector("b").textContent === %s)`, quoted(user))
	p.clicks(find)
	p.waits(`document.querySelector("#with").textContent === ` + quoted(user))
}

// picks chooses an option, as a person does with the keyboard or the mouse.
func (p *tab) picks(field, value string) {
	p.t.Helper()
	p = p.of(agentLog)
	eval[bool](p, fmt.Sprintf(`(() => { const s = document.querySelector(%s); s.value = %s; s.dispatchEvent(new Event("change")); return s.value === %s; })()`,
		quoted(field), quoted(value), quoted(value)))
}

// answers writes to the user, as the operator and in the way that were picked last.
func (p *tab) answers(text string) {
	p.t.Helper()
	p = p.of(agentLog)
	p.types("#said", text+"\r")
	p.waits(has(agentLog+" .text", text))
}

// sends sends something that has several lines: a picker, a field or a carousel.
func (p *tab) sends(kind, text, lines string) {
	p.t.Helper()
	p = p.of(agentLog)
	p.picks("#kind", kind)
	p.writes("#said", text)
	p.writes("#lines", lines)
	p.presses("#answer", "Send")
	p.waits(`document.querySelector("#lines").value === ""`)
	p.picks("#kind", "say")
}

// sendsFile sends a file with that content.
func (p *tab) sendsFile(name string, content []byte) {
	p.t.Helper()
	p = p.of(agentLog)
	p.picks("#kind", "file")
	p.attaches("#upload input", name, content)
	p.presses("#answer", "Send")
	p.waits(has(agentLog+" .file bdi", name) + ` || document.querySelector("#thread li:last-child img")?.alt === ` + quoted(name))
	p.picks("#kind", "say")
}

// notes writes a private note.
func (p *tab) notes(text string) {
	p.t.Helper()
	p = p.of(agentLog)
	p.picks("#kind", "note")
	p.answers(text)
	p.picks("#kind", "say")
}

// tool presses a button under the agents' message that has this text.
func (p *tab) tool(text, name string) {
	p.t.Helper()
	p = p.of(agentLog)
	find := fmt.Sprintf(`[...[...document.querySelectorAll("#thread li")].find((li) => li.querySelector(".text")?.textContent === %s)?.querySelectorAll(".tools button") ?? []].find((b) => b.textContent === %s)`,
		quoted(text), quoted(name))
	p.clicks(find)
}

// edits changes the agents' message that has this text.
func (p *tab) edits(text, to string) {
	p.t.Helper()
	p = p.of(agentLog)
	p.tool(text, "Edit")
	p.waits(`document.querySelector("#said").value === ` + quoted(text))
	eval[bool](p, `(said.select(), true)`)
	p.do(chromedp.SendKeys(chromedp.CSS("#said"), to))
	p.enter()
	p.waits(`document.querySelector("#editing").hidden`)
}

// comes and goes change whether anybody is there.
func (p *tab) comes() {
	p.t.Helper()
	p = p.of(agentLog)
	p.presses(".inbox", "Away")
	p.waits(`online.textContent === "Online"`)
}
func (p *tab) goes() {
	p.t.Helper()
	p = p.of(agentLog)
	p.presses(".inbox", "Online")
	p.waits(`online.textContent === "Away"`)
}

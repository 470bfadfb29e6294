//go:build unix

package integration

import (
	"context"
	_ "embed"
	"net/http"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/chromedp/chromedp"
	"github.com/stretchr/testify/require"

	"github.com/crisphandover/handover/handovertest"
)

// What the library and the example's bot say.
const (
	nobody   = "- It seems that nobody is available right now. What would you like to do?"
	nobodyIs = nobody + " [Answer me by email] [Go on with the bot]"
	check    = "Bot: Ok, I will check if an agent is available right now."
	soon     = "- A person will be with you soon. You can already describe your question."
	joined   = "- Ann joined the conversation."
	closed   = "- This conversation was closed. You are talking with the bot again."
	backTo   = " [Back to the bot]"
	hours    = "Bot: We are open from 9 to 18, every day but Sunday."
	greeting = "Bot: Welcome to Acorn Bikes!"
	opening  = "Anakin Skywalker: Hi, this user need your help.\nYou can find the conversation history here: "
)

//go:embed webchat_bike.png
var bike []byte // a picture

// TestWebchatHandover is a whole handover, from both panes.
func TestWebchatHandover(t *testing.T) {
	browser := startBrowser(t)
	server := startWebchat(t)
	p := newUser(t, browser, "Anakin", server.base)
	p.shoot("webchat-empty")

	// Nobody is there: the choice, and back to the bot.
	p.goes()
	p.says("I need a human")
	p.sees(userLog, "You: I need a human", check, nobodyIs)
	p.chooses("Go on with the bot")
	log := []string{"You: I need a human", check, nobody + " Chosen: Go on with the bot",
		"You: Go on with the bot", "- All right, I am listening."}
	p.sees(userLog, log...)
	require.Empty(t, p.lines(agentLog), "Crisp knows nothing of it")

	// Somebody is there, and comes.
	p.comes()
	p.presses(".chat > header", "Talk to a human")
	p.isTold("Waiting for a person")
	p.sees(userLog, append(log, soon+backTo)...)
	p.says("My order 42 is late")
	log = append(log, soon, "You: My order 42 is late")
	p.sees(userLog, log...)
	p.opens("Anakin Skywalker")
	require.Equal(t, 0, p.plays())
	p.answers("Hello Anakin, I will look at it.")
	log = append(log, joined, "Ann (agent): Hello Anakin, I will look at it.")
	p.sees(userLog, log...)
	p.isTold("Ann is with you")
	require.Equal(t, "A", eval[string](p, `document.querySelector("#log .agent .avatar").textContent`))
	require.Equal(t, 1, p.plays(), "one sound for one message")
	link := eval[string](p.desk, `document.querySelector("#thread a").href`)
	require.Contains(t, link, server.base+"/history?t=")
	agents := []string{opening + link, "Bot (private note): " + link, "Anakin Skywalker: My order 42 is late", "Ann: Hello Anakin, I will look at it. {read}"}
	p.sees(agentLog, agents...)
	require.Contains(t, eval[string](p.desk, `document.querySelector("#facts dl").textContent`), "anakin@example.com")

	// Each sees the other typing.
	p.desk.types("#said", "Let me")
	p.waits(`typing.textContent === "Ann is typing…"`)
	p.desk.types("#said", " see.\r")
	log = append(log, "Ann (agent): Let me see.")
	agents = append(agents, "Ann: Let me see. {read}")
	p.sees(userLog, log...)
	p.waits(`typing.textContent === ""`)
	p.types("#text", "Tha")
	p.desk.waits(`document.querySelector("#user-typing").textContent === "Anakin Skywalker is typing…"`)
	p.types("#text", "nks\r")
	log, agents = append(log, "You: Thanks"), append(agents, "Anakin Skywalker: Thanks")
	p.sees(agentLog, agents...)
	p.desk.waits(`document.querySelector("#user-typing").textContent === ""`)

	// A picker is answered once.
	p.sends("picker", "Which bike is it?", "The red one\nThe blue one")
	p.sees(userLog, append(log, "Ann (agent): Which bike is it? [The red one] [The blue one]")...)
	p.chooses("The blue one")
	log = append(log, "Ann (agent): Which bike is it? Chosen: The blue one", "You: The blue one")
	p.sees(userLog, log...)
	agents = append(agents, "Ann: Which bike is it? The red one ✓ The blue one {read}")
	p.sees(agentLog, agents...)

	// A note is for agents only; an edit and a removal are seen; a file is shown.
	p.notes("He seems angry.")
	p.answers("It left on Tuseday.")
	p.sees(userLog, append(log, "Ann (agent): It left on Tuseday.")...)
	p.edits("It left on Tuseday.", "It left on Tuesday.")
	log = append(log, "Ann (agent): It left on Tuesday. {edited}")
	p.sees(userLog, log...)
	p.answers("Wrong customer, sorry")
	p.sees(userLog, append(log, "Ann (agent): Wrong customer, sorry")...)
	p.tool("Wrong customer, sorry", "Remove")
	log = append(log, "Ann (agent): This message was removed.")
	p.sees(userLog, log...)
	p.sendsFile("bike.png", bike)
	log = append(log, "Ann (agent): <img bike.png>")
	p.sees(userLog, log...)
	agents = append(agents, "Ann (private note): He seems angry.", "Ann: It left on Tuesday. {edited} {read}", "Ann: <img bike.png> {read}")
	p.sees(agentLog, agents...)
	require.Equal(t, 6, p.plays())
	p.attaches("#file", "my bike.png", bike)
	log, agents = append(log, "You: <img my bike.png>"), append(agents, "Anakin Skywalker: <img my bike.png>")
	p.sees(userLog, log...)
	p.sees(agentLog, agents...)

	// Carousels and fields.
	p.sends("carousel", "These are in our shop:", "Acorn One | Light and quick | See it | https://bikes.example/one\nAcorn Two | For two")
	p.sends("field", "What is your order’s number?", "It begins with A-")
	log = append(log, "Ann (agent): These are in our shop:", "Ann (agent): Acorn One Light and quick Acorn Two For two [See it]",
		"Ann (agent): What is your order’s number?\nIt begins with A-")
	p.sees(userLog, log...)

	// A reload changes nothing, and makes no sound.
	p.do(chromedp.Reload())
	p.ready()
	p.sees(userLog, log...)
	p.isTold("Ann is with you")
	require.Equal(t, 0, p.plays())

	p.says("A-42")
	p.opens("Anakin Skywalker")
	p.answers("Found it: it comes on Friday.")
	log = append(log, "You: A-42", "Ann (agent): Found it: it comes on Friday.")
	p.sees(userLog, log...)

	// The sound can be switched off.
	p.waits("window.plays === 1")
	p.presses(".chat > header", "Sound")
	require.Equal(t, "false", eval[string](p, "sound.ariaPressed"))
	eval[bool](p, `new Promise((done) => { log.addEventListener("scroll", () => done(true), {once: true}); log.scrollTop = 0; })`)
	p.answers("Is there anything else?")
	log = append(log, "Ann (agent): Is there anything else?")
	p.sees(userLog, log...)
	require.Zero(t, eval[int](p, "log.scrollTop"), "whoever reads what is above is left there")
	p.says("No, thank you!")
	p.atEnd(userLog)
	log = append(log, "You: No, thank you!")
	p.sees(userLog, log...)
	require.Equal(t, 1, p.plays())
	p.shoot("webchat-full")

	// Resolved: the bot again.
	p.desk.presses(".inbox", "Assign to me")
	p.desk.waits(`state.textContent === "unresolved, assigned to Ann"`)
	p.desk.presses(".inbox", "Resolve")
	p.isTold("The bot is with you")
	log = append(log, closed)
	p.sees(userLog, log...)
	p.says("When do you open?")
	log = append(log, "You: When do you open?", hours)
	p.sees(userLog, log...)
	p.do(chromedp.Reload())
	p.ready()
	p.sees(userLog, log...)
	require.Equal(t, "false", eval[string](p, "sound.ariaPressed"), "who wants no sound wants none tomorrow")
}

// TestWebchatEmail leaves a question with the agents while nobody is there.
func TestWebchatEmail(t *testing.T) {
	for name, c := range map[string]struct {
		opens       func(t *testing.T, browser context.Context, name, base string) *tab
		user, email string
		asks        bool
	}{
		"known address": {opens: newUser, user: "Anakin Skywalker", email: "anakin@example.com"},
		"asked for":     {opens: newGuest, user: "leia@example.org", email: "leia@example.org", asks: true},
	} {
		t.Run(name, func(t *testing.T) {
			p := c.opens(t, startBrowser(t), c.user, startWebchat(t).base)
			p.goes()
			p.says("I need a human")
			p.sees(userLog, "You: I need a human", check, nobodyIs)
			p.chooses("Answer me by email")
			log := []string{"You: I need a human", check, nobody + " Chosen: Answer me by email", "You: Answer me by email"}
			if c.asks {
				p.sees(userLog, append(log, "- Which email address may we write to? [Go on with the bot]")...)
				p.says("leia at example")
				log = append(log, "- Which email address may we write to?", "You: leia at example")
				p.sees(userLog, append(log, "- That does not look like an email address. Which address may we write to? [Go on with the bot]")...)
				p.says(c.email)
				log = append(log, "- That does not look like an email address. Which address may we write to?", "You: "+c.email)
			}
			log = append(log, "- Thank you. We will answer by email.")
			p.sees(userLog, log...)
			p.says("When do you open?") // the bot goes on
			log = append(log, "You: When do you open?", hours)
			p.sees(userLog, log...)

			// The agents find it when they come, and the user is still there.
			p.comes()
			p.desk.waits(`document.querySelector("#facts dl")?.textContent.includes(` + quoted(c.email) + `)`)
			require.Contains(t, p.lines(agentLog)[0], "Hi, this user asks for an answer by email.")
			p.answers("Good morning!")
			p.sees(userLog, append(log, joined, "Ann (agent): Good morning!")...)
			p.isTold("Ann is with you")
		})
	}
}

// TestWebchatTwoUsers has two users and two agents talk at the same time.
func TestWebchatTwoUsers(t *testing.T) {
	browser, server := startBrowser(t), startWebchat(t)
	anakin := newUser(t, browser, "Anakin", server.base)
	leia := newUser(t, browser, "Leia", server.base)
	both := func(do func(p *tab)) { do(anakin); do(leia) }
	both(func(p *tab) { p.says("A human, please: " + p.name) })
	both(func(p *tab) { p.isTold("Waiting for a person") })
	anakin.opens("Anakin Skywalker")
	leia.opens("Leia Organa")
	leia.picks("#as", "Bob")
	for _, n := range []string{"1", "2", "3"} {
		both(func(p *tab) { p.says("question " + n + " of " + p.name) })
		both(func(p *tab) { p.answers("answer " + n + " for " + p.name) })
	}
	both(func(p *tab) {
		agent := map[*tab]string{anakin: "Ann", leia: "Bob"}[p]
		p.waits(shown(userLog) + `.length === 10`)
		lines := p.lines(userLog)
		require.Equal(t, []string{"You: A human, please: " + p.name, check, soon}, lines[:3])
		require.Contains(t, lines, "- "+agent+" joined the conversation.")
		require.Subset(t, lines, []string{
			"You: question 1 of " + p.name, "You: question 2 of " + p.name, "You: question 3 of " + p.name,
			agent + " (agent): answer 1 for " + p.name, agent + " (agent): answer 2 for " + p.name, agent + " (agent): answer 3 for " + p.name,
		})
	})
}

// TestWebchatWhoWaits has two users and one agent, who need not look for whoever waits.
func TestWebchatWhoWaits(t *testing.T) {
	browser, server := startBrowser(t), startWebchat(t)
	anakin := newUser(t, browser, "Anakin", server.base)
	guest := newGuest(t, browser, "guest", server.base)
	desk := anakin.desk
	isBefore := func(name string) { desk.waits(`document.querySelector("#with").textContent === ` + quoted(name)) }
	// unread are the names in bold, from the top.
	const unread = `[...document.querySelectorAll("#conversations b")].filter((b) => getComputedStyle(b).fontWeight >= 700).map((b) => b.textContent).join()`

	anakin.says("A human, please")
	isBefore("Anakin Skywalker") // without a click
	desk.waits(unread + ` === ""`)
	guest.says("I need a human, too")
	desk.waits(unread + ` === "Visitor 2"`)
	desk.waits(`document.title === "(1) Acorn Bikes" && document.querySelector("#conversations b").textContent === "Visitor 2"`)
	isBefore("Anakin Skywalker") // an agent at work is left there
	desk.shoot("webchat-unread")
	anakin.answers("Good morning")
	desk.presses(".inbox", "Resolve")
	isBefore("Visitor 2")
	desk.waits(unread + ` === "" && document.title === "Acorn Bikes"`)
	guest.says("Are you there?")
	desk.waits(has(agentLog+" .visitor .text", "Are you there?"))
	desk.presses(".inbox", "Resolve")
	anakin.says("A human once more")
	isBefore("Anakin Skywalker")
}

// TestWebchatConnection loses the connection in the middle. It comes back by itself, without a gap
// and without a double.
func TestWebchatConnection(t *testing.T) {
	browser, server := startBrowser(t), startWebchat(t)
	connection := newLine(t, strings.TrimPrefix(server.base, "http://"))
	user := newTab(t, browser, "user", connection.base()+"/chat/")
	user.ready()
	agent := newTab(t, browser, "agent", server.base+"/?inbox")
	user.presses(".chat > header", "Talk to a human")
	user.isTold("Waiting for a person")
	agent.opens("Visitor 1")
	agent.answers("One")
	log := []string{soon + backTo, joined, "Ann (agent): One"}
	user.sees(userLog, log...)

	user.excuse(func() {
		connection.cut()
		user.isTold("Connecting…")
		agent.edits("One", "One!")
		agent.answers("Two")
		agent.answers("Oops")
		agent.waits(`document.querySelector("#thread > ol > li:last-child").textContent.includes("read")`) // it is delivered
		agent.tool("Oops", "Remove")
		user.says("Are you there?")
		user.sees(userLog, append(log, "You: Are you there? {sending…}")...)
		connection.mend()
		user.isTold("Ann is with you")
	})
	log = []string{soon, joined, "Ann (agent): One! {edited}", "Ann (agent): Two", "Ann (agent): This message was removed.", "You: Are you there?"}
	user.sees(userLog, log...)
	agent.waits(`document.querySelector("#thread").textContent.includes("Are you there?")`)
	agent.answers("Three")
	user.sees(userLog, append(log, "Ann (agent): Three")...)
	require.Equal(t, 3, user.plays(), "One, Two and Three")

	user.excuse(func() {
		connection.cut()
		user.isTold("Connecting…")
		eval[bool](user, `(window.failed = 0, ((fetch) => { window.fetch = (...what) => fetch(...what).catch((e) => { window.failed++; throw e; }); })(window.fetch), true)`)
		user.presses(".chat > header", "Back to the bot")
		user.waits("window.failed > 0")
		connection.mend()
		user.isTold("The bot is with you")
	})
}

// TestWebchatNewServer has a server take the place of another that kept nothing. An open page begins anew, too, or,
// with another key, says that it is to be loaded again.
func TestWebchatNewServer(t *testing.T) {
	browser, key := startBrowser(t), "CHAT_KEY="+strings.Repeat("k", 32)
	first := startWebchat(t, key)
	address := "ADDR=" + strings.TrimPrefix(first.base, "http://")
	p := newTab(t, browser, "user", first.base+"/chat/")
	p.ready()
	p.says("When do you open?")
	p.sees(userLog, "You: When do you open?", hours)
	p.excuse(func() {
		first.stop()
		p.isTold("Connecting…")
		second := startWebchat(t, address, key)
		p.ready()
		p.waits(shown(userLog) + ".length === 0")
		p.says("And when do you open?")
		p.sees(userLog, "You: And when do you open?", hours)
		second.stop()
		startWebchat(t, address, "CHAT_KEY="+strings.Repeat("x", 32))
		p.waits(`document.querySelector("#notice").textContent === "Your session has ended. Please load the page again."`)
	})
	p.close() // before its server ends
}

// hostile is what people may try. It must be shown as text, and do nothing.
var hostile = []string{
	`<script>alert(1)</script><img src=x onerror=alert(2)>`,
	`javascript:alert(3) and [click](javascript:alert(4))`,
	`"><svg onload=alert(5)> {{7*7}} ${7*7}`,
	"\u202ethgir ot tfel\u202c \u2067isolated\u2069 https://example.com/\u202egpj.exe",
	"data:text/html,<script>alert(6)</script>",
}

// TestWebchatHostile has each side write what attackers write.
func TestWebchatHostile(t *testing.T) {
	browser, server := startBrowser(t), startWebchat(t)
	p := newGuest(t, browser, "Mallory", server.base)
	p.presses(".chat > header", "Talk to a human")
	p.isTold("Waiting for a person")
	p.opens("Visitor 1")
	for _, text := range hostile {
		p.writes("#text", text)
		p.presses("#composer", "Send")
		p.desk.waits(has(agentLog+" .visitor .text", text))
		p.desk.writes("#said", text)
		p.desk.presses("#answer", "Send")
		p.waits(has(userLog+" .agent .text", strings.NewReplacer("\u202e", "", "\u202c", "", "\u2067", "", "\u2069", "").Replace(text)))
	}
	p.sends("picker", hostile[0], hostile[0]+"\n"+hostile[2])
	p.waits(has(userLog+" button", hostile[2]))
	p.sends("carousel", "Cards", hostile[0]+" | "+hostile[2]+" | click | javascript:alert(8)")
	p.sendsFile("<img src=x onerror=alert(9)>.html", []byte("<script>alert(10)</script>"))
	p.waits(has(userLog+" .agent .file bdi", "<img src=x onerror=alert(9)>.html"))
	p.shoot("webchat-hostile")

	for _, log := range []string{userLog, agentLog} {
		p := p.of(log)
		require.Zero(t, eval[int](p, "document.querySelectorAll("+quoted(log+" :is(script, svg, iframe, b b, img)")+").length"))
		require.Subset(t, []string{"http:", "https:"}, eval[[]string](p, "[...document.querySelectorAll("+quoted(log+" a")+")].map((a) => a.protocol)"))
		require.Equal(t, []string{"isolate"}, eval[[]string](p, "[...new Set([...document.querySelectorAll("+quoted(log+" .text")+")].map((e) => getComputedStyle(e).unicodeBidi))]"),
			"bidi controls of a message end with it")
		require.Equal(t, []string{"isolate"}, eval[[]string](p, "[...new Set([...document.querySelectorAll("+quoted(log+" .turn")+")].map((e) => getComputedStyle(e).unicodeBidi))]"),
			"and an override turns nothing")
	}
	require.NotContains(t, eval[[]string](p, "[...document.querySelectorAll('#log a')].map((a) => a.href)"), "https://example.com/%E2%80%AEgpj.exe")

	link := eval[string](p.desk, `document.querySelector("#thread a").href`)
	history := newTab(t, browser, "history", link)
	history.waits(has("main .text", hostile[0]))
	require.Zero(t, eval[int](history, `document.querySelectorAll("main :is(script, svg, iframe, img[src=x])").length`))

	// The file is never opened as a page of ours.
	file := eval[string](p, `document.querySelector("#log .file a").href`)
	response, err := http.Get(file)
	require.NoError(t, err)
	response.Body.Close()
	require.Equal(t, "application/octet-stream", response.Header.Get("Content-Type"))
	require.Contains(t, response.Header.Get("Content-Disposition"), "attachment")
}

// has is true when an element has exactly this text.
func has(selector, text string) string {
	return "[...document.querySelectorAll(" + quoted(selector) + ")].some((e) => e.textContent === " + quoted(text) + ")"
}

// TestWebchatKeyboard gets along without a mouse.
func TestWebchatKeyboard(t *testing.T) {
	p := newUser(t, startBrowser(t), "keyboard", startWebchat(t).base)
	p.tabTo(`document.activeElement.id === "text"`)
	p.do(chromedp.KeyEvent("hello"))
	p.enter()
	hello := "Bot: Hello, I am the bot of Acorn Bikes. How can I help?"
	p.sees(userLog, "You: hello", hello+" [Where is my order?] [Opening hours] [Talk to a human]")
	p.backTo(`document.activeElement.textContent === "Opening hours"`)
	p.enter()
	p.sees(userLog, "You: hello", hello+" Chosen: Opening hours", "You: Opening hours", hours)
	require.Equal(t, "text", eval[string](p, "document.activeElement.id"), "the focus is where one goes on")
	p.backTo(`document.activeElement.id === "owner"`)
	p.enter()
	p.isTold("Waiting for a person")

	p.waits(`document.querySelectorAll("#log .replies button").length === 1`)

	desk := p.desk
	desk.waits(`document.querySelector("#conversations button")`)
	desk.tabTo(`document.activeElement.closest("#conversations")`)
	desk.enter()
	desk.tabTo(`document.activeElement.id === "said"`)
	desk.do(chromedp.KeyEvent("Good morning"))
	desk.enter()
	p.isTold("Ann is with you")
	desk.backTo(`document.activeElement.id === "resolve"`)
	desk.enter()
	p.isTold("The bot is with you")
	p.waits(`document.querySelectorAll("#log .replies button").length === 0`) // nobody waits any more
}

// TestWebchatPhone fits a phone.
func TestWebchatPhone(t *testing.T) {
	p := newUser(t, startBrowser(t), "phone", startWebchat(t).base)
	narrow := func(p *tab) {
		t.Helper()
		require.Equal(t, 360, eval[int](p, "document.documentElement.scrollWidth"))
		require.LessOrEqual(t, eval[int](p, "document.documentElement.scrollHeight"), 740, "the page itself does not scroll")
	}
	p.size(360, 740)
	p.desk.size(360, 740)
	p.says("hello " + strings.Repeat("x", 200))
	p.chooses("Talk to a human")
	p.isTold("Waiting for a person")
	narrow(p)
	p.opens("Anakin Skywalker")
	p.answers("Good morning " + strings.Repeat("y", 200))
	p.desk.waits(`document.querySelector("#thread").textContent.includes("yyy")`)
	narrow(p.desk)
	p.desk.shoot("webchat-phone-inbox")
	p.isTold("Ann is with you")
	p.waits(`document.querySelector("#log").textContent.includes("yyy")`)
	p.atEnd(userLog)
	narrow(p)
	p.shoot("webchat-phone")
}

// TestWebchatCrisp has the example serve a Crisp that is elsewhere: there is no inbox then.
func TestWebchatCrisp(t *testing.T) {
	browser := startBrowser(t)
	crisp := handovertest.NewCrisp(t, handovertest.Options{})
	require.NoError(t, crisp.Listen())
	id, key := crisp.Token()
	server := startWebchat(t, "CRISP_URL="+crisp.URL(), "CRISP_WEBSITE_ID="+crisp.WebsiteID(),
		"CRISP_IDENTIFIER="+id, "CRISP_KEY="+key, "CRISP_WEBHOOK_SECRET="+crisp.Secret())
	t.Cleanup(crisp.AttachURL(server.base + "/crisp/hooks"))
	site := newTab(t, browser, "site", server.base)
	site.framed(`document.querySelector("#log")?.ariaBusy === "false"`)
	site.shoot("webchat-site")
	p := newTab(t, browser, "user", server.base+"/chat/")
	p.ready()
	require.Zero(t, eval[int](site, `document.querySelectorAll(".inbox").length`))
	response, err := http.Get(server.base + "/inbox/events")
	require.NoError(t, err)
	response.Body.Close()
	require.Equal(t, http.StatusNotFound, response.StatusCode)

	p.says("A human!")
	log := []string{"You: A human!", check}
	p.sees(userLog, append(log, soon+backTo)...) // agents see no conversation that is still being made
	p.isTold("Waiting for a person")
	crisp.Last().Operator("Ann").Say("Hello")
	log = append(log, soon+backTo, joined, "Ann (agent): Hello")
	p.sees(userLog, log...)
	crisp.Last().Operator("Ann").Animation("https://files.invalid/caf%E9.gif", "image/gif") // its name is not UTF-8
	log = append(log, "Ann (agent): caf%E9.gif (image/gif)")
	p.sees(userLog, log...)
	p.says("It works")
	passed, cancel := context.WithTimeout(t.Context(), 30*time.Second)
	defer cancel()
	require.NoError(t, crisp.Await(passed, func() bool { return slices.Contains(crisp.Last().Transcript(), "user: It works") }))
	crisp.Last().Operator("Ann").Resolve()
	log[2] = soon
	p.sees(userLog, append(log, "You: It works", closed)...)
	p.shoot("webchat-crisp")
}

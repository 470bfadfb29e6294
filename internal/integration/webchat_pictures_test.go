//go:build unix

package integration

import "testing"

// TestWebchatPictures plays what the README shows: the webchat in the middle of a handover, and the
// history page that the agent was sent to.
func TestWebchatPictures(t *testing.T) {
	browser, server := startBrowser(t), startWebchat(t)
	// The site as anybody sees it: the agents' inbox, and the widget beside it.
	p := newTab(t, browser, "Anakin", server.base)
	p.size(1280, 860)
	p.waits(inFrame(`document.querySelector("#log")?.ariaBusy === "false"`))
	user := newUser(t, browser, "Leia", server.base)
	user.presses(".chat > header", "Talk to a human")
	user.isTold("Waiting for a person")
	user.says("Do you repair tandems?")
	user.desk.close()
	for _, title := range []string{"Where is my order?", "It is Friday!", "Talk to a human"} {
		p.framed(`((b) => b && (b.click(), true))(` + button(userLog, title) + `)`)
	}
	p.framed(`document.querySelector("#who").textContent === "Waiting for a person"`)
	p.framedSays("I was promised Friday.")
	p.opens("Anakin Skywalker")
	p.answers("Hello Anakin, is it this one?")
	p.sendsFile("bike.png", bike)
	p.framed(`document.querySelector("#log img")?.naturalWidth > 0`)
	p.framedSays("Yes!")
	p.waits(has(agentLog+" .visitor .text", "Yes!"))
	p.notes("It is still in the workshop. Who has the keys?")
	p.sends("picker", "I can have it brought to you:", "Tonight\nTomorrow")
	p.framed(`document.querySelectorAll("#log .replies button").length === 2`)
	eval[bool](p, `(facts.open = true, document.activeElement.blur(), true)`)
	p.waits(`document.querySelectorAll(".inbox .by i").length === 3`) // all is read
	p.atEnd(agentLog)
	p.framed(atEnd(userLog))
	p.shoot("webchat")

	// And as a page by itself, on a phone, in dark colours.
	phone := newTab(t, browser, "phone", server.base+"/chat/")
	phone.dark(true)
	phone.size(390, 700)
	phone.ready()
	phone.chooses("Where is my order?")
	phone.waits(`document.querySelectorAll("#log .message").length === 3 && !document.querySelector("#typing").textContent`)
	phone.shoot("webchat-dark")

	history := newTab(t, browser, "history", eval[string](p, `document.querySelector("#thread a").href`))
	history.size(860, 812)
	history.waits(has("main .text", "I was promised Friday."))
	history.follows("nav a.load")
	history.waits(`document.querySelector("main img")?.naturalWidth > 0 && (scrollTo(0, 0), true)`)
	history.shoot("history")
}

//go:build unix

package integration

import "testing"

// TestWebchatPictures plays what the README shows: the webchat in the middle of a handover, and the
// history page that the agent was sent to.
func TestWebchatPictures(t *testing.T) {
	browser, server := startBrowser(t), startWebchat(t)
	other := newTab(t, browser, "Leia", server.base+"/?guest")
	other.ready()
	eval[bool](other, `(window.USER_DATA = {first_name: "Leia", last_name: "Organa"}, true)`)
	other.presses(".chat", "Talk to a human")
	other.isTold("Waiting for a person")
	other.says("Do you repair tandems?")

	p := newTab(t, browser, "Anakin", server.base)
	p.size(1280, 860)
	p.ready()
	p.says("Hello")
	p.chooses("Where is my order?")
	p.chooses("It is Friday!")
	p.chooses("Talk to a human")
	p.isTold("Waiting for a person")
	p.says("I was promised Friday.")
	p.opens("Anakin Skywalker")
	p.answers("Hello Anakin, is it this one?")
	p.sendsFile("bike.png", bike)
	p.waits(`document.querySelector("#log img")?.naturalWidth > 0`)
	p.says("Yes!")
	p.waits(has(agentLog+" .visitor .text", "Yes!"))
	p.notes("It is still in the workshop. Who has the keys?")
	p.sends("picker", "I can have it brought to you:", "Tonight\nTomorrow")
	p.waits(`document.querySelectorAll("#log .replies button").length === 2`)
	eval[bool](p, `(facts.open = true, document.activeElement.blur(), true)`)
	p.waits(`document.querySelectorAll(".inbox .by i").length === 3`) // all is read
	for _, log := range []string{userLog, agentLog} {
		p.atEnd(log)
	}
	p.shoot("webchat")

	history := newTab(t, browser, "history", eval[string](p, `document.querySelector("#thread a").href`))
	history.size(860, 812)
	history.waits(has("main .text", "I was promised Friday."))
	history.waits(`document.querySelector("main img")?.naturalWidth > 0 && (scrollTo(0, 0), true)`)
	history.shoot("history")
}

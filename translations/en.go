package translations

import "github.com/crisphandover/handover"

// english are the library's own texts.
var english = translation{
	noAgent: "It seems that nobody is available right now. What would you like to do?",
	byEmail: "Answer me by email",
	withBot: "Go on with the bot",
	texts:   handover.DefaultTexts(),
}

package handover

import (
	"cmp"
	"strings"
)

// Texts is every sentence that the library says. Start from DefaultTexts and change what you want:
// an empty text is silent, and so are all that a literal leaves out; Check names those without which users do
// not know what becomes of them. Only the openings are never
// silent, since Crisp hides a conversation without a message: an empty one says "Hi, this user needs
// your help." "{agent}" stands for the agent's name, "{link}" for the history link.
type Texts struct {
	// Opening is the first message that agents see, from the user. A line whose link is missing
	// is left out.
	Opening string
	// OpeningByEmail is Opening for an answer by email.
	OpeningByEmail string
	// Edited stands before the new words of a message that the user edited, where Crisp does not have the
	// message or cannot change it: agents see them as a new message. At most 100 characters are used.
	Edited string
	// Agent stands for "{agent}" where Crisp gives no name. Empty: "An agent".
	Agent string

	// What the user is told.
	Waiting      string // the conversation is open; an agent will come
	StillWaiting string // at each Timeouts.Remind
	StillThere   string // after Timeouts.Idle
	Joined       string // an agent wrote for the first time
	Transferred  string // another agent writes
	Resolved     string // the agent resolved the conversation; the bot answers again
	Left         string // the user chose to leave, or the host ended the handover
	NobodyCame   string // nobody answered within Timeouts.Claim
	Idle         string // ended because of silence
	Queued       string // so many ask that it takes a while until the conversation is opened
	OpenFailed   string // the conversation could not be opened
	RelayFailed  string // messages could not be passed on any more
	Closed       string // removed or blocked in Crisp, or Timeouts.Max
	NotAllowed   string // no handover on this channel
	TooSoon      string // Timeouts.CoolDown
	AskEmail     string // "Contact me back via email" without a known address
	BadEmail     string // that is no email address
	ByEmail      string // the agents will answer by email
	WithBot      string // "Continue with the bot" was chosen
	NotSent      string // a message of the user could not be passed on
	// Leave is the title of the quick reply with which the user goes back to the bot; silent: no
	// such reply. Short ones fit the buttons of all channels (package channel). It stands under Queued, Waiting, StillWaiting and StillThere, and
	// works as long as the handover lasts, pressed or written. It is not under Joined: the agent's
	// message follows at once, and channels such as Messenger drop the quick replies above it.
	Leave string

	// What the agents are told, as notes.
	NoteLeft       string // the user went back to the bot
	NoteNobodyCame string // the user went back to the bot after waiting in vain
	NoteNotShown   string // a message could not be shown to the user
	NoteAway       string // the user did not come back, and has not seen what was written
	NoteNotReached string // the user's channel failed for Timeouts.Deliver: a message was not shown
	NoteOtherFile  string // the user's file could not be passed on
	NoteUnanswered string // the bot did not answer the user: Config.Answer failed for Timeouts.Unanswered
}

// DefaultTexts are the texts used without Config.Texts. Opening is the connector's, to the letter.
func DefaultTexts() Texts {
	return Texts{
		Opening:        "Hi, this user need your help.\nYou can find the conversation history here: {link}",
		OpeningByEmail: "Hi, this user asks for an answer by email.\nYou can find the conversation history here: {link}",
		Edited:         "Edited: ",
		Agent:          "An agent",

		Waiting:      "A person will be with you soon. You can already describe your question.",
		StillWaiting: "We are still looking for somebody. Thank you for your patience.",
		StillThere:   "Are you still there?",
		Joined:       "{agent} joined the conversation.",
		Transferred:  "{agent} continues the conversation.",
		Resolved:     "This conversation was closed. You are talking with the bot again.",
		Left:         "You are talking with the bot again.",
		NobodyCame:   "I am sorry, nobody could answer in time.",
		Idle:         "It has been quiet for a while. You are talking with the bot again.",
		Queued:       "Many people are asking right now. It will take a little while; thank you for your patience.",
		OpenFailed:   "I am sorry, I could not reach anybody. You are talking with the bot again.",
		RelayFailed:  "I am sorry, the connection to our team is lost. You are talking with the bot again.",
		Closed:       "This conversation has ended. You are talking with the bot again.",
		NotAllowed:   "I am sorry, nobody can be reached on this channel.",
		TooSoon:      "I am sorry, nobody is there yet. Please try again later.",
		AskEmail:     "Which email address may we write to?",
		BadEmail:     "That does not look like an email address. Which address may we write to?",
		ByEmail:      "Thank you. We will answer by email.",
		WithBot:      "All right, I am listening.",
		NotSent:      "I am sorry, your last message could not be sent. Please send it again.",
		Leave:        "Back to the bot",

		NoteLeft:       "The user is talking with the bot again.",
		NoteNobodyCame: "The user waited in vain and is talking with the bot again. Answer here to take over.",
		NoteNotShown:   "A message could not be shown to the user. Please send it as plain text.",
		NoteAway:       "The user did not come back, and has not seen what you wrote.",
		NoteNotReached: "The user's channel fails: a message did not reach the user.",
		NoteOtherFile:  "The user sent a file that could not be passed on.",
		NoteUnanswered: "The bot could not answer the user.",
	}
}

// silent names the fields without which a user is not told what becomes of them, and that are empty.
func (t *Texts) silent() (names []string) {
	for _, f := range []struct{ name, text string }{
		{"Waiting", t.Waiting}, {"NobodyCame", t.NobodyCame}, {"OpenFailed", t.OpenFailed}, {"RelayFailed", t.RelayFailed},
		{"NotSent", t.NotSent}, {"Resolved", t.Resolved}, {"Idle", t.Idle}, {"Closed", t.Closed}, {"Left", t.Left},
		{"AskEmail", t.AskEmail}, {"BadEmail", t.BadEmail}, {"ByEmail", t.ByEmail},
	} {
		if f.text == "" {
			names = append(names, f.name)
		}
	}
	return names
}

// textName names a field of Texts in a record.
type textName string

// The texts that are said by effects.
const (
	textWaiting      textName = "waiting"
	textStillWaiting textName = "still_waiting"
	textStillThere   textName = "still_there"
	textJoined       textName = "joined"
	textTransferred  textName = "transferred"
	textResolved     textName = "resolved"
	textLeft         textName = "left"
	textNobodyCame   textName = "nobody_came"
	textIdle         textName = "idle"
	textQueued       textName = "queued"
	textOpenFailed   textName = "open_failed"
	textRelayFailed  textName = "relay_failed"
	textClosed       textName = "closed"
	textNotAllowed   textName = "not_allowed"
	textTooSoon      textName = "too_soon"
	textAskEmail     textName = "ask_email"
	textBadEmail     textName = "bad_email"
	textByEmail      textName = "by_email"
	textWithBot      textName = "with_bot"
	textNotSent      textName = "not_sent"

	textEdited     textName = "edited"
	noteLeft       textName = "note_left"
	noteNobodyCame textName = "note_nobody_came"
	noteNotShown   textName = "note_not_shown"
	noteOtherFile  textName = "note_other_file"
	noteAway       textName = "note_away"
	noteNotReached textName = "note_not_reached"
)

// get returns the text with this name; unknown names, from a newer version, are silent.
func (t *Texts) get(name textName) string {
	return map[textName]string{
		textWaiting: t.Waiting, textStillWaiting: t.StillWaiting, textStillThere: t.StillThere, textJoined: t.Joined,
		textTransferred: t.Transferred, textResolved: t.Resolved, textLeft: t.Left,
		textNobodyCame: t.NobodyCame, textIdle: t.Idle, textQueued: t.Queued, textOpenFailed: t.OpenFailed,
		textRelayFailed: t.RelayFailed, textClosed: t.Closed, textNotAllowed: t.NotAllowed,
		textTooSoon: t.TooSoon, textAskEmail: t.AskEmail, textBadEmail: t.BadEmail,
		textByEmail: t.ByEmail, textWithBot: t.WithBot, textNotSent: t.NotSent,
		textEdited: t.Edited, noteLeft: t.NoteLeft, noteNobodyCame: t.NoteNobodyCame,
		noteNotShown: t.NoteNotShown, noteOtherFile: t.NoteOtherFile, noteAway: t.NoteAway, noteNotReached: t.NoteNotReached,
	}[name]
}

// render says a system text, with the quick replies that belong to it; bot is the one that goes back
// to the bot.
func (t *Texts) render(name textName, agent string, bot QuickReply) (RichMessage, bool) {
	text := t.get(name)
	if text == "" {
		return RichMessage{}, false
	}
	m := RichMessage{Text: strings.ReplaceAll(text, "{agent}", cmp.Or(agent, t.Agent, "An agent"))}
	switch name {
	case textWaiting, textStillWaiting, textStillThere, textQueued:
		if t.Leave != "" {
			m.QuickReplies = []QuickReply{{ContentType: ReplyText, Title: t.Leave, Payload: payloadLeave}}
		}
	case textAskEmail, textBadEmail:
		m.QuickReplies = []QuickReply{bot}
	}
	return m, true
}

// payloadLeave is the payload of the way out while waiting.
const payloadLeave = "handover:leave"

// opening renders the first message in Crisp. A line whose link is missing is left out.
func (t *Texts) opening(byEmail bool, link string) string {
	text := t.Opening
	if byEmail {
		text = t.OpeningByEmail
	}
	var lines []string
	for line := range strings.Lines(text) {
		line = strings.TrimSuffix(line, "\n")
		if strings.Contains(line, "{link}") && link == "" {
			continue
		}
		lines = append(lines, strings.ReplaceAll(line, "{link}", link))
	}
	if text = strings.Join(lines, "\n"); strings.TrimSpace(text) == "" {
		// Without a message Crisp's lists would hide the conversation.
		return "Hi, this user needs your help."
	}
	return text
}

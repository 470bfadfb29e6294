package channel

import (
	"math"
	"unicode/utf8"

	"github.com/crisphandover/handover/internal/textsplit"
)

// Capabilities is what a channel can show. The zero value is a channel that shows text of any length, and nothing else.
type Capabilities struct {
	// Unit is what Text, ButtonText, Title, Caption and CardText count.
	Unit Unit
	// Text is the longest text of a message; 0 is no limit, and less than 32 counts as 32. With HTML the tags and
	// entities do not count, with other markups all does.
	Text int
	// ButtonText is the longest text of a message with buttons. 0: Text.
	ButtonText int
	// Markup is how the channel writes bold text, links and the like.
	Markup Markup

	// Buttons is how many buttons a message may have. 0: none, so that choices are lists of numbers.
	Buttons int
	// Title is the longest title of a button; 0 is no limit, and less than 12 counts as 12.
	Title int
	// Links says that buttons may open URLs, and URL how many bytes such a URL may have; 0 is no limit.
	Links bool
	URL   int

	// Cards is how many cards a message may have, side by side. 0: none, so that cards are messages.
	Cards int
	// CardButtons is how many buttons a card may have, links included, and CardText the longest of its texts; 0 is
	// none, and no limit.
	CardButtons, CardText int

	// Files says how files are shown, and Caption how long a text may be that stands under one, in the same message.
	// 0: no text.
	Files   Files
	Caption int

	// Names says that the channel itself shows which agent speaks. Else their words begin with the name, as in
	// "Ann: Hello".
	Names bool

	// Edits, Removals and Typing say whether messages can be changed and removed, and whether the user can be shown
	// that somebody types.
	Edits, Removals, Typing bool
}

// Unit is what a channel counts a text in.
type Unit int

// The units.
const (
	Characters Unit = iota // Unicode code points
	UTF16                  // UTF-16 units: most letters are one, most emoji two
	Bytes                  // of UTF-8
)

// Len returns the length of a text.
func (u Unit) Len(s string) int {
	switch u {
	case UTF16:
		return textsplit.Units(s)
	case Bytes:
		return len(s)
	}
	return utf8.RuneCountInString(s)
}

// Markup is a way of writing how text looks.
type Markup int

// The markups.
const (
	NoMarkup Markup = iota // plain text; links are written out
	HTML                   // b, i, u, s, code, pre and a, as Telegram's Bot API has it; & < > " are escaped
	WhatsApp               // *bold* _italic_ ~struck~ `code`; links are written out
	Mrkdwn                 // Slack's: as WhatsApp's, with <URL|label>; & < > are escaped
	Markdown               // **bold** *italic* __underlined__ ~~struck~~ `code` [label](URL); \ escapes
)

// Files says how a channel shows files.
type Files int

// The ways of showing files.
const (
	NoFiles       Files = iota // as a link in the text
	FilesByURL                 // the platform fetches the file from a URL
	FilesByUpload              // the channel fetches it, and gives it to the platform
)

const (
	minText  = 32
	minTitle = 12
)

// whole returns the capabilities with what zero and small values stand for.
func (c Capabilities) whole() Capabilities {
	limit := func(n, least int) int {
		if n <= 0 {
			return math.MaxInt
		}
		return max(n, least)
	}
	c.URL = limit(c.URL, 1)
	c.Text, c.Title, c.CardText = limit(c.Text, minText), limit(c.Title, minTitle), limit(c.CardText, minText)
	if c.ButtonText = limit(c.ButtonText, minText); c.ButtonText > c.Text {
		c.ButtonText = c.Text
	}
	c.Caption = min(c.Caption, c.ButtonText)
	return c
}

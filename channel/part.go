package channel

import "github.com/crisphandover/handover"

// Part is what a channel shows as one message. It has text or a file, or cards.
type Part struct {
	// Text is in the channel's markup. Beside a File it is its caption.
	Text string `json:"text,omitempty"`
	// Plain says the same without markup, for a channel whose platform refuses the markup. It is within the limits
	// as well.
	Plain string `json:"plain,omitempty"`
	// Buttons stand under the message.
	Buttons []Button `json:"buttons,omitempty"`
	// Listed are the choices that the text lists by number, all of them: those that are buttons too, and those for
	// which there is no room. Screen.Chosen finds what a user means who writes a number or a title.
	Listed []Choice `json:"listed,omitempty"`
	// Cards stand side by side.
	Cards []Card `json:"cards,omitempty"`
	// File is to be shown as Kind says: handover.AttachmentImage, AttachmentVideo, AttachmentAudio or
	// AttachmentFile.
	File *handover.File `json:"file,omitempty"`
	Kind string         `json:"kind,omitempty"`
}

// Button opens a URL, or sends its payload when it is pressed.
type Button struct {
	Title   string `json:"title"` // within the limit
	Payload string `json:"payload,omitempty"`
	URL     string `json:"url,omitempty"`
	Image   string `json:"image,omitempty"` // the URL of a quick reply's picture
}

// Choice is a choice in a list.
type Choice struct {
	Number  int    `json:"number"`
	Title   string `json:"title"` // whole
	Payload string `json:"payload"`
}

// Card is one of several cards.
type Card struct {
	Title    string   `json:"title"`
	Subtitle string   `json:"subtitle,omitempty"`
	Image    string   `json:"image,omitempty"`
	URL      string   `json:"url,omitempty"` // that a press on the card opens
	Buttons  []Button `json:"buttons,omitempty"`
}

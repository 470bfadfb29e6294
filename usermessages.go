package handover

import (
	"slices"
	"time"
)

// userMessage is what became of one message of the user.
type userMessage struct {
	ID     string        `json:"id"`
	Hash   string        `json:"hash"`
	Status messageStatus `json:"status"`
	Epoch  int64         `json:"epoch"`
	At     time.Time     `json:"at"`
	// Incoming is kept until the message is answered or in Crisp.
	Incoming *Incoming `json:"incoming,omitempty"`
	// Left is true when the Receive that brought the message has given up waiting.
	Left  bool   `json:"left,omitzero"`
	Fault string `json:"fault,omitempty"` // why it cannot be passed on
}

// messageStatus is what became of a message of the user.
type messageStatus string

const (
	messageTurn     messageStatus = "turn"     // the bot is to answer it
	messageAnswered messageStatus = "answered" // a Reply or Start for it returned nil
	messagePosting  messageStatus = "posting"  // on its way to Crisp
	messagePosted   messageStatus = "posted"   // Crisp has it
	messageKept     messageStatus = "kept"     // muted: kept for a handover that may come
	messageTaken    messageStatus = "taken"    // an answer to a question of ours
	messageRefused  messageStatus = "refused"  // Crisp will never take it
)

// userMessages are the user's messages that are remembered, the newest last.
type userMessages []*userMessage

// find returns what became of the message with this id, or nil.
func (all userMessages) find(id string) *userMessage {
	for i := len(all) - 1; i >= 0; i-- {
		if all[i].ID == id {
			return all[i]
		}
	}
	return nil
}

const (
	// maxUserMessages bounds how many messages are remembered; channels repeat a message within
	// minutes, not after this many others.
	maxUserMessages = 128
	// maxWords bounds how many messages are kept word by word until somebody has answered them.
	maxWords = 32
)

// trim keeps the list within its bounds. What is on its way is always kept; words that wait for the
// bot's answer, or for a handover, only of the newest.
func (all *userMessages) trim() {
	extra, words := len(*all)-maxUserMessages, 0
	for i := len(*all) - 1; i >= 0; i-- {
		m := (*all)[i]
		if m.Incoming == nil || m.Status == messagePosting {
			continue
		}
		if words++; words > maxWords {
			m.done(messageAnswered)
		}
	}
	*all = slices.DeleteFunc(*all, func(m *userMessage) bool {
		drop := extra > 0 && m.Status != messagePosting
		if drop {
			extra--
		}
		return drop
	})
}

// done ends the way of a message: its words are not needed any more.
func (m *userMessage) done(s messageStatus) { m.Status, m.Incoming = s, nil }

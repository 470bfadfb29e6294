package handover

import (
	"errors"
	"slices"
	"time"

	"github.com/crisphandover/handover/internal/crisplog"
	"github.com/crisphandover/handover/internal/markdown"
	"github.com/crisphandover/handover/internal/textsplit"
	"github.com/crisphandover/handover/internal/weblink"
)

// Conversation names one conversation between a user and the bot. It is comparable and comes
// back from the library exactly as it was given.
type Conversation struct {
	// WebsiteID is the Crisp website that the conversation is handed to. Empty means
	// Config.WebsiteID.
	WebsiteID string `json:"website_id,omitempty"`
	// Source is the channel, such as "webchat", "messenger" or "telegram". It keeps a Telegram
	// chat 123 apart from Messenger's 123.
	Source string `json:"source,omitempty"`
	// ID is the host's own id of the conversation on that channel. Required. It stands in logs, and
	// whoever has a history link can read it there: it must not be a secret, such as a session's cookie. At most
	// 256 bytes, and Source 64.
	ID string `json:"id"`
}

// State says who may speak in a conversation.
type State string

// The states of a conversation. The bot speaks only in StateBot.
const (
	StateBot     State = "bot"     // the bot answers
	StateMuted   State = "muted"   // the host muted the bot; nobody was asked for
	StateOpening State = "opening" // a human was asked for; the Crisp conversation is being made
	StateWaiting State = "waiting" // the Crisp conversation is open; no agent has written yet
	StateActive  State = "active"  // an agent is talking with the user
)

// EndReason says why a handover ended.
type EndReason string

// The reasons for which a handover ends.
const (
	EndResolved     EndReason = "resolved"      // resolved in Crisp; Crisp does not say by whom
	EndHostEnded    EndReason = "host_ended"    // the host called End
	EndUserLeft     EndReason = "user_left"     // the user chose to leave, or the host said so
	EndClaimTimeout EndReason = "claim_timeout" // nobody answered within Timeouts.Claim
	EndIdle         EndReason = "idle"          // silence for Timeouts.Idle
	EndOpenFailed   EndReason = "open_failed"   // the Crisp conversation could not be made
	EndRelayFailed  EndReason = "relay_failed"  // messages could not be passed on for Timeouts.Relay
	EndRemoved      EndReason = "removed"       // the Crisp conversation was removed
	EndBlocked      EndReason = "blocked"       // the user was blocked in Crisp
	EndMaxAge       EndReason = "max_age"       // Timeouts.Max was reached
)

// From says whose words a Message holds.
type From string

// The authors of messages.
const (
	FromAgent  From = "agent"  // a person in Crisp
	FromSystem From = "system" // the library, with a text of Texts or Config.NoAgent
	FromUser   From = "user"   // the user, outside the bot's channel (by email); opt-in
	FromBot    From = "bot"    // the bot; only in transcripts
)

// Agent is the person who answers in Crisp.
type Agent struct {
	ID     string `json:"id,omitempty"`     // Crisp's user id of the operator
	Name   string `json:"name,omitempty"`   // the nickname shown in Crisp
	Avatar string `json:"avatar,omitempty"` // an http or https URL, or empty
}

// File is a file that was sent, in either direction.
type File struct {
	// URL is where everybody can open it: Crisp, its agents, and the user. One of a user's that holds a password, a
	// token or a signature, or leads to a private network, is refused.
	URL string `json:"url"`
	// ID is the file of a user without such a URL: Config.OpenFile opens it, and the library sets URL to a link
	// (Config.Files). At most 1,024 bytes.
	ID       string        `json:"id,omitempty"`
	Name     string        `json:"name,omitempty"`
	MIMEType string        `json:"mime_type,omitempty"`
	Size     int64         `json:"size,omitempty"`     // bytes; 0: not known
	Duration time.Duration `json:"duration,omitempty"` // of audio and video; 0: not known
}

// Message is something the user must see (Config.Deliver), or saw (Config.Transcript,
// Summary.Messages).
type Message struct {
	// ID is the same at each attempt to deliver the message, and never that of another one. A
	// host that remembers the ids it has shown shows nothing twice.
	ID string `json:"id"`
	// ChannelID is what Deliver returned for this message, when an edit or removal of it
	// follows; empty in a first delivery.
	ChannelID string `json:"channel_id,omitempty"`
	// Corrects is the ID of the message that this one replaces, when an agent edited it.
	Corrects string `json:"corrects,omitempty"`
	From     From   `json:"from"`
	Agent    Agent  `json:"agent,omitzero"` // who wrote it, when From is FromAgent
	// Content is what the message says. Content.Text of an agent is what they wrote, in Markdown as Crisp's
	// chat has it: **bold**, *italic*, __underlined__, ~~struck~~, `code`, [label](url), ![image](url), lists
	// and quotes. Crisp documents this for articles of its knowledge base; which of it its chat renders is not
	// documented. A channel shows it as its own, or WithoutMarkdown, or PlainText. Titles of choices are plain.
	Content RichMessage `json:"content"`
	// File describes the file that Content shows, when there is one: what the Send API's syntax
	// has no member for.
	File *File `json:"file,omitempty"`
	// Late is true when newer messages were shown before this one, or the handover that it
	// belongs to has ended.
	Late bool `json:"late,omitempty"`
	// Attempt counts the attempts to deliver this message, from 1.
	Attempt int `json:"attempt,omitempty"`
	// At is when the message was written, by Crisp's clock for agents' messages.
	At time.Time `json:"at"`
	// TraceParent is the trace context of the hook that told of the message, as Config.TraceParent gave it.
	TraceParent string `json:"trace_parent,omitempty"`
}

// PlainText returns the message for a channel that has text only: as Content.PlainText does, and what an agent
// wrote WithoutMarkdown.
func (m Message) PlainText() string { return m.Content.plainText(m.WithoutMarkdown().Content.Text) }

// WithoutMarkdown returns the message with the marks of Markdown taken out of Content.Text, if an agent wrote it:
// what the bot, the library or a user says is none. Links become "label (URL)". In doubt a character stays, as in
// "2 * 3" and "__init__". Call it once: what is left is no Markdown any more.
func (m Message) WithoutMarkdown() Message {
	if m.From == FromAgent {
		m.Content.Text = markdown.Plain(m.Content.Text)
	}
	return m
}

// Session is a view of one conversation at one moment.
type Session struct {
	Conversation Conversation `json:"conversation"`
	State        State        `json:"state"`
	// Epoch is raised at each change of owner; a Turn holds until it is raised.
	Epoch int64 `json:"epoch"`
	// HandoverID names the handover that runs, or the last one.
	HandoverID string `json:"handover_id,omitempty"`
	CrispID    string `json:"crisp_id,omitempty"` // of its Crisp session
	Agent      Agent  `json:"agent,omitzero"`     // who wrote last, in that handover
	Locale     string `json:"locale,omitempty"`   // Request.Locale
	Resume     string `json:"resume,omitempty"`   // Request.Resume
	// Since is when the state was entered.
	Since time.Time `json:"since"`
	// Offer and FollowUp tell what goes on beside the bot: the user was asked how to go on without
	// an agent; an answer by email is awaited.
	Offer    bool `json:"offer,omitempty"`
	FollowUp bool `json:"follow_up,omitempty"`
	// ForUser is what waits to be shown to the user, and ForCrisp what waits to reach the agents: a
	// conversation that looks well may be stuck.
	ForUser  Waiting `json:"for_user,omitzero"`
	ForCrisp Waiting `json:"for_crisp,omitzero"`
}

// Turn returns a turn for messages that answer none of the user's: proactive ones, or Start for a
// "talk to a human" button.
func (s Session) Turn() Turn {
	return Turn{Conversation: s.Conversation, Epoch: s.Epoch, Bot: s.State == StateBot}
}

// view shows what hosts may see of a conversation.
func (rec *record) view() Session {
	s := Session{
		Conversation: rec.Conversation, State: rec.State, Epoch: rec.Epoch, Since: rec.Since,
		Offer: rec.Offer != nil, FollowUp: rec.FollowUp != nil,
		ForUser: rec.waitsForUser(), ForCrisp: rec.waitsForCrisp(rec.UserMessages),
	}
	for _, ho := range []*handover{rec.FollowUp, rec.Handover} {
		if ho == nil {
			continue
		}
		s.HandoverID, s.CrispID = ho.ID, ho.CrispID
		if n := len(ho.Agents); n > 0 {
			s.Agent = ho.Agents[n-1]
		}
	}
	if r := rec.request(); r != nil {
		s.Locale, s.Resume = r.Locale, r.Resume
	}
	return s
}

// Summary is what OnEnd hears of a handover.
type Summary struct {
	HandoverID string    `json:"handover_id"`
	Reason     EndReason `json:"reason"`
	// Agents are those who wrote, who wrote last last.
	Agents       []Agent `json:"agents,omitempty"`
	HumanReplied bool    `json:"human_replied"`
	// The times of the handover, by our own clock; zero: that did not happen.
	Asked      time.Time `json:"asked"`
	Opened     time.Time `json:"opened,omitzero"`
	Claimed    time.Time `json:"claimed,omitzero"`
	FirstReply time.Time `json:"first_reply,omitzero"`
	Ended      time.Time `json:"ended"`
	// Messages are what the user and the agents wrote, read from Crisp. Unread is true when they
	// could not be read.
	Messages []Message `json:"messages,omitempty"`
	Unread   bool      `json:"unread,omitempty"`
	// Unsent are ids of the user's messages that the handover was to pass on, that Crisp did not get
	// and that nobody waits for. The user was told.
	Unsent []string `json:"unsent,omitempty"`
	Resume string   `json:"resume,omitempty"` // Request.Resume
}

func (ho *handover) summary() *Summary {
	return &Summary{
		HandoverID: ho.ID, Reason: ho.Reason, Agents: ho.Agents, HumanReplied: !ho.FirstReply.IsZero(),
		Asked: ho.Asked, Opened: ho.Opened, Claimed: ho.Claimed, FirstReply: ho.FirstReply, Ended: ho.Ended,
		Unsent: ho.Unsent, Resume: ho.Request.Resume,
	}
}

// AgentTyping says that an agent began or stopped typing.
type AgentTyping struct {
	Agent Agent
	On    bool
}

// ErrUserAway is returned by Deliver when the user is gone. The message is not marked as shown:
// with an email address in Crisp the mail follows up, else it is kept until the user writes again, or
// nothing has happened in the conversation for Timeouts.Late. A host whose user will find the message
// all the same returns the channel's id with it: edits and removals are passed on then.
var ErrUserAway = errors.New("handover: the user is away")

// Revision is an edit or a removal of a message that was shown.
type Revision struct {
	// Message holds the new content. Its Corrects is the ID of the message shown, its ChannelID
	// what Deliver returned for that.
	Message Message
	Removed bool // the message is to disappear; Message has no content
}

// agentOf is who wrote a message. An avatar that users cannot open, or must not, is dropped.
func agentOf(who crisplog.Author) Agent {
	a := Agent(who)
	a.Name, _ = textsplit.Shorten(textsplit.OneLine(who.Name), maxAgentName)
	if !weblink.Public(a.Avatar) {
		a.Avatar = ""
	}
	if len(a.ID) > maxAgentID {
		a.ID = ""
	}
	return a
}

const (
	maxAgentName = 100 // UTF-16 units; a name stands in texts for the user
	maxAgentID   = 100 // bytes; Crisp's ids have 36
)

// agents are the people who wrote in a handover, the one who wrote last at the end.
type agents []Agent

// maxAgents bounds how many people of one handover are remembered.
const maxAgents = 64

// speaks notes who wrote, and reports whether it is another one than before.
func (all *agents) speaks(a Agent) (other bool) {
	i := all.find(a)
	other = i < 0 || i != len(*all)-1
	if i >= 0 {
		if known := (*all)[i]; a.ID == "" {
			a.ID = known.ID
		}
		*all = slices.Delete(*all, i, i+1)
	}
	*all = append((*all)[max(0, len(*all)+1-maxAgents):], a)
	return other
}

// find returns the place of a person, or -1. People write from several tools, not all of which say who
// they are: where an id is missing the name tells. Two ids are two people, whatever their names.
func (all agents) find(a Agent) int {
	byName := -1
	for i := len(all) - 1; i >= 0; i-- {
		b := all[i]
		switch {
		case a.ID != "" && a.ID == b.ID:
			return i
		case byName < 0 && (a.ID == "" || b.ID == "") && a.Name == b.Name:
			byName = i
		}
	}
	return byName
}

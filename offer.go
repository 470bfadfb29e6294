package handover

import (
	"errors"
	"fmt"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/crisphandover/handover/internal/crispcontent"
	"github.com/crisphandover/handover/internal/crisplog"
	"github.com/crisphandover/handover/internal/persondata"
	"github.com/crisphandover/handover/internal/textsplit"
)

// offer is what is open while the user is asked how to go on without an agent.
type offer struct {
	ID      string    `json:"id"`
	Request Request   `json:"request"`
	Asking  bool      `json:"asking,omitzero"` // for an email address
	Missed  bool      `json:"missed,omitzero"` // there was none in the first answer
	Expires time.Time `json:"expires"`
}

// wantEmail opens a follow-up, or asks for the address that it needs.
func (rec *record) wantEmail() {
	r := rec.Offer.Request
	if _, ok := persondata.Email(r.User.Email); !ok {
		rec.Offer.Asking = true
		rec.say(textAskEmail, "")
		return
	}
	rec.dropOpen()
	rec.FollowUp = rec.newHandover(&r)
	rec.FollowUp.ByEmail = true
	rec.queueOpening(rec.FollowUp)
}

// gaveEmail handles the answer to the question for an address. It is false when the user has other things to
// say: there was no address in the words before either.
func (rec *record) gaveEmail(text string) bool {
	address, ok := persondata.FindEmail(text)
	switch {
	case ok:
		rec.Offer.Request.User.Email = address
		rec.wantEmail()
	case rec.Offer.Missed:
		return false
	default:
		rec.Offer.Missed = true
		rec.say(textBadEmail, "")
	}
	return true
}

// takeChoice reports whether a message answers the offer, and does what it chooses. Any other text is
// for the bot, and ends the offer.
func (rec *record) takeChoice(in *userMessage) bool {
	choices := rec.env.cfg.Choices
	switch {
	case rec.Offer.chosen(in.Incoming, choices.Bot, rec.env.cfg):
		return rec.fire(onChoiceBot, cause{})
	case rec.Offer.chosen(in.Incoming, choices.Email, rec.env.cfg), rec.Offer.gotAddress(in.Incoming, rec.env.cfg):
		return rec.fire(onChoiceEmail, cause{})
	case rec.Offer.Asking && len(in.Incoming.Files) == 0 && rec.gaveEmail(in.Incoming.Text):
		return true
	}
	rec.fire(onOfferExpired, cause{})
	return false
}

// gotAddress reports whether a message is the address that a quick reply of type "user_email" asked for, as
// Messenger sends it: as the text or the payload. It is taken for the answer by email, and for the address.
func (o *offer) gotAddress(m *Incoming, cfg *Config) bool {
	asks := slices.ContainsFunc(o.messages(cfg), func(no RichMessage) bool {
		return slices.ContainsFunc(no.QuickReplies, func(q QuickReply) bool { return q.ContentType == ReplyEmail })
	})
	if !asks || len(m.Files) > 0 {
		return false
	}
	for _, text := range []string{m.Payload, m.Text} {
		if address, ok := persondata.Email(text); ok {
			o.Request.User.Email = address
			return true
		}
	}
	return false
}

// messages are what the offer shows; without an offer, what one would show.
func (o *offer) messages(cfg *Config) []RichMessage {
	if o != nil && len(o.Request.NoAgent) > 0 {
		return o.Request.NoAgent
	}
	return cfg.NoAgent
}

// choice returns the offer's quick reply with this payload; one of the same title if there is none.
func (o *offer) choice(payload string, cfg *Config) QuickReply {
	for _, m := range o.messages(cfg) {
		for _, q := range m.QuickReplies {
			if q.Payload == payload {
				return q
			}
		}
	}
	return QuickReply{ContentType: ReplyText, Title: payload, Payload: payload}
}

// chosen reports whether a message chooses the quick reply with this payload.
func (o *offer) chosen(m *Incoming, payload string, cfg *Config) bool {
	if m.Payload == payload || means(m.Text, payload) || means(m.Text, o.choice(payload, cfg).Title) {
		return true
	}
	if o.Asking {
		return false
	}
	var numbered []QuickReply
	text := strings.TrimSpace(m.Text)
	for _, no := range o.messages(cfg) {
		for i, line := range no.lines() { // as PlainText and package channel show it
			if no.QuickReplies[i].Payload == payload && crispcontent.IsListed(text, line) {
				return true
			}
		}
		if len(no.QuickReplies) > 1 {
			numbered = no.QuickReplies
		}
	}
	n, err := strconv.Atoi(text)
	return err == nil && n >= 1 && n <= len(numbered) && numbered[n-1].Payload == payload && text == strconv.Itoa(n)
}

// means reports whether a user who writes text means the choice with this title: people care little
// about capitals and full stops, and a button may show only the beginning, before "…".
func means(text, title string) bool {
	const around = " \t\r\n.!"
	if title != "" && crispcontent.IsListed(strings.TrimSpace(text), textsplit.OneLine(title)) {
		return true
	}
	title = strings.Trim(title, around)
	return title != "" && strings.EqualFold(strings.Trim(text, around), title)
}

// makeOffer says that nobody is there, and what can be chosen.
func (rec *record) makeOffer(r *Request) {
	rec.Mute = nil
	rec.Offer = &offer{ID: newID(), Request: *r, Expires: rec.env.now.Add(rec.env.cfg.Timeouts.override(r.Timeouts).FollowUp)}
	for i, m := range rec.Offer.messages(rec.env.cfg) {
		if rec.noRoom() {
			return
		}
		rec.push(&rec.ToUser, effect{Kind: kindDeliver, Message: &Message{
			ID: systemID(rec.Offer.ID, "no_agent", int64(i)), From: FromSystem, Content: m, At: rec.env.now.UTC(),
		}})
	}
}

// Choices are payloads of quick replies. A choice matches by its payload, by the title of the quick
// reply that carries it, since keyboards send titles, or by the number that RichMessage.PlainText
// or package channel gives it: of several messages by that in the last one that numbers its choices.
type Choices struct {
	// Email asks for an answer by email. Default: "Contact me back via email".
	Email string
	// Bot goes back to the bot. Default: "Continue with the bot".
	Bot string
}

// The payloads of choices that the host does not set.
const (
	defaultChoiceEmail = "Contact me back via email"
	defaultChoiceBot   = "Continue with the bot"
)

// own returns the choices without those that are the default.
func (c Choices) own() Choices {
	if c.Email == defaultChoiceEmail {
		c.Email = ""
	}
	if c.Bot == defaultChoiceBot {
		c.Bot = ""
	}
	return c
}

var errChoicesAlike = errors.New("the payloads Choices.Email and Choices.Bot must differ: give each quick reply its own")

// check refuses choices that the host has set and no user can make. Those that are not set need no
// quick reply: a host may offer only one of them, or none.
func (c Choices) check(messages []RichMessage) error {
	var faults []error
	for _, choice := range []struct{ name, payload string }{{"Email", c.Email}, {"Bot", c.Bot}} {
		if choice.payload != "" && !slices.ContainsFunc(messages, func(m RichMessage) bool { return m.offers(choice.payload) }) {
			faults = append(faults, fmt.Errorf("no message of NoAgent has the payload Choices.%s: give it to a quick reply there, or leave Choices.%[1]s empty", choice.name))
		}
	}
	if c.Email != "" && means(c.Email, c.Bot) {
		faults = append(faults, errChoicesAlike)
	}
	return errors.Join(faults...)
}

// offers reports whether a quick reply or button of the message makes the choice with this payload.
func (m RichMessage) offers(payload string) bool {
	button := func(b Button) bool { return b.Payload == payload }
	quick := func(q QuickReply) bool { return q.Payload == payload || means(q.Title, payload) }
	if slices.ContainsFunc(m.QuickReplies, quick) {
		return true
	}
	return m.Attachment != nil && (slices.ContainsFunc(m.Attachment.Payload.Buttons, button) ||
		slices.ContainsFunc(m.Attachment.Payload.Elements, func(e Element) bool { return slices.ContainsFunc(e.Buttons, button) }))
}

// takesOver reports whether a message of an agent makes the conversation theirs once it is shown: it answers the follow-up
// that runs.
func (rec *record) takesOver(s *crisplog.Session, m *Message) bool {
	return rec.followsUpIn(s.ID) && m.From == FromAgent && !rec.env.cfg.Policy.NoTakeover && s.Bounds.Newer(m.At.UnixMilli())
}

// announces reports whether the effect tells of an agent who has answered the follow-up.
func (e *effect) announces(f *handover) bool {
	return e.Kind == kindText && e.FP != 0 && e.Crisp == f.CrispID
}

// followUpFailed says that nobody will answer by email after all.
func (rec *record) followUpFailed() {
	rec.say(textOpenFailed, "")
	rec.dropFollowUp()
}

// dropOpen ends what is open beside the bot.
func (rec *record) dropOpen() {
	rec.Offer = nil
	rec.dropFollowUp()
}

// dropFollowUp forgets a follow-up, and its opening if that is not done yet.
func (rec *record) dropFollowUp() {
	if f := rec.FollowUp; f != nil {
		rec.FollowUp = nil
		rec.ToUser.drop(func(e *effect) bool { return len(f.Agents) > 0 && e.announces(f) }) // they do not take over
		if s := rec.Sessions.ByID(f.CrispID); s != nil {
			s.Ended = rec.env.now
		}
		rec.ToCrisp.drop(func(e *effect) bool { return e.HandoverID == f.ID && e.Kind.opens() })
	}
}

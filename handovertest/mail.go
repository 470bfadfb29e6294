package handovertest

import (
	"cmp"
	"slices"
	"time"
)

// Mail is a mail that Crisp would have sent.
type Mail struct {
	Conversation int
	To           string
	Text         string
	Fingerprint  int64 // of the message that is mailed
	At           time.Time
}

// Mails returns the mails that Crisp would have sent until now, oldest first: one for each message
// of an operator that was not marked delivered or read for Options.MailAfter, where the user's
// email was known by then. Stealthy messages, notes and events are not mailed.
func (c *Crisp) Mails() []Mail {
	c.mu.Lock()
	defer c.mu.Unlock()
	type numbered struct {
		Mail
		number int // of the message
	}
	var all []numbered
	now := time.Now()
	for _, v := range c.conversations {
		s := v.last()
		for _, m := range s.messages {
			due := m.stored.Add(c.options.MailAfter)
			marked := !m.marked.IsZero() && !m.marked.After(due) && !c.options.MailDespiteMarks
			if m.From != "operator" || m.Stealth || m.Type == "note" || m.Type == "event" || marked ||
				s.meta.Email == "" || s.mailable.After(due) || due.After(now) {
				continue
			}
			all = append(all, numbered{Mail{
				Conversation: v.number, To: s.meta.Email, Text: m.public().Text(),
				Fingerprint: m.Fingerprint, At: due,
			}, m.number})
		}
	}
	slices.SortFunc(all, func(a, b numbered) int {
		return cmp.Or(a.At.Compare(b.At), cmp.Compare(a.number, b.number))
	})
	var mails []Mail
	for _, m := range all {
		mails = append(mails, m.Mail)
	}
	return mails
}

package whatsapp

import (
	"context"
	"fmt"
	"strings"
	"time"

	"github.com/crisphandover/handover"
	"github.com/crisphandover/handover/channel"
)

// window is how long after their last message a user may be written to: "Customer service windows" of Meta's
// reference. What comes later WhatsApp takes, and says in a web hook that it was not delivered.
const window = 24 * time.Hour

// people is what is known of users from what they wrote.
type people struct {
	sent  channel.Sent   // when they wrote last, and the id of that message
	names channel.Memory // of their profiles
	key   string
}

// last is the newest message of a user.
type last struct {
	at time.Time // zero: the user cannot be reached until they write again
	id string
}

// heard notes that a user has written.
func (p *people) heard(ctx context.Context, user string, l last, name string) error {
	if name != "" {
		_ = p.names.Keep(ctx, user, name)
	}
	if had, ok := p.of(ctx, user); ok && had.at.After(l.at) {
		return nil // that was repeated
	}
	return p.sent.Keep(ctx, p.key+user, fmt.Sprint(l.at.Unix(), " ", l.id))
}

// gone notes that a user could not be reached at that time.
func (p *people) gone(ctx context.Context, user string, at time.Time) {
	if had, ok := p.of(ctx, user); ok && had.at.Before(at) {
		_ = p.sent.Keep(ctx, p.key+user, "0 "+had.id)
	}
}

// of returns the newest message of a user; false if it is not known.
func (p *people) of(ctx context.Context, user string) (l last, ok bool) {
	text, ok, err := p.sent.Recall(ctx, p.key+user)
	seconds, id, cut := strings.Cut(text, " ")
	at, fine := unix(seconds)
	if !ok || err != nil || !cut {
		return last{}, false
	}
	if fine {
		l.at = at
	}
	l.id = id
	return l, true
}

// away reports whether a user cannot be reached, as far as that is known.
func (p *people) away(ctx context.Context, user string) bool {
	l, ok := p.of(ctx, user)
	return ok && (l.at.IsZero() || time.Since(l.at) >= window)
}

// isPhone reports whether a conversation is a phone number, and not a business-scoped user id, which begins with the
// two letters of a country.
func isPhone(id string) bool {
	return id != "" && !strings.ContainsFunc(id, func(r rune) bool { return r < '0' || r > '9' })
}

// User returns what is known of a user, for Request.User: the phone number, unless they have a user name in its place,
// and the name of their profile if they have written since the process began.
func (c *Channel) User(conv handover.Conversation) handover.UserData {
	name, _, _ := c.people.names.Recall(context.Background(), conv.ID)
	u := handover.UserData{FirstName: name}
	if isPhone(conv.ID) {
		u.Phone = "+" + conv.ID
	}
	return u
}

package telegram

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"strings"

	"github.com/crisphandover/handover/channel"
)

// groups knows where groups are that became supergroups: those have ids of their own, and the conversations stay.
type groups struct {
	sent channel.Sent
	key  string
	log  *slog.Logger
}

// isGroup reports whether an id is that of a group: those of users are positive.
func isGroup(chat string) bool { return strings.HasPrefix(chat, "-") }

// moved keeps that a group has another id.
func (g groups) moved(ctx context.Context, from, to string) error {
	for key, value := range map[string]string{"/now/" + from: to, "/was/" + to: from} {
		if err := g.sent.Keep(ctx, g.key+key, value); err != nil {
			return fmt.Errorf("telegram: Sent.Keep: %w", err)
		}
	}
	return nil
}

// notes is moved where it can be kept later as well.
func (g groups) notes(ctx context.Context, from, to string) {
	if err := g.moved(ctx, from, to); err != nil {
		g.log.Warn("telegram: a group that moved may become another conversation", "error", err)
	}
}

// now is where a conversation's group is.
func (g groups) now(ctx context.Context, chat string) (string, error) {
	return g.find(ctx, "/now/", chat)
}

// was is the conversation of a group. It is kept anew, since what is old may be dropped there.
func (g groups) was(ctx context.Context, chat string) (string, error) {
	from, err := g.find(ctx, "/was/", chat)
	if err == nil && from != chat {
		g.notes(ctx, from, chat)
	}
	return from, err
}

// find returns the other id of a group, or this one if there is none.
func (g groups) find(ctx context.Context, what, chat string) (string, error) {
	found, ok, err := g.sent.Recall(ctx, g.key+what+chat)
	if err != nil {
		return "", fmt.Errorf("telegram: it is not known whether a group moved: Sent.Recall: %w", err)
	}
	if !ok {
		return chat, nil
	}
	return found, nil
}

// idIn is the id of a message of a conversation. A group that moved numbers its messages anew, so there the id has the
// chat before the number.
func idIn(conversation, chat, number string) string {
	if chat == conversation {
		return number
	}
	return chat + "/" + number
}

var errMoved = fmt.Errorf("telegram: the message is in the group as it was before it moved: %w", errors.ErrUnsupported)

// place is where a message is whose id idIn made. The error is errMoved if that is not where the group is now, and else
// that of Sent.
func (g groups) place(ctx context.Context, conversation, id string) (chat, number string, err error) {
	chat, number, other := strings.Cut(id, "/")
	if !other {
		chat, number = conversation, id
	}
	if isGroup(conversation) {
		now, err := g.now(ctx, conversation)
		if err != nil {
			return "", "", err
		}
		if now != chat {
			return "", "", errMoved
		}
	}
	return chat, number, nil
}

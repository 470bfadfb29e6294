package telegram

import (
	"context"
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
func (g groups) moved(ctx context.Context, from, to string) {
	for key, value := range map[string]string{"/now/" + from: to, "/was/" + to: from} {
		if err := g.sent.Keep(ctx, g.key+key, value); err != nil {
			g.log.Warn("telegram: Sent.Keep failed: a group that moved may become another conversation", "error", err)
		}
	}
}

// now is where a conversation's group is.
func (g groups) now(ctx context.Context, chat string) string { return g.find(ctx, "/now/", chat) }

// was is the conversation of a group. It is kept anew, since what is old may be dropped there.
func (g groups) was(ctx context.Context, chat string) string {
	from := g.find(ctx, "/was/", chat)
	if from != chat {
		g.moved(ctx, from, chat)
	}
	return from
}

func (g groups) find(ctx context.Context, what, chat string) string {
	found, ok, err := g.sent.Recall(ctx, g.key+what+chat)
	if err != nil {
		g.log.Warn("telegram: Sent.Recall failed: it is not known whether a group moved", "error", err)
	}
	if !ok || err != nil {
		return chat
	}
	return found
}

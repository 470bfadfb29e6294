package channel

import (
	"context"
	"errors"
	"log/slog"
	"strings"

	"github.com/crisphandover/handover"
)

// withoutFile stands for a file that agents cannot be given.
const withoutFile = "(a file that cannot be passed on)"

// Take gives messages of users to handle, which is Handover.Handle, those of one user in order, for a platform that
// posts several at once and repeats them all. An error says that the platform is to do so: a message could not be
// stored, and those of its user that follow it were left alone. What can never be taken is logged, and no reason to
// repeat anything. If that is for a file, the message is taken without it.
func Take(ctx context.Context, log *slog.Logger, all []handover.Incoming, handle func(context.Context, handover.Incoming) error) (failed error) {
	waits := map[handover.Conversation]bool{}
	for _, m := range all {
		if waits[m.Conversation] {
			continue
		}
		err := handle(ctx, m)
		if errors.Is(err, handover.ErrBadMessage) && len(m.Files) > 0 {
			log.Warn("channel: a user's file cannot be passed on", "source", m.Conversation.Source, "error", err)
			m.ID, m.Files, m.Text = m.ID+" words", nil, strings.TrimPrefix(m.Text+"\n"+withoutFile, "\n")
			err = handle(ctx, m)
		}
		switch {
		case handover.Permanent(err):
			log.Warn("channel: a user's message cannot be taken", "source", m.Conversation.Source, "error", err)
		case err != nil:
			log.Warn("channel: a user's message is to be sent again", "source", m.Conversation.Source, "error", err)
			waits[m.Conversation], failed = true, err
		}
	}
	return failed
}

package channel

import (
	"context"
	"errors"
	"log/slog"
	"strings"
	"time"

	"github.com/crisphandover/handover"
)

// withoutFile stands for a file that agents cannot be given.
const withoutFile = "(a file that cannot be passed on)"

// patience is for how long a message is repeated that only its own conversation refuses. It is well below an hour: Meta
// switches off the web hooks of an app that has answered with errors for so long, and with them those of all users.
const patience = 15 * time.Minute

// GivesUp reports whether a message of a user that could not be taken is not to be repeated any more. Either it never
// can be taken (handover.Permanent); or it is a quarter of an hour old, or has no time, and its own conversation refuses
// it: the record cannot be worked on (handover.ErrRecord), or too many messages wait there (handover.ErrCrowded). What
// one user does, and one damaged record, may cost the others nothing. Any other error is to be repeated for as long as
// the platform does.
func GivesUp(m handover.Incoming, err error) bool {
	age := time.Since(m.At)
	return handover.Permanent(err) || OnlyOwn(err) && (age > patience || age < -patience)
}

// OnlyOwn reports whether an error of handle is of this one conversation, so that others can go on.
func OnlyOwn(err error) bool {
	return errors.Is(err, handover.ErrRecord) || errors.Is(err, handover.ErrCrowded)
}

// Take gives messages of users to handle, which is Handover.Handle, those of one user in order, for a platform that
// posts several at once and repeats them all. An error says that the platform is to do so: a message could not be
// stored, and those of its user that follow it were left alone. What is given up (GivesUp) is logged, and no reason to
// repeat anything. If a message can never be taken for a file, it is taken without it.
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
		case err == nil:
		case handover.Permanent(err):
			log.Warn("channel: a user's message cannot be taken", "source", m.Conversation.Source, "error", err)
		case GivesUp(m, err):
			log.Error("channel: a user's message is given up, after a quarter of an hour", "source", m.Conversation.Source, "conversation", m.Conversation.ID, "error", err)
		default:
			log.Warn("channel: a user's message is to be sent again", "source", m.Conversation.Source, "error", err)
			waits[m.Conversation], failed = true, err
		}
	}
	return failed
}

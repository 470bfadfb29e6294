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
// stored, and those of its user that follow it were left alone. What is given up (Refusals.GiveUp) is logged, and no
// reason to repeat anything. If a message can never be taken for a file, it is taken without it. A channel has one
// Refusals for all that it takes.
func Take(ctx context.Context, log *slog.Logger, refusals *Refusals, all []handover.Incoming, handle func(context.Context, handover.Incoming) error) (failed error) {
	waits := map[handover.Conversation]error{}
	for _, m := range all {
		if err := waits[m.Conversation]; err != nil {
			refusals.GiveUp(m, err) // it waits for the same: else each would be waited for after the other
			continue
		}
		err := handle(ctx, m)
		if errors.Is(err, handover.ErrBadMessage) && len(m.Files) > 0 {
			log.Warn("channel: a user's file cannot be passed on", "source", m.Conversation.Source, "error", err)
			err = handle(ctx, inWords(m))
		}
		switch {
		case !refusals.GiveUp(m, err):
			if err != nil {
				log.Warn("channel: a user's message is to be sent again", "source", m.Conversation.Source, "error", err)
				waits[m.Conversation], failed = err, err
			}
		case handover.Permanent(err):
			log.Warn("channel: a user's message cannot be taken", "source", m.Conversation.Source, "error", err)
		default:
			log.Error("channel: a user's message is given up, after a quarter of an hour", "source", m.Conversation.Source, "conversation", m.Conversation.ID, "error", err)
		}
	}
	return failed
}

// inWords is a message without its files.
func inWords(m handover.Incoming) handover.Incoming {
	m.ID, m.Files, m.Text = m.ID+" words", nil, strings.TrimPrefix(m.Text+"\n"+withoutFile, "\n")
	return m
}

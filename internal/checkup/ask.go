package checkup

import (
	"context"
	"slices"

	"github.com/crisphandover/handover/internal/crispapi"
)

// AskWebsite asks Crisp about a website and who is there, and notes what time it is for Crisp. Both calls are also made where calls are held back after refusals.
func AskWebsite(ctx context.Context, api *crispapi.Client, s *Site) {
	ctx, s.ThereErr = crispapi.Force(ctx), ErrNotAsked
	if s.Err = api.Website(ctx); s.Usable() {
		s.There, s.ThereErr = api.Availability(ctx)
	}
	s.Ahead, s.Clocked = api.Ahead()
}

// AskScopes tries each scope that a read can show, on one website; nil: there is none that can be asked about. What it
// reads of a conversation is thrown away.
func AskScopes(ctx context.Context, api *crispapi.Client) []Read {
	list := Read{Name: "read_conversations", Op: "list conversations", Err: ErrNotAsked}
	log := Read{Name: "read_messages", Op: "read messages", Err: ErrNotAsked}
	state := Read{Name: "read_states", Op: "read state", Err: ErrNotAsked}
	if api != nil {
		ctx = crispapi.Force(ctx)
		var rows []crispapi.Conversation
		if rows, list.Err = api.List(ctx, 1); list.Err == nil {
			log.Err, state.Err = errNoConversation, errNoConversation
			if i := slices.IndexFunc(rows, func(c crispapi.Conversation) bool { return crispapi.ValidSessionID(c.SessionID) }); i >= 0 {
				_, log.Err = api.Page(ctx, rows[i].SessionID, 0)
				state.Err = api.ReadState(ctx, rows[i].SessionID)
			}
		}
	}
	return []Read{list, log, state}
}

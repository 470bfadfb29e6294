package handover

import (
	"context"
	"time"

	"github.com/crisphandover/handover/internal/worker"
)

// Who is typing is told off the path of whoever says so, a hook or a call of the host's: in lanes of the pool, one
// sign of a conversation at a time. Of the signs that come meanwhile only the newest is told after it. Nothing
// is stored: a sign that is late is of no use.

// The lanes of the pool in which is told who is typing.
const (
	laneAgentTyping = "agent_typing" // to the host
	laneUserTyping  = "user_typing"  // to Crisp
)

const (
	// typingEvery is how often the agents are told at the most that a user is typing: Crisp shows it for
	// some seconds.
	typingEvery = 4 * time.Second
	// signsAtOnce is how many signs are told at once in each lane.
	signsAtOnce = 32
)

// signJob is the work on the signs of a conversation.
func signJob(key, lane string) worker.Job {
	j := jobOf(key, toUser)
	j.Lane = lane
	return j
}

// agentTypes tells the host that an agent is typing, if the conversation is theirs.
func (h *engine) agentTypes(rec *record, ev *Event) {
	c := ev.more.compose
	if h.cfg.AgentTyping == nil || c == nil || !ev.Signed || ev.Name != eventComposeReceive || c.Automated || !rec.runsIn(ev.SessionID) {
		return
	}
	key, view := h.cfg.key(rec.Conversation), rec.view()
	sign := AgentTyping{Agent: agentOf(c.User.author()), On: c.Type == "start"}
	h.signs.Put(h.pool, signJob(key, laneAgentTyping), func() { h.host.agentTypes(key, view, sign) })
}

// userTypes tells the agents that the user is typing, if there is one in the conversation.
func (h *engine) userTypes(c Conversation, on bool) {
	key := h.cfg.key(c)
	h.signs.Put(h.pool, signJob(key, laneUserTyping), func() {
		ctx, cancel := context.WithTimeout(context.Background(), callTimeout)
		defer cancel()
		rec, err := h.loadOf(ctx, c)
		if err != nil || rec.State != StateActive {
			h.typing.Forget(key)
			return
		}
		ctx = withPurpose(ctx, Activity{Conversation: rec.Conversation, HandoverID: rec.Handover.ID, CrispID: rec.Handover.CrispID})
		_ = h.sites.of(rec).API.Typing(ctx, rec.Handover.CrispID, on) // Observe hears of it
	})
}

// UserTyping shows the agents that the user is typing, or no longer. Without an agent in the
// conversation it does nothing. It may be called at each key: in 4 seconds each of the two signs costs
// a call to Crisp at the most, and the newest sign counts. It returns at once; agents see the sign soon, or,
// where Crisp or the store fails, not at all. The only error is that of a conversation that cannot be.
func (h *Handover) UserTyping(c Conversation, on bool) error {
	if err := h.checkConversation(c); err != nil {
		return err
	}
	if h.typing.Now(h.cfg.key(c), on, func(on bool) { h.userTypes(c, on) }) {
		h.userTypes(c, on)
	}
	return nil
}

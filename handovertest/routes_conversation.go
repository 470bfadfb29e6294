package handovertest

import (
	"encoding/json"
	"net/http"
)

// statuses are the numbers that Crisp gives to states.
var statuses = map[string]int{"pending": 0, "unresolved": 1, "resolved": 2}

func (c *Crisp) postConversation(q *request) answer {
	v := c.create(q.website)
	return answer{status: http.StatusCreated, reason: "added", data: map[string]any{"session_id": v.sessionID}}
}

func (c *Crisp) headConversation(*request) answer { return ok(nil) }

func (c *Crisp) getConversation(q *request) answer { return ok(q.conversation.wire(q.seen)) }

func (c *Crisp) deleteConversation(q *request) answer {
	q.conversation.remove()
	return deleted()
}

func (c *Crisp) postInitiate(q *request) answer {
	q.conversation.push("session:request:initiated", q.conversation.tick(), nil)
	return ok(nil)
}

// wire returns what reads say of the conversation.
func (v *Conversation) wire(s *snapshot) map[string]any {
	compose := map[string]any{}
	for who, atom := range s.composed {
		compose[who] = atom
	}
	out := map[string]any{
		"session_id": v.sessionID, "website_id": v.website, "inbox_id": orNull(s.inbox),
		"state": s.state, "status": statuses[s.state],
		"is_verified": false, "is_blocked": s.blocked,
		"availability": "offline", "active": map[string]any{"now": false, "last": s.created},
		"unread":   map[string]any{"operator": s.unread("user"), "visitor": s.unread("operator")},
		"assigned": nil, "participants": []any{}, "verifications": []any{}, "mentions": []any{},
		"compose": compose, "meta": s.meta.wire(),
		"created_at": s.created, "updated_at": s.updated,
		"last_message": "", "preview_message": nil,
	}
	if s.assigned != "" {
		out["assigned"] = map[string]any{"user_id": s.assigned}
	}
	if s.waiting != 0 {
		out["waiting_since"] = s.waiting
	}
	if n := len(s.messages); n > 0 {
		last := s.messages[n-1]
		excerpt := last.public().Text()
		out["last_message"] = excerpt
		out["preview_message"] = map[string]any{
			"type": last.Type, "from": last.From, "excerpt": excerpt, "fingerprint": last.Fingerprint,
		}
	}
	return out
}

func (c *Crisp) getMeta(q *request) answer { return ok(q.seen.meta.wire()) }

func (c *Crisp) patchMeta(q *request) answer {
	q.conversation.patchMeta(q.body)
	return updated()
}

func (c *Crisp) getState(q *request) answer { return ok(map[string]any{"state": q.seen.state}) }

func (c *Crisp) patchState(q *request) answer {
	q.conversation.setState(q.text("state"))
	return updated()
}

func (c *Crisp) getRouting(q *request) answer {
	if q.seen.assigned == "" {
		return ok(map[string]any{"assigned": nil})
	}
	return ok(map[string]any{"assigned": map[string]any{"user_id": q.seen.assigned}})
}

func (c *Crisp) patchRouting(q *request) answer {
	var assigned struct {
		UserID string `json:"user_id"`
	}
	_ = json.Unmarshal(q.body["assigned"], &assigned) // checked
	q.conversation.assign(assigned.UserID)
	return updated()
}

func (c *Crisp) patchInbox(q *request) answer {
	q.conversation.setInbox(q.text("inbox_id"))
	return updated()
}

func (c *Crisp) getBlock(q *request) answer { return ok(map[string]any{"blocked": q.seen.blocked}) }

func (c *Crisp) patchBlock(q *request) answer {
	q.conversation.setBlocked(q.flag("blocked"))
	return updated()
}

func (c *Crisp) postFeedback(q *request) answer {
	q.conversation.asked++
	c.note("%s: asked for a rating", q.conversation.label())
	return ok(nil)
}

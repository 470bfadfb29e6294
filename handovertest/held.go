package handovertest

import (
	"encoding/json"
	"slices"
)

// HeldHooks are hooks of one conversation that are held back.
type HeldHooks struct {
	conversation *Conversation
	hooks        []*hook
}

// HoldHooks holds back the hooks of what happens in the conversation from now on, until they are
// released. They are not waited for by Settle.
func (v *Conversation) HoldHooks() *HeldHooks {
	v.crisp.mu.Lock()
	defer v.crisp.mu.Unlock()
	if v.held == nil {
		v.held = &HeldHooks{conversation: v}
	}
	return v.held
}

// Hooks returns which hooks are held, in the order in which they came about.
func (h *HeldHooks) Hooks() []HookInfo {
	c := h.conversation.crisp
	c.mu.Lock()
	defer c.mu.Unlock()
	var all []HookInfo
	for _, x := range h.hooks {
		all = append(all, x.HookInfo)
	}
	return all
}

// Release sends the hooks with these numbers, by their place in Hooks, one after another in this
// order, and holds no further ones. A number that is named again is a further attempt of the same
// hook; a hook that is not named is lost. Without numbers all are sent as they came about. Hook
// faults apply to what is sent.
func (h *HeldHooks) Release(order ...int) {
	v := h.conversation
	v.crisp.mu.Lock()
	n := len(h.hooks)
	known := !slices.ContainsFunc(order, func(i int) bool { return i < 0 || i >= n })
	if known && v.held == h {
		v.held = nil
		h.send(order)
	}
	v.crisp.mu.Unlock()
	if !known {
		v.crisp.violated("Release: of %d hooks that are held there are not all of %v", n, order)
	}
}

// send queues the hooks with these numbers. The caller holds the lock.
func (h *HeldHooks) send(order []int) {
	if len(order) == 0 {
		for i := range h.hooks {
			order = append(order, i)
		}
	}
	attempts := map[int]int{}
	for _, i := range order {
		next := *h.hooks[i]
		next.Attempt += attempts[i]
		attempts[i]++
		h.conversation.crisp.enqueue(&next)
	}
}

// WithoutTime returns the body of a hook without its own timestamp, for HookFault.Rewrite. That in
// its data stays.
func WithoutTime(body []byte) []byte {
	return rewritten(body, func(members map[string]json.RawMessage) { delete(members, "timestamp") })
}

// TimeInSeconds returns the body of a hook with its own timestamp in seconds instead of
// milliseconds, for HookFault.Rewrite.
func TimeInSeconds(body []byte) []byte {
	return rewritten(body, func(members map[string]json.RawMessage) {
		var ms int64
		_ = json.Unmarshal(members["timestamp"], &ms) // the fake's own
		members["timestamp"] = encode(ms / 1000)
	})
}

// rewritten returns the body of a hook with its members changed.
func rewritten(body []byte, change func(members map[string]json.RawMessage)) []byte {
	var members map[string]json.RawMessage
	if json.Unmarshal(body, &members) != nil {
		return body
	}
	change(members)
	return encode(members)
}

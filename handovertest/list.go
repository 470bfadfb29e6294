package handovertest

import (
	"cmp"
	"maps"
	"slices"
	"strconv"
)

// ListOrder is the order of the list of conversations.
type ListOrder int

const (
	// ListDocumented is the order that Crisp documents: with order_date_updated=1 the newest change
	// first, with order_date_created=1 the newest conversation first, and otherwise by state, as the
	// inbox: pending with something unread, pending, unresolved with something unread, unresolved,
	// resolved, and the newest change first in each. That the REST API's default is the inbox's
	// order is inferred, and seen by one integration.
	ListDocumented ListOrder = iota
	// ListByState is the order by state, whatever the caller asks for.
	ListByState
	// ListByUpdate is the newest change first, whatever the caller asks for.
	ListByUpdate
)

// listRow is a conversation as the list shows it.
type listRow struct {
	v *Conversation
	s *snapshot
}

// getConversations answers one page of the list.
func (c *Crisp) getConversations(q *request) answer {
	perPage := 20
	if raw := q.query.Get("per_page"); raw != "" {
		n, err := strconv.Atoi(raw)
		if err != nil || n < 20 || n > 50 {
			return invalid(&complaint{message: "data.per_page should be from 20 to 50"})
		}
		perPage = n
	}
	if c.options.ListPageSize > 0 {
		perPage = c.options.ListPageSize
	}
	var rows []listRow
	for _, v := range c.conversations {
		s := v.at(q.asOf)
		if v.website != q.website || s == nil || s.removed || !q.wants(s) {
			continue
		}
		rows = append(rows, listRow{v, s})
	}
	slices.SortFunc(rows, q.listOrder(c.options.ListOrder))
	page := []any{}
	start := min(max(q.page-1, 0)*perPage, len(rows))
	for _, r := range rows[start:min(start+perPage, len(rows))] {
		page = append(page, r.wire())
	}
	return listed(page)
}

// wire returns what the list says of the conversation.
func (r listRow) wire() map[string]any {
	out := r.v.wire(r.s)
	maps.Copy(out, r.v.oddRow)
	return out
}

// listOrder returns how rows are compared. The order is total: two changes within one millisecond
// have numbers.
func (q *request) listOrder(o ListOrder) func(a, b listRow) int {
	byUpdate := func(a, b listRow) int {
		return cmp.Or(cmp.Compare(b.s.updated, a.s.updated), cmp.Compare(b.s.news, a.s.news))
	}
	asked := func(name string) bool { return o == ListDocumented && q.query.Get(name) == "1" }
	switch {
	case o == ListByUpdate, asked("order_date_updated"):
		return byUpdate
	case asked("order_date_created"):
		return func(a, b listRow) int {
			return cmp.Or(cmp.Compare(b.s.created, a.s.created), cmp.Compare(b.v.number, a.v.number))
		}
	}
	return func(a, b listRow) int {
		return cmp.Or(cmp.Compare(a.s.rank(), b.s.rank()), byUpdate(a, b))
	}
}

// rank is the place of the conversation's state in the order of the inbox.
func (s *snapshot) rank() int {
	rank := 2 * statuses[s.state]
	if s.state != "resolved" && s.unread("user") == 0 {
		rank++
	}
	return rank
}

// wants says whether the filters of a list let a conversation pass.
func (q *request) wants(s *snapshot) bool {
	on := func(name string) bool { return q.query.Get(name) == "1" }
	inbox := q.query.Get("filter_inbox_id")
	switch {
	case len(s.messages) == 0 && !on("include_empty"),
		on("filter_resolved") && s.state != "resolved",
		on("filter_not_resolved") && s.state == "resolved",
		on("filter_assigned") && s.assigned == "",
		on("filter_unassigned") && s.assigned != "",
		on("filter_unread") && s.unread("user") == 0,
		inbox != "" && inbox != s.inbox:
		return false
	}
	return true
}

// unread counts the messages of one side that were not read.
func (s *snapshot) unread(from string) int {
	n := 0
	for _, m := range s.messages {
		if m.From == from && m.Read == "" && m.Type != "note" && m.Type != "event" {
			n++
		}
	}
	return n
}

package handovertest

import (
	"cmp"
	"encoding/json"
	"iter"
	"net/http"
	"regexp"
	"slices"
	"sort"
	"strings"
	"time"
	"unicode/utf16"
)

// postMessage stores a message. Success is 202 and 200 in turn, since nobody knows which it is.
func (c *Crisp) postMessage(q *request) answer {
	v, kind := q.conversation, q.text("type")
	limit := c.options.MaxText
	if c.options.CutText {
		limit = -1
	}
	judge := contentCheck(kind, limit)
	if judge == nil {
		return invalid(complain(".type", "should be the type of a message, not %q", kind))
	}
	if c.options.RefuseURNs && strings.HasPrefix(q.text("origin"), "urn:") {
		return invalid(&complaint{message: "data.origin should be chat or email", tolerable: true})
	}
	if problem := judge(".content", q.body["content"]); problem != nil {
		return invalid(problem)
	}
	if kind == "note" && c.options.FreePlan {
		return answer{status: http.StatusPaymentRequired, reason: "subscription_upgrade_required"}
	}
	if c.options.MaxMessages > 0 && len(v.last().messages) >= c.options.MaxMessages {
		return answer{status: http.StatusConflict, reason: "too_many_messages"}
	}
	m := newMessage(kind, q.body)
	if s, isText := asString(m.raw); isText && c.options.CutText && c.options.MaxText >= 0 {
		m.raw = encode(cut(s, c.options.MaxText))
	}
	m.odd.unhooked = m.Stealth && c.options.QuietStealth
	if m.From == "user" && v.last().blocked {
		switch c.options.Blocked {
		case BlockedRefused:
			return answer{status: http.StatusForbidden, reason: "not_allowed"}
		case BlockedDropped:
			return c.dispatched(cmp.Or(m.Fingerprint, v.newFingerprint()))
		}
	}
	if m.Fingerprint != 0 && v.find(m.Fingerprint) != nil {
		switch c.options.Repeated {
		case RepeatedRefused:
			return answer{status: http.StatusConflict, reason: "not_allowed", data: says("repeated fingerprint")}
		case RepeatedDropped:
			return c.dispatched(m.Fingerprint)
		}
	}
	if c.options.OwnFingerprints {
		m.Fingerprint = 0
	}
	v.post(m)
	return c.dispatched(m.Fingerprint)
}

// cut returns the first units of a text, in UTF-16.
func cut(text string, units int) string {
	all := utf16.Encode([]rune(text))
	return string(utf16.Decode(all[:min(units, len(all))]))
}

// dispatched answers a message that was taken.
func (c *Crisp) dispatched(fingerprint int64) answer {
	c.sent++
	status := http.StatusOK
	if c.sent%2 == 1 {
		status = http.StatusAccepted
	}
	return answer{status: status, reason: "dispatched", data: map[string]any{"fingerprint": fingerprint}}
}

// newMessage makes a message of a checked body.
func newMessage(kind string, body map[string]json.RawMessage) *message {
	var b struct {
		From        string
		Origin      string
		Fingerprint int64
		Timestamp   int64
		Automated   bool
		Stealth     bool
		Translated  bool
		Mentions    []string
		User        struct{ Type, Nickname, Avatar string }
	}
	_ = json.Unmarshal(encode(body), &b) // checked
	return &message{
		Message: Message{
			Type: kind, From: b.From, Origin: b.Origin, Fingerprint: b.Fingerprint,
			Timestamp: b.Timestamp, Automated: b.Automated, Stealth: b.Stealth,
			Mentions: b.Mentions, Nickname: b.User.Nickname,
		},
		raw: normal(body["content"]), userType: b.User.Type, avatar: b.User.Avatar,
		references: body["references"], properties: body["properties"], translated: b.Translated,
	}
}

// getMessages answers one page in ascending order: the newest, the newest before a time, or the
// oldest after one.
func (c *Crisp) getMessages(q *request) answer {
	before, a := q.millis("timestamp_before")
	if a != nil {
		return *a
	}
	after, a := q.millis("timestamp_after")
	if a != nil {
		return *a
	}
	log := q.seen.messages // sorted by time
	if before != 0 {
		log = log[:sort.Search(len(log), func(i int) bool { return log[i].Timestamp >= before })]
	}
	var found []*message
	if after != 0 {
		log = log[sort.Search(len(log), func(i int) bool { return log[i].Timestamp > after }):]
		found = c.shown(slices.Values(log))
	} else {
		found = c.shown(backward(log))
		slices.Reverse(found)
	}
	page := []byte{'['}
	for i, m := range found {
		if i > 0 {
			page = append(page, ',')
		}
		page = append(page, q.conversation.wireMessage(m)...)
	}
	return listed(json.RawMessage(append(page, ']')))
}

// shown returns the first page of messages that the log shows already. The caller holds the lock.
func (c *Crisp) shown(log iter.Seq[*message]) []*message {
	var page []*message
	for m := range log {
		if len(page) == c.options.PageSize {
			break
		}
		if c.logs(m) {
			page = append(page, m)
		}
	}
	return page
}

// backward goes through a log from its end.
func backward(log []*message) iter.Seq[*message] {
	return func(yield func(*message) bool) {
		for _, m := range slices.Backward(log) {
			if !yield(m) {
				return
			}
		}
	}
}

// logs says whether the log shows a message already. The caller holds the lock.
func (c *Crisp) logs(m *message) bool {
	return c.options.LogLag <= 0 || time.Since(m.stored) >= c.options.LogLag
}

// links finds those that Crisp makes previews of.
var links = regexp.MustCompile(`https?://\S+`)

// wireMessage returns what reads say of a message: what its event said, the marks, and previews of
// links, which Crisp adds later than it sends the hook. The caller holds the lock.
func (v *Conversation) wireMessage(m *message) json.RawMessage {
	if m.shown != nil {
		return m.shown
	}
	out := map[string]any{"website_id": v.website, "session_id": v.sessionID}
	if m.Read != "" {
		out["read"] = m.Read
	}
	if m.Delivered != "" {
		out["delivered"] = m.Delivered
	}
	if link := links.FindString(m.public().Text()); link != "" && m.Type == "text" {
		out["preview"] = []any{map[string]any{"url": link, "website": "", "title": link, "stamped": true}}
	}
	m.shown = m.wire(out)
	return m.shown
}

func (c *Crisp) getMessage(q *request) answer {
	for _, m := range q.seen.messages {
		if m.Fingerprint == q.fingerprint && c.logs(m) {
			return ok(q.conversation.wireMessage(m))
		}
	}
	return notFound()
}

func (c *Crisp) patchMessage(q *request) answer {
	m := q.conversation.find(q.fingerprint)
	if m == nil {
		return notFound()
	}
	if judge := contentCheck(m.Type, c.options.MaxText); judge != nil {
		if problem := judge(".content", q.body["content"]); problem != nil {
			return invalid(problem)
		}
	}
	q.conversation.edit(q.fingerprint, normal(q.body["content"]))
	return updated()
}

func (c *Crisp) deleteMessage(q *request) answer {
	if q.conversation.find(q.fingerprint) == nil {
		return notFound()
	}
	q.conversation.withdraw(q.fingerprint)
	return deleted()
}

func (c *Crisp) patchCompose(q *request) answer {
	q.conversation.compose(q.text("from"), q.text("type"), q.text("excerpt"), map[string]any{
		"automated": q.flag("automated"),
	})
	return updated()
}

func (c *Crisp) patchRead(q *request) answer      { return q.mark(true) }
func (c *Crisp) patchDelivered(q *request) answer { return q.mark(false) }

// mark marks messages. An empty list of fingerprints means all of them, as no list does.
func (q *request) mark(read bool) answer {
	var fingerprints []int64
	_ = json.Unmarshal(q.body["fingerprints"], &fingerprints) // checked, or absent
	q.conversation.mark(read, q.text("from"), q.text("origin"), fingerprints)
	return updated()
}

func (c *Crisp) patchUnread(q *request) answer {
	q.conversation.unmark(q.text("from"))
	return updated()
}

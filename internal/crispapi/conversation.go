package crispapi

import (
	"context"
	"fmt"
	"net/http"
	"strings"

	crisp "github.com/crisp-im/go-crisp-api/crisp/v3"
	"github.com/go-json-experiment/json/jsontext"

	"github.com/crisphandover/handover/internal/exactjson"
)

// ListPageSize is how many conversations a page of the list has, unless it is the last. Crisp allows
// 20 to 50.
const ListPageSize = 50

// maxSessionID is the length of the longest session id that is taken for one; Crisp's have 44.
const maxSessionID = 128

// ValidSessionID tells whether s may be used as the id of a conversation, also in the path of a URL,
// where one with "../" would reach another route. Crisp's own are "session_" and a UUID.
func ValidSessionID(s string) bool {
	id, ok := strings.CutPrefix(s, "session_")
	if !ok || id == "" || len(s) > maxSessionID {
		return false
	}
	return strings.IndexFunc(id, func(r rune) bool {
		return !(r >= '0' && r <= '9' || r >= 'a' && r <= 'z' || r >= 'A' && r <= 'Z' || r == '-' || r == '_')
	}) < 0
}

// Conversation is what a read of a conversation says besides its messages. What is missing or of
// another type than Crisp documents is empty.
type Conversation struct {
	SessionID string
	State     string         // "pending", "unresolved" or "resolved"
	UpdatedAt jsontext.Value // as it is; see Changed
	Blocked   bool
	Meta      struct{ Email string }
}

// Changed is when the conversation was changed last, in milliseconds since 1970 by Crisp's clock; 0 if
// that is not told, or no time that can be.
func (v Conversation) Changed() int64 { return Millis(v.UpdatedAt) }

// states are Crisp's numbers for the states, as in the member "status".
var states = [...]string{"pending", "unresolved", "resolved"}

// readConversation reads whatever there is to read.
func readConversation(v jsontext.Value) (c Conversation) {
	v, clear, err := exactjson.Read(v)
	if err != nil {
		return c
	}
	if !clear { // its id alone, if that is beyond doubt, so that it can be looked at
		id, _ := exactjson.Only(v, "session_id")
		exactjson.Set(&c.SessionID, id)
		return c
	}
	var state, status, meta jsontext.Value
	exactjson.ReadObject(v, exactjson.Fields{"session_id": &c.SessionID, "state": &state, "status": &status,
		"updated_at": &c.UpdatedAt, "is_blocked": &c.Blocked, "meta": &meta})
	exactjson.ReadObject(meta, exactjson.Fields{"email": &c.Meta.Email})
	for _, v := range []jsontext.Value{state, status} {
		if c.State != "" || exactjson.Set(&c.State, v) || v.Kind() != jsontext.KindNumber {
			continue
		}
		if n := exactjson.Fingerprint(v); 0 <= n && n < int64(len(states)) && (n > 0 || string(v) == "0") {
			c.State = states[n]
		}
	}
	return c
}

// Create makes an empty conversation. Crisp's lists hide it until it has a message.
func (c *Client) Create(ctx context.Context) (id string, err error) {
	err = c.do(ctx, request{op: opCreate, path: "/conversation", take: func(a answer) error {
		v, err := exactjson.Only(a.data, "session_id")
		if exactjson.Set(&id, v); err != nil || !ValidSessionID(id) {
			return fmt.Errorf("%w: no session id", errData)
		}
		return nil
	}})
	if err != nil {
		return "", err
	}
	return id, nil
}

// Conversation reads a conversation.
func (c *Client) Conversation(ctx context.Context, id string) (v Conversation, err error) {
	err = c.do(ctx, request{op: opConversation, session: id, take: func(a answer) error {
		if a.data.Kind() != jsontext.KindBeginObject {
			return errData
		}
		v = readConversation(a.data)
		return nil
	}})
	return v, err
}

// List reads a page of the list of conversations, from 1, the newest change first. It has a row for
// each that Crisp sent, an empty one for what is no conversation.
func (c *Client) List(ctx context.Context, page int) (rows []Conversation, err error) {
	path := fmt.Sprintf("/conversations/%d?per_page=%d&order_date_updated=1", page, ListPageSize)
	err = c.do(ctx, request{op: opList, path: path, take: func(a answer) error {
		if a.data.Kind() != jsontext.KindBeginArray {
			return errData
		}
		for _, v := range exactjson.Elements(a.data) {
			rows = append(rows, readConversation(v))
		}
		return nil
	}})
	return rows, err
}

// Gone reports whether a conversation is removed: it is not there, and the website answers, so that
// the token and the website are not what is missing. A read may be older than the conversation.
func (c *Client) Gone(ctx context.Context, id string) bool {
	_, err := c.Conversation(ctx, id)
	e := asError(err)
	return e != nil && !e.Held && e.StatusCode == http.StatusNotFound && c.website(ctx, false) == nil
}

// SetState sets a conversation's state: "pending", "unresolved" or "resolved".
func (c *Client) SetState(ctx context.Context, id, state string) error {
	return c.do(ctx, request{op: opState, session: id, path: "/state", body: crisp.ConversationStateUpdate{State: &state}})
}

// SetInbox moves a conversation to a sub-inbox.
func (c *Client) SetInbox(ctx context.Context, id, inbox string) error {
	return c.do(ctx, request{op: opInbox, session: id, path: "/inbox", body: crisp.ConversationInboxUpdate{InboxID: &inbox}})
}

// Assign assigns a conversation to an operator, by their user id.
func (c *Client) Assign(ctx context.Context, id, operator string) error {
	body := map[string]any{"assigned": map[string]string{"user_id": operator}}
	return c.do(ctx, request{op: opAssign, session: id, path: "/routing", body: body})
}

// AskRating has Crisp ask the user for a rating; the answer comes as the event session:sync:rating.
func (c *Client) AskRating(ctx context.Context, id string) error {
	return c.do(ctx, request{op: opRating, session: id, path: "/feedback"})
}

// Typing shows operators that the user is typing, or no longer.
func (c *Client) Typing(ctx context.Context, id string, on bool) error {
	kind := "stop"
	if on {
		kind = "start"
	}
	body := crisp.ConversationComposeMessageNew{Type: kind, From: "user"}
	return c.do(ctx, request{op: opTyping, session: id, path: "/compose", body: body})
}

// Availability asks whether visitors see the website as "online" or "away"; empty if Crisp says neither.
func (c *Client) Availability(ctx context.Context) (status string, err error) {
	err = c.do(ctx, request{op: opAvailability, path: "/availability/status", take: func(a answer) error {
		v, err := exactjson.Only(a.data, "status")
		if err != nil || a.data.Kind() != jsontext.KindBeginObject || v != nil && v.Kind() != jsontext.KindString && v.Kind() != jsontext.KindNull {
			return errData
		}
		exactjson.Set(&status, v)
		return nil
	}})
	if status != "online" && status != "away" {
		status = ""
	}
	return status, err
}

// Check reads the website, which shows that the token works. It asks even while the breaker is open,
// so that a person who has mended the token sees it at once, and calls go on; not while Crisp has asked
// for fewer calls.
func (c *Client) Check(ctx context.Context) error { return c.website(ctx, true) }

func (c *Client) website(ctx context.Context, forced bool) error {
	return c.do(ctx, request{op: opWebsite, forced: forced})
}

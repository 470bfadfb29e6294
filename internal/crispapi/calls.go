package crispapi

import (
	"context"
	"fmt"
	"net/http"

	crisp "github.com/crisp-im/go-crisp-api/crisp/v3"
	"github.com/go-json-experiment/json/jsontext"

	"github.com/crisphandover/handover/internal/exactjson"
)

// ListPageSize is how many conversations a page of the list has, unless it is the last. Crisp allows
// 20 to 50.
const ListPageSize = 50

// Create makes an empty conversation. Crisp's lists hide it until it has a message.
func (c *Client) Create(ctx context.Context) (id string, err error) {
	err = c.do(ctx, request{op: opCreate, path: "/conversation", take: func(a answer) error {
		if exactjson.Set(&id, exactjson.Only(a.data, "session_id")); !ValidSessionID(id) {
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
func (c *Client) Conversation(ctx context.Context, id string) (Conversation, error) {
	v, e := c.conversation(ctx, id)
	return v, c.fault(e)
}

func (c *Client) conversation(ctx context.Context, id string) (v Conversation, e *Error) {
	e = c.try(ctx, request{op: opConversation, session: id, take: func(a answer) error {
		if a.data.Kind() != jsontext.KindBeginObject {
			return errData
		}
		if v = readConversation(a.data); v.State == "" {
			return errData
		}
		return nil
	}})
	return v, e
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
	_, e := c.conversation(ctx, id)
	return e != nil && !e.Held && e.StatusCode == http.StatusNotFound && c.Website(ctx) == nil
}

// SetState sets a conversation's state: "pending", "unresolved" or "resolved".
func (c *Client) SetState(ctx context.Context, id, state string) error {
	return c.do(ctx, request{op: opState, session: id, path: "/state", body: crisp.ConversationStateUpdate{State: &state}})
}

// ReadState reads a conversation's state and throws it away: it shows whether the token may.
func (c *Client) ReadState(ctx context.Context, id string) error {
	return c.do(ctx, request{op: opReadState, session: id, path: "/state"})
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
		v := exactjson.Only(a.data, "status")
		if a.data.Kind() != jsontext.KindBeginObject || v != nil && v.Kind() != jsontext.KindString && v.Kind() != jsontext.KindNull {
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

// Website reads the website, which shows that the token works.
func (c *Client) Website(ctx context.Context) error { return c.do(ctx, request{op: opWebsite}) }

// Metas reads a conversation's metas. What is of another type than Crisp documents reads as empty:
// Crisp writes an empty object as [].
func (c *Client) Metas(ctx context.Context, id string) (m Metas, err error) {
	err = c.do(ctx, request{op: opMetas, session: id, path: "/meta", take: func(a answer) error {
		switch a.data.Kind() {
		case jsontext.KindBeginObject, jsontext.KindBeginArray, jsontext.KindNull:
			m = readMetas(a.data)
			return nil
		}
		return errData
	}})
	return m, err
}

// SetMetas changes a conversation's metas. Data is merged with what there is, and segments replace it.
func (c *Client) SetMetas(ctx context.Context, id string, m Metas) error {
	return c.fault(c.trySetMetas(ctx, id, m))
}

func (c *Client) trySetMetas(ctx context.Context, id string, m Metas) *Error {
	return c.try(ctx, request{op: opSetMetas, session: id, path: "/meta", body: m})
}

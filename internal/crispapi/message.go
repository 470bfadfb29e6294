package crispapi

import (
	"context"
	"fmt"
	"net/http"

	"github.com/go-json-experiment/json/jsontext"

	"github.com/crisphandover/handover/internal/exactjson"
)

// Outgoing is a message to post. The official client's types hold the fingerprint as an int, which
// overflows on 32 bits, and always send an empty user.
type Outgoing struct {
	Type        string         `json:"type"`
	From        string         `json:"from"`
	Origin      string         `json:"origin"`
	Content     jsontext.Value `json:"content"`
	Fingerprint int64          `json:"fingerprint"`
}

// Send posts a message and returns the fingerprint that Crisp gave it, which may be another one than
// that of m. An answer without one does not say that the message was posted.
func (c *Client) Send(ctx context.Context, id string, m Outgoing) (fp int64, err error) {
	op := opSend
	if m.Type == "note" { // a token that may not write notes may still write messages
		op = opNote
	}
	err = c.do(ctx, request{op: op, session: id, path: "/message", body: m, take: func(a answer) error {
		if fp = exactjson.Fingerprint(exactjson.Only(a.data, "fingerprint")); fp == 0 {
			return fmt.Errorf("%w: no fingerprint", errData)
		}
		return nil
	}})
	if err != nil {
		return 0, err
	}
	return fp, nil
}

// Edit gives a message another content.
func (c *Client) Edit(ctx context.Context, id string, fp int64, content jsontext.Value) error {
	body := map[string]jsontext.Value{"content": content}
	return c.do(ctx, request{op: opEdit, session: id, path: fmt.Sprintf("/message/%d", fp), body: body})
}

// Message reads one message; nil when there is none.
func (c *Client) Message(ctx context.Context, id string, fp int64) (*Item, error) {
	var m *Item
	e := c.try(ctx, request{op: opMessage, session: id, path: fmt.Sprintf("/message/%d", fp), take: func(a answer) error {
		if a.data.Kind() != jsontext.KindBeginObject {
			return errData
		}
		item := ReadItem(a.data)
		m = &item
		return nil
	}})
	if e != nil && !e.Held && e.StatusCode == http.StatusNotFound && e.Class() == Soon {
		return nil, nil
	}
	return m, c.fault(e)
}

// MarkDelivered tells operators that their messages reached the user. Without fingerprints it would
// mark all, so that there must be some.
func (c *Client) MarkDelivered(ctx context.Context, id, origin string, fps []int64) error {
	return c.mark(ctx, opDelivered, "/delivered", id, origin, fps)
}

// MarkRead is MarkDelivered for messages that the user has read.
func (c *Client) MarkRead(ctx context.Context, id, origin string, fps []int64) error {
	return c.mark(ctx, opRead, "/read", id, origin, fps)
}

// marks are messages of one side. The official client's type holds a fingerprint as an int.
type marks struct {
	Fingerprints []int64 `json:"fingerprints"`
	From         string  `json:"from"`
	Origin       string  `json:"origin"`
}

// mark names, in from, the side of the messages' author.
func (c *Client) mark(ctx context.Context, op *operation, path, id, origin string, fps []int64) error {
	if len(fps) == 0 {
		return nil
	}
	return c.do(ctx, request{op: op, session: id, path: path, body: marks{Fingerprints: fps, From: "operator", Origin: origin}})
}

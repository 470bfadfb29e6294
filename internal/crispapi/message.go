package crispapi

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"net/http"
	"strconv"

	"github.com/go-json-experiment/json/jsontext"

	"github.com/crisphandover/handover/internal/exactjson"
)

// Why a message of Crisp's log cannot be used.
type Why string

// The reasons why a message cannot be used. It may be short of several things; the first counts.
const (
	NoObject      Why = "no_object"      // it is no JSON object
	Doubled       Why = "doubled"        // a member name occurs twice: it can be read in two ways
	TooDeep       Why = "too_deep"       // it is nested too deep
	NoFingerprint Why = "no_fingerprint" // it cannot be told from others
	NoTime        Why = "no_time"        // it has no place among the others
)

// Item is one message of Crisp's log.
type Item struct {
	// ID tells the message from others of its conversation, and is the same at each read. It is the
	// fingerprint where there is one.
	ID          string
	Fingerprint int64          // never 0 in a usable one; may be negative
	Timestamp   int64          // as Crisp wrote it; 0 if it is no positive integer
	At          int64          // when it was written, in milliseconds since 1970, see Millis; 0: unknown
	Raw         jsontext.Value // the message, as exactjson.Read returns it
	Why         Why            // why it cannot be used; empty if it can
}

// readItem reads a message, whatever it is.
func readItem(v jsontext.Value) (m Item) {
	raw, clear, err := exactjson.Read(v)
	if err != nil { // its array was read: this cannot be
		raw = nil
	}
	m.Raw = raw
	fp, _ := exactjson.Only(raw, "fingerprint")
	at, _ := exactjson.Only(raw, "timestamp")
	m.Fingerprint, m.Timestamp, m.At = exactjson.Fingerprint(fp), exactjson.Positive(at), Millis(at)
	switch _, deep := exactjson.Prune(v, exactjson.MaxNesting); {
	case raw.Kind() != jsontext.KindBeginObject:
		m.Why = NoObject
	case deep:
		m.Why = TooDeep
	case !clear:
		m.Why = Doubled
	case m.Fingerprint == 0:
		m.Why = NoFingerprint
	case m.At == 0:
		m.Why = NoTime
	}
	if m.ID = strconv.FormatInt(m.Fingerprint, 10); m.Fingerprint == 0 {
		m.ID = identify(raw)
	}
	return m
}

// identify names a message that has no fingerprint by what does not change when somebody reads it.
func identify(raw jsontext.Value) string {
	sum := sha256.New()
	if raw.Kind() != jsontext.KindBeginObject {
		sum.Write(raw)
	}
	_ = exactjson.Members(raw, func(name string, v jsontext.Value) {
		switch name {
		case "type", "from", "content", "timestamp", "fingerprint":
			fmt.Fprintf(sum, "%s %s\n", name, v)
		}
	})
	return hex.EncodeToString(sum.Sum(nil)[:12])
}

// readItems reads the data of an answer that shows messages.
func readItems(data jsontext.Value) ([]Item, error) {
	if data.Kind() != jsontext.KindBeginArray {
		return nil, errData
	}
	items := []Item{}
	for _, v := range exactjson.Elements(data) {
		items = append(items, readItem(v))
	}
	return items, nil
}

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
// that of m.
func (c *Client) Send(ctx context.Context, id string, m Outgoing) (fp int64, err error) {
	err = c.do(ctx, request{op: opSend, session: id, path: "/message", body: m, take: func(a answer) error {
		if a.data != nil {
			v, _ := exactjson.Only(a.data, "fingerprint")
			fp = exactjson.Fingerprint(v)
		}
		if fp == 0 && !a.saysDone() {
			return errNotDone
		}
		return nil
	}})
	if err != nil {
		return 0, err
	}
	if fp == 0 {
		fp = m.Fingerprint
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
	err := c.do(ctx, request{op: opMessage, session: id, path: fmt.Sprintf("/message/%d", fp), take: func(a answer) error {
		if a.data.Kind() != jsontext.KindBeginObject {
			return errData
		}
		item := readItem(a.data)
		m = &item
		return nil
	}})
	if e := asError(err); e != nil && !e.Held && e.StatusCode == http.StatusNotFound && e.Class() == Soon {
		return nil, nil
	}
	return m, err
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

// mark names, in from, the side of the messages' author.
func (c *Client) mark(ctx context.Context, op *operation, path, id, origin string, fps []int64) error {
	if len(fps) == 0 {
		return nil
	}
	body := map[string]any{"from": "operator", "origin": origin, "fingerprints": fps}
	return c.do(ctx, request{op: op, session: id, path: path, body: body})
}

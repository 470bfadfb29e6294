package crisplog

import (
	"github.com/go-json-experiment/json/jsontext"

	"github.com/crisphandover/handover/internal/crispapi"
	"github.com/crisphandover/handover/internal/crispcontent"
	"github.com/crisphandover/handover/internal/exactjson"
)

// MessagesOf separates the messages of a page from what cannot be used. Contents are parts of the page.
func MessagesOf(page []crispapi.Item) (msgs []Message, odd []Odd) {
	msgs = make([]Message, 0, len(page))
	r := newItemReader()
	for i := range page {
		if page[i].Why == "" {
			msgs = append(msgs, r.message(&page[i]))
		} else {
			odd = append(odd, r.odd(&page[i]))
		}
	}
	return msgs, odd
}

// OddOf is what is known of a message that cannot be used.
func OddOf(item *crispapi.Item) Odd { return newItemReader().odd(item) }

// itemReader reads messages one after the other.
type itemReader struct {
	m      Message
	user   jsontext.Value
	fields []exactjson.Field
	author []exactjson.Field
	texts  exactjson.Repeated
}

func newItemReader() *itemReader {
	r := &itemReader{}
	r.fields = []exactjson.Field{
		exactjson.To("type", r.texts.Field(&r.m.Type)), exactjson.To("origin", r.texts.Field(&r.m.Origin)), exactjson.To("from", r.texts.Field(&r.m.From)),
		exactjson.To("content", (*jsontext.Value)(&r.m.Content)), exactjson.To("user", &r.user), exactjson.To("automated", &r.m.Automated),
	}
	r.author = []exactjson.Field{
		exactjson.To("user_id", r.texts.Field(&r.m.Author.ID)), exactjson.To("nickname", r.texts.Field(&r.m.Author.Name)), exactjson.To("avatar", r.texts.Field(&r.m.Author.Avatar)),
	}
	return r
}

// message is the message of an item that is one.
func (r *itemReader) message(item *crispapi.Item) Message {
	r.m, r.user = Message{Fingerprint: item.Fingerprint, Timestamp: item.At}, nil
	exactjson.Text{Value: item.Raw}.Fields(r.fields...)
	exactjson.Text{Value: r.user}.Fields(r.author...)
	return r.m
}

// odd is what is known of a message that cannot be used.
func (r *itemReader) odd(item *crispapi.Item) Odd {
	o := Odd{ID: item.ID, Fingerprint: item.Fingerprint, At: item.At, Why: string(item.Why)}
	if item.Why == crispapi.NoFingerprint || item.Why == crispapi.NoTime { // all else of it is beyond doubt
		m := r.message(item)
		o.Private = crispcontent.Private(m.Type) || m.From == "user"
	}
	return o
}

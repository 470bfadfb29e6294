package handovertest

import (
	"encoding/json"
	"slices"
)

// oddity is what a message has that Crisp would not give it.
type oddity struct {
	timestamp, fingerprint bool // those that the message has stay, 0 too
	noID                   bool // the author has no user_id
	unhooked               bool // no hook is sent
	without                []string
	members                string
}

// encode returns what events and reads say of a message, out, with what is odd of it.
func (o oddity) encode(out map[string]any) json.RawMessage {
	for _, name := range o.without {
		delete(out, name)
	}
	raw := encode(out)
	if o.members == "" {
		return raw
	}
	raw = append(raw[:len(raw)-1], ',')
	return append(append(raw, o.members...), '}')
}

// At returns the same author, whose messages have this timestamp in milliseconds, whatever it is:
// 0, below 0, of a far year, or that of a message before. They stand in the log where it belongs.
func (o *Operator) At(timestamp int64) *Operator {
	other := *o
	other.timestamp, other.odd.timestamp = timestamp, true
	return &other
}

// Fingerprint returns the same author, whose messages have this fingerprint, whatever it is: 0,
// below 0, above 2^53, or that of a message before.
func (o *Operator) Fingerprint(fingerprint int64) *Operator {
	other := *o
	other.fingerprint, other.odd.fingerprint = fingerprint, true
	return &other
}

// Members returns the same author, whose messages have these further members in hooks and reads:
// JSON such as `"properties":{"a":1}`. They come last, and may double others. What the fake itself
// knows of a message does not change by them.
func (o *Operator) Members(members string) *Operator {
	other := *o
	if members != "" && !json.Valid([]byte("{"+members+"}")) {
		o.conversation.crisp.violated("Members: %.100q are no members of a JSON object", members)
		return &other
	}
	other.odd.members = members
	return &other
}

// Without returns the same author, whose messages lack these members in hooks and reads, such as
// "type" or "user".
func (o *Operator) Without(names ...string) *Operator {
	other := *o
	other.odd.without = append(slices.Clone(o.odd.without), names...)
	return &other
}

// WithoutID returns the same author, whose messages have no user.user_id, as if written with
// another tool.
func (o *Operator) WithoutID() *Operator {
	other := *o
	other.odd.noID = true
	return &other
}

// Unhooked returns the same author, whose messages are in the log and come by no hook.
func (o *Operator) Unhooked() *Operator {
	other := *o
	other.odd.unhooked = true
	return &other
}

// Avatar returns the same author, whose messages have this avatar: any text, "" for none.
func (o *Operator) Avatar(url string) *Operator {
	other := *o
	other.avatar = url
	return &other
}

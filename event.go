package handover

import (
	"errors"
	"fmt"
	"log/slog"
	"strings"
	"time"

	"github.com/go-json-experiment/json"
	"github.com/go-json-experiment/json/jsontext"
)

// ErrMalformed is matched by the errors of ParseEvent and ReadEvent for a body that is not one
// JSON object.
var ErrMalformed = errors.New("handover: malformed web hook: its body must be one JSON object")

// errNotObject is the ErrMalformed of a body that is JSON all the same. The handler does not
// answer it with 400.
var errNotObject = fmt.Errorf("%w, and it is another JSON value", ErrMalformed)

// The events that the engine knows. All others are values as well, see Event.Data.
const (
	eventMessageSend       = "message:send"
	eventMessageReceived   = "message:received"
	eventMessageUpdated    = "message:updated"
	eventMessageRemoved    = "message:removed"
	eventComposeSend       = "message:compose:send"
	eventComposeReceive    = "message:compose:receive"
	eventAcknowledged      = "message:acknowledge:" // how several names begin
	eventSessionSetState   = "session:set_state"
	eventSessionSetRouting = "session:set_routing"
	eventSessionSetBlock   = "session:set_block"
	eventSessionRemoved    = "session:removed"
	eventSessionSyncRating = "session:sync:rating"
)

// maxSessionID is the length of the longest session id that is taken for one; Crisp's have 44.
const maxSessionID = 128

// Event is one web hook of Crisp. Make it with ParseEvent or ReadEvent, whose result it encodes
// to: an Event may travel through a queue as JSON.
//
// Of the fields from Message on, those that the event's name calls for are set, if its data has
// them in the types that Crisp documents. A member of another type is as good as absent, since an
// event says no more than that its conversation wants attention. Data always has everything.
//
// Field names and shapes are those of Crisp's official Go and Node clients.
type Event struct {
	// Name is Crisp's name of the event, such as "message:received".
	Name string
	// WebsiteID is the Crisp website that the event comes from.
	WebsiteID string
	// SessionID is the Crisp conversation that the event is about. Empty if it is about none, or
	// if what stands there could not be the id of one.
	SessionID string
	// At is when Crisp emitted the event, by Crisp's clock, to the millisecond. Zero if unknown.
	At time.Time
	// Ambiguous is true for an event that can be read in two ways, because a member name occurs
	// twice in one object, or that is nested deeper than 100 levels. Such an event has nothing
	// but its name, ids and time, as far as these are beyond doubt; Raw and Data are cut down to
	// them.
	Ambiguous bool
	// Signed is true when ReadEvent verified the hook's signature. What an unsigned event tells is
	// read from Crisp before it counts.
	Signed bool

	// Message is the new message of a message:send (the user wrote) or message:received (an
	// operator or a bot wrote; includes private notes). Nil if it lacks a usable fingerprint or
	// timestamp.
	Message *EventMessage
	// Update is the new content of a message:updated. Nil if it lacks a usable fingerprint.
	Update *EventUpdate
	// Removed is the fingerprint of the message that a message:removed is about, or 0.
	Removed int64
	// State is the new state of a session:set_state: "pending", "unresolved" or "resolved".
	State string
	// Routing is the id of the operator whom a session:set_routing assigned the conversation to,
	// empty for nobody. Nil if it is not told.
	Routing *string
	// Blocked tells whether a session:set_block blocked the user or let them in again.
	Blocked *bool
	// Rating is the user's answer of a session:sync:rating.
	Rating *EventRating
	// Compose tells who began or stopped typing, of a message:compose:send (the user) or
	// message:compose:receive (an operator).
	Compose *EventCompose
	// Acknowledged tells which messages were read, delivered or ignored, of a
	// message:acknowledge:….
	Acknowledged *EventAcknowledged

	// Data is the event's own "data" member, of every event.
	Data jsontext.Value
	// Raw is the whole event, without insignificant white space. What is not valid UTF-8 in the
	// body, lone surrogates included, is replaced by U+FFFD, so that it can be stored.
	Raw jsontext.Value
}

// EventMessage is one message of a Crisp conversation, as web hooks and REST answers show it.
// It decodes from any JSON object, and encodes to an equal one.
type EventMessage struct {
	WebsiteID string `json:"website_id,omitzero"`
	// SessionID is the message's own copy. It is not checked; use Event.SessionID.
	SessionID string `json:"session_id,omitzero"`
	// Type is "text", "file", "animation", "audio", "picker", "field", "carousel", "note" (private,
	// for operators only) or "event"; Crisp may add others.
	Type string `json:"type,omitzero"`
	// From is "user" or "operator".
	From string `json:"from,omitzero"`
	// Origin is "chat", "email" or a URN.
	Origin string `json:"origin,omitzero"`
	// Content is a JSON string in a text or note, an object otherwise. Nil if absent.
	Content jsontext.Value `json:"content,omitzero"`
	// Fingerprint is the message's id in its conversation, from 1 to 2^53-1.
	Fingerprint int64 `json:"fingerprint,omitzero"`
	// Timestamp is when it was written, in milliseconds since 1970, by Crisp's clock.
	Timestamp int64     `json:"timestamp,omitzero"`
	User      EventUser `json:"user,omitzero"`
	// Automated is true for a bot's message.
	Automated bool `json:"automated,omitzero"`
	Edited    bool `json:"edited,omitzero"`
	// Read and Delivered name the origin that acknowledged the message. REST answers only.
	Read      string `json:"read,omitzero"`
	Delivered string `json:"delivered,omitzero"`
	// Unknown is an object of all members that are not in the fields above: those that have no
	// field, are of another type than it, or are null, false, zero or empty.
	Unknown jsontext.Value `json:",embed,unknown"`
}

// EventUser is the author of a message, or whoever is typing.
type EventUser struct {
	Type string `json:"type,omitzero"` // such as "website" or "participant"
	// UserID is Crisp's id of the operator; the session id for the user.
	UserID   string `json:"user_id,omitzero"`
	Nickname string `json:"nickname,omitzero"`
	Avatar   string `json:"avatar,omitzero"`
	// Unknown is as in EventMessage.
	Unknown jsontext.Value `json:",embed,unknown"`
}

// EventUpdate says that a message has another content now. Crisp does not say whose message it
// is, nor of which type: it may be a private note.
type EventUpdate struct {
	Fingerprint int64
	Content     jsontext.Value // as in EventMessage
}

// EventRating is a user's rating of the conversation.
type EventRating struct {
	Stars   int64
	Comment string
}

// EventCompose says that somebody began or stopped typing.
type EventCompose struct {
	Type      string // "start" or "stop"
	Excerpt   string // what was typed up to now; must not be logged
	User      EventUser
	Automated bool
}

// EventAcknowledged says that messages were read, delivered or ignored.
type EventAcknowledged struct {
	Origin       string
	Fingerprints []int64
}

// ParseEvent decodes the body of a web hook whose sender was verified, or the JSON of an Event. A
// body that is not one JSON object gives an error that matches ErrMalformed. Any JSON object is
// an Event, whatever is in it.
//
// Member names count only in the exact letters that Crisp writes: no "Type" passes for "type".
func ParseEvent(body []byte) (Event, error) {
	raw, clear, err := readJSON(body)
	switch {
	case err != nil:
		return Event{}, fmt.Errorf("%w: %w", ErrMalformed, err)
	case raw.Kind() != jsontext.KindBeginObject:
		return Event{}, errNotObject
	case !clear:
		raw = withoutDoubt(raw)
	}
	e := Event{Raw: raw, Ambiguous: !clear}
	var at int64
	readObject(raw, fields{"website_id": &e.WebsiteID, "event": &e.Name, "timestamp": &at, "data": &e.Data})
	if at > 0 {
		e.At = time.UnixMilli(at)
	}
	var website, session string
	readObject(e.Data, fields{"website_id": &website, "session_id": &session})
	if e.WebsiteID == "" {
		e.WebsiteID = website
	}
	if validSessionID(session) {
		e.SessionID = session
	}
	e.readData()
	return e, nil
}

// readData sets the fields that the event's name calls for.
func (e *Event) readData() {
	switch e.Name {
	case eventMessageSend, eventMessageReceived:
		if m := readMessage(e.Data); m.usable() {
			e.Message = &m
		}
	case eventMessageUpdated:
		var u EventUpdate
		readObject(e.Data, fields{"fingerprint": &u.Fingerprint, "content": &u.Content})
		if u.Fingerprint > 0 {
			e.Update = &u
		}
	case eventMessageRemoved:
		readObject(e.Data, fields{"fingerprint": &e.Removed})
	case eventSessionSetState:
		readObject(e.Data, fields{"state": &e.State})
	case eventSessionSetRouting:
		var operator jsontext.Value
		readObject(e.Data, fields{"routing_id": &operator})
		if id := new(string); set(id, operator) || operator.Kind() == jsontext.KindNull {
			e.Routing = id
		}
	case eventSessionSetBlock:
		readObject(e.Data, fields{"is_blocked": &e.Blocked})
	case eventSessionSyncRating:
		var rating jsontext.Value
		readObject(e.Data, fields{"rating": &rating})
		if rating.Kind() == jsontext.KindBeginObject {
			e.Rating = new(EventRating)
			readObject(rating, fields{"stars": &e.Rating.Stars, "comment": &e.Rating.Comment})
		}
	case eventComposeSend, eventComposeReceive:
		e.Compose = new(EventCompose)
		readObject(e.Data, fields{"type": &e.Compose.Type, "excerpt": &e.Compose.Excerpt,
			"user": &e.Compose.User, "automated": &e.Compose.Automated})
	default:
		if strings.HasPrefix(e.Name, eventAcknowledged) {
			e.Acknowledged = new(EventAcknowledged)
			readObject(e.Data, fields{"origin": &e.Acknowledged.Origin, "fingerprints": &e.Acknowledged.Fingerprints})
		}
	}
}

// MarshalJSON returns Raw.
func (e Event) MarshalJSON() ([]byte, error) {
	if e.Raw == nil {
		return nil, errors.New("handover: an Event that was not made by ParseEvent cannot be encoded")
	}
	return e.Raw, nil
}

// UnmarshalJSON is ParseEvent.
func (e *Event) UnmarshalJSON(b []byte) (err error) {
	*e, err = ParseEvent(b)
	return err
}

// LogValue keeps what people wrote out of logs.
func (e Event) LogValue() slog.Value {
	attrs := []slog.Attr{slog.String("name", e.Name), slog.String("website_id", e.WebsiteID), slog.String("session_id", e.SessionID)}
	if e.Message != nil {
		attrs = append(attrs, slog.Any("message", *e.Message))
	}
	return slog.GroupValue(attrs...)
}

// LogValue keeps what people wrote out of logs.
func (m EventMessage) LogValue() slog.Value {
	return slog.GroupValue(slog.Int64("fingerprint", m.Fingerprint), slog.String("type", m.Type), slog.String("from", m.From))
}

// MarshalJSON returns an object with all that was decoded.
func (m EventMessage) MarshalJSON() ([]byte, error) {
	type plain EventMessage
	return json.Marshal(plain(m), jsontext.AllowInvalidUTF8(true))
}

// UnmarshalJSON accepts any JSON object without doubled names. A member of the wrong type goes
// to Unknown.
func (m *EventMessage) UnmarshalJSON(b []byte) error {
	v, clear, err := readJSON(b)
	if err != nil {
		return err
	}
	if !clear || v.Kind() != jsontext.KindBeginObject {
		return errors.New("handover: a Crisp message must be a JSON object without doubled member names")
	}
	*m = readMessage(v)
	return nil
}

func readMessage(v jsontext.Value) (m EventMessage) {
	m.Unknown = readObject(v, fields{
		"website_id": &m.WebsiteID, "session_id": &m.SessionID, "type": &m.Type, "from": &m.From,
		"origin": &m.Origin, "content": &m.Content, "fingerprint": &m.Fingerprint,
		"timestamp": &m.Timestamp, "user": &m.User, "automated": &m.Automated, "edited": &m.Edited,
		"read": &m.Read, "delivered": &m.Delivered,
	})
	return m
}

// usable tells whether the message can be told from others and has its place among them.
func (m EventMessage) usable() bool { return m.Fingerprint > 0 && m.Timestamp > 0 }

// parseMessages reads the body of a successful GET of one message or of a page of them. Messages
// that cannot be trusted are withheld: those in which a member name occurs twice, and those
// without a usable fingerprint and timestamp. All that a withheld one has is its fingerprint and
// timestamp, each zero if it is in doubt.
func parseMessages(body []byte) (msgs, withheld []EventMessage, err error) {
	body, _ = shallow(body, 2*maxNesting) // a message that loses something is still too deep for readJSON
	data, err := onlyOf(body, "data")
	if err != nil {
		return nil, nil, fmt.Errorf("handover: Crisp's answer is not JSON: %w", err)
	}
	list := []jsontext.Value{data}
	switch data.Kind() {
	case jsontext.KindBeginArray:
		list = elements(data)
	case jsontext.KindBeginObject:
	default:
		return nil, nil, errors.New("handover: Crisp's answer has no messages where they should be")
	}
	for _, v := range list {
		if v, clear, err := readJSON(v); err == nil && clear {
			if m := readMessage(v); m.usable() {
				msgs = append(msgs, m)
				continue
			}
		}
		var m EventMessage
		set(&m.Fingerprint, only(v, "fingerprint"))
		set(&m.Timestamp, only(v, "timestamp"))
		withheld = append(withheld, m)
	}
	return msgs, withheld, nil
}

// validSessionID tells whether s may be used as the id of a Crisp conversation, also in the path
// of a URL. Crisp's own are "session_" and a UUID.
func validSessionID(s string) bool {
	id, ok := strings.CutPrefix(s, "session_")
	if !ok || id == "" || len(s) > maxSessionID {
		return false
	}
	return strings.IndexFunc(id, func(r rune) bool {
		return !(r >= '0' && r <= '9' || r >= 'a' && r <= 'z' || r >= 'A' && r <= 'Z' || r == '-' || r == '_')
	}) < 0
}

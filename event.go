package handover

import (
	"bytes"
	stdjson "encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"net/http"
	"time"

	"github.com/go-json-experiment/json"
	"github.com/go-json-experiment/json/jsontext"

	"github.com/crisphandover/handover/internal/crispapi"
	"github.com/crisphandover/handover/internal/exactjson"
)

// HookError says why ReadEvent, ParseEvent or HandleEvent does not take a web hook, and what to answer it.
type HookError struct {
	status int
	why    string
}

// Error says why, and where a person can mend it, how. It quotes nothing of the request.
func (e *HookError) Error() string { return "handover: " + e.why }

// Status is the HTTP status with which ServeHTTP answers: 405 wrong method; 401 neither a signature nor a key;
// 403 forged, or too old for Webhook.MaxAge; 413 over 1 MiB; 408 not read within 5 s; 400 not JSON; 503 too much
// waits; 200 JSON that is no event, since Crisp may repeat what is answered otherwise.
func (e *HookError) Status() int { return e.status }

// The HookErrors of a body.
var (
	errMalformed = &HookError{http.StatusBadRequest, "malformed web hook: its body must be one JSON object"}
	errNotObject = &HookError{http.StatusOK, "malformed web hook: its body is JSON, and no object"}
)

// The events that the engine knows. All others are values as well, see Event.Raw.
const (
	eventMessageSend       = "message:send"
	eventMessageReceived   = "message:received"
	eventMessageUpdated    = "message:updated"
	eventMessageRemoved    = "message:removed"
	eventComposeReceive    = "message:compose:receive"
	eventSessionSetState   = "session:set_state"
	eventSessionSetRouting = "session:set_routing"
	eventSessionSetBlock   = "session:set_block"
	eventSessionRemoved    = "session:removed"
	eventSessionSyncRating = "session:sync:rating"
)

// reservedMember is the member of an Event's JSON that holds what Crisp does not say. ParseEvent takes it
// out of what strangers send.
const reservedMember = "handover:event"

// Event is one web hook of Crisp. Make it with ParseEvent or ReadEvent, whose result it encodes
// to: an Event may travel through a queue as JSON.
//
// Of the fields from Message on, those that the event's name calls for are set, if its data has
// them in the types that Crisp documents. A member of another type is as good as absent, since an
// event says no more than that its conversation wants attention. Raw always has everything.
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
	// At is when Crisp emitted the event, by Crisp's clock, to the millisecond; the end of the
	// second where Crisp gives seconds. Zero if unknown, or if it is no time between 1990 and 2100.
	At time.Time
	// Signed is true if a signature proved that the event is Crisp's: ReadEvent sets it. A host that
	// has verified the signature itself may set it, too. What an event says that is not signed is only
	// a reason to read Crisp.
	Signed bool
	// Ambiguous is true for an event that can be read in two ways, because a member name occurs
	// twice in one object, or that is nested deeper than 100 levels. Such an event has nothing
	// but its name, ids and time, as far as these are beyond doubt; Raw is cut down to them.
	Ambiguous bool

	// Message is the new message of a message:send (the user wrote) or message:received (an
	// operator or a bot wrote; includes private notes). Nil if it lacks a usable fingerprint or
	// timestamp: Crisp's log may show it.
	Message *EventMessage
	// Update is the new content of a message:updated. Nil if it lacks a usable fingerprint.
	Update *EventUpdate
	// Removed is the fingerprint of the message that a message:removed is about, or 0.
	Removed int64
	// State is the new state of a session:set_state: "pending", "unresolved" or "resolved".
	State string
	// Raw is the whole event, its "data" member included, without insignificant white space. What is not valid UTF-8 in the
	// body, lone surrogates and NUL included, is replaced by U+FFFD, so that it can be stored.
	Raw stdjson.RawMessage

	more eventDetails
}

// eventDetails are what only the engine needs of an event.
type eventDetails struct {
	data    jsontext.Value // the event's own "data" member
	routing *string        // session:set_routing: the operator's id, empty for nobody
	blocked *bool          // session:set_block: whether the user was blocked, or let in again
	rating  *eventRating   // session:sync:rating
	compose *eventCompose  // message:compose:receive
	trace   string         // the trace context that it came in
}

// EventMessage is one message of a Crisp conversation, as web hooks and REST answers show it.
// It decodes from any JSON object, and encodes to an equal one, but for a time in another unit than
// milliseconds.
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
	Content stdjson.RawMessage `json:"content,omitzero"`
	// Fingerprint is the message's id in its conversation: an integer of at most 2^53-1, and never 0.
	// Those of messages that Crisp's triggers post may be negative.
	Fingerprint int64 `json:"fingerprint,omitzero"`
	// Timestamp is when it was written, in milliseconds since 1970, by Crisp's clock. A time that Crisp
	// gives in another unit is converted; 0 is one that is not between 1990 and 2100.
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
	Unknown stdjson.RawMessage `json:"-"`
}

// EventUser is the author of a message, or whoever is typing.
type EventUser struct {
	Type string `json:"type,omitzero"` // such as "website" or "participant"
	// UserID is Crisp's id of the operator; the session id for the user.
	UserID   string `json:"user_id,omitzero"`
	Nickname string `json:"nickname,omitzero"`
	Avatar   string `json:"avatar,omitzero"`
	// Unknown is as in EventMessage.
	Unknown stdjson.RawMessage `json:"-"`
}

// EventUpdate says that a message has another content now. Crisp does not say whose message it
// is, nor of which type: it may be a private note.
type EventUpdate struct {
	Fingerprint int64
	Content     stdjson.RawMessage // as in EventMessage
}

// eventRating is a user's rating of the conversation.
type eventRating struct {
	Stars   int64
	Comment string
}

// eventCompose says that an operator began or stopped typing.
type eventCompose struct {
	Type      string // "start" or "stop"
	User      EventUser
	Automated bool
}

// ParseEvent decodes the body of a web hook. A body that is not one JSON object gives a HookError. Any JSON object is an Event, whatever is in it. The event is not Signed: set
// that if its sender was verified.
//
// Member names count only in the exact letters that Crisp writes: no "Type" passes for "type".
func ParseEvent(body []byte) (Event, error) {
	e, _, err := parseEvent(bytes.Clone(body))
	return e, err
}

// parseEvent is ParseEvent of a body that nobody else uses. kept is what the reserved member holds, if that is beyond
// doubt.
func parseEvent(body []byte) (e Event, kept jsontext.Value, err error) {
	text, clear, err := exactjson.ReadText(body)
	raw := text.Value
	switch {
	case err != nil:
		return Event{}, nil, fmt.Errorf("%w: %w", errMalformed, err)
	case raw.Kind() != jsontext.KindBeginObject:
		return Event{}, nil, errNotObject
	}
	if !clear {
		kept = exactjson.Only(raw, reservedMember)
		raw = withoutDoubt(raw)
		text = exactjson.Share(raw)
	}
	e = Event{Raw: stdjson.RawMessage(raw), Ambiguous: !clear}
	var at jsontext.Value
	var data exactjson.Text
	text.Fields(exactjson.To("website_id", &e.WebsiteID), exactjson.To("event", &e.Name), exactjson.To("timestamp", &at),
		exactjson.To("data", &data), exactjson.To(reservedMember, &kept))
	if clear && kept != nil {
		e.Raw = stdjson.RawMessage(withoutReserved(raw))
	}
	if ms := crispapi.MillisOfEvent(at); ms != 0 {
		e.At = time.UnixMilli(ms)
	}
	website, session := e.readData(data)
	if e.WebsiteID == "" {
		e.WebsiteID = website
	}
	if crispapi.ValidSessionID(session) {
		e.SessionID = session
	}
	return e, kept, nil
}

// withoutDoubt returns of an ambiguous event what can be read in one way only.
func withoutDoubt(raw jsontext.Value) jsontext.Value {
	scalars := func(v jsontext.Value, names ...string) (kept []byte) {
		for _, name := range names {
			value := exactjson.Only(v, name)
			if value.Kind() == jsontext.KindString || value.Kind() == jsontext.KindNumber {
				kept = fmt.Appendf(kept, `%q:%s,`, name, value)
			}
		}
		return kept
	}
	data := exactjson.Only(raw, "data")
	ids := bytes.TrimSuffix(scalars(data, "website_id", "session_id"), []byte(","))
	return fmt.Appendf(nil, `{%s"data":{%s}}`, scalars(raw, "website_id", "event", "timestamp"), ids)
}

// withoutReserved returns an event without the reserved member.
func withoutReserved(raw jsontext.Value) jsontext.Value {
	rest := exactjson.ReadObject(raw, exactjson.To(reservedMember, new(jsontext.Value)))
	if rest == nil {
		return jsontext.Value(`{}`)
	}
	return rest
}

// readData sets the fields that the event's name calls for. It returns the ids that stand in the data.
func (e *Event) readData(data exactjson.Text) (website, session string) {
	e.more.data = data.Value
	if e.Name == eventMessageSend || e.Name == eventMessageReceived {
		m := new(EventMessage)
		if m.read(data); m.usable() {
			e.Message = m
		}
		return m.WebsiteID, m.SessionID
	}
	data.Fields(exactjson.To("website_id", &website), exactjson.To("session_id", &session))
	switch e.Name {
	case eventMessageUpdated:
		var u EventUpdate
		data.Fields(exactjson.To("fingerprint", exactjson.FingerprintField(&u.Fingerprint)),
			exactjson.To("content", (*jsontext.Value)(&u.Content)))
		if u.Fingerprint != 0 {
			e.Update = &u
		}
	case eventMessageRemoved:
		data.Fields(exactjson.To("fingerprint", exactjson.FingerprintField(&e.Removed)))
	case eventSessionSetState:
		data.Fields(exactjson.To("state", &e.State))
	default:
		e.more.read(e.Name, data)
	}
	return website, session
}

// read sets the details that the event's name calls for.
func (d *eventDetails) read(name string, data exactjson.Text) {
	switch name {
	case eventSessionSetRouting:
		var operator jsontext.Value
		data.Fields(exactjson.To("routing_id", &operator))
		if id := new(string); exactjson.Set(id, operator) || operator.Kind() == jsontext.KindNull {
			d.routing = id
		}
	case eventSessionSetBlock:
		data.Fields(exactjson.To("is_blocked", &d.blocked))
	case eventSessionSyncRating:
		var rating exactjson.Text
		data.Fields(exactjson.To("rating", &rating))
		if rating.Value.Kind() == jsontext.KindBeginObject {
			d.rating = new(eventRating)
			rating.Fields(exactjson.To("stars", &d.rating.Stars), exactjson.To("comment", &d.rating.Comment))
			if d.rating.Stars < 1 || d.rating.Stars > 5 { // Crisp offers five stars
				d.rating = nil
			}
		}
	case eventComposeReceive:
		d.compose = new(eventCompose)
		data.Fields(exactjson.To("type", &d.compose.Type),
			exactjson.To("user", d.compose.User.read), exactjson.To("automated", &d.compose.Automated))
	}
}

// read takes the author of a message, or whoever is typing.
func (u *EventUser) read(v exactjson.Text) bool {
	u.Unknown = stdjson.RawMessage(v.ReadObject(exactjson.To("type", &u.Type), exactjson.To("user_id", &u.UserID),
		exactjson.To("nickname", &u.Nickname), exactjson.To("avatar", &u.Avatar)))
	return u.Unknown != nil || u.Type != "" || u.UserID != "" || u.Nickname != "" || u.Avatar != ""
}

// eventKept is what an Event's JSON holds besides what Crisp sent.
type eventKept struct {
	Ambiguous bool `json:"ambiguous,omitzero"`
	Signed    bool `json:"signed,omitzero"`
}

// MarshalJSON returns Raw, with what else must be kept in a member of its own.
func (e Event) MarshalJSON() ([]byte, error) {
	if e.Raw == nil {
		return nil, errors.New("handover: an Event that was not made by ParseEvent cannot be encoded")
	}
	clean, err := ParseEvent(e.Raw) // the host may have written to Raw
	if err != nil {
		return nil, err
	}
	raw, keep := []byte(clean.Raw), eventKept{Ambiguous: e.Ambiguous || clean.Ambiguous, Signed: e.Signed}
	if keep == (eventKept{}) {
		return raw, nil
	}
	kept, err := json.Marshal(keep)
	if err != nil {
		return nil, fmt.Errorf("handover: an Event cannot be encoded: %w", err)
	}
	raw = fmt.Appendf(nil, "%s,%q:%s}", bytes.TrimSuffix(raw, []byte("}")), reservedMember, kept)
	if bytes.HasPrefix(raw, []byte("{,")) {
		raw = append(raw[:1], raw[2:]...)
	}
	return raw, nil
}

// UnmarshalJSON decodes what MarshalJSON made, Signed included. Use it only for JSON from where the
// event was verified; ParseEvent is for what strangers send.
func (e *Event) UnmarshalJSON(b []byte) error {
	parsed, kept, err := parseEvent(bytes.Clone(b))
	if err != nil {
		return err
	}
	var ambiguous, signed bool
	exactjson.ReadObject(kept, exactjson.To("ambiguous", &ambiguous), exactjson.To("signed", &signed))
	parsed.Signed = signed && !parsed.Ambiguous
	parsed.Ambiguous = parsed.Ambiguous || ambiguous
	*e = parsed
	return nil
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
	return exactjson.Marshal(plain(m), m.Unknown)
}

// UnmarshalJSON accepts any JSON object without doubled names. A member of the wrong type goes
// to Unknown.
func (m *EventMessage) UnmarshalJSON(b []byte) error {
	v, err := readObject(b)
	if err != nil {
		return err
	}
	*m = EventMessage{}
	m.read(exactjson.Share(v))
	return nil
}

// MarshalJSON returns an object with all that was decoded.
func (u EventUser) MarshalJSON() ([]byte, error) {
	type plain EventUser
	return exactjson.Marshal(plain(u), u.Unknown)
}

// UnmarshalJSON is as that of EventMessage.
func (u *EventUser) UnmarshalJSON(b []byte) error {
	v, err := readObject(b)
	if err != nil {
		return err
	}
	*u = EventUser{}
	u.read(exactjson.Share(v))
	return nil
}

// readObject reads an object without doubled names.
func readObject(b []byte) (jsontext.Value, error) {
	v, clear, err := exactjson.Read(bytes.Clone(b))
	if err != nil {
		return nil, err
	}
	if !clear || v.Kind() != jsontext.KindBeginObject {
		return nil, errors.New("handover: what Crisp wrote must be a JSON object without doubled member names")
	}
	return v, nil
}

// read takes a message from an object that was checked.
func (m *EventMessage) read(v exactjson.Text) {
	m.Unknown = stdjson.RawMessage(v.ReadObject(
		exactjson.To("website_id", &m.WebsiteID), exactjson.To("session_id", &m.SessionID), exactjson.To("type", &m.Type), exactjson.To("from", &m.From),
		exactjson.To("origin", &m.Origin), exactjson.To("content", (*jsontext.Value)(&m.Content)), exactjson.To("fingerprint", exactjson.FingerprintField(&m.Fingerprint)),
		exactjson.To("user", m.User.read), exactjson.To("automated", &m.Automated), exactjson.To("edited", &m.Edited),
		exactjson.To("read", &m.Read), exactjson.To("delivered", &m.Delivered),
		exactjson.To("timestamp", func(v jsontext.Value) bool { m.Timestamp = crispapi.Millis(v); return m.Timestamp != 0 }),
	))
}

// usable tells whether the message can be told from others and has its place among them.
func (m *EventMessage) usable() bool { return m.Fingerprint != 0 && m.Timestamp > 0 }

package crispapi

import (
	"strings"

	"github.com/go-json-experiment/json/jsontext"

	"github.com/crisphandover/handover/internal/exactjson"
)

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

// Resolved is the state of a conversation that agents are done with.
const Resolved = "resolved"

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
		exactjson.Set(&c.SessionID, exactjson.Only(v, "session_id"))
		return c
	}
	var state, status, meta jsontext.Value
	exactjson.ReadObject(v, exactjson.To("session_id", &c.SessionID), exactjson.To("state", &state), exactjson.To("status", &status),
		exactjson.To("updated_at", &c.UpdatedAt), exactjson.To("is_blocked", &c.Blocked), exactjson.To("meta", &meta))
	exactjson.ReadObject(meta, exactjson.To("email", &c.Meta.Email))
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

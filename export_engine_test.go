package handover

import (
	"time"

	"github.com/go-json-experiment/json"

	"github.com/crisphandover/handover/internal/crisplog"
)

// What the tests of the engine need of the inside.

// Waiting returns how many conversations are waited for in this process.
func (h *Handover) Waiting() int { return h.waiters.Len() }

// Trimmed returns the data of a record as a save would store it.
func Trimmed(raw []byte) ([]byte, error) {
	rec, err := decodeRecord(Record{Version: 1, Data: raw}, "", Conversation{}, time.Now())
	if err != nil {
		return nil, err
	}
	rec.trim()
	return json.Marshal(rec, recordJSON)
}

// MessageStatuses returns a look into the data of a record for what became of the user's messages.
func MessageStatuses(raw []byte) (status func(id string) string, err error) {
	rec, err := decodeRecord(Record{Version: 1, Data: raw}, "", Conversation{}, time.Now())
	if err != nil {
		return nil, err
	}
	return func(id string) string {
		if m := rec.UserMessages.find(id); m != nil {
			return string(m.Status)
		}
		return ""
	}, nil
}

// The bounds of what is remembered, and when a failed attempt is repeated.
const (
	MaxSeen  = maxUserMessages
	MaxShown = crisplog.MaxShown
)

var Delay = delay

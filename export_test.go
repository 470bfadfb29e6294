package handover

import (
	"slices"
	"time"

	"github.com/go-json-experiment/json"
)

// Waiting returns how many conversations are waited for in this process.
func (h *Handover) Waiting() int { return h.waiters.Len() }

// Trimmed returns the data of a record as a save would store it.
func Trimmed(raw []byte) ([]byte, error) {
	rec, err := decodeRecord(Record{Version: 1, Data: raw}, "", Conversation{}, time.Now())
	if err != nil {
		return nil, err
	}
	rec.trim()
	return json.Marshal(rec.written(), recordJSON)
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

// MaxSeen is how many messages of the user are remembered.
const MaxSeen = maxUserMessages

// What the tests of agents' content and user data need.
var (
	ContentOf = contentOf
	Metas     = UserData.metas
)

// Errors that hosts need not tell apart.
var (
	ErrNoAnswer  = errNoAnswer
	ErrReentrant = errReentrant
	SafeToRetry  = func(e *APIError) bool { return e.whole().SafeToRetry() }
)

// Cell is one cell of the table of states.
type Cell struct {
	To     State
	Ends   EndReason
	What   string
	Listed bool // else nothing happens
}

// States are the rows' order in the documentation.
var States = []State{StateBot, StateMuted, StateOpening, StateWaiting, StateActive}

// Triggers are all triggers, in the order of states.go.
var Triggers = []string{
	string(onStart), string(onNobody), string(onMute), string(onOpened), string(onOpenFailed), string(onUser),
	string(onHuman), string(onLate), string(onAssigned), string(onResolved), string(onHostEnd), string(onUserLeft),
	string(onRemoved), string(onBlocked), string(onRemind), string(onClaimTimeout), string(onQuiet), string(onIdle),
	string(onMax), string(onRelayFailed), string(onChoiceEmail), string(onChoiceBot), string(onOfferExpired),
	string(onFollowUpExpired),
}

// UnknownTriggers are those of the table that Triggers lacks, and those of Triggers that no state
// lists.
func UnknownTriggers() (all []string) {
	used := make(map[string]bool)
	for _, row := range table {
		for t := range row {
			used[string(t)] = true
			if !slices.Contains(Triggers, string(t)) {
				all = append(all, string(t))
			}
		}
	}
	for _, t := range Triggers {
		if !used[t] {
			all = append(all, t)
		}
	}
	return all
}

// CellOf reads the table that the code runs.
func CellOf(from State, on string) Cell {
	c, ok := table[from][trigger(on)]
	if !ok {
		return Cell{To: from}
	}
	return Cell{To: c.to, Ends: c.ends, What: c.what, Listed: true}
}

// Recalled returns a stored record as this process has it, encoded; ok is false if it would have to decode it. It
// does not remember it any more.
func Recalled(h *Handover, r Record) (data []byte, ok bool) {
	rec := h.recall(known{key: r.Key}, r)
	if rec == nil {
		return nil, false
	}
	data, _, err := rec.encode()
	return data, err == nil
}

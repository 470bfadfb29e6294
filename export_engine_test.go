package handover

import (
	"time"

	"github.com/go-json-experiment/json"
)

// What the tests of the engine need of the inside.

// Watch is how replicas notice that another one is dead.
type Watch = watch

// Stale is watch.stale.
func (w *Watch) Stale(what, mark string, ttl time.Duration) bool { return w.stale(what, mark, ttl) }

// Waiting returns how many conversations are waited for in this process.
func (h *Handover) Waiting() int {
	h.waiters.mu.Lock()
	defer h.waiters.mu.Unlock()
	return len(h.waiters.all)
}

// Trimmed returns the data of a record as a save would store it.
func Trimmed(raw []byte) ([]byte, error) {
	d, err := decodeData(Record{Version: 1, Data: raw}, Conversation{}, time.Now())
	if err != nil {
		return nil, err
	}
	d.trim()
	return json.Marshal(d, recordJSON)
}

// The bounds of what is remembered, and when a failed attempt is repeated.
const (
	MaxSeen  = maxSeen
	MaxShown = maxShown
)

var Delay = delay

package crispapi

import (
	"crypto/sha256"
	"encoding/hex"
	"fmt"
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

// ReadItem reads a message of a log, or of an event, whatever it is. Item.Raw may share v's memory.
func ReadItem(v jsontext.Value) (m Item) {
	raw, clear, err := exactjson.Read(v)
	if err != nil { // its array was read: this cannot be
		raw = nil
	}
	if clear {
		return readClear(raw)
	}
	m = itemOf(raw, exactjson.Only(raw, "fingerprint"), exactjson.Only(raw, "timestamp"))
	if raw.Kind() == jsontext.KindBeginObject {
		m.Why = Doubled
		if _, deep := exactjson.Prune(v, exactjson.MaxNesting); deep {
			m.Why = TooDeep
		}
	}
	return m
}

// readClear is ReadItem of what exactjson.Read found clear.
func readClear(raw jsontext.Value) Item {
	var fp, at jsontext.Value
	exactjson.Text{Value: raw}.Fields(exactjson.To("fingerprint", &fp), exactjson.To("timestamp", &at))
	return itemOf(raw, fp, at)
}

// itemOf is the item of a message with this fingerprint and time.
func itemOf(raw, fp, at jsontext.Value) Item {
	m := Item{Raw: raw, Fingerprint: exactjson.Fingerprint(fp), Timestamp: exactjson.Positive(at), At: Millis(at)}
	switch {
	case raw.Kind() != jsontext.KindBeginObject:
		m.Why = NoObject
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

// items reads an answer that shows messages.
func (a answer) items() ([]Item, error) {
	if a.data.Kind() != jsontext.KindBeginArray {
		return nil, errData
	}
	read := ReadItem
	if a.clear {
		read = readClear
	}
	values := exactjson.Elements(a.data)
	items := make([]Item, len(values))
	for i, v := range values {
		items[i] = read(v)
	}
	return items, nil
}

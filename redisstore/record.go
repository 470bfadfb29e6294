package redisstore

import (
	"errors"
	"fmt"
	"math/rand/v2"
	"strconv"
	"strings"
	"time"

	"github.com/crisphandover/handover"
)

// never is how a Due that is not set is stored.
const never = "-"

// newVersion returns a version that no record had before. A counter in Redis would give some twice when a
// replica takes over that lacks its newest values; among 2^62 numbers a record never meets one again.
func newVersion() int64 { return 1 + rand.Int64N(1<<62) }

func encodeDue(due time.Time) string {
	if due.IsZero() {
		return never
	}
	return strconv.FormatInt(due.UnixMicro(), 10)
}

// encodeIDs returns a NUL and an id for each.
func encodeIDs(ids []string) string {
	var b strings.Builder
	for _, id := range ids {
		b.WriteByte(0)
		b.WriteString(id)
	}
	return b.String()
}

var errReply = errors.New("the server's answer is not what the script returns: does something else use the keys with this Prefix?")

// decodeAll reads what a script returns: the time, and a key, a head and the data for each record.
func decodeAll(reply any) (now time.Time, records []handover.Record, err error) {
	fields, ok := reply.([]any)
	if !ok || len(fields)%3 != 1 {
		return now, nil, errReply
	}
	texts := make([]string, len(fields))
	for i, field := range fields {
		if texts[i], ok = field.(string); !ok {
			return now, nil, errReply
		}
	}
	micros, err := strconv.ParseInt(texts[0], 10, 64)
	if err != nil {
		return now, nil, errReply
	}
	now = time.UnixMicro(micros).UTC()
	for row := texts[1:]; len(row) > 0; row = row[3:] {
		r, err := decode(row[0], row[1], row[2])
		if err != nil {
			return now, nil, err
		}
		r.Now = now
		records = append(records, r)
	}
	return now, records, nil
}

// decode reads the fields of one record.
func decode(key, head, data string) (r handover.Record, err error) {
	head, ids, named := strings.Cut(head, "\x00")
	version, head, _ := strings.Cut(head, " ")
	due, live, _ := strings.Cut(head, " ")
	if r.Version, err = strconv.ParseInt(version, 10, 64); err != nil {
		return r, fmt.Errorf("%w: %w", errReply, err)
	}
	if due != never {
		micros, err := strconv.ParseInt(due, 10, 64)
		if err != nil {
			return r, fmt.Errorf("%w: %w", errReply, err)
		}
		r.Due = time.UnixMicro(micros).UTC()
	}
	if named {
		r.CrispIDs = strings.Split(ids, "\x00")
	}
	r.Key, r.Live, r.Data = key, live == "1", []byte(data)
	return r, nil
}

package crispapi

import (
	"math"

	"github.com/go-json-experiment/json/jsontext"

	"github.com/crisphandover/handover/internal/exactjson"
)

// The window of times that can be Crisp's, in milliseconds since 1970: from 1990, long before Crisp,
// to 2100. A number in seconds, microseconds or nanoseconds that lies in it can be no other unit:
// the four ranges do not meet.
const (
	earliest = 631_152_000_000
	latest   = 4_102_444_800_000
)

// Millis brings one of Crisp's times into milliseconds since 1970. Crisp documents milliseconds;
// seconds, microseconds and nanoseconds are known by their magnitude. It returns 0 for what is no
// number, or no time between the years 1990 and 2100: such a time must not be stored or compared.
func Millis(v jsontext.Value) int64 {
	t, ok := exactjson.Number(v)
	if !ok {
		return 0
	}
	for _, unit := range []float64{1, 1e3, 1e-3, 1e-6} {
		if ms := math.Trunc(t * unit); earliest <= ms && ms < latest {
			return int64(ms)
		}
	}
	return 0
}

// MillisOfEvent is Millis of the time of an event. One in seconds is the end of its second: the event came after
// what was written before it in that second.
func MillisOfEvent(v jsontext.Value) int64 {
	ms := Millis(v)
	if t, ok := exactjson.Number(v); ok && t < latest/1000 && ms != 0 && t == math.Trunc(t) {
		ms += 999
	}
	return ms
}

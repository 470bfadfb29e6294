package exactjson

import (
	"math"
	"strconv"

	"github.com/go-json-experiment/json/jsontext"
)

// MaxInteger is the largest integer that every JSON reader keeps exact: JavaScript's numbers hold no
// larger one for certain.
const MaxInteger = 1<<53 - 1

// Positive returns the integer from 1 to MaxInteger that v is, or 0. It reads 1.632e14 and
// 163240180126629.0 as JavaScript does.
func Positive(v jsontext.Value) int64 { return max(integer(v), 0) }

// Fingerprint returns the integer from -MaxInteger to MaxInteger that v is, or 0, which is none.
// Most of Crisp's fingerprints are positive; those of messages that its triggers post can be
// negative.
func Fingerprint(v jsontext.Value) int64 { return integer(v) }

// FingerprintField is a field for ReadObject that holds Fingerprint.
func FingerprintField(field *int64) func(jsontext.Value) bool {
	return func(v jsontext.Value) bool {
		*field = Fingerprint(v)
		return *field != 0
	}
}

func integer(v jsontext.Value) int64 {
	if v.Kind() != jsontext.KindNumber {
		return 0
	}
	f, err := strconv.ParseFloat(string(v), 64)
	if err != nil || math.Abs(f) > MaxInteger || f != math.Trunc(f) {
		return 0
	}
	return int64(f)
}

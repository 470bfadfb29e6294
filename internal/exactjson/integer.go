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
	f, ok := Number(v)
	if !ok || math.Abs(f) > MaxInteger || f != math.Trunc(f) {
		return 0
	}
	return int64(f)
}

// exactDigits is how many digits every integer has at the most that a float64 holds exactly.
const exactDigits = 15

// Number returns the number that v is, as JavaScript reads it; ok is false if v is none, or one too large. Nearly all of
// Crisp's are short integers: these need no more than a look at their digits.
func Number(v jsontext.Value) (f float64, ok bool) {
	if v.Kind() != jsontext.KindNumber {
		return 0, false
	}
	if n, ok := digits(v); ok {
		return float64(n), true
	}
	f, err := strconv.ParseFloat(string(v), 64)
	return f, err == nil
}

// digits returns the integer that up to exactDigits digits are; ok is false for all else.
func digits(v []byte) (n int64, ok bool) {
	if len(v) > exactDigits {
		return 0, false
	}
	for _, c := range v {
		if c < '0' || c > '9' {
			return 0, false
		}
		n = n*10 + int64(c-'0')
	}
	return n, true
}

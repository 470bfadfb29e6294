package times

import (
	"fmt"
	"time"
)

// The bounds of every span of time that somebody sets. What is shorter is a number without its unit;
// what is longer could not be added to a time and stored.
const (
	minSpan = time.Second
	MaxSpan = 10 * 365 * 24 * time.Hour
)

// SpanFault says what is wrong with a span of time, and what to write; "" if nothing is.
func SpanFault(d time.Duration) string {
	switch {
	case d > 0 && d < time.Microsecond:
		return fmt.Sprintf("is %v, less than a second: write %d*time.Second", d, int64(d))
	case d < minSpan:
		return fmt.Sprintf("is %v, less than a second: write time.Second or more", d)
	case d > MaxSpan:
		return fmt.Sprintf("is %v, more than ten years: write 10*365*24*time.Hour or less", d)
	}
	return ""
}

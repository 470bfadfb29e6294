package handover

import "time"

// maxClockAhead is how far another clock may be ahead of ours.
const maxClockAhead = time.Hour

// plausibleTime returns when a message was written, as its channel says: at. If that cannot be, since
// it is not set, lies before 1970 or more than an hour ahead, it is now. The result is in UTC, with
// milliseconds, and so can be stored and sent to Crisp whatever at is.
func plausibleTime(at, now time.Time) time.Time {
	if at.Unix() <= 0 || at.Unix() > now.Add(maxClockAhead).Unix() {
		at = now
	}
	return at.UTC().Truncate(time.Millisecond)
}

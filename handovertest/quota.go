package handovertest

import (
	"net/http"
	"strconv"
	"time"
)

// Quota is how many calls Crisp takes in each span of time. Crisp documents 5,000 calls a day for
// the token of a plugin and 10,000 for that of a website; which status the call beyond gets, and
// whether it counts too, nobody knows.
type Quota struct {
	// Route is which calls count: one of the Route constants, a method ("POST"), or "" for all.
	Route string
	// Calls is how many are answered in each span; at least 1.
	Calls int
	// Per is the span; 24 h by default. Spans follow one another by Crisp's clock: days begin at
	// midnight UTC, minutes at the full minute.
	Per time.Duration
	// Status is that of the calls beyond, which do no work and do not count; 423 by default, the
	// other two that are known are 429 and 420. Reason is the one that is known for it by default.
	Status int
	Reason string
	// RetryAfter adds the header Retry-After, which names the end of the span: in seconds, or as
	// an HTTP date by Crisp's clock if RetryDate is set. Crisp documents no such header.
	RetryAfter, RetryDate bool
}

// window is the span in which a quota counts.
type window struct {
	start time.Time
	calls int
}

// withDefaults returns q with its zero fields set.
func (q Quota) withDefaults() Quota {
	if q.Per <= 0 {
		q.Per = 24 * time.Hour
	}
	if q.Status == 0 {
		q.Status = http.StatusLocked
	}
	if q.Reason == "" {
		q.Reason = reasons[q.Status]
	}
	return q
}

// overQuota counts a call. The answer is nil if every quota has room for it.
func (c *Crisp) overQuota(q *request) (*answer, http.Header) {
	c.mu.Lock()
	defer c.mu.Unlock()
	now := c.clock()
	for i, quota := range c.options.Quotas {
		if !matches(quota.Route, q.Route) {
			continue
		}
		w := &c.spent[i]
		if start := now.Truncate(quota.Per); !start.Equal(w.start) {
			*w = window{start: start}
		}
		if w.calls < quota.Calls {
			continue
		}
		header := http.Header{}
		if quota.RetryAfter || quota.RetryDate {
			left := w.start.Add(quota.Per).Sub(now)
			header.Set("Retry-After", retryAfter(left, quota.RetryDate, now))
		}
		c.faultCount["over quota"]++
		return &answer{status: quota.Status, reason: quota.Reason}, header
	}
	for i, quota := range c.options.Quotas {
		if matches(quota.Route, q.Route) {
			c.spent[i].calls++
		}
	}
	return nil, nil
}

// retryAfter returns the value of a header Retry-After, rounded up to seconds. now is Crisp's time.
func retryAfter(d time.Duration, date bool, now time.Time) string {
	if date {
		return now.Add(d + time.Second - 1).UTC().Format(http.TimeFormat)
	}
	return strconv.FormatInt(int64((d+time.Second-1)/time.Second), 10)
}

// noteRetryAfter remembers until when an answer asks to be left alone.
func (c *Crisp) noteRetryAfter(website string, header http.Header) {
	value := header.Get("Retry-After")
	var at time.Time
	if seconds, err := strconv.Atoi(value); err == nil {
		at = time.Now().Add(time.Duration(seconds) * time.Second)
	} else if date, err := http.ParseTime(value); err == nil {
		at = date.Add(-c.options.Skew)
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	if at.After(c.retryAt[website]) {
		c.retryAt[website] = at
	}
}

// early says whether a call comes before the time that a Retry-After has named.
func (c *Crisp) early(website string, now time.Time) bool {
	c.mu.Lock()
	defer c.mu.Unlock()
	return now.Before(c.retryAt[website])
}

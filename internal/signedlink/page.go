package signedlink

import (
	"net/url"
	"time"
)

// Page is a page that links of one purpose lead to. The token stands in the parameter "t" of its URL.
type Page struct {
	Purpose string
	URL     string   // where the page is found from outside; empty: there is none
	Keys    []string // the first one signs, each opens
	TTL     time.Duration
}

// Link returns a link that opens for TTL from now on, or "" if there is no page. The same arguments make the
// same link.
func (p Page) Link(now time.Time, fields ...string) string {
	u, err := url.Parse(p.URL)
	if err != nil || p.URL == "" || len(p.Keys) == 0 {
		return ""
	}
	query := u.Query()
	query.Set("t", Sign(p.Purpose, p.Keys[0], now.Add(p.TTL), fields...))
	u.RawQuery = query.Encode()
	return u.String()
}

// Open returns the fields that a link's token was made with, if there are n of them. Its errors are ErrWrong and
// ErrExpired.
func (p Page) Open(token string, now time.Time, n int) ([]string, error) {
	fields, err := Open(p.Purpose, p.Keys, token, now)
	if err == nil && len(fields) != n {
		return nil, ErrWrong
	}
	return fields, err
}

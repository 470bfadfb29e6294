package signedlink

import (
	"cmp"
	"net/url"
	"time"

	"github.com/crisphandover/handover/internal/times"
)

// Page is a page that links of one purpose lead to. The token stands in the parameter "t" of its URL.
type Page struct {
	Purpose string
	URL     string        // where the page is found from outside; empty: there is none
	Keys    []string      // the first one signs, each opens
	TTL     time.Duration // 0: 30 days
}

// Link returns a link that opens for TTL from now on, or "" if there is no page. The same arguments make the
// same link.
func (p Page) Link(now time.Time, fields ...string) string {
	u, err := url.Parse(p.URL)
	if err != nil || p.URL == "" || len(p.Keys) == 0 {
		return ""
	}
	query := u.Query()
	query.Set("t", Sign(p.Purpose, p.Keys[0], now.Add(cmp.Or(p.TTL, defaultTTL)), fields...))
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

const (
	defaultTTL = 30 * 24 * time.Hour
	minKey     = 32 // bytes, the size of the signature
)

// Faults names all that is wrong with the settings of the links. field is what they are called together.
func (p Page) Faults(field string, fault func(format string, args ...any)) {
	if p.URL != "" {
		u, err := url.Parse(p.URL)
		if err != nil || u.Scheme != "https" && u.Scheme != "http" || u.Host == "" || u.Fragment != "" || u.User != nil {
			fault("%s.URL must be an absolute http or https URL without a fragment, user name or password: agents see it", field)
		}
		if len(p.Keys) == 0 || p.Keys[0] == "" {
			fault("%s.SigningKey must be set along with %[1]s.URL", field)
		}
	}
	for _, key := range p.Keys {
		if len(key) < minKey && (key != "" || len(p.Keys) > 1) {
			fault("%s.SigningKey and each of %[1]s.OldSigningKeys must have at least %d bytes: take random ones", field, minKey)
			break
		}
	}
	if p.TTL != 0 {
		if why := times.SpanFault(p.TTL); why != "" {
			fault("field %s.TTL %s; 0 is 30 days: a link always expires", field, why)
		}
	}
}

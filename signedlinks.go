package handover

import (
	"cmp"
	"errors"
	"fmt"
	"net/url"
	"time"

	"github.com/crisphandover/handover/internal/signedlink"
)

// signedLinks are the settings of one kind of links that open without a login, for a limited time.
type signedLinks struct {
	field   string // of Config
	purpose string // what they are signed for
	url     string
	key     Secret
	old     []Secret
	ttl     time.Duration
}

const (
	defaultLinkTTL = 30 * 24 * time.Hour
	minLinkKey     = 32 // bytes, the size of the signature
)

var (
	errLinkWrong   = errors.New("handover: the link was not signed with this key")
	errLinkExpired = errors.New("handover: the link has expired")
)

// validate names all that is wrong with the settings.
func (l signedLinks) validate() error {
	var faults []error
	if l.url != "" {
		u, err := url.Parse(l.url)
		if err != nil || u.Scheme != "https" && u.Scheme != "http" || u.Host == "" || u.Fragment != "" || u.User != nil {
			faults = append(faults, fmt.Errorf("%s.URL must be an absolute http or https URL without a fragment, user name or password: agents see it", l.field))
		}
		if l.key.Reveal() == "" {
			faults = append(faults, fmt.Errorf("%s.SigningKey must be set along with %[1]s.URL", l.field))
		}
	}
	for _, key := range l.keys() {
		if len(key) < minLinkKey && (key != "" || len(l.old) > 0) {
			faults = append(faults, fmt.Errorf("%s.SigningKey and each of %[1]s.OldSigningKeys must have at least %d bytes: take random ones", l.field, minLinkKey))
			break
		}
	}
	if l.ttl != 0 {
		if why := spanFault(l.ttl); why != "" {
			faults = append(faults, fmt.Errorf("field %s.TTL %s; 0 is 30 days: a link always expires", l.field, why))
		}
	}
	return errors.Join(faults...)
}

// keys are the texts of the keys; the first one signs.
func (l signedLinks) keys() []string { return append([]string{l.key.Reveal()}, textsOf(l.old)...) }

// page is where the links lead to.
func (l signedLinks) page() signedlink.Page {
	return signedlink.Page{Purpose: l.purpose, URL: l.url, Keys: l.keys(), TTL: cmp.Or(l.ttl, defaultLinkTTL)}
}

// open returns the fields that a link's token was made with, if there are n of them. Its errors are errLinkWrong
// and errLinkExpired.
func (l signedLinks) open(token string, now time.Time, n int) ([]string, error) {
	fields, err := l.page().Open(token, now, n)
	switch {
	case errors.Is(err, signedlink.ErrExpired):
		return nil, errLinkExpired
	case err != nil:
		return nil, errLinkWrong
	}
	return fields, nil
}

// Package tokenclient makes HTTP clients for calls that carry a token.
package tokenclient

import "net/http"

// Of returns a client as given, but for redirects: it does not follow them, since they would carry the token to
// another host, and a 307 would repeat a message. The redirect itself is the answer. A nil client is a new one; the
// client that is given stays as it is.
func Of(given *http.Client) *http.Client {
	own := http.Client{}
	if given != nil {
		own = *given
	}
	own.CheckRedirect = func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse }
	return &own
}

// Package tokenclient makes HTTP clients for calls that carry a token.
package tokenclient

import (
	"net/http"
	"sync"
)

// Of returns a client as given, but for redirects: it does not follow them, since they would carry the token to
// another host, and a 307 would repeat a message. The redirect itself is the answer. A nil client is a new one; the
// client that is given stays as it is. One without a transport keeps as many connections to a server as are used at
// once.
func Of(given *http.Client) *http.Client {
	own := http.Client{}
	if given != nil {
		own = *given
	}
	if own.Transport == nil && isStandard(http.DefaultTransport) { // a program that has put in its own wants that
		own.Transport = keeping()
	}
	own.CheckRedirect = func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse }
	return &own
}

// keptConnections is how many idle connections are kept to each server, of HTTP/1. The default is 2: of calls that are
// made at once, most would make a connection of their own.
const keptConnections = 64

// standard is the transport that the program began with, or nil if that is of another type. Interfaces are not compared:
// that panics for a type that cannot be.
var standard, _ = http.DefaultTransport.(*http.Transport)

func isStandard(t http.RoundTripper) bool {
	own, ok := t.(*http.Transport)
	return ok && own != nil && own == standard
}

// keeping is the transport of all clients that were given none. It is made at the first use, so that it has what the
// program has set in http.DefaultTransport.
var keeping = sync.OnceValue(func() *http.Transport {
	t := standard.Clone()
	t.MaxIdleConns, t.MaxIdleConnsPerHost = 4*keptConnections, keptConnections
	return t
})
